// Values computed from many documents and cached. Each has an index document that every write which may change it writes too:
// a decision that read the view is committed against that one document.
import { isDeepStrictEqual } from 'node:util'
import { embargoOf, Secrets, type Embargo } from '../../rollouts/embargo.ts'
import {
  isKeptLabelKey,
  KEPT_LABEL_KIND,
  keptLabelOf,
  pullRequestsOf,
  type KeptLabel,
} from '../../rollouts/github-label.ts'
import { isPipelineKey, PIPELINE_KIND, pipelineOf, type Pipeline } from '../../rollouts/pipeline.ts'
import { nameOfPullRequest } from '../../rollouts/pull-request.ts'
import { isReleaseKey, RELEASE_KIND, releaseOf } from '../../rollouts/release.ts'
import { isRolloutKey, ROLLOUT_KIND, rolloutOf } from '../../rollouts/rollout.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import type { Document } from '../../store/port.ts'

export interface View<T> {
  readonly indexKey: string
  /** The kinds of documents that it is computed from; it is computed again where one of them has changed. */
  readonly kinds: readonly string[]
  /** Whether a write that makes `after` of `before` (null for no document) writes the index document too. */
  readonly isChangedBy: (key: string, before: Document | null, after: Document | null) => boolean
  /** `before` is the value of an earlier generation of the same state, null for none. */
  compute(state: ReplicaState, before: T | null): T
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
  const value = view.compute(state, before === undefined ? null : (before.value as T))
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
  isChangedBy: (key, before, after) => isReleaseKey(key) && !isDeepStrictEqual(embargoIn(before), embargoIn(after)),
  compute(state, before) {
    const releases = [...state.documentsOf(RELEASE_KIND)].map(releaseOf)
    // Where a release, or the index, cannot be read, nobody knows what is under an embargo.
    const isUnknown = [...state.unreadable.keys()].some((key) => isReleaseKey(key) || key === EMBARGO_INDEX_KEY)
    return {
      embargoes: releases.flatMap((release) => embargoOf(release) ?? []),
      secrets: new Secrets(releases, isUnknown, before?.secrets),
    }
  },
}

export interface ChannelOwners {
  /** The names of the pipelines that move each channel; more than one while a rollout goes by earlier rules of its pipeline. */
  readonly owners: ReadonlyMap<string, readonly string[]>
  /** Channels in the rules that a pipeline has now: no other pipeline was given them. */
  readonly settled: ReadonlySet<string>
  /** Pipelines of which a document cannot be read: each can move any channel that is not settled. */
  readonly unreadable: readonly string[]
}

/**
 * Rollouts take no part in the guard: one that ends or is re-based frees channels, one that starts has its pipeline's rules. One
 * that is resumed can have earlier rules: a decision that gives channels to a pipeline reads `underWayView` besides.
 */
export const channelOwnersView: View<ChannelOwners> = {
  indexKey: 'pipeline-index/all',
  kinds: [PIPELINE_KIND, ROLLOUT_KIND],
  isChangedBy: (key, before, after) => isPipelineKey(key) && !isDeepStrictEqual(channelsIn(before), channelsIn(after)),
  compute(state) {
    const owners = new Map<string, string[]>()
    const add = (pipeline: string, channels: readonly string[]): void => {
      for (const channel of channels) {
        const others = owners.get(channel) ?? []
        if (!others.includes(pipeline)) owners.set(channel, [...others, pipeline])
      }
    }
    const revisions = new Map<string, number>()
    const settled = new Set<string>()
    for (const document of state.documentsOf(PIPELINE_KIND)) {
      const pipeline = pipelineOf(document)
      revisions.set(pipeline.name, document.revision)
      add(pipeline.name, channelsOf(pipeline))
      for (const channel of channelsOf(pipeline)) settled.add(channel)
    }
    for (const document of state.documentsOf(ROLLOUT_KIND)) {
      const { pipeline, pipelineRevision, state: stands, rules } = rolloutOf(document)
      const revision = revisions.get(pipeline)
      // Most go by the rules that their pipeline has.
      if (stands === 'running' && revision !== undefined && revision !== pipelineRevision)
        add(pipeline, channelsOf(rules))
    }
    const unreadable = [...state.unreadable.keys()].flatMap((key) => pipelineNameIn(key) ?? [])
    return { owners, settled, unreadable: [...new Set(unreadable)] }
  },
}

/**
 * The rollouts that are under way, of all pipelines. Only one that starts or is resumed is guarded: what is decided because there
 * is none must not overlook it. One that ends meanwhile is no reason to decide again.
 */
export const underWayView: View<readonly Document[]> = {
  indexKey: 'rollout-index/under-way',
  kinds: [ROLLOUT_KIND],
  isChangedBy: (key, before, after) => isRolloutKey(key) && isUnderWay(after) && !isUnderWay(before),
  compute: (state) => [...state.documentsOf(ROLLOUT_KIND)].filter(isUnderWay),
}

/**
 * The newest label event of each pull request. Its index document is written with releases that bring other pull requests, too: a
 * label is kept because no release has its change, so it must not overlook one that is registered meanwhile, nor that one the label.
 */
export const keptLabelsView: View<readonly KeptLabel[]> = {
  indexKey: 'github-label-index/all',
  kinds: [KEPT_LABEL_KIND],
  isChangedBy: (key, before, after) =>
    isKeptLabelKey(key) || (isReleaseKey(key) && !isDeepStrictEqual(pullRequestsIn(before), pullRequestsIn(after))),
  compute: (state) => [...state.documentsOf(KEPT_LABEL_KIND)].map(keptLabelOf),
}

/** Whether a key is of an index document: it only guards a view, and says nothing to people. */
export function isIndexKey(key: string): boolean {
  return views.some(({ indexKey }) => indexKey === key)
}

/** Every view whose index document is written with what it is made of. */
export const views: readonly View<unknown>[] = [embargoView, channelOwnersView, underWayView, keptLabelsView]

function embargoIn(document: Document | null): Embargo | null {
  return document === null ? null : embargoOf(releaseOf(document))
}

function pullRequestsIn(document: Document | null): readonly string[] {
  return document === null ? [] : pullRequestsOf(releaseOf(document)).map(nameOfPullRequest)
}

function channelsIn(document: Document | null): readonly string[] | null {
  return document === null ? null : channelsOf(pipelineOf(document))
}

function isUnderWay(document: Document | null): boolean {
  return document !== null && rolloutOf(document).state === 'running'
}

/** The name of the pipeline that a document is of, or is about. */
function pipelineNameIn(key: string): string | null {
  return isPipelineKey(key) || isRolloutKey(key) ? (key.split('/')[1] ?? null) : null
}

function channelsOf({ stages }: Pick<Pipeline, 'stages'>): readonly string[] {
  return stages.flatMap(({ channels }) => channels)
}
