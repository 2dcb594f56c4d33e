// Which rollout a request is about, and lists of rollouts.
import { stageUnderWay } from '../rollouts/advance.ts'
import { compareReleases, releaseOrder } from '../rollouts/cloud-version.ts'
import { refuse, type RolloutRefusal, unknownPipeline } from '../rollouts/outcome.ts'
import { PIPELINE_KIND, pipelineKey, pipelineOf } from '../rollouts/pipeline.ts'
import { isRolloutOf, ROLLOUT_KIND, rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { stageIndex } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { readerOf, type Reader } from './core/transaction.ts'
import { readView, underWayView } from './core/views.ts'
import type { Identity } from './identity.ts'
import { bare } from './release-result.ts'
import { pipelineFor, rolloutFor } from './scoped-rollouts.ts'

/** Which rollout of a pipeline a request is about; without a release the one that it can only be. */
export interface RolloutChoice {
  readonly pipeline: string
  readonly release: string | null
}

/** The rollouts of a pipeline that are as `matches` says, ended ones too, in no promised order. */
export function rolloutDocuments(
  reader: Reader,
  pipeline: string,
  matches: (rollout: Rollout) => boolean = () => true,
): readonly Document[] {
  return reader.find(ROLLOUT_KIND, (document) => isRolloutOf(document.key, pipeline) && matches(rolloutOf(document)))
}

/** The rollouts of a pipeline, the newest release first. */
export function documentsNewestFirst(state: ReplicaState, pipeline: string): readonly Document[] {
  return rolloutDocuments(readerOf(state), pipeline).toSorted((a, b) =>
    compareReleases(rolloutOf(b).release, rolloutOf(a).release),
  )
}

/** Every rollout that is under way, whatever its pipeline. */
export function runningRollouts(state: ReplicaState): readonly Document[] {
  return readView(state, underWayView)
}

/** Every rollout of a release, in the order of their pipelines. */
export function rolloutsOf(state: ReplicaState, version: string): readonly Rollout[] {
  const pipelines = [...state.documentsOf(PIPELINE_KIND)].map((document) => pipelineOf(document).name).toSorted()
  return pipelines.flatMap((pipeline) => {
    const document = state.document(rolloutKey(pipeline, version))
    return document === undefined ? [] : rolloutOf(document)
  })
}

/** Whether there is anything to show of a pipeline to this caller. */
export function isKnownPipeline(state: ReplicaState, identity: Identity, name: string): boolean {
  const pipeline = state.document(pipelineKey(name))
  if (pipeline !== undefined && pipelineFor(identity, pipelineOf(pipeline)) !== null) return true
  return rolloutDocuments(readerOf(state), name, (rollout) => rolloutFor(identity, rollout) !== null).length > 0
}

export function isRunning({ state }: Rollout): boolean {
  return state === 'running'
}

/**
 * Finds the rollout that a request is about. `isMeant` says which could be; with `isServed`, of several the newest is, and of
 * several that are newest the one that is served. Only the one that is found is recorded: a rollout that begins or ends later is no
 * reason to choose again.
 */
export function chooseRollout(
  reader: Reader,
  { pipeline, release }: RolloutChoice,
  isMeant: (rollout: Rollout) => boolean,
  isServed: ((rollout: Rollout) => boolean) | null = null,
): Document | RolloutRefusal {
  if (release !== null) {
    const version = bare(release)
    const document = reader.readable(rolloutKey(pipeline, version))
    return document ?? refuse('unknown_rollout', `release ${version} has no rollout in the pipeline ${pipeline}`)
  }
  // Candidates: the chosen one is read again below, and recorded. A change of another is no reason to choose again.
  const all = documentsNewestFirst(reader.untracked, pipeline)
  if (all.length === 0 && reader.get(pipelineKey(pipeline)) === undefined) return unknownPipeline(pipeline)
  const could = all.filter((document) => isMeant(rolloutOf(document)))
  const meant = isServed === null ? could : newestOf(could, isServed)
  const [first] = meant
  if (first === undefined) {
    return refuse('unknown_rollout', `no rollout of the pipeline ${pipeline} is in a state for this; name a release`)
  }
  if (meant.length === 1) return reader.get(first.key) ?? first
  const names = meant.map((document) => rolloutOf(document).release).join(', ')
  return refuse('which_rollout', `name one of them with \`release\`: ${names}`)
}

/** The rollouts whose releases are older than no other one's; of several, as releases of two schemes are, those that are served. */
function newestOf(documents: readonly Document[], isServed: (rollout: Rollout) => boolean): readonly Document[] {
  const releases = documents.map((document) => rolloutOf(document).release)
  const newest = documents.filter((document) => {
    const { release } = rolloutOf(document)
    return !releases.some((other) => releaseOrder(other, release) === 'newer')
  })
  if (newest.length < 2) return newest
  const served = newest.filter((document) => isServed(rolloutOf(document)))
  return served.length > 0 ? served : newest.slice(0, 1)
}

export interface FoundStage {
  readonly document: Document
  readonly index: number
}

/** The rollout and the stage that a promotion is about: where several are under way, the one that waits for this stage. */
export function findStage(reader: Reader, choice: RolloutChoice, stage: string): FoundStage | RolloutRefusal {
  let document = chooseRollout(reader, choice, (one) => isRunning(one) && nextStage(one) === stage)
  // None waits for it: what holds it back is to be said of the one that is under way.
  if ('outcome' in document) document = chooseRollout(reader, choice, isRunning)
  if ('outcome' in document) return document
  const index = stageIndex(rolloutOf(document), stage)
  return typeof index === 'number' ? { document, index } : index
}

function nextStage(rollout: Rollout): string | null {
  const index = stageUnderWay(rollout)
  return index === null ? null : (rollout.stages[index]?.name ?? null)
}
