// Reads one consistent state out of a store that others write to meanwhile, in pieces that hold up nobody: the documents in
// any order, and then what the journal says has changed since the reading began.
import { randomUUID } from 'node:crypto'
import { StoreDamaged, StoreUnavailable, type Document, type StorePosition, type StoreState } from '../port.ts'
import { readDocument, readEntry } from './documents.ts'
import { entriesIn } from './entries.ts'
import { TURN_BYTES_MAX } from '../turns.ts'
import { standingOf } from './history.ts'
import type { ReadSource } from './read-journal.ts'
import { runScript } from './scripts.ts'
import { documentAt } from '../stored-form.ts'

/** The state of the store now; `known` must be in its history. A store that was never filled is begun, unless `known` says otherwise. */
export async function readState(source: ReadSource, known: StorePosition | null): Promise<StoreState> {
  const { client, keys, limits } = source
  for (let tries = 0; tries < limits.loadTriesMax; tries += 1) {
    const { position: start } = await standingOf(client, keys, known, known === null ? randomUUID() : '')
    const documents = await readDocuments(source)
    const { position: end, first } = await standingOf(client, keys, null)
    // Another epoch began, or what has changed meanwhile is kept no more: what was read is no one state.
    if (end.epoch !== start.epoch || first > start.seq + 1) continue
    if (await catchUp(source, documents, start.seq, end.seq)) {
      return { ...end, documents: [...documents.values()].map((document) => documentAt(document, end.seq)) }
    }
  }
  throw new StoreUnavailable('Reading the store: it changed too much while it was read')
}

/** Every document, by its key. The keys are small; the documents are read by their sizes. */
async function readDocuments(source: ReadSource): Promise<Map<string, Document>> {
  const { client, keys, limits, turns } = source
  const documents = new Map<string, Document>()
  const names = await client.hkeys(keys.documents)
  let from = 0
  const ask = (left: readonly string[]): Promise<Portion> | null => {
    const some = [...left, ...names.slice(from, from + limits.scanMax - left.length)]
    from += some.length - left.length
    if (some.length === 0) return null
    const asked = portionOf(source, some)
    // It is awaited later, if at all: another portion may be at fault.
    asked.catch(() => {})
    return asked
  }
  for (let next = ask([]); next !== null;) {
    const { texts, left } = await next
    // Redis finds the next ones while these are parsed.
    next = ask(left)
    for (let index = 0; index < texts.length;) {
      // As many as one turn has room for, at once: a turn for each of them would cost more than to parse it.
      const readSome = (): number => {
        let parsed = 0
        while (index < texts.length && parsed < TURN_BYTES_MAX) {
          const [key, found] = texts[index] ?? ['', '']
          const bytes = typeof found === 'number' ? found : found.length
          documents.set(key, readDocument(key, String(found), bytes, Number.MAX_SAFE_INTEGER))
          parsed += typeof found === 'number' ? 0 : bytes
          index += 1
        }
        return parsed
      }
      await turns.run('operator', readSome, (parsed) => parsed)
    }
  }
  return documents
}

/** Documents' texts by their keys, or a size where it is too large, and the keys for which there was no room. */
interface Portion {
  readonly texts: readonly (readonly [key: string, found: string | number])[]
  readonly left: readonly string[]
}

async function portionOf({ client, keys, limits }: ReadSource, names: readonly string[]): Promise<Portion> {
  const reply = await runScript(client, 'documents', [keys.documents], [String(limits.batchBytesMax), ...names])
  if (!Array.isArray(reply) || reply.length === 0)
    throw new StoreDamaged('Redis has answered in a form that is not known')
  const texts = reply.flatMap((found: unknown, index) => {
    // One that is not there was deleted meanwhile.
    return typeof found === 'string' || typeof found === 'number' ? [[names[index] ?? '', found] as const] : []
  })
  return { texts, left: names.slice(reply.length) }
}

/** Takes in the entries after `from` up to `to`; false where one is missing, or cannot be read. */
async function catchUp(
  { client, keys, limits, turns }: ReadSource,
  documents: Map<string, Document>,
  from: number,
  to: number,
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
