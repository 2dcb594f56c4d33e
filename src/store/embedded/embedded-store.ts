// The embedded store: documents and their journal in one lmdb file, for one process on one machine.
//
// A commit is one synchronous transaction that holds the event loop for one fdatasync (0.3 ms on a good disk). Chosen,
// because what has returned is then on the disk and what has thrown is certainly not: lmdb-js' asynchronous
// transactions give neither where the disk is full.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkChange } from '../change.ts'
import { readJournalQuery } from '../journal-query.ts'
import {
  FORMAT,
  JOURNAL_SCAN_MAX,
  StoreUnavailable,
  type Change,
  type Committed,
  type Conflict,
  type Document,
  type DocumentChange,
  type JournalEntry,
  type JournalPage,
  type JournalQuery,
  type Store,
  type StoreState,
  type Write,
} from '../port.ts'
import { openDatabase, type Database } from './database.ts'
import { faultOf, openingFaultOf } from './faults.ts'
import { lockFolder, type FolderLock } from './folder-lock.ts'

/** Entries read between two turns of the event loop, 1 to 2 ms of small ones, so that polls are answered in between. */
const READ_BATCH_MAX = 100

/**
 * Opens the store in `folder`, and makes it where there is none. Throws StoreNotOpened where the folder is in use or
 * cannot be used, and StoreDamaged where its file cannot be trusted; such a file is left exactly as it is.
 */
export async function openEmbeddedStore(folder: string): Promise<EmbeddedStore> {
  const lock = lockFolder(folder)
  try {
    return new EmbeddedStore(await openDatabase(folder), lock)
  } catch (error) {
    lock.release()
    throw openingFaultOf(error, folder)
  }
}

/** Made by `openEmbeddedStore` only. */
export class EmbeddedStore implements Store {
  readonly #database: Database
  readonly #lock: FolderLock
  /** Followers that have read everything, and what wakes each of them up. */
  readonly #waiting = new Set<() => void>()
  #seq: number
  #closed: Promise<void> | null = null

  constructor(database: Database, lock: FolderLock) {
    this.#database = database
    this.#lock = lock
    this.#seq = database.meta().seq
  }

  async load(): Promise<StoreState> {
    return this.#attempt('Reading the store', () => {
      const { seq, epoch } = this.#database.meta()
      return { documents: [...this.#database.documents()], seq, epoch }
    })
  }

  async commit(change: Change): Promise<Committed | Conflict> {
    checkChange(change)
    const result = this.#attempt('Writing to the store', () => this.#database.write(() => this.#write(change)))
    if (result.outcome === 'committed') {
      this.#seq = result.entry.seq
      for (const wake of this.#waiting) wake()
    }
    return result
  }

  async follow(afterSeq: number, on: (entry: JournalEntry) => void, signal: AbortSignal): Promise<void> {
    if (!Number.isSafeInteger(afterSeq) || afterSeq < 0) throw new RangeError(`No journal entry is ${afterSeq}`)
    this.#checkOpen()
    let seq = afterSeq
    while (!this.#hasEnded(signal)) {
      const last = Math.min(this.#seq, seq + READ_BATCH_MAX)
      if (seq >= last) {
        await this.#nextCommit(signal)
        continue
      }
      while (seq < last && !this.#hasEnded(signal)) {
        const next = seq + 1
        const entry = this.#attempt('Reading the journal', () => this.#database.entry(next))
        on(entry)
        seq = next
      }
      await nextTurn()
    }
  }

  async journal(query: JournalQuery): Promise<JournalPage> {
    const filter = readJournalQuery(query)
    const entries: JournalEntry[] = []
    let looked = 0
    let before = Math.min(filter.beforeSeq, this.#seq + 1)
    for (;;) {
      const seqs = this.#attempt('Reading the journal', () => this.#seqsBefore(before, query.subject))
      if (seqs.length === 0) return { entries, next: null }
      for (const seq of seqs) {
        if (entries.length === filter.limit || looked === JOURNAL_SCAN_MAX) return { entries, next: before }
        const entry = this.#attempt('Reading the journal', () => this.#database.entry(seq))
        if (filter.matches(entry)) entries.push(entry)
        before = seq
        looked += 1
      }
      // Entries never change, so the page is as good as one read at one moment.
      await nextTurn()
    }
  }

  /** Ends every follower, closes the file and frees the folder; closing again waits for the same. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    for (const wake of this.#waiting) wake()
    try {
      await this.#database.close()
    } finally {
      this.#lock.release()
    }
  }

  /** Inside a transaction: the expectations, then the writes. */
  #write(change: Change): Committed | Conflict {
    const before = new Map<string, Document | null>()
    for (const { key, expected } of [...change.writes, ...change.reads]) {
      const document = this.#database.document(key)
      const actual = document?.revision ?? 0
      if (actual !== expected) return { outcome: 'conflict', key, expected, actual }
      before.set(key, document)
    }
    const changes = change.writes.map((write) => this.#writeDocument(write, before.get(write.key) ?? null))
    const meta = this.#database.meta()
    const seq = meta.seq + 1
    const { at, actor, kind, reason, requestId } = change
    const subjects = change.writes.map(({ key }) => key)
    const entry = { seq, format: FORMAT, at, actor, kind, subjects, reason, requestId, changes }
    this.#database.putMeta({ ...meta, seq })
    return { outcome: 'committed', entry: this.#database.appendEntry(entry) }
  }

  #writeDocument({ key, body }: Write, before: Document | null): DocumentChange {
    if (body === null) {
      if (before !== null) this.#database.putLastRevision(key, before.revision)
      this.#database.removeDocument(key)
      return { key, before, after: null }
    }
    const revision = (before?.revision ?? this.#database.lastRevision(key)) + 1
    const after = { key, revision, format: FORMAT, body }
    this.#database.putDocument(after)
    return { key, before, after }
  }

  #seqsBefore(before: number, subject: string | undefined): number[] {
    if (subject !== undefined) return this.#database.seqsAbout(subject, before, READ_BATCH_MAX)
    const first = Math.max(before - READ_BATCH_MAX, 1)
    return Array.from({ length: Math.max(before - first, 0) }, (_, index) => before - 1 - index)
  }

  #nextCommit(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  #hasEnded(signal: AbortSignal): boolean {
    return signal.aborted || this.#closed !== null
  }

  #checkOpen(): void {
    if (this.#closed !== null) throw new StoreUnavailable('The store is closed')
  }

  #attempt<T>(doing: string, action: () => T): T {
    this.#checkOpen()
    try {
      return action()
    } catch (error) {
      throw faultOf(error, doing)
    }
  }
}
