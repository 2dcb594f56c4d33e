// Writes documents inside a transaction of the embedded store, so that no revision is given twice.
import { FORMAT, type Document, type DocumentChange, type Write } from '../port.ts'
import type { Database } from './database.ts'

/** The first write that deletes what is not there; undefined where none does. */
export function deletionOfNothing(database: Database, writes: readonly Write[], seq: number): Write | undefined {
  const isThere = (key: string): boolean => database.document(key, seq) !== null
  return writes.find(({ key, expected, body }) => body === null && expected === 0 && !isThere(key))
}

/** Writes one document of the entry `seq` over what was found. What cannot be read cannot stand in the entry, and is at no known revision. */
export function writeDocument(
  database: Database,
  { key, body }: Write,
  found: Document | null,
  seq: number,
): DocumentChange {
  const before = found?.unreadable === undefined ? found : null
  // No revision is above the seq of its store, which is `seq - 1` until this entry is in it.
  const last = found === null ? null : (before?.revision ?? seq - 1)
  if (body === null) {
    if (last !== null) database.putLastRevision(key, last)
    database.removeDocument(key)
    return { key, before, after: null }
  }
  const after = { key, revision: (last ?? database.lastRevision(key, seq - 1)) + 1, format: FORMAT, body }
  database.putDocument(after)
  return { key, before, after }
}

/** Puts a document back as an operator has decided. */
export function restoreDocument(database: Database, { key, before, after }: DocumentChange): void {
  if (after !== null) database.putDocument(after)
  else if (before !== null) {
    const last = Math.max(before.revision, database.lastRevision(key, database.meta().seq))
    database.putLastRevision(key, last)
    database.removeDocument(key)
  }
}
