// The command that deletes a pipeline.
import { pipelineKey } from '../rollouts/pipeline.ts'
import { refuse, unknownPipeline } from '../rollouts/outcome.ts'
import { isRolloutOf } from '../rollouts/rollout.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import { rolloutsUnderWay, type PipelineOutcome } from './pipelines.ts'

/** Deletes a pipeline that nothing is under way in. What its rollouts have done stays in the journal and in their documents. */
export function deletePipeline(
  control: Control,
  request: Request,
  name: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<PipelineOutcome> {
  const key = pipelineKey(name)
  return executeCommand<PipelineOutcome, null, null>(control, request, {
    kind: 'pipeline.delete',
    dryRun,
    run(tx) {
      const document = tx.readable(key)
      if (document === undefined) return replyWith(unknownPipeline(name))
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      // A rollout that cannot be read may be under way. It is looked for untracked: none becomes so by a commit of this build.
      const lost = [...tx.untracked.unreadable.keys()].find((one) => isRolloutOf(one, name))
      if (lost !== undefined) tx.readable(lost)
      const running = rolloutsUnderWay(tx, name)
      if (running.length > 0) {
        const releases = running.map(({ release }) => release).join(', ')
        return replyWith(refuse('pipeline_in_use', `${releases} is under way in ${name}; let it end, or roll it back`))
      }
      tx.put(key, null)
      return commitWith(null)
    },
    reply: () => ({ outcome: 'deleted' }),
  })
}
