// Deleting pipelines.
import t from 'tap'
import { deletePipeline } from '../../src/control/delete-pipeline.ts'
import { fleet, rolledBack, waiting } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL } from '../fixtures/command-rig.ts'

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [fleet()],
    run: ({ control }, request, dryRun) => deletePipeline(control, request, 'cloud', { ...REAL, dryRun }),
    ...{ kind: 'pipeline.delete', done: 'deleted' },
  }),
)

t.test('its channels are free in the same commit, and ended rollouts stay', async (t) => {
  const rig = await started(t, rolledBack())
  t.strictSame(await deletePipeline(rig.control, rig.request(), 'cloud', REAL), { outcome: 'deleted' })
  t.strictSame((await rig.entries())[0]?.subjects, ['pipeline/cloud', 'pipeline-index/all'])
  t.ok(await rig.document('rollout/cloud/15.2.0'))
})

t.test('a pipeline with a rollout under way stays', async (t) => {
  const rig = await started(t, waiting())
  const refused = { outcome: 'refused', problem: 'pipeline_in_use', message: /15\.2\.0 is under way/ }
  t.match(await deletePipeline(rig.control, rig.request(), 'cloud', REAL), refused)
})

t.test('a pipeline that is not there is unknown, one at another revision stale', async (t) => {
  const rig = await started(t, fleet())
  const conditions = { dryRun: false, expectedRevisions: [7] }
  t.match(await deletePipeline(rig.control, rig.request(), 'cloud', conditions), { outcome: 'stale' })
  t.match(await deletePipeline(rig.control, rig.request(), 'other', conditions), { problem: 'unknown_pipeline' })
  t.equal(rig.commits.length, 0)
})

t.test(
  'a pipeline that cannot be read is not unknown, nor deleted; so with one of which a rollout cannot be read',
  async (t) => {
    const rig = await started(t, { 'pipeline/cloud': { name: 'cloud' } })
    const lost = { name: 'UnreadableDocument', message: /pipeline\/cloud cannot be read/ }
    await t.rejects(deletePipeline(rig.control, rig.request(), 'cloud', REAL), lost)
    await rig.write({ ...fleet(), 'rollout/cloud/15.2.0': { pipeline: 'cloud' } })
    const lostRollout = { message: /rollout\/cloud\/15\.2\.0 cannot be read/ }
    await t.rejects(deletePipeline(rig.control, rig.request(), 'cloud', REAL), lostRollout)
    t.equal(rig.commits.length, 0)
  },
)
