// Cloud release versions (RFD 134): MAJOR.0.0-cloud.<UTC timestamp>.<commit>, e.g. 15.0.0-cloud.20230712T123633.aabbcc.
import { compareVersions, majorOf, parseVersion } from './version.ts'
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'

export interface CloudRelease {
  readonly version: string
  readonly major: number
  /** When it was cut, in milliseconds since the epoch. */
  readonly cutAt: number
  readonly commit: string
}

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

function timestampOf(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
}
