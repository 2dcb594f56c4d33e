// Which channels tell agents a version now, be it some of their cohorts only.
import type { ReplicaState } from '../serve/replica-state.ts'

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
