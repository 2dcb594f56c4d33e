// Making pipelines and giving them other rules. What a draft must be is in test/rollouts/pipeline-draft.test.ts.
import t from 'tap'
import type { PipelineOutcome } from '../../src/control/pipelines.ts'
import { putPipeline } from '../../src/control/put-pipeline.ts'
import { pipelineDraft } from '../fixtures/command-cases.ts'
import { pipelineDocument, waiting } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { RELEASE, someStage } from '../fixtures/rollout-samples.ts'

function put(rig: CommandRig, channels: readonly string[], name = 'cloud'): Promise<PipelineOutcome> {
  return putPipeline(rig.control, rig.request(), pipelineDraft(channels, name), REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [waiting()],
    run: ({ control }, request, dryRun) =>
      putPipeline(control, request, pipelineDraft(['canary', 'fleet', 'late']), { ...REAL, dryRun }),
    ...{ kind: 'pipeline.put', done: 'done' },
  }),
)

t.test('a new pipeline is at its first revision, and owns its channels in the same commit', async (t) => {
  const rig = await started(t)
  const record = { revision: 1, pipeline: { name: 'cloud', updatedBy: 'grace/token-9' }, otherRules: [] }
  t.match(await put(rig, ['canary']), { outcome: 'done', record })
  t.strictSame((await rig.entries())[0]?.subjects, ['pipeline/cloud', 'pipeline-index/all'])
})

t.test('rollouts under way keep their rules, and are named', async (t) => {
  const rig = await started(t, waiting())
  const draft = { ...pipelineDraft(['canary', 'fleet']), description: 'weekly' }
  const done = await putPipeline(rig.control, rig.request(), draft, REAL)
  t.match(done, { outcome: 'done', record: { revision: 2, otherRules: [RELEASE] } })
  t.strictSame((await rig.entries())[0]?.subjects, ['pipeline/cloud'], 'the same channels: no index document')
})

t.test('the same rules change nothing, whoever puts them', async (t) => {
  const rig = await started(t)
  await put(rig, ['canary'])
  rig.clock.jump(1_000)
  t.match(await put(rig, ['canary']), { outcome: 'done', record: { revision: 1 } })
  t.equal(rig.commits.length, 1)
})

t.test('a channel is in one pipeline only, be it by the rules that a rollout began with', async (t) => {
  const rig = await started(t, waiting(), pipelineDocument([someStage('fleet')]))
  for (const channel of ['fleet', 'canary']) {
    t.match(await put(rig, ['free', channel], 'other'), { outcome: 'refused', problem: 'channel_in_pipeline' }, channel)
  }
  t.match(await put(rig, ['free'], 'other'), { outcome: 'done' })
})

t.test('a channel that a pipeline may have which cannot be read is given to no other', async (t) => {
  const rig = await started(t, { ...pipelineDocument(), 'pipeline/edge': { name: 'edge' } })
  const refused = { outcome: 'refused', problem: 'channel_in_pipeline' }
  t.match(await put(rig, ['canary', 'fleet', 'free']), {
    ...refused,
    message: /channel free may be in the pipeline edge, which cannot be read;/,
  })
  t.match(await put(rig, ['free'], 'new'), refused)
  t.match(await put(rig, ['fleet', 'canary']), { outcome: 'done' }, 'what a pipeline has it keeps')
  await t.rejects(put(rig, ['free'], 'edge'), { name: 'UnreadableDocument' })
  await rig.write(pipelineDocument([someStage('edge')], { name: 'edge' }))
  t.match(await put(rig, ['canary', 'fleet', 'free']), { outcome: 'done' }, 'once it can be read')
})

t.test('a draft with a mistake is refused, a pipeline at another revision stale', async (t) => {
  const rig = await started(t, pipelineDocument())
  t.match(await put(rig, ['a', 'a']), { outcome: 'refused', why: 'malformed' })
  const stale = await putPipeline(rig.control, rig.request(), pipelineDraft(['a']), {
    dryRun: false,
    expectedRevisions: 'none',
  })
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
})
