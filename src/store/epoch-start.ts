// What an operator's decision about a store that has gone back writes: the entries of the new epoch, the same for every
// store. Which of them must be stored, and what they replace, is the store's own work.
import { randomBytes, randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  COMMIT_WRITES_MAX,
  EPOCH_SUBJECT,
  FORMAT,
  type Document,
  type DocumentChange,
  type EpochStart,
  type JournalEntry,
} from './port.ts'
import { asStored, whyUnread } from './stored-form.ts'

/** Enough that two histories never share a mark by chance. */
const MARK_BYTES = 8

export interface EpochPlan {
  readonly epoch: string
  /** The epochs whose replicas follow the new one, besides those that the store's own epoch had replaced. */
  readonly supersedes: readonly string[]
  /** At least one; their changes are what differs between the store's documents and the restored ones. */
  readonly entries: readonly JournalEntry[]
}

export function newMark(): string {
  return randomBytes(MARK_BYTES).toString('hex')
}

/** Plans a new epoch over a store that holds `documents`. Its first seq is above all that store and replica know. */
export function planEpoch(start: EpochStart, documents: Iterable<Document>): EpochPlan {
  const { at, actor, kind, reason, requestId, requestHash, known, found, restore } = start
  const changes = restore === null ? [] : differences(documents, restore.documents)
  const entries: JournalEntry[] = []
  let seq = Math.max(known.seq, found.seq)
  for (let from = 0; from === 0 || from < changes.length; from += COMMIT_WRITES_MAX) {
    const part = changes.slice(from, from + COMMIT_WRITES_MAX)
    const subjects = [EPOCH_SUBJECT, ...part.map(({ key }) => key)]
    seq += 1
    // The id stands for the whole decision, so it is found by the first entry.
    const id = from === 0 ? requestId : null
    const hash = id === null || requestHash === undefined ? {} : { requestHash }
    const head = { seq, mark: newMark(), format: FORMAT, at, actor, kind, subjects, reason }
    entries.push({ ...head, requestId: id, ...hash, changes: part })
  }
  const supersedes = new Set([found.epoch, known.epoch])
  supersedes.delete('')
  return { epoch: randomUUID(), supersedes: [...supersedes], entries }
}

function differences(stored: Iterable<Document>, restored: readonly Document[]): readonly DocumentChange[] {
  const before = new Map([...stored].map((document) => [document.key, asStored(document)]))
  const changes: DocumentChange[] = []
  for (const after of restored) {
    const old = before.get(after.key) ?? null
    before.delete(after.key)
    // What this replica has not read of a document is no reason to write over one that the store has.
    if (old !== null && whyUnread(after.body) !== null) continue
    if (!isDeepStrictEqual(old, after)) changes.push({ key: after.key, before: old, after })
  }
  for (const [key, gone] of before) changes.push({ key, before: gone, after: null })
  return changes
}
