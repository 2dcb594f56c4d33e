// What a journal query asks for, checked once, and whether an entry answers it: the same for every store.
import { JOURNAL_PAGE_MAX, type JournalEntry, type JournalQuery } from './port.ts'
import { headFault } from './stored-form.ts'

/** What filters look at: it stands before the changes in an entry's text, so nothing of a long entry need be parsed for it. */
export type EntryHead = Pick<JournalEntry, 'at' | 'actor' | 'kind'>

/** What the changes in an entry's text begin with. Within a JSON text a comma is never followed by a bare quote, and nothing
 * before the changes holds an object, so the first of these is the entry's own. */
export const CHANGES_MARK = ',"changes":['

/** A query whose limit is capped and whose times are read. */
export interface JournalFilter {
  readonly limit: number
  /** Only entries before this seq; Infinity where the query begins with the newest. */
  readonly beforeSeq: number
  /** Whether more is asked for than subject and `beforeSeq`, which indexes find. */
  readonly looksAtHeads: boolean
  /** An entry whose head cannot be read (null) may be meant by any filter, so it is not left out. */
  matches(head: EntryHead | null): boolean
}

/** Throws a RangeError where the query cannot be meant: a time that is none, a limit below 1. */
export function readJournalQuery(query: JournalQuery): JournalFilter {
  const { actor, kind, beforeSeq = Infinity, limit } = query
  if (!(limit >= 1)) throw new RangeError(`The limit of a journal page is 1 or more, not ${limit}`)
  if (!(beforeSeq >= 0)) throw new RangeError(`A journal page begins before a seq, not before ${beforeSeq}`)
  const since = readTime(query.since, -Infinity)
  const until = readTime(query.until, Infinity)
  return {
    limit: Math.min(Math.floor(limit), JOURNAL_PAGE_MAX),
    beforeSeq,
    looksAtHeads: [actor, kind, query.since, query.until].some((condition) => condition !== undefined),
    matches(entry) {
      if (entry === null) return true
      // Compared as moments and not as text: 10:00:00Z and 10:00:00.000Z are the same.
      const at = Date.parse(entry.at)
      return (
        (actor === undefined || entry.actor === actor) &&
        (kind === undefined || entry.kind === kind) &&
        at >= since &&
        at < until
      )
    },
  }
}

/** The head of an entry, given its text up to CHANGES_MARK; null where it cannot be read. */
export function readHead(text: string): EntryHead | null {
  try {
    const head: unknown = JSON.parse(`${text}}`)
    return headFault(head) === null ? (head as EntryHead) : null // Its members were just looked at.
  } catch {
    return null
  }
}

function readTime(text: string | undefined, missing: number): number {
  if (text === undefined) return missing
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new RangeError(`Not a time: ${JSON.stringify(text)}`)
  return time
}
