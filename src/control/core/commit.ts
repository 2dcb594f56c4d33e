// How a transaction becomes durable: committed against exactly what it has read, then served here, then answered.
import { momentOf } from '../../channels/time.ts'
import type { Conflict, JournalEntry } from '../../store/port.ts'
import {
  currentState,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
} from '../control.ts'
import type { Transaction } from './transaction.ts'

/** What the journal says of a change beside its documents. */
export interface Named {
  readonly kind: string
  readonly reason: string | null
  /** Whether it must never be refused for its size. */
  readonly isUrgent?: boolean
}

export type CommitOutcome =
  /** Durable, and served by this replica. */
  | { readonly outcome: 'served'; readonly entry: JournalEntry; readonly repeated: boolean }
  | NotServedYet
  | Conflict
  | Contended
  | KeyReused

/** Commits what a transaction has put, and waits until this replica serves it, so that the caller reads their own write. */
export async function commitTransaction(
  control: Control,
  request: Request,
  { kind, reason, isUrgent = false }: Named,
  tx: Transaction,
): Promise<CommitOutcome> {
  const { store, replica, count } = control
  const { actor } = request
  const committed = await store.commit({
    ...{ at: momentOf(tx.now), actor, kind, reason, isUrgent },
    ...idOf(request),
    decidedOn: currentState(control).position,
    ...{ writes: tx.writes, reads: tx.reads },
  })
  if (committed.outcome === 'conflict') {
    count('conflict', kind)
    // The next attempt must be decided on the document as it is now, so this replica has to see it first. Where no entry up to then
    // is about it, another program has changed it, and the store tells that apart once this replica is as far as it is.
    const { key, expected, seq } = committed
    const seen = await replica.until((state) => state.revisionOf(key) !== expected || state.seq >= seq)
    return seen ? committed : { outcome: 'contended' }
  }
  const { entry, repeated, foreign } = committed
  if (repeated && !isSameRequest(request, entry)) return { outcome: 'key-reused' }
  // First: from here on nothing that fails may be answered as if the change were not made.
  request.onCommitted(entry, repeated)
  if (!repeated) count('commit', kind)
  const rewritten = new Set(tx.writes.map((write) => write.key))
  if (foreign.length > 0) replica.foundForeign(foreign, rewritten)
  const served = await replica.until((state) => state.seq >= entry.seq)
  return served ? { outcome: 'served', entry, repeated } : { outcome: 'not-served-yet', seq: entry.seq }
}

/** The entry that an earlier try of this request has made; null where there is none, or the caller did not choose the id. */
export async function earlierEntry(control: Control, request: Request): Promise<JournalEntry | KeyReused | null> {
  const { requestId } = idOf(request)
  if (requestId === null || !request.mayBeRetry) return null
  const entry = await control.store.committed(requestId)
  return entry === null || isSameRequest(request, entry) ? entry : { outcome: 'key-reused' }
}

/** The id under which a change is committed at most once: two callers may choose the same key. */
export function idOf({ actor, requestId, requestHash }: Request): { requestId: string | null; requestHash?: string } {
  if (requestId === null) return { requestId: null }
  return { requestId: `${actor} ${requestId}`, ...(requestHash === undefined ? {} : { requestHash }) }
}

/** The id as the caller has chosen it. */
export function callersId({ actor, requestId }: Pick<JournalEntry, 'actor' | 'requestId'>): string | null {
  const prefix = `${actor} `
  return requestId?.startsWith(prefix) === true ? requestId.slice(prefix.length) : requestId
}

function isSameRequest({ requestHash }: Request, entry: JournalEntry): boolean {
  // An entry without one was made by a request that has none.
  return entry.requestHash === undefined || entry.requestHash === requestHash
}
