// Pipelines as they are shown, and which of them moves a channel.
import { PIPELINE_KIND, pipelineKey, pipelineOf, type Pipeline } from '../rollouts/pipeline.ts'
import type { RolloutRefusal } from '../rollouts/outcome.ts'
import { rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Stale } from './control.ts'
import { coversAll, type Identity } from './identity.ts'
import type { Unfinished } from './core/execute.ts'
import { readerOf, type Reader } from './core/transaction.ts'
import { channelOwnersView, underWayView } from './core/views.ts'
import { pipelineFor, rolloutFor } from './scoped-rollouts.ts'

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

/** A pipeline as a caller may see it; null where there is none, or nothing of it is theirs to see. */
export function readPipeline(state: ReplicaState, identity: Identity, name: string): PipelineRecord | null {
  const record = pipelineRecord(state, name)
  if (record === null || coversAll(identity)) return record
  const pipeline = pipelineFor(identity, record.pipeline)
  if (pipeline === null) return null
  const isSeen = (release: string): boolean => {
    const document = state.document(rolloutKey(name, release))
    return document !== undefined && rolloutFor(identity, rolloutOf(document)) !== null
  }
  return { ...record, pipeline, otherRules: record.otherRules.filter(isSeen) }
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
 * Which of these channels another pipeline than `pipeline` moves, and where each is, in words; be it by a rollout that began when its
 * rules were others. A channel is moved by one pipeline only, so one that cannot be read counts as moving all that it may.
 */
export function takenChannels(reader: Reader, pipeline: string, names: readonly string[]): ReadonlyMap<string, string> {
  const { owners, settled, unreadable } = reader.view(channelOwnersView)
  const isOther = (name: string): boolean => name !== pipeline
  const possible = unreadable.find(isOther)
  return new Map(
    names.flatMap((name): readonly (readonly [channel: string, where: string])[] => {
      const other = owners.get(name)?.find(isOther)
      if (other !== undefined) return [[name, `is in the pipeline ${other}`]]
      if (possible === undefined || settled.has(name)) return []
      return [[name, `may be in the pipeline ${possible}, which cannot be read`]]
    }),
  )
}
