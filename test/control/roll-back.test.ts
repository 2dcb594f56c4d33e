// Rollbacks of a release: which rollout is meant, and what one commit takes back. The plan is in test/rollouts/rollback.test.ts.
import t from 'tap'
import { rollBack, type RollbackRequest } from '../../src/control/roll-back.ts'
import type { RolloutOutcome } from '../../src/control/rollout-result.ts'
import { pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import {
  blockedDocument,
  channelDocument,
  reached,
  releaseDocument,
  rolledBack,
  rolloutDocument,
  waiting,
} from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { BEFORE, doneWith, RELEASE, someStage } from '../fixtures/rollout-samples.ts'

const ASKED: RollbackRequest = { pipeline: 'cloud', release: RELEASE, to: null, critical: false, force: false }
const BLOCKED = `blocked-version/${RELEASE}`

function back(rig: CommandRig, more: Partial<RollbackRequest> = {}): Promise<RolloutOutcome> {
  return rollBack(rig.control, rig.request(), { ...ASKED, ...more }, REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [reached()],
    run: ({ control }, request, dryRun) => rollBack(control, request, ASKED, { ...REAL, dryRun }),
    ...{ kind: 'rollout.rollback', done: 'done' },
  }),
)

t.test('rollout, channels, release and block list change in one commit', async (t) => {
  const rig = await started(t, { ...reached(), ...channelDocument('outside', { source: sourceOf(RELEASE) }) })
  const done = await back(rig)
  t.match(done, { outcome: 'done', moves: [{ channel: 'canary', from: RELEASE, to: BEFORE }], servedBy: ['outside'] })
  t.same((await rig.entries())[0]?.subjects, [
    `rollout/cloud/${RELEASE}`,
    'channel/canary',
    `release/${RELEASE}`,
    BLOCKED,
  ])
  t.match((await rig.document(BLOCKED))?.body, { because: 'rolled back', reason: 'rolled back: because' })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { bad: { reason: 'because' } })
})

t.test('without a release the newest is meant that has reached a channel', async (t) => {
  const rig = await started(t, {
    ...reached(),
    ...rolloutDocument([{ rules: someStage('canary') }], { release: '15.3.0' }),
  })
  t.match(await back(rig, { release: null }), { outcome: 'done', document: { body: { release: RELEASE } } })
})

t.test('a version that is blocked already is not blocked again, be its entry one that cannot be read', async (t) => {
  for (const entry of [blockedDocument(RELEASE), { [BLOCKED]: { version: 7 } }]) {
    const rig = await started(t, { ...reached(), ...entry })
    t.match(await back(rig), { outcome: 'done' })
    t.equal((await rig.document(BLOCKED))?.revision, 1)
  }
})

t.test('channels do not go back to a release that is bad', async (t) => {
  const bad = { reason: 'r', by: 'ada', at: '2026-02-28T23:00:00.000Z' }
  const rig = await started(t, { ...reached(), ...releaseDocument({ version: BEFORE, bad }) })
  t.match(await back(rig), { outcome: 'done', moves: [{ channel: 'canary', to: null }] }, 'it is halted')
})

t.test('what has not reached a channel is not rolled back', async (t) => {
  const rig = await started(t, waiting())
  t.match(await back(rig), { outcome: 'refused', problem: 'nothing_reached' })
  t.match(await back(rig, { release: null }), { outcome: 'refused', problem: 'unknown_rollout' })
})

t.test(
  'it never guesses: a rollback that stands, or a release that nobody is told any more, is to be named',
  async (t) => {
    const standing = await started(t, rolledBack())
    t.match(await back(standing, { release: null }), {
      problem: 'which_rollout',
      message: /the rollback of 15\.2\.0 stands/,
    })
    const moved = await started(t, { ...reached(), ...channelDocument('canary') })
    t.match(await back(moved, { release: null }), {
      problem: 'which_rollout',
      message: /no channel tells 15\.2\.0 any more/,
    })
    const older = {
      ...releaseDocument({ version: '15.1.9' }),
      ...channelDocument('fleet', { source: sourceOf('15.1.9') }),
    }
    const stages = [{ rules: someStage('fleet'), progress: doneWith('fleet') }]
    await moved.write({ ...older, ...rolloutDocument(stages, { release: '15.1.9' }) })
    t.match(await back(moved, { release: null }), { message: /15\.1\.9 is told by some/ })
    t.equal(moved.commits.length, 0)
  },
)

t.test('a rollout at another revision is stale, others are unknown, and the rules may refuse', async (t) => {
  const rig = await started(t, { ...reached(), ...channelDocument('canary', { pin: pinOf(RELEASE), floor: RELEASE }) })
  const stale = await rollBack(rig.control, rig.request(), ASKED, { dryRun: false, expectedRevisions: [7] })
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
  t.match(await back(rig, { release: '15.9.9' }), { problem: 'unknown_rollout' })
  t.match(await back(rig, { pipeline: 'other', release: null }), { problem: 'unknown_pipeline' })
  t.match(await back(rig, { to: 'stable' }), { outcome: 'refused', field: 'to' })
  t.match(await back(rig, { to: BEFORE }), { outcome: 'refused', why: 'guards', channels: [{ guard: 'floor' }] })
  t.equal(rig.commits.length, 0)
})
