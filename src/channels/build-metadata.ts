// Build metadata (`15.1.4+k3s1`) is no container tag, and semver does not compare it, so clients differ in what they make of it.
// The guard `build_metadata` lets it into channels that allow it, and a version that the channel has served stays possible (ADR 42).
import type { Channel } from './channel.ts'
import type { Verdict } from './outcome.ts'

/** Versions with build metadata that a channel remembers as served; the oldest are dropped. */
export const SERVED_BUILDS_MAX = 100

/** What of a channel the guard looks at. */
export type BuildRules = Pick<Channel, 'allowBuildMetadata' | 'servedBuilds'> &
  Partial<Pick<Channel, 'lastServed' | 'lastServedBeside' | 'lastServedFrom'>>

export function hasBuildMetadata(version: string): boolean {
  return version.includes('+')
}

export function judgeBuildMetadata(version: string, rules: BuildRules): Verdict {
  const passed = (detail: string): Verdict => ({ guard: 'build_metadata', verdict: 'passed', detail })
  if (!hasBuildMetadata(version)) return passed(`${version} has no build metadata`)
  if (rules.allowBuildMetadata === true) return passed('the channel allows build metadata')
  if (buildsServed(rules).includes(version)) return passed(`the channel has served ${version} before`)
  const detail = `${version} has build metadata ("+…"), which no container tag can have and no comparison of versions sees; choose a version without it, or set allowBuildMetadata of the channel first`
  return { guard: 'build_metadata', verdict: 'refused', detail }
}

/** The rules with `version` counted as served: one that stays is no news to agents. */
export function withServed<R extends BuildRules>(rules: R, version: string): R {
  return hasBuildMetadata(version) ? { ...rules, ...remembersBuilds(rules, [version]) } : rules
}

/** What a channel remembers of build metadata once agents are served `versions`. */
export function remembersBuilds(rules: BuildRules, versions: readonly string[]): Pick<Channel, 'servedBuilds'> {
  const served = buildsServed(rules)
  const added = versions.filter((version) => hasBuildMetadata(version) && !served.includes(version))
  const all = [...served, ...added].slice(-SERVED_BUILDS_MAX)
  return all.length === 0 ? {} : { servedBuilds: all }
}

/** Every version with build metadata that the document knows as served: those of earlier builds have no `servedBuilds`. */
function buildsServed({
  servedBuilds = [],
  lastServed,
  lastServedBeside,
  lastServedFrom,
}: BuildRules): readonly string[] {
  // What is from `default` was never served here.
  const last = [lastServedFrom === undefined ? lastServed : null, lastServedBeside].flatMap((version) => version ?? [])
  return [...servedBuilds, ...last.filter((version) => hasBuildMetadata(version) && !servedBuilds.includes(version))]
}
