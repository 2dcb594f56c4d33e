// Reads one consistent state out of a store that others write to meanwhile, in pieces that hold up nobody: the documents in
// any order, and then what the journal says has changed since the reading began.
import { randomUUID } from 'node:crypto'
import { StoreUnavailable, type Document, type StorePosition, type StoreState } from '../port.ts'
import type { RedisClient } from './connection.ts'
import { readDocument, readEntry } from './documents.ts'
import { entriesIn } from './entries.ts'
import type { Turns } from '../turns.ts'
import { standingOf } from './history.ts'
import type { Keys } from './keys.ts'
import type { RedisLimits } from './limits.ts'

/** Documents read at once, before it is known how large they are. */
const SCAN_FIRST = 32

/** The state of the store now; `known` must be in its history. A store that was never filled is begun, unless `known` says otherwise. */
export async function readState(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  known: StorePosition | null,
  turns: Turns,
): Promise<StoreState> {
  for (let tries = 0; tries < limits.loadTriesMax; tries += 1) {
    const { position: start } = await standingOf(client, keys, known, known === null ? randomUUID() : '')
    const documents = await scan(client, keys, limits, turns)
    const { position: end, first } = await standingOf(client, keys, null)
    // Another epoch began, or what has changed meanwhile is kept no more: what was read is no one state.
    if (end.epoch !== start.epoch || first > start.seq + 1) continue
    if (await catchUp(client, keys, limits, documents, start.seq, end.seq, turns)) {
      return { ...end, documents: [...documents.values()] }
    }
  }
  throw new StoreUnavailable('Reading the store: it changed too much while it was read')
}

async function scan(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  turns: Turns,
): Promise<Map<string, Document>> {
  const documents = new Map<string, Document>()
  let cursor = '0'
  let count = SCAN_FIRST
  do {
    const [next, pairs] = await client.hscan(keys.documents, cursor, 'COUNT', count)
    // Fewer at once where documents are large: a reply is held as a whole.
    const bytes = pairs.reduce((sum, text) => sum + text.length, 0)
    count = bytes > limits.batchBytesMax ? Math.max(Math.floor(count / 2), 1) : Math.min(count * 2, limits.scanMax)
    for (let index = 0; index < pairs.length; index += 2) {
      const [key = '', text = ''] = pairs.slice(index, index + 2)
      const document = await turns.run(
        'operator',
        () => readDocument(key, text),
        () => text.length,
      )
      documents.set(document.key, document)
    }
    cursor = next
  } while (cursor !== '0')
  return documents
}

/** Takes in the entries after `from` up to `to`; false where one is missing, or cannot be read. */
async function catchUp(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  documents: Map<string, Document>,
  from: number,
  to: number,
  turns: Turns,
): Promise<boolean> {
  let seq = from
  while (seq < to) {
    const place = { how: 'on', after: seq, to } as const
    const portion = { countMax: limits.batchMax, bytesMax: limits.batchBytesMax, atLeastOne: true } as const
    const { entries } = await entriesIn(client, keys, place, { what: 'whole', ...portion })
    for (const entry of entries) {
      if (entry.seq !== seq + 1) return false
      const { changes, unreadable } = await turns.run(
        'operator',
        () => readEntry(entry.text, entry),
        () => entry.bytes,
      )
      // What it has changed is only in the documents: they are read again, from after it on.
      if (unreadable !== undefined) return false
      for (const { key, after } of changes) {
        if (after === null) documents.delete(key)
        else documents.set(key, after)
      }
      seq = entry.seq
    }
    if (entries.length === 0) return false
  }
  return true
}
