// Reads one consistent state out of a store that others write to meanwhile, in pieces that hold up nobody: the documents in
// any order, and then what the journal says has changed since the reading began.
import { randomUUID } from 'node:crypto'
import { StoreUnavailable, type Document, type StorePosition, type StoreState } from '../port.ts'
import type { RedisClient } from './connection.ts'
import { readDocument, readEntry } from './documents.ts'
import { standingOf } from './history.ts'
import type { Keys } from './keys.ts'
import type { RedisLimits } from './limits.ts'
import { streamEntries } from './replies.ts'

/** The state of the store now; `known` must be in its history. A store that was never filled is begun, unless `known` says otherwise. */
export async function readState(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  known: StorePosition | null,
): Promise<StoreState> {
  for (let tries = 0; tries < limits.loadTriesMax; tries += 1) {
    const { position: start } = await standingOf(client, keys, known, known === null ? randomUUID() : '')
    const documents = await scan(client, keys, limits)
    const { position: end, first } = await standingOf(client, keys, null)
    // Another epoch began, or what has changed meanwhile is kept no more: what was read is no one state.
    if (end.epoch !== start.epoch || first > start.seq + 1) continue
    if (await catchUp(client, keys, limits, documents, start.seq, end.seq)) {
      return { ...end, documents: [...documents.values()] }
    }
  }
  throw new StoreUnavailable('Reading the store: it changed too much while it was read')
}

async function scan(client: RedisClient, keys: Keys, limits: RedisLimits): Promise<Map<string, Document>> {
  const documents = new Map<string, Document>()
  let cursor = '0'
  do {
    const [next, pairs] = await client.hscan(keys.documents, cursor, 'COUNT', limits.scanMax)
    for (let index = 0; index < pairs.length; index += 2) {
      const document = readDocument(pairs[index] ?? '', pairs[index + 1] ?? '')
      documents.set(document.key, document)
    }
    cursor = next
  } while (cursor !== '0')
  return documents
}

/** Takes in the entries after `from` up to `to`; false where one is missing. */
async function catchUp(
  client: RedisClient,
  keys: Keys,
  limits: RedisLimits,
  documents: Map<string, Document>,
  from: number,
  to: number,
): Promise<boolean> {
  let seq = from
  while (seq < to) {
    const reply = await client.xrange(keys.journal, `${seq + 1}-0`, `${to}-0`, 'COUNT', limits.batchMax)
    const entries = streamEntries(reply)
    for (const entry of entries) {
      if (entry.seq !== seq + 1) return false
      for (const { key, after } of readEntry(entry.fields.get('entry') ?? '').changes) {
        if (after === null) documents.delete(key)
        else documents.set(key, after)
      }
      seq = entry.seq
    }
    if (entries.length === 0) return false
  }
  return true
}
