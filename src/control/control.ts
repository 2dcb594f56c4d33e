// What every use case works with, and the one way a change is committed: durable first, then served, then answered.
import {
  StoreUnavailable,
  type Change,
  type Conflict,
  type Coordination,
  type Document,
  type JournalEntry,
  type Store,
  type StoreWarning,
} from '../store/port.ts'
import type { Clock } from '../serve/clock.ts'
import type { TrustedClock } from '../serve/trusted-clock.ts'
import type { PackageCheck } from './package-client.ts'
import type { Upstreams } from './upstreams.ts'
import type { Replica } from '../serve/replica.ts'
import type { ReplicaState } from '../serve/replica-state.ts'

export interface Control {
  readonly store: Store
  readonly coordination: Coordination
  readonly replica: Replica
  /** What this process is called among the replicas. */
  readonly replicaId: string
  readonly clock: TrustedClock
  readonly upstreams: Upstreams
  readonly outside: Outside
  /** What is wrong with the store although it works, as it was last looked at. */
  readonly warnings: () => readonly StoreWarning[]
  /** Called once for every commit and every refusal of a guard; metrics listen here. */
  readonly count: (event: 'commit' | 'conflict' | 'refusal', kind: string) => void
}

/** What is asked of other servers beside upstreams. */
export interface Outside {
  /** Says of each package whether it can be downloaded. */
  readonly checkPackages: (urls: readonly string[]) => Promise<readonly PackageCheck[]>
  /** Why a gate's URL may not be asked, as the rest of a sentence about it; null where it may. */
  readonly gateRefusal: (url: string) => string | null
}

/** Who asks for a change, and under which request. */
export interface Request {
  readonly actor: string
  readonly reason: string | null
  /** The change is committed at most once under this id. */
  readonly requestId: string | null
  /** Whether the caller chose the id, so that an earlier try may have been committed under it. */
  readonly mayBeRetry: boolean
  /** Called with the entry that the request has made, or that an earlier try of it had. */
  readonly onCommitted: (entry: JournalEntry, repeated: boolean) => void
}

export interface KeyReused {
  readonly outcome: 'key-reused'
}

/** Which document a change may be made to (If-Match): one of these revisions, any that exists, or (null) whatever is there. */
export type ExpectedRevisions = readonly number[] | 'any' | null

/** How a change is to be made: for real or not, and to which document. */
export interface Conditions {
  readonly dryRun: boolean
  readonly expectedRevisions: ExpectedRevisions
}

/** The document is not the one that the caller has read; null where there is none. */
export interface Stale {
  readonly outcome: 'stale'
  readonly current: Document | null
}

export function isExpected(expected: ExpectedRevisions, document: Document | undefined): boolean {
  if (expected === null) return true
  return document !== undefined && (expected === 'any' || expected.includes(document.revision))
}

export interface Served {
  readonly outcome: 'served'
  readonly entry: JournalEntry
  /** Whether an earlier try of the same request had made it. */
  readonly repeated: boolean
}

/** Committed and durable, but this replica has not applied it within its limit; it will. */
export interface NotServedYet {
  readonly outcome: 'not-served-yet'
  readonly seq: number
}

/** Others changed the same documents on every try, or this replica could not see in time what they have changed. */
export interface Contended {
  readonly outcome: 'contended'
}

/**
 * How often a change is decided anew after somebody else changed the same document first. Each try lost means that
 * another writer got on, so this many writers on one document all finish; the limit only keeps a fault from looping.
 */
export const CONTENTION_TRIES_MAX = 200

/** The state to decide on. Throws StoreUnavailable while this replica does not follow its store, so cannot know it. */
export function currentState(control: Control): ReplicaState {
  const { state, fault } = control.replica
  if (fault !== null) throw fault
  if (state === null) throw new StoreUnavailable('nothing is loaded yet')
  return state
}

/** What is known, current or not: good enough to show, not to decide on. */
export function knownState(control: Control): ReplicaState {
  const { state, problem } = control.replica
  if (state === null) throw new StoreUnavailable(problem ?? 'nothing is loaded yet')
  return state
}

/** The entry that an earlier try of a request has made, served here by now, or the other change that its id belongs to. */
export type EarlierTry = { readonly outcome: 'applied'; readonly entry: JournalEntry } | KeyReused | NotServedYet

/** What has become of an earlier try of this request, null where there is none; `kind` and `key` say what it asks for. */
export async function earlierTry(
  control: Control,
  request: Request,
  kind: string,
  key: string | null,
): Promise<EarlierTry | null> {
  const { requestId, mayBeRetry } = request
  if (requestId === null || !mayBeRetry) return null
  const entry = await control.store.committed(requestId)
  if (entry === null) return null
  if (!isOf(request, entry, kind, key)) return { outcome: 'key-reused' }
  request.onCommitted(entry, true)
  // Whoever is told that it is made must find it here, after a retry too.
  const served = await control.replica.until((state) => state.seq >= entry.seq)
  return served ? { outcome: 'applied', entry } : { outcome: 'not-served-yet', seq: entry.seq }
}

function isOf(request: Request, entry: JournalEntry, kind: string, key: string | null): boolean {
  return entry.actor === request.actor && entry.kind === kind && (key === null || entry.subjects.includes(key))
}

/** Commits a change and waits until this replica serves it, so that whoever is answered reads their own write. */
export async function commitAndServe(
  control: Control,
  request: Request,
  change: Pick<Change, 'at' | 'kind' | 'writes' | 'reads' | 'isUrgent'>,
): Promise<Served | NotServedYet | Conflict | Contended | KeyReused> {
  const { store, replica, count } = control
  const { actor, reason, requestId } = request
  const decidedOn = currentState(control).position
  const committed = await store.commit({ ...change, actor, reason, requestId, decidedOn })
  if (committed.outcome === 'conflict') {
    count('conflict', change.kind)
    // The next try must be decided on the document as it is now, so this replica has to see it first.
    const seen = await replica.until((state) => state.revisionOf(committed.key) !== committed.expected)
    return seen ? committed : { outcome: 'contended' }
  }
  const { entry, repeated } = committed
  // A token's key is made anew by every try.
  const key = change.kind === 'token.create' ? null : (change.writes[0]?.key ?? null)
  if (repeated && !isOf(request, entry, change.kind, key)) return { outcome: 'key-reused' }
  // First: from here on nothing that fails may be answered as if the change were not made.
  request.onCommitted(entry, repeated)
  if (!repeated) count('commit', change.kind)
  const served = await replica.until((state) => state.seq >= entry.seq)
  return served ? { outcome: 'served', entry, repeated } : { outcome: 'not-served-yet', seq: entry.seq }
}

/** Resolves after a time, or when `signal` aborts. */
export function pauseOf(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(delayMs, end)
    signal?.addEventListener('abort', end)
    if (signal?.aborted === true) end()
  })
}
