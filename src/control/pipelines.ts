// Pipelines: made, edited and deleted. What runs goes by the rules that it began with, whatever becomes of its pipeline.
import type { GateRefusal, PipelineDraft } from '../rollouts/pipeline-draft.ts'
import { draftPipeline } from '../rollouts/pipeline-draft.ts'
import { PIPELINE_KIND, pipelineBody, pipelineKey, pipelineOf, type Pipeline } from '../rollouts/pipeline.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { ROLLOUT_KIND, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Expectation } from '../store/port.ts'
import { isExpected, knownState, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { carryOut, documentAfter, nothing, readOf, writeOf, type Decided, type Unfinished } from './decide.ts'
import { rolloutDocuments } from './start-rollouts.ts'

export interface PipelineRecord {
  readonly pipeline: Pipeline
  readonly revision: number
  /** Releases under way by other rules than these; an operator re-bases them, or lets them end as they began. */
  readonly otherRules: readonly string[]
}

/** Written with every pipeline, so that of two that are made at the same time one sees the channels of the other. */
const INDEX_KEY = 'pipeline-index/all'

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
  return document === undefined ? null : recordOf(state, pipelineOf(document), document.revision)
}

export function unknownPipeline(name: string): RolloutRefusal {
  return refuse('unknown_pipeline', `there is no pipeline ${name}; make it with PUT …/pipelines/${name}`)
}

/** Makes a pipeline, or gives it other rules; rollouts under way keep theirs. */
export function putPipeline(
  control: Control,
  request: Request,
  draft: PipelineDraft,
  { dryRun, expectedRevisions }: Conditions,
): Promise<PipelineOutcome> {
  const key = pipelineKey(draft.name)
  const gateRefusal: GateRefusal = (url) => control.outside.gateRefusal(url)
  return carryOut<null, PipelineOutcome>(control, request, {
    kind: 'pipeline.put',
    key,
    dryRun,
    prepare: nothing,
    decide(state, times) {
      const document = state.document(key)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document ?? null })
      const drafted = draftPipeline(draft, gateRefusal, { ...times, actor: request.actor, reason: request.reason })
      if (drafted.outcome === 'refused') return answer(drafted)
      const { pipeline } = drafted
      const others = [...state.documentsOf(PIPELINE_KIND)].filter((other) => other.key !== key)
      const names = pipeline.stages.flatMap(({ channels }) => channels)
      const [taken] = takenChannels(state, pipeline.name, names)
      if (taken !== undefined) {
        const message = `channel ${taken[0]} is in the pipeline ${taken[1]}; a channel is moved by one pipeline only`
        return answer(refuse('channel_in_pipeline', message))
      }
      const revision = (document?.revision ?? 0) + 1
      if (dryRun) return answer({ outcome: 'done', record: recordOf(state, pipeline, revision) })
      return {
        outcome: 'commit',
        writes: [writeOf(state, key, pipelineBody(pipeline)), writeOf(state, INDEX_KEY, { last: pipeline.name })],
        reads: others.map((other) => ({ key: other.key, expected: other.revision })),
      }
    },
    answerOf(entry) {
      const after = documentAfter(entry, key)
      if (after === null) return { outcome: 'key-reused' }
      return { outcome: 'done', record: recordOf(knownState(control), pipelineOf(after), after.revision) }
    },
  })
}

/** Deletes a pipeline that nothing is under way in. What its rollouts have done stays in the journal and in their documents. */
export function deletePipeline(
  control: Control,
  request: Request,
  name: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<PipelineOutcome> {
  const key = pipelineKey(name)
  return carryOut<null, PipelineOutcome>(control, request, {
    kind: 'pipeline.delete',
    key,
    dryRun,
    prepare: nothing,
    decide(state) {
      const document = state.document(key)
      if (document === undefined) return answer(unknownPipeline(name))
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const running = rolloutsUnderWay(state, name)
      if (running.length > 0) {
        const releases = running.map(({ release }) => release).join(', ')
        return answer(refuse('pipeline_in_use', `${releases} is under way in ${name}; let it end, or roll it back`))
      }
      if (dryRun) return answer({ outcome: 'deleted' })
      return { outcome: 'commit', writes: [writeOf(state, key, null)], reads: [] }
    },
    answerOf: () => ({ outcome: 'deleted' }),
  })
}

function recordOf(state: ReplicaState, pipeline: Pipeline, revision: number): PipelineRecord {
  const otherRules = rolloutsUnderWay(state, pipeline.name).filter(
    ({ pipelineRevision }) => pipelineRevision !== revision,
  )
  return { pipeline, revision, otherRules: otherRules.map(({ release }) => release) }
}

function rolloutsUnderWay(state: ReplicaState, name: string): readonly Rollout[] {
  return rolloutDocuments(state, name)
    .map(rolloutOf)
    .filter(({ state: stands }) => stands === 'running')
}

/**
 * Which of these channels another pipeline than `pipeline` moves, and its name; be it by a rollout that began when its rules were
 * others. A channel is moved by one pipeline only.
 */
export function takenChannels(
  state: ReplicaState,
  pipeline: string,
  names: readonly string[],
): ReadonlyMap<string, string> {
  const movers = moversIn(state)
  return new Map(
    names.flatMap((name) => {
      const other = movers.get(name)?.find((mover) => mover !== pipeline)
      return other === undefined ? [] : [[name, other] as const]
    }),
  )
}

/** The pipelines that move each channel. */
type Movers = ReadonlyMap<string, readonly string[]>

/** Read again only where a pipeline or a rollout has changed: every stage of every rollout asks. */
const known = new WeakMap<ReplicaState, { readonly generation: string; readonly movers: Movers }>()

function moversIn(state: ReplicaState): Movers {
  const generation = `${state.generationOf(PIPELINE_KIND)}/${state.generationOf(ROLLOUT_KIND)}`
  const before = known.get(state)
  if (before?.generation === generation) return before.movers
  const movers = new Map<string, string[]>()
  const revisions = new Map<string, number>()
  const add = (pipeline: string, stages: Pipeline['stages']): void => {
    for (const channel of stages.flatMap(({ channels }) => channels)) {
      const others = movers.get(channel) ?? []
      if (!others.includes(pipeline)) movers.set(channel, [...others, pipeline])
    }
  }
  for (const document of state.documentsOf(PIPELINE_KIND)) {
    const { name, stages } = pipelineOf(document)
    revisions.set(name, document.revision)
    add(name, stages)
  }
  for (const document of state.documentsOf(ROLLOUT_KIND)) {
    const { pipeline, pipelineRevision, state: stands, rules } = rolloutOf(document)
    const revision = revisions.get(pipeline)
    // Most go by the rules that their pipeline has.
    if (stands === 'running' && revision !== undefined && revision !== pipelineRevision) add(pipeline, rules.stages)
  }
  known.set(state, { generation, movers })
  return movers
}

/** What that was read from: whoever gives a channel to a pipeline writes it. */
export function takenRead(state: ReplicaState): Expectation {
  return readOf(state, INDEX_KEY)
}

function answer(value: PipelineOutcome): Decided<PipelineOutcome> {
  return { outcome: 'answer', answer: value }
}
