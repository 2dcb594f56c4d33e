// Ending rollbacks with unpin or resume, and pauses with resume. The plans are in test/rollouts/rollback.test.ts.
import t from 'tap'
import { endRollback, type EndRequest } from '../../src/control/end-rollback.ts'
import type { RolloutOutcome } from '../../src/control/rollout-result.ts'
import {
  blockedDocument,
  pipelineDocument,
  reached,
  rolledBack,
  rolloutDocument,
  waiting,
} from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig, type Documents } from '../fixtures/command-rig.ts'
import { BEFORE, inMinutes, RELEASE, someStage } from '../fixtures/rollout-samples.ts'

const BLOCKED = `blocked-version/${RELEASE}`
const PAUSED = waiting({ paused: { reason: 'r', by: 'ada/token-2', at: inMinutes(-9), gate: null } })

function end(rig: CommandRig, how: EndRequest['how'], more: Partial<EndRequest> = {}): Promise<RolloutOutcome> {
  return endRollback(
    rig.control,
    rig.request(),
    { pipeline: 'cloud', release: RELEASE, how, force: false, ...more },
    REAL,
  )
}

const cases: readonly { readonly how: EndRequest['how']; readonly of: string; readonly documents: Documents }[] = [
  { how: 'unpin', of: 'a rollback', documents: rolledBack() },
  { how: 'resume', of: 'a rollback', documents: rolledBack() },
  { how: 'resume', of: 'a pause', documents: PAUSED },
]

for (const { how, of, documents } of cases) {
  t.test(`${how} of ${of} is tried, made once, and answered again`, (t) =>
    proveCommand(t, {
      documents: [documents],
      run: ({ control }, request, dryRun) =>
        endRollback(control, request, { pipeline: 'cloud', release: RELEASE, how, force: false }, { ...REAL, dryRun }),
      ...{ kind: `rollout.${how}`, done: 'done' },
    }),
  )
}

t.test('unpin leaves the channels where they are, and the release bad and blocked', async (t) => {
  const rig = await started(t, rolledBack())
  t.match(await end(rig, 'unpin', { release: null }), {
    outcome: 'done',
    moves: [{ channel: 'canary', from: BEFORE, to: BEFORE }],
  })
  t.match((await rig.document('channel/canary'))?.body, { pin: null, source: { version: BEFORE } })
  t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`, 'channel/canary'])
  t.ok(await rig.document(BLOCKED))
})

t.test('resume gives the release back: channels, release, block list and rollout in one commit', async (t) => {
  const rig = await started(t, rolledBack())
  t.match(await end(rig, 'resume', { release: null }), {
    outcome: 'done',
    moves: [{ channel: 'canary', from: BEFORE, to: RELEASE }],
  })
  t.same((await rig.entries())[0]?.subjects, [
    `rollout/cloud/${RELEASE}`,
    'channel/canary',
    `release/${RELEASE}`,
    BLOCKED,
    'rollout-index/under-way',
  ])
  t.equal(await rig.document(BLOCKED), undefined)
  t.match((await rig.document(`release/${RELEASE}`))?.body, { bad: null })
})

t.test('what an operator has blocked keeps the release from being resumed', async (t) => {
  const rig = await started(t, { ...rolledBack(), ...blockedDocument(RELEASE) })
  t.match(await end(rig, 'resume'), { outcome: 'refused' })
  t.equal(rig.commits.length, 0)
})

t.test('resume needs the pipeline, and its channels to be in no other', async (t) => {
  const gone = await started(t, rolledBack(), { 'pipeline/cloud': null })
  t.match(await end(gone, 'resume'), { outcome: 'refused', problem: 'unknown_pipeline' })
  const moved = pipelineDocument([someStage('fleet')])
  const taken = await started(t, {
    ...rolledBack(),
    ...moved,
    ...pipelineDocument([someStage('canary')], { name: 'other' }),
  })
  t.match(await end(taken, 'resume'), { outcome: 'refused', problem: 'channel_in_pipeline' })
  t.match(await end(taken, 'unpin'), { outcome: 'done' }, 'unpin does not')
})

t.test('channels that another pipeline holds back are named', async (t) => {
  const [at, by] = [inMinutes(-60), 'ada/token-2']
  const channels = [{ channel: 'canary', from: RELEASE, to: BEFORE }]
  const rollback = { reason: 'r', by, at, channels, stateBefore: 'running', unpinnedAt: null } as const
  const elsewhere = rolloutDocument([{ rules: someStage('canary') }], {
    pipeline: 'other',
    state: 'rolled back',
    rollback,
  })
  const rig = await started(t, { ...rolledBack(), ...elsewhere })
  t.match(await end(rig, 'resume'), { outcome: 'done', untouched: [{ channel: 'canary', why: /rollback in other/ }] })
})

t.test('resume ends a pause, and changes the rollout alone', async (t) => {
  const rig = await started(t, PAUSED)
  t.match(await end(rig, 'resume', { release: null }), { outcome: 'done', document: { body: { paused: null } } })
  t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`])
})

t.test('what was neither rolled back nor paused is refused, and a rollout at another revision is stale', async (t) => {
  const rig = await started(t, reached())
  t.match(await end(rig, 'unpin'), { outcome: 'refused', problem: 'not_rolled_back' })
  t.match(await end(rig, 'resume'), { outcome: 'refused', problem: 'not_paused' })
  t.match(await end(rig, 'resume', { release: null }), { outcome: 'refused', problem: 'unknown_rollout' })
  const asked = { pipeline: 'cloud', release: RELEASE, how: 'resume', force: false } as const
  const stale = await endRollback(rig.control, rig.request(), asked, { dryRun: false, expectedRevisions: [7] })
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
  t.equal(rig.commits.length, 0)
})
