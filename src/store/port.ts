// The store port: documents with revisions, and the gap-free journal of every change to them.
// The store knows no channel; what a document's body means is the business of the layers above.
import type { ForeignLease } from './foreign-lease.ts'
import { COMMIT_BYTES_MAX } from './sizes.ts'

/** What a document or a journal entry may hold: JSON, and nothing that JSON would lose. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** The number of the form that documents and journal entries are written in; a reader refuses a higher one. */
export const FORMAT = 1

/** At most this many documents change in one commit: one entry must stay small enough to apply in one go. */
export const COMMIT_WRITES_MAX = 1_000

/** At most this many entries are given in one page of the journal. */
export const JOURNAL_PAGE_MAX = 500

/** For whom the journal is read. `operator`: the replica, and what a change is decided on; nothing waits for readers.
 * `reader`: whoever pages through the journal or streams it; they wait for operators and for each other. */
export type ReadLane = 'operator' | 'reader'

/** One stored thing. `revision` is its own change counter, 1, 2, 3 …; it never goes back, not even over a deletion. */
export interface Document {
  readonly key: string
  readonly revision: number
  readonly format: number
  readonly body: JsonObject
  /** Why this build cannot act on the body; not there where it can. The store's reader sets it, and it is never stored. */
  readonly unreadable?: string
}

/** Says why this build cannot act on a document's body, null where it can. The store itself knows no kind of document. */
export type CheckDocument = (key: string, body: JsonObject) => string | null

/** One document's part in a journal entry; `before` is null where it was created, `after` where it was deleted. */
export interface DocumentChange {
  readonly key: string
  readonly before: Document | null
  readonly after: Document | null
}

/**
 * One commit: who, when, what, why, and the documents before and after. One that this build cannot read says so in `unreadable`:
 * then seq and mark are right, no change is known, and every other member is empty.
 */
export interface JournalEntry {
  readonly seq: number
  /** Random, made with the entry: two histories that have parted have other marks at the same seq. */
  readonly mark: string
  readonly format: number
  /** RFC 3339 UTC, from the clock of the replica that made the change; on Redis that is Redis' own. */
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly subjects: readonly string[]
  readonly reason: string | null
  /** What the change was committed under at most once; null where it may be repeated. */
  readonly requestId: string | null
  /** What the request was, as a hash, so that another one under the same id is told from a retry; missing without an id. */
  readonly requestHash?: string
  readonly changes: readonly DocumentChange[]
  /** Why the entry cannot be read; not there where it can. The store's reader sets it, and it is never stored. */
  readonly unreadable?: string
}

/** One document to write. `expected` is the revision that was read, 0 for a document that must not exist; `body` null deletes it. */
export interface Write {
  readonly key: string
  readonly expected: number
  readonly body: JsonObject | null
}

/** A document that was read to decide the change and must still be at this revision (0: must still not exist). */
export interface Expectation {
  readonly key: string
  readonly expected: number
}

/** Where a history stands: after entry `seq`, which has this mark ('' before the first entry), of this epoch. */
export interface StorePosition {
  readonly epoch: string
  readonly seq: number
  readonly mark: string
}

/** What a commit does: all of it or nothing. */
export interface Change {
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly reason: string | null
  /** A change with an id is committed at most once: where the journal has an entry of this id, nothing is written. */
  readonly requestId: string | null
  /** Kept in the entry as it is given. */
  readonly requestHash?: string
  /** What the change was decided on; a store that has not that in its history refuses it. null: whatever is there. */
  readonly decidedOn: StorePosition | null
  readonly writes: readonly Write[]
  readonly reads: readonly Expectation[]
  /** A change that must never be refused for its size, like a rollback: COMMIT_BYTES_MAX does not hold for it. */
  readonly isUrgent?: boolean
}

export interface Committed {
  readonly outcome: 'committed'
  readonly entry: JournalEntry
  /** Whether this is the entry of an earlier try with the same `requestId`. */
  readonly repeated: boolean
  /** Documents read or written that another program had changed past the journal; those not written still are as it left them. */
  readonly foreign: readonly string[]
}

/** Somebody else changed a document first; nothing was written. */
export interface Conflict {
  readonly outcome: 'conflict'
  readonly key: string
  readonly expected: number
  readonly actual: number
  /** The seq of the store then. */
  readonly seq: number
}

/**
 * One consistent state: every living document, as of the journal entry `seq`. The epoch is made when a store is first
 * filled, and anew when an operator decides what a store that has gone back shall hold; another epoch is another store.
 */
export interface StoreState extends StorePosition {
  readonly documents: readonly Document[]
}

/** An operator's decision about a store that has gone back. It begins a new epoch, whose first seq is above all before. */
export interface EpochStart {
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly reason: string | null
  readonly requestId: string | null
  readonly requestHash?: string
  /** The state to write back over the store's, or null to keep what the store holds. */
  readonly restore: StoreState | null
  /** Where the deciding replica stands; whoever is in its epoch follows the new one from then on. */
  readonly known: StorePosition
  /** Where the store stood when the operator decided; anywhere else, nothing is written. */
  readonly found: StorePosition
}

/** A subject of every entry by which an epoch began, beside the documents that it has changed. */
export const EPOCH_SUBJECT = 'store'

/** Which entries, newest first. All conditions must hold; `since` is inclusive, `until` exclusive, both RFC 3339 UTC. */
export interface JournalQuery {
  readonly subject?: string
  readonly actor?: string
  readonly kind?: string
  readonly since?: string
  readonly until?: string
  /** Only entries before this seq: the cursor of the page before. */
  readonly beforeSeq?: number
  readonly limit: number
}

/** `next` is the `beforeSeq` of the next page, null on the last; a page can be short, even empty, and have a next one. */
export interface JournalPage<Entry = JournalEntry> {
  readonly entries: readonly Entry[]
  readonly next: number | null
}

/** An entry whose changes are read a few at a time; `head` has none. `changes` rejects with UnreadableEntry where one cannot be read. */
export interface EntryInParts {
  readonly head: JournalEntry
  changes(): AsyncIterable<readonly DocumentChange[]>
}

/**
 * Documents and their journal. Every method rejects with StoreUnavailable where the store cannot do its work now, with
 * StoreDamaged where what it holds cannot be trusted, and with NewerFormat where a newer Bellwether wrote it.
 */
export interface Store {
  /** One consistent state to start from; StoreRegressed where `known` is not in the store's history and no operator
   * has decided that the store's epoch replaces it. */
  load(known?: StorePosition | null): Promise<StoreState>
  /** All or nothing; resolves once the change is durable. Rejects with a RangeError what can only be a mistake, with
   * CommitTooLarge what would make an entry above COMMIT_BYTES_MAX, with StoreRegressed where `decidedOn` is not in the store's history, and with StoreOutcomeUnknown where it cannot say. */
  commit(change: Change): Promise<Committed | Conflict>
  /** The entry that was committed with this `requestId`, null where the journal has none. Rejects with StoreOutcomeUnknown where
   * there is one that cannot be read. */
  committed(requestId: string): Promise<JournalEntry | null>
  /** Gives every entry after `after` in order, without gap or repeat, until `signal` aborts; then it resolves. It also
   * resolves when the store is closed, and rejects with what `on` throws, with StoreRegressed where `after` (or what was
   * given since) is not in the store's history any more, and with JournalTrimmed where the next entry is kept no more.
   * The lane is `operator` unless told. */
  follow(after: StorePosition, on: (entry: JournalEntry) => void, signal: AbortSignal, lane?: ReadLane): Promise<void>
  /** A page within JOURNAL_PAGE_BYTES_MAX. Of entries that a filter leaves out, only the head is parsed. The lane is `operator`
   * unless told. */
  journal(query: JournalQuery, lane?: ReadLane): Promise<JournalPage>
  /** The same page in the lane `reader`, of which a part of an entry is parsed in a turn of the event loop. */
  journalInParts(query: JournalQuery): Promise<JournalPage<EntryInParts>>
  /** When the oldest entry that is kept was made; null where none was ever trimmed. */
  journalBegins(): Promise<string | null>
  /** Where the store stands, whatever any replica knows. */
  position(): Promise<StorePosition>
  /** The time of a store that replicas share, in milliseconds since the epoch; a store of one machine has none. */
  time?(): Promise<number>
  /** Begins a new epoch; rejects with StoreRegressed where the store is no longer at `found`. A damaged store that says in
   * its StoreDamaged where it stands can be restored, but not kept. */
  startEpoch(start: EpochStart): Promise<StorePosition>
  /** Ends every follower and frees what the store holds; may be called again. */
  close(): Promise<void>
}

/** What replicas share besides; any of it may be lost, and no poll depends on it. */
export interface Coordination {
  /** Takes or keeps a lease; false while another has it. `tookOver` is called with what no replica has written: it is taken over. */
  lease(name: string, owner: string, ttlMs: number, tookOver?: (from: ForeignLease) => void): Promise<boolean>
  /** Gives a lease back; nothing where `owner` does not have it. */
  release(name: string, owner: string): Promise<void>
  /** Tells the others about `id` for `ttlMs`, in place of what it told before. */
  announce(id: string, body: JsonObject, ttlMs: number): Promise<void>
  /** What was announced whose time is not over, by id; null for what cannot be read. Callers must not trust its form. */
  announced(): Promise<ReadonlyMap<string, JsonObject | null>>
  /** Keeps small facts under `topic`, by name, in place of older ones; null takes one away. They outlive the replica,
   * without a promise: who reads them must do without, and must not trust their form. Where `keepMs` is given the topic may be
   * dropped once nobody has noted anything in it for so long. */
  note(topic: string, facts: Readonly<Record<string, string | null>>, keepMs?: number): Promise<void>
  noted(topic: string): Promise<ReadonlyMap<string, string>>
  /** Keeps one small fact for `keepMs`, in place of an older one, without a promise: it may be forgotten at any time. */
  remember(name: string, fact: string, keepMs: number): Promise<void>
  remembered(name: string): Promise<string | null>
}

/** A change whose entry would be too large; nothing was changed, and no retry helps. */
export class CommitTooLarge extends Error {
  override readonly name = 'CommitTooLarge'
  constructor(bytes: number) {
    super(`The change would make a journal entry of ${bytes} bytes; one has ${COMMIT_BYTES_MAX} at most`)
  }
}

/** The store cannot be reached or cannot write now; nothing was changed. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable'
  /** Why the store refuses, in its own words, for operators; null where it was not reached, or has not said why. */
  readonly reason: string | null
  constructor(message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options)
    this.reason = options.reason ?? null
  }
}

/** The change was sent, and no answer came, or one that it ended halfway: it may be committed, now or in a moment, or never. */
export class StoreOutcomeUnknown extends Error {
  override readonly name = 'StoreOutcomeUnknown'
}

/** What the store holds is not what was written to it; it must not be served. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
  /** Where a damaged store stands that `startEpoch` can write a state over; null where it cannot. */
  readonly found: StorePosition | null

  constructor(message: string, options: ErrorOptions & { readonly found?: StorePosition } = {}) {
    super(message, options)
    this.found = options.found ?? null
  }
}

/** The store is open elsewhere, was written by a newer Bellwether, or its folder cannot be used at all. */
export class StoreNotOpened extends Error {
  override readonly name = 'StoreNotOpened'
}

/** The store is another one, or has gone back, or along another history; an operator decides which of the two is right. */
export class StoreRegressed extends Error {
  override readonly name = 'StoreRegressed'
  readonly known: StorePosition
  /** Where the store stands. */
  readonly found: StorePosition

  constructor(known: StorePosition, found: StorePosition) {
    const at = ({ seq, epoch }: StorePosition): string => `seq ${seq} of epoch ${epoch}`
    const where = found.epoch === '' ? 'holds nothing' : `is at ${at(found)}`
    super(`store regressed: it ${where}, and does not have ${at(known)}, which this replica knows`)
    this.known = known
    this.found = found
  }
}

/** The journal is not kept that far back; whoever follows must load the whole state again. */
export class JournalTrimmed extends Error {
  override readonly name = 'JournalTrimmed'
}

/** A newer Bellwether has written to the store in a form that this one does not read; it must not write there either. */
export class NewerFormat extends Error {
  override readonly name = 'NewerFormat'
}
