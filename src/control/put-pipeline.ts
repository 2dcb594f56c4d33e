// The command that makes a pipeline, or gives it other rules.
import { draftPipeline, type PipelineDraft } from '../rollouts/pipeline-draft.ts'
import { pipelineBody, pipelineKey, pipelineOf } from '../rollouts/pipeline.ts'
import { refuse } from '../rollouts/outcome.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith } from './core/execute.ts'
import { documentAfter } from './core/transaction.ts'
import { underWayView } from './core/views.ts'
import { isSameBody } from './same-body.ts'
import { pipelineRecordOf, takenChannels, type PipelineOutcome } from './pipelines.ts'

/** Makes a pipeline, or gives it other rules; rollouts under way keep theirs. */
export function putPipeline(
  control: Control,
  request: Request,
  draft: PipelineDraft,
  { dryRun, expectedRevisions }: Conditions,
): Promise<PipelineOutcome> {
  const key = pipelineKey(draft.name)
  return executeCommand<PipelineOutcome, null, null>(control, request, {
    kind: 'pipeline.put',
    dryRun,
    run(tx) {
      const document = tx.get(key)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document ?? null })
      const { actor, reason } = request
      const drafted = draftPipeline(draft, control.outside.gateRefusal, { ...tx.times, actor, reason })
      if (drafted.outcome === 'refused') return replyWith(drafted)
      const { pipeline } = drafted
      const names = pipeline.stages.flatMap(({ channels }) => channels)
      // A rollout that is resumed meanwhile can have any of them by earlier rules of its pipeline.
      tx.view(underWayView)
      const [taken] = takenChannels(tx, pipeline.name, names)
      if (taken !== undefined) {
        const message = `channel ${taken[0]} ${taken[1]}; a channel is moved by one pipeline only`
        return replyWith(refuse('channel_in_pipeline', message))
      }
      const body = pipelineBody(pipeline)
      if (document !== undefined && isSameBody(document.body, body)) return leaveUnchanged(document)
      tx.put(key, body)
      return commitWith(null)
    },
    reply: (applied, _, state) => shownAs(documentAfter(applied, key), state),
    replyUnchanged: shownAs,
  })
}

function shownAs(document: Document, state: ReplicaState): PipelineOutcome {
  return { outcome: 'done', record: pipelineRecordOf(state, pipelineOf(document), document.revision) }
}
