// Versions: strict three-part semver as the `semver` package reads it, kept to the letter but for a leading `v`.
import semver from 'semver'
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'

/** The semver package's own limit, named here so that the schemas of the API can state it. */
export const VERSION_LENGTH_MAX = 256

/**
 * Reads a version and gives it without its leading `v`, prerelease and build metadata exactly as they stand.
 * White space and the loose forms (`=1.2.3`, `1.2`) are refused: a version is put straight into a package's name.
 */
export function parseVersion(text: string): Parsed<string> | Unparsed {
  const bare = text.startsWith('v') ? text.slice(1) : text
  // semver would trim, and would take a second `v`; its answer is only believed for text that cannot hold either.
  if (/^[0-9][0-9A-Za-z.+-]*$/.test(bare) && semver.parse(bare) !== null) return parsed(bare)
  return unparsed(whyNotAVersion(text, bare))
}

export function isVersion(text: string): boolean {
  return parseVersion(text).outcome === 'parsed'
}

/** Orders two versions by semver precedence; build metadata does not count. Both must be versions. */
export function compareVersions(a: string, b: string): -1 | 0 | 1 {
  return semver.compare(a, b)
}

/**
 * Orders versions for a list: by semver precedence, and by their text where only build metadata differs, so that no two places are the
 * same and a page that begins after one of them leaves none out.
 */
export function orderVersions(a: string, b: string): number {
  return compareVersions(a, b) || (a < b ? -1 : Number(a > b))
}

/** The major number of a version. */
export function majorOf(version: string): number {
  return semver.major(version)
}

/** The lowest of some versions, null for none. */
export function lowestVersion(versions: readonly string[]): string | null {
  // Channels of a fleet mostly serve the same few; comparing takes microseconds each.
  return [...new Set(versions)].reduce<string | null>(
    (low, version) => (low === null || compareVersions(version, low) < 0 ? version : low),
    null,
  )
}

/** The highest of some versions, null for none. */
export function highestVersion(versions: readonly string[]): string | null {
  return versions.reduce<string | null>(
    (high, version) => (high === null || compareVersions(version, high) > 0 ? version : high),
    null,
  )
}

function whyNotAVersion(text: string, bare: string): string {
  if (text.length === 0) return 'is empty; a version is like 15.1.4'
  if (bare.length > VERSION_LENGTH_MAX)
    return `has ${bare.length} characters; a version has at most ${VERSION_LENGTH_MAX}`
  if (/\s/.test(text)) return `${quoted(text)} has white space in or around it`
  const [core = ''] = bare.split(/[+-]/, 1)
  if (!/^[0-9.]+$/.test(core)) return `${quoted(text)} is not a version; a version is like 15.1.4`
  const numbers = core.split('.')
  if (numbers.length !== 3 || numbers.includes('')) {
    return `${quoted(text)} does not have three numbers; a version is like 15.1.4`
  }
  const zeroLed = numbers.find((number) => /^0[0-9]/.test(number))
  if (zeroLed !== undefined) return `${quoted(text)} has the number ${quoted(zeroLed)}, which has a leading zero`
  if (numbers.some((number) => !Number.isSafeInteger(Number(number))))
    return `${quoted(text)} has a number too large for semver`
  return whyNotASuffix(text, bare.slice(core.length))
}

function whyNotASuffix(text: string, suffix: string): string {
  const strange = /[^0-9A-Za-z.+-]/.exec(suffix)
  if (strange !== null) return `${quoted(text)} has the character ${quoted(strange[0])}, which no version may have`
  if ((suffix.match(/\+/g) ?? []).length > 1) return `${quoted(text)} has more than one "+"`
  const [prerelease = ''] = suffix.split('+', 1)
  const identifiers = prerelease.startsWith('-') ? prerelease.slice(1).split('.') : []
  const zeroLed = identifiers.find((identifier) => /^0[0-9]+$/.test(identifier))
  if (zeroLed !== undefined) {
    return `${quoted(text)} has the all-digit identifier ${quoted(zeroLed)} with a leading zero, which semver does not allow; where it is a commit, give more of its characters`
  }
  return `${quoted(text)} has an empty identifier after "-", "+" or "."`
}
