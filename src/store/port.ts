// The store port: documents with revisions, and the gap-free journal of every change to them.
// The store knows no channel; what a document's body means is the business of the layers above.

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

/** At most this many entries are looked at for one page, so that a filter matching nothing cannot hold the process. */
export const JOURNAL_SCAN_MAX = 10_000

/** One stored thing. `revision` is its own change counter, 1, 2, 3 …; it never goes back, not even over a deletion. */
export interface Document {
  readonly key: string
  readonly revision: number
  readonly format: number
  readonly body: JsonObject
}

/** One document's part in a journal entry; `before` is null where it was created, `after` where it was deleted. */
export interface DocumentChange {
  readonly key: string
  readonly before: Document | null
  readonly after: Document | null
}

/** One commit: who, when, what, why, and the documents before and after. */
export interface JournalEntry {
  readonly seq: number
  readonly format: number
  /** RFC 3339 UTC, from the clock of the replica that made the change. */
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly subjects: readonly string[]
  readonly reason: string | null
  readonly requestId: string | null
  readonly changes: readonly DocumentChange[]
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

/** What a commit does: all of it or nothing. */
export interface Change {
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly reason: string | null
  readonly requestId: string | null
  readonly writes: readonly Write[]
  readonly reads: readonly Expectation[]
}

export interface Committed {
  readonly outcome: 'committed'
  readonly entry: JournalEntry
}

/** Somebody else changed a document first; nothing was written. */
export interface Conflict {
  readonly outcome: 'conflict'
  readonly key: string
  readonly expected: number
  readonly actual: number
}

/** One consistent state: every living document, as of the journal entry `seq`. */
export interface StoreState {
  readonly documents: readonly Document[]
  readonly seq: number
  /** Made once, when the store was first filled; another epoch is another store. */
  readonly epoch: string
}

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
export interface JournalPage {
  readonly entries: readonly JournalEntry[]
  readonly next: number | null
}

/**
 * Documents and their journal. Every method rejects with StoreUnavailable where the store cannot do its work now,
 * and with StoreDamaged where what it holds cannot be trusted.
 */
export interface Store {
  /** One consistent state to start from. */
  load(): Promise<StoreState>
  /** All or nothing; resolves once the change is durable. Rejects with a RangeError what can only be a mistake. */
  commit(change: Change): Promise<Committed | Conflict>
  /** Gives every entry after `afterSeq` in order, without gap or repeat, until `signal` aborts; then it resolves.
   * It also resolves when the store is closed, and rejects with what `on` throws. An `afterSeq` that the journal has
   * not reached is waited for. */
  follow(afterSeq: number, on: (entry: JournalEntry) => void, signal: AbortSignal): Promise<void>
  journal(query: JournalQuery): Promise<JournalPage>
  /** Ends every follower and frees what the store holds; may be called again. */
  close(): Promise<void>
}

/** The store cannot be reached or cannot write now; nothing was changed. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

/** What the store holds is not what was written to it; it must not be served. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
}

/** The store is open elsewhere, was written by a newer Bellwether, or its folder cannot be used at all. */
export class StoreNotOpened extends Error {
  override readonly name = 'StoreNotOpened'
}

/** The store is another one, or behind, what this replica has served; an operator decides which of the two is right. */
export class StoreRegressed extends Error {
  override readonly name = 'StoreRegressed'
}
