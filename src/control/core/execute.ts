// The one way to write: a command decides on what this replica knows, is committed against exactly what it has read, and decides
// again where somebody else was faster. A retry of a request that was carried out is answered from its entry.
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  currentState,
  knownState,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
} from '../control.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import { timesOf } from '../../serve/trusted-clock.ts'
import { StoreUnavailable, type Document } from '../../store/port.ts'
import { afterExpiries } from './after-expiries.ts'
import { commitTransaction, earlierEntry } from './commit.ts'
import { recordExpiries } from './record-expiries.ts'
import { Transaction, type Applied } from './transaction.ts'
import { earlierUnchanged, rememberUnchanged } from './unchanged.ts'

/**
 * How often a change is decided again after somebody else changed the same document first. Each attempt lost means that
 * another writer got on, so this many writers on one document all finish; the limit only keeps a fault from looping.
 */
const ATTEMPTS_MAX = 200

export type Decision<R, X> =
  /** Commit what was put. `extra` is what the reply needs and the entry does not have. */
  | {
      readonly outcome: 'commit'
      readonly extra: X
      readonly kind?: string
      readonly reason?: string
      readonly isUrgent?: boolean
    }
  /** Write nothing: a refusal. */
  | { readonly outcome: 'reply'; readonly reply: R }
  /** Write nothing, since it is so already. The same request must not change anything later either: its key is kept for a day. */
  | { readonly outcome: 'unchanged'; readonly document: Document }

export interface Command<R, X = null, P = null> {
  /** The journal's name for the change. */
  readonly kind: string
  readonly dryRun: boolean
  /**
   * Whether expired pins and critical flags are recorded first, so that the decision sees channels without them; a dry run decides on
   * the state that there would be then. Where one cannot be recorded, 'tried' goes on and 'required' fails, since the change itself could then end or keep a pin.
   */
  readonly recordExpiries?: 'tried' | 'required'
  /** How often it is decided at most; ATTEMPTS_MAX unless given. */
  readonly attempts?: number
  /** Slow reads, each attempt. Documents read here are recorded; if one changes before `run`, it is prepared again. */
  readonly prepare?: (tx: Transaction) => Promise<P>
  /** Decides. Awaits nothing, so that nothing can change between its reads and the commit's expectations; may run many times. */
  readonly run: (tx: Transaction, prepared: P) => Decision<R, X>
  /** The answer, from the entry (or what it would be) and the state that it is in; `extra` is null for a retry. */
  readonly reply: (applied: Applied, extra: X | null, state: ReplicaState) => R
  /** The answer where nothing is changed, from the document that is so already; needed by commands that find that out. */
  readonly replyUnchanged?: (document: Document, state: ReplicaState) => R
}

export type Unfinished = NotServedYet | Contended | KeyReused

/** Commits what was put. */
export function commitWith<X>(
  extra: X,
  named: Omit<Extract<Decision<never, X>, { outcome: 'commit' }>, 'outcome' | 'extra'> = {},
): Extract<Decision<never, X>, { outcome: 'commit' }> {
  return { outcome: 'commit', extra, ...named }
}

/** Writes nothing. */
export function replyWith<R>(reply: R): Extract<Decision<R, never>, { outcome: 'reply' }> {
  return { outcome: 'reply', reply }
}

/** Nothing is to be changed: the document is as it was asked for. */
export function leaveUnchanged(document: Document): Extract<Decision<never, never>, { outcome: 'unchanged' }> {
  return { outcome: 'unchanged', document }
}

/** Carries a command out, once. Throws StoreUnavailable while this replica does not follow its store. */
export async function executeCommand<R, X, P>(
  control: Control,
  request: Request,
  command: Command<R, X, P>,
): Promise<R | Unfinished> {
  const { dryRun, kind } = command
  if (dryRun) control.count('dry_run', kind)
  const earlier = dryRun ? null : await earlierOutcome(control, request, command)
  if (earlier !== null) return earlier
  const { attempts = ATTEMPTS_MAX } = command
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const outcome = await attemptCommand(control, request, command)
    if (outcome !== LOST) return outcome
    // Many writers of one document must not keep everybody else waiting.
    await nextTurn()
  }
  return { outcome: 'contended' }
}

/** What has become of an earlier try of this request; null where there is none. */
async function earlierOutcome<R, X, P>(
  control: Control,
  request: Request,
  { reply, replyUnchanged }: Command<R, X, P>,
): Promise<R | Unfinished | null> {
  const entry = await earlierEntry(control, request)
  if (entry !== null && 'outcome' in entry) return entry
  if (entry !== null) {
    request.onCommitted(entry, true)
    // Whoever is told that it is made must find it here, after a retry too.
    const served = await control.replica.until((state) => state.seq >= entry.seq)
    return served ? reply(entry, null, knownState(control)) : { outcome: 'not-served-yet', seq: entry.seq }
  }
  const unchanged = await earlierUnchanged(control, request)
  if (unchanged !== null && 'outcome' in unchanged) return unchanged
  if (unchanged === null || replyUnchanged === undefined) return null
  const document = currentState(control).document(unchanged.key)
  // Deleted since: there is nothing to show, and the request must not change anything now.
  if (document === undefined) return { outcome: 'contended' }
  request.onUnchanged?.(true)
  return replyUnchanged(document, currentState(control))
}

/** Another writer was faster: decide again. */
const LOST = Symbol('lost')

async function attemptCommand<R, X, P>(
  control: Control,
  request: Request,
  command: Command<R, X, P>,
): Promise<R | Unfinished | typeof LOST> {
  const { dryRun, run, reply } = command
  if (command.recordExpiries !== undefined && !dryRun) await recordWhatEnded(control, command.recordExpiries)
  const known = currentState(control)
  const times = timesOf(control.clock)
  const isAsRecorded = dryRun && command.recordExpiries !== undefined && control.clock.doubt === null
  const tx = new Transaction(isAsRecorded ? afterExpiries(known, times.expiryTime) : known, times)
  // Without `prepare` there is nothing that P could be but null.
  const prepared = command.prepare === undefined ? (null as P) : await command.prepare(tx)
  if (!tx.isCurrent(known, currentState(control))) return LOST
  tx.times = timesOf(control.clock)
  const decision = run(tx, prepared)
  if (decision.outcome !== 'commit') {
    // What a first try of this request has made meanwhile may be why it is refused now.
    const earlier = dryRun ? null : await earlierOutcome(control, request, command)
    if (earlier !== null) return earlier
    if (decision.outcome === 'reply') return decision.reply
    // A replica that is behind must not call an old state unchanged, and one that stays behind cannot decide.
    if (!dryRun && !(await hasCaughtUp(control))) return { outcome: 'contended' }
    if (!dryRun && !tx.isCurrent(known, currentState(control))) return LOST
    return answerUnchanged(control, request, command, { document: decision.document, state: tx.untracked })
  }
  const isWhole = tx.complete()
  if (dryRun) {
    request.onPreviewed?.(tx.preview)
    return reply(tx.preview, decision.extra, tx.untracked)
  }
  if (!isWhole) return LOST
  const { kind = command.kind, reason = request.reason, isUrgent = false } = decision
  const committed = await commitTransaction(control, request, { kind, reason, isUrgent }, tx)
  if (committed.outcome === 'conflict') return LOST
  if (committed.outcome !== 'served') return committed
  return reply(committed.entry, committed.repeated ? null : decision.extra, knownState(control))
}

/** Waits until this replica has everything that the store has now; false where it has not within its limit. */
async function hasCaughtUp({ store, replica }: Control): Promise<boolean> {
  const { epoch, seq } = await store.position()
  return replica.until((state) => state.epoch === epoch && state.seq >= seq)
}

/** A channel whose expiry cannot be recorded must not stop changes of others: the expiry task tries again, and logs the fault. */
async function recordWhatEnded(control: Control, how: 'tried' | 'required'): Promise<void> {
  try {
    await recordExpiries(control)
  } catch (error) {
    if (how === 'required' || error instanceof StoreUnavailable) throw error
  }
}

async function answerUnchanged<R, X, P>(
  control: Control,
  request: Request,
  { dryRun, kind, replyUnchanged }: Command<R, X, P>,
  { document, state }: { readonly document: Document; readonly state: ReplicaState },
): Promise<R> {
  if (replyUnchanged === undefined) throw new Error(`${kind} cannot say that nothing is changed`)
  if (!dryRun) {
    control.count('unchanged', kind)
    await rememberUnchanged(control, request, document.key)
  }
  request.onUnchanged?.(false)
  return replyUnchanged(document, state)
}
