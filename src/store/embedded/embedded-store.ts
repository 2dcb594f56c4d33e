// The embedded store: documents and their journal in one lmdb file, for one process on one machine.
//
// A commit is one synchronous transaction that holds the event loop for one fdatasync (0.3 ms on a good disk). Chosen,
// because what has returned is then on the disk and what has thrown is certainly not: lmdb-js' asynchronous
// transactions give neither where the disk is full.
import { isDeepStrictEqual } from 'node:util'
import { checkChange, entryBytesMax, nothingToDelete } from '../change.ts'
import { newMark, planEpoch } from '../epoch-start.ts'
import {
  FORMAT,
  JournalTrimmed,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
  type Change,
  type Committed,
  type Conflict,
  type Document,
  type EpochStart,
  type JournalEntry,
  type JournalPage,
  type EntryInParts,
  type JournalQuery,
  type ReadLane,
  type Store,
  type StorePosition,
  type StoreState,
} from '../port.ts'
import { Turns, TURN_BYTES_MAX } from '../turns.ts'
import { openDatabase, type Database } from './database.ts'
import { checkRoom } from './disk-room.ts'
import { faultOf, openingFaultOf } from './faults.ts'
import { lockFolder, type FolderLock } from './folder-lock.ts'
import { readPage, readPageInParts, type JournalSource } from './read-journal.ts'
import type { StoreMeta } from './stored-values.ts'
import { deletionOfNothing, restoreDocument, writeDocument } from './write-documents.ts'

/**
 * Opens the store in `folder`, and makes it where there is none. Throws StoreNotOpened where the folder is in use or
 * cannot be used, and StoreDamaged where its file cannot be trusted; such a file is left exactly as it is.
 */
export async function openEmbeddedStore(folder: string): Promise<EmbeddedStore> {
  const lock = lockFolder(folder)
  try {
    return new EmbeddedStore(await openDatabase(folder), lock, folder)
  } catch (error) {
    lock.release()
    throw openingFaultOf(error, folder)
  }
}

/** Made by `openEmbeddedStore` only. */
export class EmbeddedStore implements Store {
  readonly #database: Database
  readonly #lock: FolderLock
  readonly #folder: string
  /** Followers that have read everything, and what wakes each of them up. */
  readonly #waiting = new Set<() => void>()
  readonly #turns = new Turns()
  /** As of the last commit; nobody else writes to this file. */
  #meta: StoreMeta
  #closed: Promise<void> | null = null

  constructor(database: Database, lock: FolderLock, folder: string) {
    this.#database = database
    this.#folder = folder
    this.#lock = lock
    this.#meta = database.meta()
  }

  async load(known: StorePosition | null = null): Promise<StoreState> {
    return this.#attempt('Reading the store', () => {
      if (known !== null && !this.#meta.supersedes.includes(known.epoch)) this.#checkHistory(known)
      return { documents: [...this.#database.documents()], ...positionOf(this.#meta) }
    })
  }

  async position(): Promise<StorePosition> {
    return this.#attempt('Reading the store', () => positionOf(this.#meta))
  }

  async commit(change: Change): Promise<Committed | Conflict> {
    checkChange(change)
    const vain = this.#attempt('Reading the store', () =>
      deletionOfNothing(this.#database, change.writes, this.#meta.seq),
    )
    if (vain !== undefined) throw nothingToDelete(vain.key)
    const result = this.#attempt('Writing to the store', () => {
      checkRoom(this.#folder, change)
      return this.#database.write(() => this.#write(change))
    })
    if (result.outcome === 'committed') {
      this.#meta = this.#database.meta()
      for (const wake of this.#waiting) wake()
    }
    return result
  }

  async committed(requestId: string): Promise<JournalEntry | null> {
    return this.#attempt('Reading the journal', () => this.#committed(requestId))
  }

  async startEpoch(start: EpochStart): Promise<StorePosition> {
    const position = this.#attempt('Writing to the store', () => {
      checkRoom(this.#folder, start)
      return this.#database.write(() => this.#startEpoch(start))
    })
    this.#meta = this.#database.meta()
    // Followers of the epoch before find that theirs is over.
    for (const wake of this.#waiting) wake()
    return position
  }

  async follow(
    after: StorePosition,
    on: (entry: JournalEntry) => void,
    signal: AbortSignal,
    lane: ReadLane = 'operator',
  ): Promise<void> {
    if (!Number.isSafeInteger(after.seq) || after.seq < 0) throw new RangeError(`No journal entry is ${after.seq}`)
    this.#checkOpen()
    if (signal.aborted) return
    this.#attempt('Reading the journal', () => this.#checkEpoch(after))
    this.#attempt('Reading the journal', () => this.#checkHistory(after))
    let { seq } = after
    // Those that belong to one turn are given together, so that a replica publishes them together.
    const give = (): number => {
      let bytes = 0
      while (seq < this.#meta.seq && bytes < TURN_BYTES_MAX && !this.#hasEnded(signal)) {
        this.#checkEpoch(after)
        const text = this.#attempt('Reading the journal', () => this.#database.entryText(seq + 1))
        on(this.#attempt('Reading the journal', () => this.#database.parseEntry(text, seq + 1)))
        seq += 1
        bytes += text.length
      }
      return bytes
    }
    while (!this.#hasEnded(signal)) {
      if (seq < this.#meta.seq) await this.#turns.run(lane, give, (bytes) => bytes)
      else await this.#nextCommit(signal)
    }
  }

  journal(query: JournalQuery, lane: ReadLane = 'operator'): Promise<JournalPage> {
    return readPage(this.#journalSource(), query, lane)
  }

  journalInParts(query: JournalQuery): Promise<JournalPage<EntryInParts>> {
    return readPageInParts(this.#journalSource(), query)
  }

  /** This store keeps all of its journal. */
  async journalBegins(): Promise<null> {
    this.#checkOpen()
    return null
  }

  /** Ends every follower, closes the file and frees the folder; closing again waits for the same. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  #journalSource(): JournalSource {
    return {
      database: this.#database,
      turns: this.#turns,
      lastSeq: this.#meta.seq,
      isHole: (seq) => this.#isHole(seq),
      attempt: (action) => this.#attempt('Reading the journal', action),
    }
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
    const meta = this.#database.meta()
    if (change.decidedOn !== null) this.#checkHistory(change.decidedOn)
    const earlier = change.requestId === null ? null : this.#committed(change.requestId)
    if (earlier !== null) return { outcome: 'committed', entry: earlier, repeated: true, foreign: [] }
    const before = new Map<string, Document | null>()
    for (const { key, expected } of [...change.writes, ...change.reads]) {
      const document = this.#database.document(key, meta.seq)
      const actual = document?.revision ?? 0
      if (actual !== expected) return { outcome: 'conflict', key, expected, actual, seq: meta.seq }
      before.set(key, document)
    }
    const seq = meta.seq + 1
    const changes = change.writes.map((write) =>
      writeDocument(this.#database, write, before.get(write.key) ?? null, seq),
    )
    const mark = newMark()
    const { at, actor, kind, reason, requestId, requestHash } = change
    const subjects = change.writes.map(({ key }) => key)
    const hash = requestHash === undefined ? {} : { requestHash }
    const entry = { seq, mark, format: FORMAT, at, actor, kind, subjects, reason, requestId, ...hash, changes }
    this.#database.putMeta({ ...meta, seq, mark })
    const appended = this.#database.appendEntry(entry, entryBytesMax(change))
    return { outcome: 'committed', entry: appended, repeated: false, foreign: [] }
  }

  /** Inside a transaction: the new epoch's entries and, where they are restored, its documents as they were. */
  #startEpoch(start: EpochStart): StorePosition {
    const meta = this.#database.meta()
    const { found, known, restore } = start
    if (!isDeepStrictEqual(positionOf(meta), found)) throw new StoreRegressed(known, positionOf(meta))
    const { epoch, supersedes, entries } = planEpoch(start, restore === null ? [] : this.#database.documents())
    for (const { changes } of entries) for (const change of changes) restoreDocument(this.#database, change)
    for (const entry of entries) this.#database.appendEntry(entry)
    const first = entries[0]?.seq ?? 0
    const last = entries.at(-1) ?? { seq: meta.seq, mark: meta.mark }
    const holes = [...meta.holes, ...(first > meta.seq + 1 ? [[meta.seq + 1, first - 1] as const] : [])]
    const position = { epoch, seq: last.seq, mark: last.mark }
    this.#database.putMeta({ ...meta, ...position, holes, supersedes: [...meta.supersedes, ...supersedes] })
    return position
  }

  #committed(requestId: string): JournalEntry | null {
    const seq = this.#database.seqOfRequest(requestId)
    if (seq === null) return null
    const entry = this.#database.entry(seq)
    if (entry.unreadable === undefined) return entry
    throw new StoreOutcomeUnknown(`journal entry ${seq} is of this request and cannot be read: ${entry.unreadable}`)
  }

  /** Throws where `known` is not on the way that this store has come. */
  #checkHistory(known: StorePosition): void {
    const { epoch, seq } = this.#meta
    if (known.epoch === epoch && known.seq <= seq && this.#hasMark(known)) return
    throw new StoreRegressed(known, positionOf(this.#meta))
  }

  /** Throws where the epoch of a follower has ended. */
  #checkEpoch({ epoch }: StorePosition): void {
    if (this.#meta.supersedes.includes(epoch)) throw new JournalTrimmed('an operator has begun a new epoch')
  }

  /** Whether the journal has this mark there. An entry that cannot be read disproves no mark. */
  #hasMark({ seq, mark }: StorePosition): boolean {
    if (seq === 0) return mark === ''
    if (seq === this.#meta.seq && mark === this.#meta.mark) return true
    if (this.#isHole(seq)) return false
    const entry = this.#database.entry(seq)
    return entry.mark === mark || (entry.unreadable !== undefined && entry.mark === '')
  }

  #isHole(seq: number): boolean {
    return this.#meta.holes.some(([first, last]) => first <= seq && seq <= last)
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

function positionOf({ epoch, seq, mark }: StoreMeta): StorePosition {
  return { epoch, seq, mark }
}
