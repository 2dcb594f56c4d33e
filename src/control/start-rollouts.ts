// Where rollouts begin: a release that agents can install starts one in every pipeline that takes it, in the commit that
// makes it so.
import { CHANNEL_KIND, channelOf } from '../channels/channel.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import { PIPELINE_KIND, pipelineOf, type Pipeline } from '../rollouts/pipeline.ts'
import { takes } from '../rollouts/pipeline-draft.ts'
import type { Release } from '../rollouts/release.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { isRolloutOf, ROLLOUT_KIND, rolloutBody, rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { startRollout } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, Expectation, Write } from '../store/port.ts'
import { fitting, writeOf } from './decide.ts'

/** Ended rollouts kept of each pipeline: a year of weekly releases twice over; going back needs a few. */
const ENDED_MAX = 100
/** With room for what else the commit has. */
const PRUNED_AT_ONCE_MAX = 20

export interface Started {
  readonly rollouts: readonly Rollout[]
  readonly writes: readonly Write[]
  readonly reads: readonly Expectation[]
}

/** Every rollout of a pipeline, ended ones too, in no promised order. */
export function rolloutDocuments(state: ReplicaState, pipeline: string): readonly Document[] {
  return [...state.documentsOf(ROLLOUT_KIND)].filter(({ key }) => isRolloutOf(key, pipeline))
}

/** Every rollout of a release, in the order of their pipelines. */
export function rolloutsOf(state: ReplicaState, version: string): readonly Rollout[] {
  const pipelines = [...state.documentsOf(PIPELINE_KIND)].map((document) => pipelineOf(document).name).toSorted()
  return pipelines.flatMap((pipeline) => {
    const document = state.document(rolloutKey(pipeline, version))
    return document === undefined ? [] : rolloutOf(document)
  })
}

/** Rollouts of this release that are to begin now; none where it has no packages, or has one already. */
export function startRollouts(state: ReplicaState, release: Release, context: RuleContext): Started {
  if (release.kind !== 'full' || release.withdrawn !== null) return { rollouts: [], writes: [], reads: [] }
  const documents = [...state.documentsOf(PIPELINE_KIND)]
  const taking = documents.filter((document) => {
    const pipeline = pipelineOf(document)
    return takes(pipeline, release.version) && state.document(rolloutKey(pipeline.name, release.version)) === undefined
  })
  const rollouts = taking.map((document) => beginning(state, pipelineOf(document), document.revision, release, context))
  return {
    rollouts,
    writes: [
      ...rollouts.map((rollout) => writeOf(state, keyOf(rollout), rolloutBody(rollout))),
      ...fitting(
        rollouts.flatMap(({ pipeline }) => outdated(state, pipeline)),
        PRUNED_AT_ONCE_MAX,
      ).map(({ key }) => writeOf(state, key, null)),
    ],
    reads: [...taking, ...taking.flatMap((document) => newerThan(state, pipelineOf(document).name, release))].map(
      ({ key, revision }) => ({ key, expected: revision }),
    ),
  }
}

/** The rollouts that decide whether one of this release is over at once: mostly there are none. */
export function newerThan(state: ReplicaState, pipeline: string, { version }: Release): readonly Document[] {
  return rolloutDocuments(state, pipeline).filter(
    (document) => compareReleases(rolloutOf(document).release, version) > 0,
  )
}

/**
 * The oldest of many ended rollouts, those first that never reached a channel: they stay in the journal. What a channel of theirs
 * tells or would tell is kept, and so are rollbacks that stand.
 */
function outdated(state: ReplicaState, pipeline: string): readonly Document[] {
  const ended = rolloutDocuments(state, pipeline).filter((document) => rolloutOf(document).state !== 'running')
  if (ended.length <= ENDED_MAX) return []
  const inUse = versionsInUse(state)
  const hasMoved = (document: Document): number =>
    Number(rolloutOf(document).stages.some(({ moved }) => moved.length > 0))
  return ended
    .filter((document) => {
      const { release, rollback } = rolloutOf(document)
      return !inUse.has(release) && (rollback === null || rollback.unpinnedAt !== null)
    })
    .toSorted((a, b) => hasMoved(a) - hasMoved(b) || compareReleases(rolloutOf(a).release, rolloutOf(b).release))
    .slice(0, Math.min(ended.length - ENDED_MAX, PRUNED_AT_ONCE_MAX))
}

/** Every version that a channel tells, or would without its pin. */
function versionsInUse(state: ReplicaState): ReadonlySet<string> {
  const versions = [...state.documentsOf(CHANNEL_KIND)].flatMap((document) => {
    const { source, pin, ramp } = channelOf(document)
    return [source.version, pin?.version ?? null, ramp?.before.version ?? null]
  })
  return new Set(versions.flatMap((version) => version ?? []))
}

/** A rollout of this release in this pipeline as it begins now. */
export function beginning(
  state: ReplicaState,
  pipeline: Pipeline,
  revision: number,
  release: Release,
  context: RuleContext,
): Rollout {
  const others = rolloutDocuments(state, pipeline.name).map(rolloutOf)
  return startRollout(pipeline, revision, release, others, context)
}

export function keyOf({ pipeline, release }: Rollout): string {
  return rolloutKey(pipeline, release)
}
