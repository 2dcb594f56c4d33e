// The guards of every change of a served version (DESIGN §4). "not-a-version" and "stale-write" are asked earlier,
// where the text is parsed and where If-Match is read. Which changes "downgrade" is asked of is decided in change.ts.
import type { IsBlocked } from './blocked-version.ts'
import { judgeBuildMetadata, type BuildRules } from './build-metadata.ts'
import type { GuardName, Verdict } from './outcome.ts'
import { compareVersions, highestVersion, majorOf } from './version.ts'

export interface Judged {
  /** The version that would be served. */
  readonly version: string
  /** The version agents have now, null where they were never told one. */
  readonly baseline: string | null
  readonly limits: { readonly floor: string | null; readonly ceiling: string | null } & BuildRules
  readonly isBlocked: IsBlocked
  readonly force: boolean
}

/** Asks every guard but "downgrade"; the answer has one verdict for each, in the order in which a refusal is reported. */
export function judge(judged: Judged): readonly Verdict[] {
  const { version, baseline, limits, isBlocked, force } = judged
  const { floor, ceiling } = limits
  return [
    isBlocked(version)
      ? firm(
          'blocked-version',
          `${version} is on the block list; choose another version, or take it off the list first`,
        )
      : passed('blocked-version', `${version} is not on the block list`),
    floor !== null && compareVersions(version, floor) < 0
      ? firm(
          'floor',
          `${version} is below the channel's floor ${floor}; choose a higher version, or lower the floor first`,
        )
      : passed('floor', floor === null ? 'the channel has no floor' : `${version} is not below the floor ${floor}`),
    ceiling !== null && compareVersions(version, ceiling) > 0
      ? firm(
          'ceiling',
          `${version} is above the channel's ceiling ${ceiling}; choose a lower version, or raise the ceiling first`,
        )
      : passed(
          'ceiling',
          ceiling === null ? 'the channel has no ceiling' : `${version} is not above the ceiling ${ceiling}`,
        ),
    judgeBuildMetadata(version, limits),
    ...judgeMajors(version, baseline, force),
  ]
}

/**
 * The guard "downgrade" on a version that a change newly names. `held` are all versions that agents have now; agents compare by
 * semver, so the highest of them counts.
 */
export function judgeDowngrade(version: string, held: readonly string[], force: boolean): Verdict {
  const highest = highestVersion(held)
  if (highest === null) return passed('downgrade', 'agents were never served another version of this channel')
  return compareVersions(version, highest) < 0
    ? forceable(
        'downgrade',
        `${version} is lower by semver than ${highest}, which agents have now; pin or roll back the channel to go down, or let an admin force it with a reason`,
        force,
      )
    : passed('downgrade', `${version} is not lower by semver than ${highest}`)
}

/** The verdict that stops the change, null where all guards let it pass. */
export function firstRefused(verdicts: readonly Verdict[]): Verdict | null {
  return verdicts.find(({ verdict }) => verdict === 'refused') ?? null
}

function judgeMajors(version: string, baseline: string | null, force: boolean): readonly Verdict[] {
  if (baseline === null) {
    const detail = 'agents were never told another version'
    return [passed('major-downgrade', detail), passed('major-jump', detail)]
  }
  const steps = majorOf(version) - majorOf(baseline)
  return [
    steps < 0
      ? forceable(
          'major-downgrade',
          `${version} is a lower major than ${baseline}, which agents have now; an admin may force it with a reason`,
          force,
        )
      : passed('major-downgrade', `${version} is not a lower major than ${baseline}`),
    steps > 1
      ? forceable(
          'major-jump',
          `${version} is ${steps} majors above ${baseline}, which agents have now; go one major at a time, or let an admin force it with a reason`,
          force,
        )
      : passed('major-jump', `${version} is at most one major above ${baseline}`),
  ]
}

function passed(guard: GuardName, detail: string): Verdict {
  return { guard, verdict: 'passed', detail }
}

function firm(guard: GuardName, detail: string): Verdict {
  return { guard, verdict: 'refused', detail }
}

function forceable(guard: GuardName, detail: string, force: boolean): Verdict {
  return { guard, verdict: force ? 'forced' : 'refused', detail }
}
