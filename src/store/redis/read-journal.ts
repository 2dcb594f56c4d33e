// Pages of the journal and single entries of it.
import { entryInParts } from '../entry-parts.ts'
import { readHead, readJournalQuery, type EntryHead, type JournalFilter } from '../journal-query.ts'
import {
  StoreOutcomeUnknown,
  type EntryInParts,
  type JournalEntry,
  type JournalPage,
  type JournalQuery,
  type ReadLane,
} from '../port.ts'
import { JOURNAL_PAGE_BYTES_MAX, JOURNAL_SCAN_BYTES_MAX, JOURNAL_SCAN_MAX } from '../sizes.ts'
import type { Turns } from '../turns.ts'
import type { RedisClient } from './connection.ts'
import { readEntry } from './documents.ts'
import { entriesBefore, entriesIn, type EntryText, type Slice } from './entries.ts'
import type { Keys } from './keys.ts'
import type { RedisLimits } from './limits.ts'

/** What pages and states are read with. */
export interface ReadSource {
  readonly client: RedisClient
  readonly keys: Keys
  readonly limits: RedisLimits
  readonly turns: Turns
}

/** One page, newest first. Entries never change, so a page that is read in several steps is as good as one. */
export async function readPage(source: ReadSource, query: JournalQuery, lane: ReadLane): Promise<JournalPage> {
  const { entries, next } = await findPage(source, query, lane)
  const whole: JournalEntry[] = []
  for (const found of entries) {
    const entry = await source.turns.run(
      lane,
      () => readEntry(found.text, found),
      () => found.bytes,
    )
    whole.push(entry)
  }
  return { entries: whole, next }
}

/** The same, its entries in parts. */
export async function readPageInParts(source: ReadSource, query: JournalQuery): Promise<JournalPage<EntryInParts>> {
  const { entries, next } = await findPage(source, query, 'reader')
  const inParts: EntryInParts[] = []
  for (const found of entries) {
    const read = (text: Buffer): JournalEntry => readEntry(text.toString('utf8'), found)
    inParts.push(await entryInParts({ text: Buffer.from(found.text), read }, source.turns))
  }
  return { entries: inParts, next }
}

/** The texts of a page; all of it is held, which is JOURNAL_PAGE_BYTES_MAX or one entry. */
interface FoundPage {
  readonly entries: readonly EntryText[]
  readonly next: number | null
}

/** What a page is found by. */
interface PageSearch {
  readonly subject: string | undefined
  readonly filter: JournalFilter
  readonly before: number
}

function findPage(source: ReadSource, query: JournalQuery, lane: ReadLane): Promise<FoundPage> {
  const filter = readJournalQuery(query)
  const search = { subject: query.subject, filter, before: Math.min(filter.beforeSeq, Number.MAX_SAFE_INTEGER) }
  return filter.looksAtHeads ? findFiltered(source, search, lane) : findUnfiltered(source, search)
}

/** All entries are wanted, so their texts are read at once. */
async function findUnfiltered(source: ReadSource, search: PageSearch): Promise<FoundPage> {
  const { client, keys, limits } = source
  const { limit } = search.filter
  const entries: EntryText[] = []
  let { before } = search
  for (let bytesLeft = JOURNAL_PAGE_BYTES_MAX; ;) {
    const slice = await entriesBefore(
      client,
      keys,
      { before, subject: search.subject },
      {
        what: 'whole',
        countMax: Math.min(limit - entries.length, limits.batchMax),
        bytesMax: bytesLeft,
        atLeastOne: entries.length === 0,
      },
    )
    for (const found of slice.entries) {
      entries.push(found)
      before = found.seq
      bytesLeft -= found.bytes
    }
    if (!slice.more) return { entries, next: null }
    if (slice.entries.length === 0 || entries.length === limit || bytesLeft <= 0) return { entries, next: before }
  }
}

/** The heads are read, and then the entries whose heads match. */
async function findFiltered(source: ReadSource, search: PageSearch, lane: ReadLane): Promise<FoundPage> {
  const { client, keys, limits } = source
  const { subject, filter } = search
  const entries: EntryText[] = []
  let [before, looked, scanned, bytes] = [search.before, 0, 0, 0]
  for (;;) {
    const slice: Slice = await entriesBefore(
      client,
      keys,
      { before, subject },
      {
        what: 'head',
        countMax: Math.min(JOURNAL_SCAN_MAX - looked, limits.batchMax),
        bytesMax: limits.scanBytesMax,
        atLeastOne: true,
      },
    )
    const wanted: EntryText[] = []
    let isFull = false
    for (const found of slice.entries) {
      const isMatch = await source.turns.run(
        lane,
        () => filter.matches(headOf(found)),
        () => found.text.length,
      )
      const count = entries.length + wanted.length
      isFull = isMatch && count > 0 && (count === filter.limit || bytes + found.bytes > JOURNAL_PAGE_BYTES_MAX)
      if (isFull) break
      if (isMatch) {
        wanted.push(found)
        bytes += found.bytes
      }
      before = found.seq
      looked += 1
      scanned += found.bytes
    }
    entries.push(...(await wholeOf(source, wanted)))
    if (isFull) return { entries, next: before }
    if (!slice.more) return { entries, next: null }
    const isOver = entries.length === filter.limit || looked >= JOURNAL_SCAN_MAX || scanned > JOURNAL_SCAN_BYTES_MAX
    if (isOver) return { entries, next: before }
  }
}

/** The entry that a request has made, null where there is none (any more). */
export async function entryOfRequest(client: RedisClient, keys: Keys, requestId: string): Promise<JournalEntry | null> {
  const seq = await client.hget(keys.requests, requestId)
  // What is no seq, or that of another entry, is junk in the index.
  if (seq === null || !/^[1-9]\d{0,15}$/.test(seq)) return null
  const one = { what: 'whole', countMax: 1, bytesMax: 0, atLeastOne: true } as const
  const [entry] = (await entriesIn(client, keys, { how: 'at', seqs: [Number(seq)] }, one)).entries
  if (entry === undefined) return null
  const found = knownEntry(readEntry(entry.text, entry))
  return found.requestId === requestId ? found : null
}

/** The entry of a commit. Throws where it cannot be read: then the commit is made, and nobody can say what it was. */
export function knownEntry(entry: JournalEntry): JournalEntry {
  if (entry.unreadable === undefined) return entry
  throw new StoreOutcomeUnknown(`journal entry ${entry.seq} is of this request and cannot be read: ${entry.unreadable}`)
}

/** When the oldest entry that is kept was made, '' where that cannot be read; null where nothing was trimmed. */
export async function beginningOf(client: RedisClient, keys: Keys): Promise<string | null> {
  const first = { how: 'on', after: 0, to: Number.MAX_SAFE_INTEGER } as const
  const one = { what: 'head', countMax: 1, bytesMax: 0, atLeastOne: true } as const
  const [oldest] = (await entriesIn(client, keys, first, one)).entries
  return oldest === undefined || oldest.seq === 1 ? null : (headOf(oldest)?.at ?? '')
}

/** Those of the entries, given by their heads, that are still kept. */
async function wholeOf({ client, keys }: ReadSource, wanted: readonly EntryText[]): Promise<readonly EntryText[]> {
  if (wanted.length === 0) return []
  const seqs = wanted.map(({ seq }) => seq)
  const bytesMax = wanted.reduce((sum, { bytes }) => sum + bytes, 0)
  const all = { what: 'whole', countMax: seqs.length, bytesMax, atLeastOne: true } as const
  return (await entriesIn(client, keys, { how: 'at', seqs }, all)).entries
}

/** null where it cannot be read. */
function headOf({ text, bytes, ...place }: EntryText): EntryHead | null {
  // A text in another form than this build writes is whole.
  if (Buffer.byteLength(text) !== bytes) return readHead(text)
  const entry = readEntry(text, { ...place, bytes })
  return entry.unreadable === undefined ? entry : null
}
