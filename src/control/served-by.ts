// Which channels tell agents a version now, be it some of their cohorts only.
import type { ReplicaState } from '../serve/replica-state.ts'

/** Names in one answer: enough to see where a version is served; each can have 200 characters, and there may be 100,000. */
export const SERVED_BY_MAX = 1_000

/** The channels that tell agents a version, as an answer has them. */
export interface ServedBy {
  /** SERVED_BY_MAX at most, by name. */
  readonly servedBy: readonly string[]
  /** How many more there are; not there where all are named. */
  readonly servedByMore?: number
}

/** The part of the names that one answer has. */
export function servedByOf(names: readonly string[]): ServedBy {
  const more = names.length - SERVED_BY_MAX
  return more > 0 ? { servedBy: names.slice(0, SERVED_BY_MAX), servedByMore: more } : { servedBy: names }
}

/** Channels that tell agents this version, by name. */
export function servedBy(state: ReplicaState, version: string): readonly string[] {
  const names: string[] = []
  for (const { name, target, ramp } of state.snapshot.channels()) {
    if ([target, ramp?.early, ramp?.late].some((served) => served?.version === version)) names.push(name)
  }
  return names.toSorted()
}

/** The same for several versions at once: there may be 100,000 channels. */
export function servedByVersion(
  state: ReplicaState,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const versions = new Map<string, string[]>()
  for (const { name, target, ramp } of state.snapshot.channels()) {
    for (const version of new Set([target.version, ramp?.early.version ?? null, ramp?.late.version ?? null])) {
      if (version === null || !wanted.has(version)) continue
      const names = versions.get(version)
      if (names === undefined) versions.set(version, [name])
      else names.push(name)
    }
  }
  for (const names of versions.values()) names.sort()
  return versions
}
