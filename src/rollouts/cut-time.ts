// When a release was cut. It decides which release is newer, so a time that has not come yet is refused (ADR 38).
import { malformed, parsed, quoted, type Malformed, type Parsed } from '../channels/outcome.ts'
import { momentOf, parseMoment } from '../channels/time.ts'
import { parseCloudRelease } from './cloud-version.ts'

/** How far the clock that a release was cut by may be ahead of this one. Later ones would be newer than all that come. */
const AHEAD_MS_MAX = 10 * 60_000

/** When the release was cut: as a Cloud version says, else as asked, else now. */
export function cutTime(
  draft: { readonly commit: string; readonly cutAt?: string },
  version: string,
  now: number,
): Parsed<string> | Malformed {
  const cloud = parseCloudRelease(version)
  const asked = draft.cutAt === undefined ? null : parseMoment(draft.cutAt)
  if (asked?.outcome === 'unparsed') return malformed('cutAt', asked.message)
  if (cloud.outcome === 'parsed') {
    const { commit } = cloud.value
    if (!draft.commit.startsWith(commit)) {
      return malformed('commit', `${quoted(draft.commit)} does not begin with ${commit}, which the version names`)
    }
    const named = momentOf(cloud.value.cutAt)
    // The version tells whole seconds.
    if (asked !== null && Math.floor(Date.parse(asked.value) / 1_000) !== Date.parse(named) / 1_000) {
      return malformed('cutAt', `is ${asked.value}, but the version says ${named}; leave it out`)
    }
    return notAhead('version', named, now)
  }
  return asked === null ? parsed(momentOf(now)) : notAhead('cutAt', asked.value, now)
}

function notAhead(field: string, cutAt: string, now: number): Parsed<string> | Malformed {
  if (Date.parse(cutAt) <= now + AHEAD_MS_MAX) return parsed(cutAt)
  const limit = `${AHEAD_MS_MAX / 60_000} minutes`
  return malformed(field, `says that it was cut at ${cutAt}, more than ${limit} after the time here, ${momentOf(now)}`)
}
