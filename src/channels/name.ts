// Channel names and the patterns that tokens are limited to (DESIGN §4).
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'

export const NAME_LENGTH_MAX = 128
const NAME_SEGMENTS_MAX = 6

const SEGMENT = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** Words that name things served under a channel, so that no channel can hide them. */
const RESERVED_LAST = new Set(['version', 'critical', 'report', 'install.sh', 'helm-values.yaml'])
const RESERVED_FIRST = 'webapi'
const RESERVED_ANYWHERE = 'cohort'

/** Reads a channel's name; the answer says which rule a bad one breaks. */
export function parseChannelName(text: string): Parsed<string> | Unparsed {
  if (text.length === 0) return unparsed('is empty; a channel is named like stable/cloud')
  if (text.length > NAME_LENGTH_MAX) {
    return unparsed(`has ${text.length} characters; a channel name has at most ${NAME_LENGTH_MAX}`)
  }
  const segments = text.split('/')
  if (segments.length > NAME_SEGMENTS_MAX) {
    return unparsed(`${quoted(text)} has ${segments.length} segments; a channel name has at most ${NAME_SEGMENTS_MAX}`)
  }
  for (const segment of segments) {
    if (!SEGMENT.test(segment)) {
      return unparsed(
        `${quoted(text)} has the segment ${quoted(segment)}; a segment is 1 to 63 of a-z, 0-9, ".", "_" and "-", and starts with a letter or digit`,
      )
    }
    if (segment === RESERVED_ANYWHERE) return unparsed(`${quoted(text)} has the segment "cohort", which is reserved`)
  }
  const last = segments.at(-1) ?? ''
  if (RESERVED_LAST.has(last)) return unparsed(`${quoted(text)} ends with ${quoted(last)}, which is reserved`)
  if (segments[0] === RESERVED_FIRST) return unparsed(`${quoted(text)} starts with "webapi", which is reserved`)
  return parsed(text)
}

/** Reads a pattern of channel names: a name, or one whose last segment is `*`, which stands for one or more segments. */
export function parseChannelPattern(text: string): Parsed<string> | Unparsed {
  if (text === '*') return parsed(text)
  if (!text.endsWith('/*')) return parseChannelName(text)
  // The stem need not be a name by itself: `version/*` holds version/a, which is one.
  const probe = parseChannelName(`${text.slice(0, -1)}x`)
  return probe.outcome === 'parsed' ? parsed(text) : probe
}

/** Whether a pattern (as parseChannelPattern accepts them) covers a channel. */
export function patternCovers(pattern: string, name: string): boolean {
  if (pattern === '*') return true
  return pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
