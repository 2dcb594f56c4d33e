// What a journal query asks for, checked once, and whether an entry answers it: the same for every store.
import { JOURNAL_PAGE_MAX, type JournalEntry, type JournalQuery } from './port.ts'

/** A query whose limit is capped and whose times are read. */
export interface JournalFilter {
  readonly limit: number
  /** Only entries before this seq; Infinity where the query begins with the newest. */
  readonly beforeSeq: number
  matches(entry: JournalEntry): boolean
}

/** Throws a RangeError where the query cannot be meant: a time that is none, a limit below 1. */
export function readJournalQuery(query: JournalQuery): JournalFilter {
  const { subject, actor, kind, beforeSeq = Infinity, limit } = query
  if (!(limit >= 1)) throw new RangeError(`The limit of a journal page is 1 or more, not ${limit}`)
  if (!(beforeSeq >= 0)) throw new RangeError(`A journal page begins before a seq, not before ${beforeSeq}`)
  const since = readTime(query.since, -Infinity)
  const until = readTime(query.until, Infinity)
  return {
    limit: Math.min(Math.floor(limit), JOURNAL_PAGE_MAX),
    beforeSeq,
    matches(entry) {
      // Compared as moments and not as text: 10:00:00Z and 10:00:00.000Z are the same.
      const at = Date.parse(entry.at)
      return (
        (subject === undefined || entry.subjects.includes(subject)) &&
        (actor === undefined || entry.actor === actor) &&
        (kind === undefined || entry.kind === kind) &&
        at >= since &&
        at < until
      )
    },
  }
}

function readTime(text: string | undefined, missing: number): number {
  if (text === undefined) return missing
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new RangeError(`Not a time: ${JSON.stringify(text)}`)
  return time
}
