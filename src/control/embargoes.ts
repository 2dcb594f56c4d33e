// Embargoes as this replica knows them: which there are, and what of anything may be shown to whom.
import { isDeepStrictEqual } from 'node:util'
import { embargoOf, Secrets, withoutPast, type Embargo } from '../rollouts/embargo.ts'
import { isReleaseKey, RELEASE_KIND, releaseOf, type Release } from '../rollouts/release.ts'
import type { Expectation, Write } from '../store/port.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { readOf, writeOf } from './decide.ts'
import type { Identity } from './identity.ts'

interface Known {
  readonly generation: number
  readonly secrets: Secrets
  readonly embargoes: readonly Embargo[]
}

/**
 * A document that changes whenever an embargo is opened, changed or lifted: whatever is decided by which embargoes there are is
 * committed against it, so that none that is opened meanwhile is overlooked.
 */
const INDEX_KEY = 'embargo/index'

/** What a commit writes beside a release whose embargo it changes. */
export function embargoWrites(state: ReplicaState, before: Release | null, after: Release): readonly Write[] {
  if (isDeepStrictEqual(before === null ? null : embargoOf(before), embargoOf(after))) return []
  const releases = new Set([...embargoesOf(state).map(({ release }) => release), after.version])
  return [writeOf(state, INDEX_KEY, { releases: [...releases] })]
}

/** That the embargoes are those that were decided by. */
export function embargoRead(state: ReplicaState): Expectation {
  return readOf(state, INDEX_KEY)
}

/** Read again only where a release has changed: a journal stream asks for every entry and every reader. */
const known = new WeakMap<ReplicaState, Known>()

export function embargoesOf(state: ReplicaState): readonly Embargo[] {
  return read(state).embargoes
}

/** What must be hidden from this caller; null where nothing is. */
export function secretsFor(state: ReplicaState | null, identity: Identity): Secrets | null {
  if (state === null || identity.role === 'admin') return null
  const { secrets } = read(state)
  return secrets.isEmpty ? null : secrets
}

/** A release as this caller may see it. */
export function shownRelease(state: ReplicaState, identity: Identity, release: Release): Release {
  return secretsFor(state, identity)?.shown(release) ?? withoutPast(release)
}

function read(state: ReplicaState): Known {
  const generation = state.generationOf(RELEASE_KIND)
  const before = known.get(state)
  if (before?.generation === generation) return before
  const releases = [...state.documentsOf(RELEASE_KIND)].map(releaseOf)
  const now = {
    generation,
    secrets: new Secrets(releases, isAnyUnreadable(state)),
    embargoes: releases.flatMap((release) => embargoOf(release) ?? []),
  }
  known.set(state, now)
  return now
}

/** Whether a release, or the index of embargoes, cannot be read: then nobody knows what is under an embargo. */
function isAnyUnreadable(state: ReplicaState): boolean {
  return [...state.unreadable.keys()].some((key) => isReleaseKey(key) || key === INDEX_KEY)
}
