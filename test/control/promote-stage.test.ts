// Promoting a stage: which rollout is meant, and what one commit moves. The plan is in test/rollouts/promotion.test.ts.
import t from 'tap'
import { changeChannel } from '../../src/control/change-channel.ts'
import { promoteStage, type PromotionRequest } from '../../src/control/promote-stage.ts'
import { rollBack } from '../../src/control/roll-back.ts'
import type { RolloutOutcome } from '../../src/control/rollout-result.ts'
import { pinOf } from '../fixtures/channel-samples.ts'
import {
  channelDocument,
  fleet,
  pipelineDocument,
  reached,
  releaseDocument,
  rolloutDocument,
  waiting,
} from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { BEFORE, RELEASE, someStage } from '../fixtures/rollout-samples.ts'

const ASKED: PromotionRequest = { pipeline: 'cloud', release: RELEASE, stage: 'canary', critical: false, force: false }

function promote(rig: CommandRig, more: Partial<PromotionRequest> = {}): Promise<RolloutOutcome> {
  return promoteStage(rig.control, rig.request(), { ...ASKED, ...more }, REAL)
}

/** A rollout of another release that waits for its first stage. */
function alsoWaiting(release: string) {
  const stages = [{ rules: someStage('canary') }, { rules: someStage('fleet') }]
  return { ...releaseDocument({ version: release }), ...rolloutDocument(stages, { release }) }
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [{ ...waiting(), ...alsoWaiting('15.1.9') }],
    run: ({ control }, request, dryRun) => promoteStage(control, request, ASKED, { ...REAL, dryRun }),
    ...{ kind: 'rollout.promote', done: 'done' },
  }),
)

t.test('the channels of the stage, the rollout and those that it overtakes change in one commit', async (t) => {
  const rig = await started(t, { ...waiting(), ...alsoWaiting('15.1.9'), ...alsoWaiting('15.3.0') })
  const moves = [{ channel: 'canary', from: BEFORE, to: RELEASE }]
  t.match(await promote(rig), { outcome: 'done', moves, untouched: [], superseded: ['15.1.9'] })
  t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`, 'rollout/cloud/15.1.9', 'channel/canary'])
})

t.test('channels that stay are named in the answer, and not in that to a retry', async (t) => {
  const pinned = channelDocument('canary', { pin: pinOf('15.1.3') })
  const both = rolloutDocument([{ rules: someStage('canary', { channels: ['canary', 'fleet'] }) }])
  const rig = await started(t, { ...fleet(), ...pinned, ...both })
  const request = rig.request({ requestId: 'one', mayBeRetry: true })
  const first = await promoteStage(rig.control, request, ASKED, REAL)
  t.match(first, { outcome: 'done', untouched: [{ channel: 'canary', why: /pinned/ }] })
  t.match(await promoteStage(rig.control, request, ASKED, REAL), { outcome: 'done', untouched: [] })
})

t.test(
  'of several rollouts the one is meant that waits for the stage, and several that do are to be named',
  async (t) => {
    const rig = await started(t, { ...reached(), ...alsoWaiting('15.3.0') })
    const named = await promoteStage(
      rig.control,
      rig.request(),
      { ...ASKED, release: null, stage: 'fleet' },
      { ...REAL, dryRun: true },
    )
    t.match(named, { outcome: 'done', document: { body: { release: RELEASE } } })
    t.match(await promote(rig, { release: null }), { outcome: 'done', document: { body: { release: '15.3.0' } } })
    const both = await started(t, { ...waiting(), ...alsoWaiting('15.3.0') })
    t.match(await promote(both, { release: null }), { outcome: 'refused', problem: 'which_rollout' })
  },
)

t.test('whoever loses a race does not promote the next release', async (t) => {
  const rig = await started(t, { ...waiting(), ...releaseDocument({ version: '15.3.0' }) })
  rig.between = async () => {
    t.match(await promote(rig), { outcome: 'done' })
    await rig.write(alsoWaiting('15.3.0'))
  }
  t.match(await promote(rig, { release: null }), {
    outcome: 'refused',
    why: 'held-back',
    blockers: [{ code: 'promoted' }],
  })
})

t.test('a rollout at another revision is stale, what is not there is unknown, and the rules may refuse', async (t) => {
  const rig = await started(t, {
    ...waiting(),
    ...releaseDocument({ bad: { reason: 'r', by: 'ada', at: '2026-02-28T23:00:00.000Z' } }),
  })
  const stale = await promoteStage(rig.control, rig.request(), ASKED, { dryRun: false, expectedRevisions: [7] })
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
  t.match(await promote(rig, { stage: 'late' }), { problem: 'unknown_stage' })
  t.match(await promote(rig, { release: '15.9.9' }), { problem: 'unknown_rollout' })
  t.match(await promote(rig, { pipeline: 'other', release: null }), { problem: 'unknown_pipeline' })
  t.match(await promote(rig), { outcome: 'refused', why: 'held-back', stage: 'canary' })
  t.equal(rig.commits.length, 0)
})

t.test(
  'a channel that a pipeline may have which cannot be read is promoted by no earlier rules of another',
  async (t) => {
    const moved = pipelineDocument([someStage('fleet')])
    const rig = await started(t, waiting(), moved, { 'pipeline/edge': { name: 'edge' } })
    const message = /canary may be in the pipeline edge, which cannot be read$/
    t.match(await promote(rig), { outcome: 'refused', why: 'held-back', blockers: [{ code: 'channels', message }] })
    await rig.write(pipelineDocument())
    t.match(await promote(rig), { outcome: 'done' }, 'the rules of today say whose it is')
  },
)

t.test('pins, halts and rollbacks ask no pipeline', async (t) => {
  const rig = await started(t, reached(), pipelineDocument([]), { 'pipeline/edge': { name: 'edge' } })
  const back = { pipeline: 'cloud', release: RELEASE, to: BEFORE, critical: false, force: false }
  t.match(await rollBack(rig.control, rig.request(), back, REAL), { outcome: 'done', moves: [{ channel: 'canary' }] })
  for (const change of [{ kind: 'pin', version: BEFORE }, { kind: 'halt' }] as const) {
    const request = { ...rig.request(), ...REAL, name: 'fleet', change, force: false }
    t.match(await changeChannel(rig.control, request), { outcome: 'changed' })
  }
})
