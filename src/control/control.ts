// What every use case works with, and the one way a change is committed: durable first, then served, then answered.
import {
  StoreUnavailable,
  type Change,
  type Conflict,
  type Document,
  type JournalEntry,
  type Store,
} from '../store/port.ts'
import type { Clock } from '../serve/clock.ts'
import type { Replica } from '../serve/replica.ts'
import type { ReplicaState } from '../serve/replica-state.ts'

export interface Control {
  readonly store: Store
  readonly replica: Replica
  readonly clock: Clock
  /** Called once for every commit and every refusal of a guard; metrics listen here. */
  readonly count: (event: 'commit' | 'conflict' | 'refusal', kind: string) => void
}

/** Who asks for a change, and under which request. */
export interface Request {
  readonly actor: string
  readonly reason: string | null
  readonly requestId: string | null
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
  const { state, problem } = control.replica
  if (state === null || problem !== null) throw new StoreUnavailable(problem ?? 'nothing is loaded yet')
  return state
}

/** What is known, current or not: good enough to show, not to decide on. */
export function knownState(control: Control): ReplicaState {
  const { state, problem } = control.replica
  if (state === null) throw new StoreUnavailable(problem ?? 'nothing is loaded yet')
  return state
}

/** Commits a change and waits until this replica serves it, so that whoever is answered reads their own write. */
export async function commitAndServe(
  control: Control,
  request: Request,
  change: Pick<Change, 'at' | 'kind' | 'writes' | 'reads'>,
): Promise<Served | NotServedYet | Conflict | Contended> {
  const { store, replica, count } = control
  const { actor, reason, requestId } = request
  const committed = await store.commit({ ...change, actor, reason, requestId })
  if (committed.outcome === 'conflict') {
    count('conflict', change.kind)
    // The next try must be decided on the document as it is now, so this replica has to see it first.
    const seen = await replica.until((state) => (state.document(committed.key)?.revision ?? 0) !== committed.expected)
    return seen ? committed : { outcome: 'contended' }
  }
  count('commit', change.kind)
  const { entry } = committed
  const served = await replica.until((state) => state.seq >= entry.seq)
  return served ? { outcome: 'served', entry } : { outcome: 'not-served-yet', seq: entry.seq }
}
