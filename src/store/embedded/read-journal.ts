// Pages of the embedded store's journal: bounded by entries and by bytes, each entry looked at in its turn of the event loop.
import { entryInParts } from '../entry-parts.ts'
import { CHANGES_MARK, readHead, readJournalQuery, type JournalFilter } from '../journal-query.ts'
import { type EntryInParts, type JournalEntry, type JournalPage, type JournalQuery, type ReadLane } from '../port.ts'
import { JOURNAL_PAGE_BYTES_MAX, JOURNAL_SCAN_BYTES_MAX, JOURNAL_SCAN_MAX } from '../sizes.ts'
import type { Turns } from '../turns.ts'
import type { Database } from './database.ts'

/** Places in the journal that are found at once; the entries there are read one by one. */
const SEQS_MAX = 100
/** Reading an entry and finding its head takes about so many times less than parsing it. */
const PARSE_PER_SCAN = 8

export interface JournalSource {
  readonly database: Database
  readonly turns: Turns
  readonly lastSeq: number
  readonly isHole: (seq: number) => boolean
  /** Does something with the file, and throws one of the port's errors where that fails. */
  readonly attempt: <T>(action: () => T) => T
}

/** One page, newest first. Entries never change, so a page that is read over several turns is as good as one. */
export async function readPage(source: JournalSource, query: JournalQuery, lane: ReadLane): Promise<JournalPage> {
  const { turns } = source
  const { entries, next } = await findPage(source, query, lane)
  const whole: JournalEntry[] = []
  for (const found of entries) {
    whole.push(
      await turns.run(
        lane,
        () => parse(source, found),
        () => found.bytes,
      ),
    )
  }
  return { entries: whole, next }
}

/** The same, its entries in parts. */
export async function readPageInParts(source: JournalSource, query: JournalQuery): Promise<JournalPage<EntryInParts>> {
  const { entries, next } = await findPage(source, query, 'reader')
  const inParts: EntryInParts[] = []
  for (const found of entries) {
    const read = (text: Buffer): JournalEntry => parse(source, { ...found, text })
    inParts.push(await entryInParts({ text: found.text, read }, source.turns))
  }
  return { entries: inParts, next }
}

interface FoundPage {
  readonly entries: readonly Found[]
  readonly next: number | null
}

/** The texts of a page; all of it is held, which is JOURNAL_PAGE_BYTES_MAX or one entry. */
async function findPage(source: JournalSource, query: JournalQuery, lane: ReadLane): Promise<FoundPage> {
  const filter = readJournalQuery(query)
  const entries: Found[] = []
  let looked = 0
  let bytes = 0
  let scanned = 0
  let before = Math.min(filter.beforeSeq, source.lastSeq + 1)
  for (;;) {
    const seqs = source.attempt(() => seqsBefore(source.database, before, query.subject))
    if (seqs.length === 0) return { entries, next: null }
    for (const seq of seqs) {
      if (entries.length === filter.limit || looked === JOURNAL_SCAN_MAX || scanned > JOURNAL_SCAN_BYTES_MAX) {
        return { entries, next: before }
      }
      const room = entries.length === 0 ? Infinity : JOURNAL_PAGE_BYTES_MAX - bytes
      const seen = await source.turns.run(lane, () => look(source, seq, filter, room), costOf)
      if (seen.outcome === 'no-room') return { entries, next: before }
      if (seen.outcome === 'found') {
        entries.push(seen)
        bytes += seen.bytes
      }
      before = seq
      looked += 1
      scanned += seen.bytes
    }
  }
}

interface Found {
  readonly outcome: 'found'
  readonly seq: number
  readonly bytes: number
  readonly text: Buffer
}

/** What has become of an entry that was looked at for a page; `bytes` is its size. */
type Looked = Found | { readonly outcome: 'left-out' | 'no-room'; readonly bytes: number }

/** Looks at one entry for a page that has room for `room` bytes more. */
function look({ database, attempt, isHole }: JournalSource, seq: number, filter: JournalFilter, room: number): Looked {
  return attempt((): Looked => {
    if (isHole(seq)) return { outcome: 'left-out', bytes: 0 }
    const text = database.entryText(seq)
    const bytes = text.length
    if (filter.looksAtHeads) {
      const end = text.indexOf(CHANGES_MARK)
      const head = end === -1 ? headIn(database, text, seq) : readHead(text.toString('utf8', 0, end))
      if (!filter.matches(head)) return { outcome: 'left-out', bytes }
    }
    return bytes > room ? { outcome: 'no-room', bytes } : { outcome: 'found', seq, bytes, text }
  })
}

function parse({ database, attempt }: JournalSource, { seq, text }: Found): JournalEntry {
  return attempt(() => database.parseEntry(text, seq))
}

/** The cost of a look, in bytes parsed. */
function costOf({ bytes }: Looked): number {
  return Math.ceil(bytes / PARSE_PER_SCAN)
}

function seqsBefore(database: Database, before: number, subject: string | undefined): number[] {
  if (subject !== undefined) return database.seqsAbout(subject, before, SEQS_MAX)
  const first = Math.max(before - SEQS_MAX, 1)
  return Array.from({ length: Math.max(before - first, 0) }, (_, index) => before - 1 - index)
}

/** The head of an entry whose text does not show where that ends, null where it cannot be read. */
function headIn(database: Database, text: Buffer, seq: number): JournalEntry | null {
  const entry = database.parseEntry(text, seq)
  return entry.unreadable === undefined ? entry : null
}
