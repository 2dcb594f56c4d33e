// Values computed from many documents and cached. Each has an index document that every write which may change it writes too:
// a decision that read the view is committed against that one document.
import { embargoOf, Secrets, type Embargo } from '../../rollouts/embargo.ts'
import { isPipelineKey, PIPELINE_KIND, pipelineOf, type Pipeline } from '../../rollouts/pipeline.ts'
import { isReleaseKey, RELEASE_KIND, releaseOf } from '../../rollouts/release.ts'
import { isRolloutKey, ROLLOUT_KIND, rolloutOf } from '../../rollouts/rollout.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import type { Document } from '../../store/port.ts'

export interface View<T> {
  readonly indexKey: string
  /** The kinds of documents that it is computed from; it is computed again where one of them has changed. */
  readonly kinds: readonly string[]
  /** Whether the document at a key takes part in the guard: a write that changes its `part` writes the index document. */
  readonly isPartOf: (key: string) => boolean
  /** What the view takes from one such document, null for nothing. */
  readonly part: (document: Document) => unknown
  readonly compute: (state: ReplicaState) => T
}

interface Cached {
  readonly generation: string
  readonly value: unknown
}

const cache = new WeakMap<ReplicaState, Map<View<unknown>, Cached>>()

/** The value of a view in a state. */
export function readView<T>(state: ReplicaState, view: View<T>): T {
  const generation = view.kinds.map((kind) => state.generationOf(kind)).join('/')
  let cached = cache.get(state)
  if (cached === undefined) cache.set(state, (cached = new Map()))
  const before = cached.get(view)
  // Only `compute` of the same view has made it.
  if (before?.generation === generation) return before.value as T
  const value = view.compute(state)
  cached.set(view, { generation, value })
  return value
}

export interface Embargoes {
  readonly embargoes: readonly Embargo[]
  /** What must be hidden from everybody but admins. */
  readonly secrets: Secrets
}

const EMBARGO_INDEX_KIND = 'embargo'
const EMBARGO_INDEX_KEY = `${EMBARGO_INDEX_KIND}/index`

export const embargoView: View<Embargoes> = {
  indexKey: EMBARGO_INDEX_KEY,
  kinds: [RELEASE_KIND, EMBARGO_INDEX_KIND],
  isPartOf: isReleaseKey,
  part: (document) => embargoOf(releaseOf(document)),
  compute(state) {
    const releases = [...state.documentsOf(RELEASE_KIND)].map(releaseOf)
    // Where a release, or the index, cannot be read, nobody knows what is under an embargo.
    const isUnknown = [...state.unreadable.keys()].some((key) => isReleaseKey(key) || key === EMBARGO_INDEX_KEY)
    return {
      embargoes: releases.flatMap((release) => embargoOf(release) ?? []),
      secrets: new Secrets(releases, isUnknown),
    }
  },
}

/** The names of the pipelines that move each channel; more than one while a rollout goes by earlier rules of its pipeline. */
export type ChannelOwners = ReadonlyMap<string, readonly string[]>

/** A rollout that begins, or goes on after a rollback, may go by earlier rules of its pipeline, so running ones take part. */
export const channelOwnersView: View<ChannelOwners> = {
  indexKey: 'pipeline-index/all',
  kinds: [PIPELINE_KIND, ROLLOUT_KIND],
  isPartOf: (key) => isPipelineKey(key) || isRolloutKey(key),
  part: (document) => (isPipelineKey(document.key) ? channelsOf(pipelineOf(document)) : runningChannels(document)),
  compute(state) {
    const owners = new Map<string, string[]>()
    const add = (pipeline: string, channels: readonly string[]): void => {
      for (const channel of channels) {
        const others = owners.get(channel) ?? []
        if (!others.includes(pipeline)) owners.set(channel, [...others, pipeline])
      }
    }
    const revisions = new Map<string, number>()
    for (const document of state.documentsOf(PIPELINE_KIND)) {
      const pipeline = pipelineOf(document)
      revisions.set(pipeline.name, document.revision)
      add(pipeline.name, channelsOf(pipeline))
    }
    for (const document of state.documentsOf(ROLLOUT_KIND)) {
      const { pipeline, pipelineRevision } = rolloutOf(document)
      // Most go by the rules that their pipeline has.
      if (revisions.get(pipeline) !== pipelineRevision) add(pipeline, runningChannels(document) ?? [])
    }
    return owners
  },
}

/** Whether a key is of an index document: it only guards a view, and says nothing to people. */
export function isIndexKey(key: string): boolean {
  return views.some(({ indexKey }) => indexKey === key)
}

/** Every view whose index document is written with what it is made of. */
export const views: readonly View<unknown>[] = [embargoView, channelOwnersView]

/** The channels of a rollout that is under way; null for another one. */
function runningChannels(document: Document): readonly string[] | null {
  const { state, rules } = rolloutOf(document)
  return state === 'running' ? channelsOf(rules) : null
}

function channelsOf({ stages }: Pick<Pipeline, 'stages'>): readonly string[] {
  return stages.flatMap(({ channels }) => channels)
}
