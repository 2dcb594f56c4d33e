// Approving, pausing and re-basing rollouts: changes of their documents alone.
import t from 'tap'
import { editRollout, type RolloutEdit } from '../../src/control/edit-rollout.ts'
import type { RolloutOutcome } from '../../src/control/rollout-result.ts'
import { pipelineDocument, releaseDocument, rolledBack, STAGES, waiting } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig, type Documents } from '../fixtures/command-rig.ts'
import { RELEASE, someStage } from '../fixtures/rollout-samples.ts'

const CLOUD = { pipeline: 'cloud', release: RELEASE }
const APPROVE: RolloutEdit = { ...CLOUD, kind: 'approve', stage: 'canary', edition: null }
const PAUSE: RolloutEdit = { ...CLOUD, kind: 'pause' }
const REBASE: RolloutEdit = { ...CLOUD, kind: 'rebase' }
const LONGER = pipelineDocument([...STAGES, someStage('late')])

function edit(rig: CommandRig, asked: RolloutEdit): Promise<RolloutOutcome> {
  return editRollout(rig.control, rig.request(), asked, REAL)
}

const cases: readonly {
  readonly asked: RolloutEdit
  readonly documents: readonly Documents[]
  readonly becomes: object
}[] = [
  {
    asked: APPROVE,
    documents: [waiting()],
    becomes: { stages: [{ approvals: [{ by: 'grace/token-9', edition: 1 }] }] },
  },
  { asked: PAUSE, documents: [waiting()], becomes: { paused: { reason: 'because', by: 'grace/token-9', gate: null } } },
  { asked: REBASE, documents: [waiting(), LONGER], becomes: { pipelineRevision: 2, stages: { 2: { name: 'late' } } } },
]

for (const { asked, documents, becomes } of cases) {
  t.test(`${asked.kind} is tried, made once, and answered again`, (t) =>
    proveCommand(t, {
      documents,
      run: ({ control }, request, dryRun) => editRollout(control, request, asked, { ...REAL, dryRun }),
      ...{ kind: `rollout.${asked.kind}`, done: 'done' },
    }),
  )

  t.test(`${asked.kind} changes the rollout alone, which is the only one under way where none is named`, async (t) => {
    const rig = await started(t, ...documents)
    const stale = await editRollout(rig.control, rig.request(), asked, { dryRun: false, expectedRevisions: [7] })
    t.match(stale, { outcome: 'stale', current: { revision: 1 } })
    const done = await edit(rig, { ...asked, release: null })
    t.match(done, { outcome: 'done', document: { revision: 2, body: becomes }, moves: [], superseded: [] })
    t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`])
    const ended = await started(t, rolledBack())
    t.match(await edit(ended, asked), { outcome: 'refused', problem: 'rollout_over' })
    t.match(await edit(ended, { ...asked, release: null }), { outcome: 'refused', problem: 'unknown_rollout' })
  })
}

t.test('who has approved the edition, and a pause for the same reason, change nothing', async (t) => {
  const rig = await started(t, waiting())
  for (const asked of [APPROVE, PAUSE]) {
    await edit(rig, asked)
    const { length } = rig.commits
    t.match(await edit(rig, asked), { outcome: 'done', moves: [] })
    t.equal(rig.commits.length, length, asked.kind)
  }
})

t.test('each has refusals of its own', async (t) => {
  const rig = await started(t, { ...waiting(), ...releaseDocument({ edition: 2 }) }, { 'pipeline/cloud': null })
  t.match(await edit(rig, { ...APPROVE, stage: 'late' }), { problem: 'unknown_stage' })
  t.match(await edit(rig, { ...APPROVE, edition: 1 }), { problem: 'other_edition' })
  t.match(await edit(rig, REBASE), { problem: 'unknown_pipeline' })
  const silent = await editRollout(rig.control, rig.request({ reason: null }), PAUSE, REAL)
  t.match(silent, { outcome: 'refused', field: 'reason' })
  t.equal(rig.commits.length, 0)
})
