// What an upstream's bodies say, read as the known updaters read them.
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'
import { parseVersion } from './version.ts'

/** A version server's word for "no version": stay where you are. */
const NONE = 'none'

/** What Bellwether itself answers on the RFD 109 path for a channel that is halted or has no version. */
const NO_TARGET = /^channel [a-z0-9._/-]+ has no target version$/

/** The version in a body, null for none: white space around it is dropped, and a leading `v`. */
export function readUpstreamVersion(body: string): Parsed<string | null> | Unparsed {
  const text = body.trim()
  if (text === NONE) return parsed(null)
  const version = parseVersion(text)
  return version.outcome === 'parsed' ? version : unparsed(`the answer to /version ${version.message}`)
}

/** The flag in a body: yes, no, true or false in any case. */
export function readUpstreamCritical(body: string): Parsed<boolean> | Unparsed {
  switch (body.trim().toLowerCase()) {
    case 'yes':
    case 'true':
      return parsed(true)
    case 'no':
    case 'false':
      return parsed(false)
    default:
      return unparsed(`the answer to /critical is ${quoted(body.trim())}, not yes, no, true or false`)
  }
}

/** Whether the body of a 404 says that the channel has no version now, and not that there is no such channel. */
export function saysNoTarget(body: string): boolean {
  return NO_TARGET.test(body)
}
