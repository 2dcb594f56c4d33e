// Pages of the journal and single entries of it.
import { readJournalQuery } from '../journal-query.ts'
import { JOURNAL_SCAN_MAX, type JournalEntry, type JournalPage, type JournalQuery } from '../port.ts'
import type { RedisClient } from './connection.ts'
import { readEntry } from './documents.ts'
import { headSeq } from './head.ts'
import { seqOfMember, subjectMember, subjectPrefix, type Keys } from './keys.ts'
import type { RedisLimits } from './limits.ts'
import { streamEntries, textsOf } from './replies.ts'
import { runScript } from './scripts.ts'

/** One page, newest first. Entries never change, so a page that is read in several steps is as good as one. */
export async function readPage(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  query: JournalQuery,
): Promise<JournalPage> {
  const filter = readJournalQuery(query)
  const entries: JournalEntry[] = []
  // What is above the head was written by nobody to its end.
  let before = Math.min(filter.beforeSeq, (await headSeq(client, keys)) + 1)
  // As many as are asked for, and more with every batch in which the filter finds too few.
  for (let looked = 0, batch = filter.limit + 1; ; batch *= 2) {
    const found = await entriesBefore(client, keys, Math.min(batch, limits.batchMax), before, query.subject)
    if (found.length === 0) return { entries, next: null }
    for (const entry of found) {
      if (entries.length === filter.limit || looked === JOURNAL_SCAN_MAX) return { entries, next: before }
      if (filter.matches(entry)) entries.push(entry)
      before = entry.seq
      looked += 1
    }
  }
}

/** The entry that a request has made, null where there is none (any more). */
export async function entryOfRequest(client: RedisClient, keys: Keys, requestId: string): Promise<JournalEntry | null> {
  const seq = await client.hget(keys.requests, requestId)
  if (seq === null) return null
  const [entry] = await entriesAt(client, keys, [Number(seq)])
  return entry ?? null
}

/** When the oldest entry that is kept was made; null where nothing was trimmed. */
export async function beginningOf(client: RedisClient, keys: Keys): Promise<string | null> {
  const [oldest] = streamEntries(await client.xrange(keys.journal, '-', '+', 'COUNT', 1))
  if (oldest === undefined) return null
  const { seq, at } = readEntry(oldest.fields.get('entry') ?? '')
  return seq === 1 ? null : at
}

/** Up to `count` entries below `before`, newest first. */
async function entriesBefore(
  client: RedisClient,
  keys: Keys,
  count: number,
  before: number,
  subject: string | undefined,
): Promise<readonly JournalEntry[]> {
  if (before <= 1) return []
  if (subject === undefined) {
    const reply = await client.xrevrange(keys.journal, `${Math.ceil(before) - 1}-0`, '-', 'COUNT', count)
    return streamEntries(reply).map(({ fields }) => readEntry(fields.get('entry') ?? ''))
  }
  const [newest, oldest] = [`(${subjectMember(subject, Math.ceil(before))}`, `[${subjectPrefix(subject)}`]
  for (let from = newest; ;) {
    const members = await client.zrevrangebylex(keys.subjects, from, oldest, 'LIMIT', 0, count)
    const entries = await entriesAt(client, keys, members.map(seqOfMember))
    // All of them may have been trimmed between the two reads; then there is nothing older either, but look.
    if (entries.length > 0 || members.length === 0) return entries
    from = `(${members.at(-1)}`
  }
}

async function entriesAt(client: RedisClient, keys: Keys, seqs: readonly number[]): Promise<readonly JournalEntry[]> {
  if (seqs.length === 0) return []
  const reply = await runScript(client, 'entries', [keys.journal, keys.meta], seqs.map(String))
  return textsOf(reply).flatMap((text) => (text === null ? [] : [readEntry(text)]))
}
