// A transaction: what one command reads of the replica's state, recorded, and the documents that it puts. No I/O.
// The commit expects every document that was read to be unchanged, so no command lists its expectations by hand.
import { blockedVersionKey, isBlockedVersionKey, type IsBlocked } from '../../channels/blocked-version.ts'
import { momentOf, type Times } from '../../channels/time.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import {
  COMMIT_WRITES_MAX,
  FORMAT,
  type Document,
  type DocumentChange,
  type Expectation,
  type JsonObject,
  type Write,
} from '../../store/port.ts'
import type { Preview } from '../control.ts'
import { expiriesAt, expiryOf } from './expiries.ts'
import { UnreadableDocument } from './unreadable-document.ts'
import { readView, views, type View } from './views.ts'

/** Reads documents. Queries take a Reader, so that one function serves views (not recorded) and decisions (recorded). */
export interface Reader {
  /** The document at `key` where this build can read it; that there is none is a read, too. */
  get(key: string): Document | undefined
  /** The same, also where it cannot be read. */
  stored(key: string): Document | undefined
  /** The document at `key`; throws UnreadableDocument where what is there cannot be read. */
  readable(key: string): Document | undefined
  /** Documents of a kind that match. A transaction records those that it returns, not those that it skips. */
  find(kind: string, matches: (document: Document) => boolean): readonly Document[]
  /** A value computed from many documents; a transaction records its index document instead of the many. */
  view<T>(view: View<T>): T
  /** Whether a version is on the block list. */
  readonly isBlocked: IsBlocked
  /** The same state, nothing recorded: for answers, and for advice that no commit may depend on. Each use says why. */
  readonly untracked: ReplicaState
}

/** What is committed, or would be: the part of a journal entry that replies are made from. */
export type Applied = Preview

/** Reads a state without recording anything. */
export function readerOf(state: ReplicaState): Reader {
  return {
    get: (key) => state.document(key),
    stored: (key) => state.stored(key),
    readable: (key) => readableOf(state.stored(key)),
    find: (kind, matches) => [...state.documentsOf(kind)].filter(matches),
    view: (view) => readView(state, view),
    isBlocked: state.isBlocked,
    untracked: state,
  }
}

/** Reads a state as it would be with the changes of a dry run; views and histories are those of the state. */
export function previewOf(state: ReplicaState, { changes }: Preview): Reader {
  const after = new Map(changes.map((change) => [change.key, change.after ?? undefined]))
  const stored = (key: string): Document | undefined => (after.has(key) ? after.get(key) : state.stored(key))
  return {
    ...readerOf(state),
    stored,
    get: (key) => (after.has(key) ? after.get(key) : state.document(key)),
    readable: (key) => readableOf(stored(key)),
    find(kind, matches) {
      const others = [...state.documentsOf(kind)].filter(({ key }) => !after.has(key))
      const changed = [...after.values()].flatMap((document) => document ?? [])
      return [...others, ...changed.filter(({ key }) => key.startsWith(`${kind}/`))].filter(matches)
    },
    isBlocked: (version) => stored(blockedVersionKey(version)) !== undefined,
  }
}

function readableOf(document: Document | undefined): Document | undefined {
  if (document?.unreadable !== undefined) throw new UnreadableDocument(document.key, document.unreadable)
  return document
}

/** The document that an entry has left at `key`, which it has written. */
export function documentAfter({ changes }: Applied, key: string): Document {
  const after = changes.find((change) => change.key === key)?.after ?? null
  if (after === null) throw new Error(`the entry has left no document at ${key}`)
  return after
}

export class Transaction implements Reader {
  readonly #state: ReplicaState
  /** The revision of each document that was read, 0 where there was none. */
  readonly #reads = new Map<string, number>()
  readonly #puts = new Map<string, JsonObject | null>()
  /** The times that the command decides by; fixed while it does. */
  times: Times

  constructor(state: ReplicaState, times: Times) {
    this.#state = state
    this.times = times
  }

  /** Milliseconds since the epoch. */
  get now(): number {
    return this.times.now
  }

  /** The time up to which pins and critical flags have ended. */
  get expiryTime(): number {
    return this.times.expiryTime
  }

  get untracked(): ReplicaState {
    return this.#state
  }

  get(key: string): Document | undefined {
    this.#record(key)
    return this.#state.document(key)
  }

  stored(key: string): Document | undefined {
    this.#record(key)
    return this.#state.stored(key)
  }

  readable(key: string): Document | undefined {
    return readableOf(this.stored(key))
  }

  find(kind: string, matches: (document: Document) => boolean): readonly Document[] {
    const found = [...this.#state.documentsOf(kind)].filter(matches)
    for (const { key } of found) this.#record(key)
    return found
  }

  view<T>(view: View<T>): T {
    this.#record(view.indexKey)
    return readView(this.#state, view)
  }

  readonly isBlocked: IsBlocked = (version) => this.stored(blockedVersionKey(version)) !== undefined

  /**
   * Puts a document, null deletes it. The first one is the entry's main subject. Reads see the state before the transaction.
   * Throws UnreadableDocument where what is there cannot be read: nobody knows what would be lost.
   */
  put(key: string, body: JsonObject | null): void {
    this.readable(key)
    this.#puts.set(key, body)
  }

  /** The same over whatever is there. */
  overwrite(key: string, body: JsonObject | null): void {
    this.#puts.set(key, body)
  }

  /** Whether nothing was put. */
  get isEmpty(): boolean {
    return this.#puts.size === 0
  }

  /** Whether nothing but the document at `key` was put. */
  isOnly(key: string): boolean {
    return this.#puts.size === 1 && this.#puts.has(key)
  }

  hasPut(key: string): boolean {
    return this.#puts.has(key)
  }

  /** Whether everything that was read so far is as it was read, and the replica has no other state than when it began. */
  isCurrent(began: ReplicaState, current: ReplicaState): boolean {
    if (current !== began) return false
    for (const [key, revision] of this.#reads) if (this.#state.revisionOf(key) !== revision) return false
    return true
  }

  /**
   * Adds what goes with the documents that were put: with a block-list entry the expiries that are due on channels at its version
   * (channels/lapse.ts says why), with what a view is made of its index document. False where one commit cannot take all of it.
   */
  complete(): boolean {
    const blocked = new Set([...this.#puts.keys()].filter(isBlockedVersionKey))
    if (blocked.size > 0) this.#putExpiries((version) => blocked.has(blockedVersionKey(version)))
    for (const view of views) this.#putIndex(view)
    return this.#puts.size <= COMMIT_WRITES_MAX
  }

  get writes(): readonly Write[] {
    return [...this.#puts].map(([key, body]) => ({ key, expected: this.#state.revisionOf(key), body }))
  }

  /** A document that is written is expected by its write, so it is not read besides. */
  get reads(): readonly Expectation[] {
    const others = [...this.#reads].filter(([key]) => !this.#puts.has(key))
    return others.map(([key, expected]) => ({ key, expected }))
  }

  /** The entry that a commit would make: each document at its next revision. */
  get preview(): Applied {
    const changes = [...this.#puts].map(([key, body]): DocumentChange => {
      const before = this.#state.stored(key) ?? null
      return { key, before, after: body === null ? null : this.#after(key, body) }
    })
    return { subjects: changes.map(({ key }) => key), changes }
  }

  #record(key: string): void {
    if (!this.#reads.has(key)) this.#reads.set(key, this.#state.revisionOf(key))
  }

  #after(key: string, body: JsonObject): Document {
    return { key, revision: this.#state.revisionOf(key) + 1, format: FORMAT, body }
  }

  #putExpiries(isMeant: (version: string) => boolean): void {
    for (const { key } of expiriesAt(this.#state, isMeant, this.expiryTime)) {
      const document = this.hasPut(key) ? undefined : this.get(key)
      const expiry = document === undefined ? null : expiryOf(document, this.isBlocked, this.expiryTime)
      if (expiry !== null) this.put(key, expiry.body)
    }
  }

  #putIndex(view: View<unknown>): void {
    if (this.hasPut(view.indexKey)) return
    const changed = [...this.#puts].filter(([key, body]) =>
      view.isChangedBy(key, this.#state.document(key) ?? null, body === null ? null : this.#after(key, body)),
    )
    if (changed.length === 0) return
    // Only its revision counts; the body says to people what has changed it.
    this.put(view.indexKey, { changedBy: changed.map(([key]) => key), at: momentOf(this.now) })
  }
}
