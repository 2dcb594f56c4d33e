// What the documents of pipelines must be, beyond what junk of another type shows.
import t from 'tap'
import { pipelineBody } from '../../src/rollouts/pipeline.ts'
import { pipelineShape } from '../../src/rollouts/shapes.ts'
import { somePipeline, someStage } from '../fixtures/rollout-samples.ts'

t.test('a stage that would end in a year that no moment can be written with is refused', async (t) => {
  for (const member of ['soakMinutes', 'rampMinutes']) {
    const body = (minutes: number): unknown => pipelineBody(somePipeline([someStage('canary', { [member]: minutes })]))
    t.equal(pipelineShape(body(43_200), ''), null)
    t.match(pipelineShape(body(9_000_000_000_000), ''), new RegExp(`^stages/0/${member} must be a whole number`))
  }
})
