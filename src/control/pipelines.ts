// Pipelines as they are shown, and which of them moves a channel.
import { PIPELINE_KIND, pipelineKey, pipelineOf, type Pipeline } from '../rollouts/pipeline.ts'
import type { RolloutRefusal } from '../rollouts/outcome.ts'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Stale } from './control.ts'
import type { Unfinished } from './core/execute.ts'
import { readerOf, type Reader } from './core/transaction.ts'
import { channelOwnersView, underWayView } from './core/views.ts'

export interface PipelineRecord {
  readonly pipeline: Pipeline
  readonly revision: number
  /** Releases under way by other rules than these; an operator re-bases them, or lets them end as they began. */
  readonly otherRules: readonly string[]
}

export type PipelineOutcome =
  | { readonly outcome: 'done'; readonly record: PipelineRecord }
  | { readonly outcome: 'deleted' }
  | RolloutRefusal
  | Stale
  | Unfinished

/** Every pipeline by name. */
export function listPipelines(state: ReplicaState): readonly Pipeline[] {
  return [...state.documentsOf(PIPELINE_KIND)].map(pipelineOf).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

export function pipelineRecord(state: ReplicaState, name: string): PipelineRecord | null {
  const document = state.document(pipelineKey(name))
  return document === undefined ? null : pipelineRecordOf(state, pipelineOf(document), document.revision)
}

/** A pipeline and the rollouts that go by earlier rules of it. */
export function pipelineRecordOf(state: ReplicaState, pipeline: Pipeline, revision: number): PipelineRecord {
  const otherRules = rolloutsUnderWay(readerOf(state), pipeline.name).filter(
    ({ pipelineRevision }) => pipelineRevision !== revision,
  )
  return { pipeline, revision, otherRules: otherRules.map(({ release }) => release) }
}

/** The rollouts of a pipeline that are under way. */
export function rolloutsUnderWay(reader: Reader, name: string): readonly Rollout[] {
  return reader
    .view(underWayView)
    .map(rolloutOf)
    .filter(({ pipeline }) => pipeline === name)
}

/**
 * Which of these channels another pipeline than `pipeline` moves, and its name; be it by a rollout that began when its rules were
 * others. A channel is moved by one pipeline only.
 */
export function takenChannels(reader: Reader, pipeline: string, names: readonly string[]): ReadonlyMap<string, string> {
  const owners = reader.view(channelOwnersView)
  return new Map(
    names.flatMap((name) => {
      const other = owners.get(name)?.find((owner) => owner !== pipeline)
      return other === undefined ? [] : [[name, other] as const]
    }),
  )
}
