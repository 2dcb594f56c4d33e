// Cloud release versions (RFD 134): MAJOR.0.0-cloud.<UTC timestamp>.<commit>, e.g. 15.0.0-cloud.20230712T123633.aabbcc;
// how they are made and read, and which of two releases is the newer one.
import { malformed, parsed, quoted, unparsed, type Parsed, type Refusal, type Unparsed } from '../channels/outcome.ts'
import { compareVersions, majorOf, orderVersions, parseVersion } from '../channels/version.ts'

export interface CloudRelease {
  readonly version: string
  readonly major: number
  /** When it was cut, in milliseconds since the epoch. */
  readonly cutAt: number
  readonly commit: string
}

/** Characters of a commit that a version has where nobody asks for more: what git itself shows in short. */
const COMMIT_LENGTH_MIN = 6
const COMMIT_LENGTH_USUAL = 7
const COMMIT_LENGTH_MAX = 40

const CLOUD = /^(\d+)\.0\.0-cloud\.(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})\.([0-9a-f]{6,40})$/

/** Reads a Cloud release version; a version of another form is unparsed, with the reason. */
export function parseCloudRelease(text: string): Parsed<CloudRelease> | Unparsed {
  const version = parseVersion(text)
  if (version.outcome === 'unparsed') return version
  const match = CLOUD.exec(version.value)
  if (match === null) {
    return unparsed(`${quoted(text)} is not a Cloud release; one is like 15.0.0-cloud.20230712T123633.aabbcc`)
  }
  const [, , year, month, day, hour, minute, second, commit = ''] = match
  const cutAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // Date.parse takes the 31st of February for the 3rd of March; what was not kept was no date.
  if (Number.isNaN(cutAt) || timestampOf(cutAt) !== `${year}${month}${day}T${hour}${minute}${second}`) {
    return unparsed(`${quoted(text)} has a timestamp that is no date and time`)
  }
  return parsed({ version: version.value, major: majorOf(version.value), cutAt, commit })
}

/** Orders Cloud releases by when they were cut, whatever their major; equal moments by semver. */
export function compareCloudReleases(a: CloudRelease, b: CloudRelease): number {
  return a.cutAt - b.cutAt || compareVersions(a.version, b.version)
}

/**
 * Makes the version of a release that is cut at `now` (milliseconds since the epoch). `commit` is a commit's hash, whole or in
 * part; a whole one is shortened to seven characters, and to more where semver would refuse those: an identifier of digits
 * alone must not begin with a zero (semver 2.0.0 §9).
 */
export function makeCloudVersion(major: number, now: number, commit: string): Parsed<string> | Refusal {
  if (!Number.isSafeInteger(major) || major < 0) return malformed('major', 'must be a whole number, like 15')
  if (!/^[0-9a-f]{6,40}$/.test(commit)) {
    return malformed(
      'commit',
      `must be ${COMMIT_LENGTH_MIN} to ${COMMIT_LENGTH_MAX} of 0-9 and a-f, not ${quoted(commit)}`,
    )
  }
  const isWhole = commit.length === COMMIT_LENGTH_MAX
  for (let length = isWhole ? COMMIT_LENGTH_USUAL : commit.length; length <= commit.length; length += 1) {
    const version = parseVersion(`${major}.0.0-cloud.${timestampOf(now)}.${commit.slice(0, length)}`)
    if (version.outcome === 'parsed') return version
  }
  return malformed(
    'commit',
    `${quoted(commit)} has only digits and begins with a zero, which semver does not allow; give more of the commit's characters, up to one that is a letter`,
  )
}

/** What one release is to another: `unordered` where neither supersedes the other, and only a person says which one comes next. */
export type ReleaseOrder = 'newer' | 'older' | 'same' | 'unordered'

/**
 * What release `a` is to release `b` (ADR 36). Releases of one scheme are ordered; a Cloud release and another one are not, and
 * neither are two where the later one is of a lower major, which never supersedes a higher one, nor two that only build metadata
 * or a commit tells apart.
 */
export function releaseOrder(a: string, b: string): ReleaseOrder {
  if (a === b) return 'same'
  const [one, other] = [cloudOf(a), cloudOf(b)]
  if ((one === null) !== (other === null)) return 'unordered'
  // By the letters k3s10 would be before k3s9, and a commit's hash says nothing of time.
  if (one !== null && one.major === other?.major && one.cutAt === other.cutAt) return 'unordered'
  if (compareVersions(a, b) === 0) return 'unordered'
  const order = compareReleases(a, b)
  if (order * (majorOf(a) - majorOf(b)) < 0) return 'unordered'
  return order > 0 ? 'newer' : 'older'
}

/**
 * Orders releases for lists, from the older to the newer one: Cloud releases after all others and by when they were cut, others by
 * semver, and what is left by the letters. It is total, so it decides nothing else: `releaseOrder` does.
 */
export function compareReleases(a: string, b: string): number {
  const [one, other] = [cloudOf(a), cloudOf(b)]
  if ((one === null) !== (other === null)) return one === null ? -1 : 1
  return (one !== null && other !== null ? compareCloudReleases(one, other) : 0) || orderVersions(a, b)
}

/** Versions that were read lately: thousands of releases are ordered again and again. */
const known = new Map<string, CloudRelease | null>()
/** Some hundred bytes each; forgotten as a whole when there are more. */
const KNOWN_MAX = 20_000

function cloudOf(version: string): CloudRelease | null {
  const before = known.get(version)
  if (before !== undefined) return before
  const read = parseCloudRelease(version)
  const release = read.outcome === 'parsed' ? read.value : null
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(version, release)
  return release
}

function timestampOf(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
}
