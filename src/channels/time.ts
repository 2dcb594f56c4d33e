// Times and durations as the API writes them: RFC 3339 for moments, ISO 8601 for lengths.
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'

const MOMENT = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/
const DURATION = /^P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$/
const SECOND_MS = 1_000

/** The times that a decision goes by: the same while the clock is confirmed (ADR 29). Milliseconds since the epoch. */
export interface Times {
  /** What is written down happened then; windows, ramps and soakings go by it. */
  readonly now: number
  /** Pins and critical flags up to here have ended: what polls, answers and rules take for served. -Infinity: none has. */
  readonly expiryTime: number
}

/** Whether the clock is confirmed: only while it is not, the time up to which pins have ended stands still behind `now`. */
export function isConfirmed({ now, expiryTime }: Times): boolean {
  return expiryTime >= now
}

/** Reads an RFC 3339 moment; gives it in UTC with milliseconds, as everything here stores times. */
export function parseMoment(text: string): Parsed<string> | Unparsed {
  const match = MOMENT.exec(text)
  const time = match === null ? Number.NaN : Date.parse(text)
  // Date.parse takes 2026-02-31 for the 3rd of March, and 24:00:00 for the next day; the round trip shows both.
  const local = `${match?.[1] ?? ''}T${match?.[2] ?? ''}`
  if (Number.isNaN(time) || momentOf(Date.parse(`${local}Z`)).slice(0, 19) !== local) {
    return unparsed(`${quoted(text)} is not a moment in RFC 3339, like 2026-03-01T00:00:00Z`)
  }
  const moment = momentOf(time)
  // An offset can carry the first and the last hours of what RFC 3339 can write out of its four-digit years.
  return MOMENT.test(moment) ? parsed(moment) : unparsed(`${quoted(text)} is outside the years 0000 to 9999 in UTC`)
}

/** Writes a time in milliseconds since the epoch as RFC 3339 UTC. */
export function momentOf(time: number): string {
  return new Date(time).toISOString()
}

/** Reads an ISO 8601 duration in weeks, days, hours, minutes and seconds; gives milliseconds. Months have no one length. */
export function parseDuration(text: string): Parsed<number> | Unparsed {
  const match = DURATION.exec(text)
  if (match === null || text === 'P') {
    return unparsed(`${quoted(text)} is not an ISO 8601 duration of weeks, days or shorter, like P14D or PT12H`)
  }
  const [weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0))
  const inDays = (weeks ?? 0) * 7 + (days ?? 0)
  return parsed(((inDays * 24 + (hours ?? 0)) * 3_600 + (minutes ?? 0) * 60 + (seconds ?? 0)) * SECOND_MS)
}
