// The one way to write: a command decides on what this replica knows, is committed against exactly what it has read, and decides
// again where somebody else was faster. A retry of a request that was carried out is answered from its entry.
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
import { commitTransaction, earlierEntry } from './commit.ts'
import { recordExpiries } from './record-expiries.ts'
import { Transaction, type Applied } from './transaction.ts'

/**
 * How often a change is decided again after somebody else changed the same document first. Each attempt lost means that
 * another writer got on, so this many writers on one document all finish; the limit only keeps a fault from looping.
 */
const ATTEMPTS_MAX = 200

export type Decision<R, X> =
  /** Commit what was put. `extra` is what the reply needs and the entry does not have. */
  | { readonly outcome: 'commit'; readonly extra: X; readonly kind?: string; readonly reason?: string }
  /** Write nothing: a refusal, or nothing to change. */
  | { readonly outcome: 'reply'; readonly reply: R }

export interface Command<R, X = null, P = null> {
  /** The journal's name for the change. */
  readonly kind: string
  readonly dryRun: boolean
  /** Whether expired pins and critical flags are recorded first, so that the decision sees channels without them. */
  readonly recordExpiries?: boolean
  /** How often it is decided at most; ATTEMPTS_MAX unless given. */
  readonly attempts?: number
  /** Slow reads, each attempt. Documents read here are recorded; if one changes before `run`, it is prepared again. */
  readonly prepare?: (tx: Transaction) => Promise<P>
  /** Decides. Awaits nothing, so that nothing can change between its reads and the commit's expectations; may run many times. */
  readonly run: (tx: Transaction, prepared: P) => Decision<R, X>
  /** The answer, from the entry (or what it would be) and the state that it is in; `extra` is null for a retry. */
  readonly reply: (applied: Applied, extra: X | null, state: ReplicaState) => R
}

export type Unfinished = NotServedYet | Contended | KeyReused

/** Commits what was put. */
export function commitWith<X>(
  extra: X,
  named: { readonly kind?: string; readonly reason?: string } = {},
): Extract<Decision<never, X>, { outcome: 'commit' }> {
  return { outcome: 'commit', extra, ...named }
}

/** Writes nothing. */
export function replyWith<R>(reply: R): Extract<Decision<R, never>, { outcome: 'reply' }> {
  return { outcome: 'reply', reply }
}

/** Carries a command out, once. Throws StoreUnavailable while this replica does not follow its store. */
export async function executeCommand<R, X, P>(
  control: Control,
  request: Request,
  command: Command<R, X, P>,
): Promise<R | Unfinished> {
  const { dryRun, run, reply, attempts = ATTEMPTS_MAX } = command
  const earlier = dryRun ? null : await earlierEntry(control, request)
  if (earlier !== null) {
    if ('outcome' in earlier) return earlier
    request.onCommitted(earlier, true)
    // Whoever is told that it is made must find it here, after a retry too.
    const served = await control.replica.until((state) => state.seq >= earlier.seq)
    return served ? reply(earlier, null, knownState(control)) : { outcome: 'not-served-yet', seq: earlier.seq }
  }
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (command.recordExpiries === true && !dryRun) await recordExpiries(control)
    const tx = new Transaction(currentState(control), control.clock.now())
    // Without `prepare` there is nothing that P could be but null.
    const prepared = command.prepare === undefined ? (null as P) : await command.prepare(tx)
    const state = currentState(control)
    if (!tx.isCurrent(state)) continue
    tx.now = control.clock.now()
    const decision = run(tx, prepared)
    if (decision.outcome === 'reply') return decision.reply
    const isWhole = tx.complete()
    if (dryRun) return reply(tx.preview, decision.extra, state)
    if (!isWhole) continue
    const { kind = command.kind, reason = request.reason } = decision
    const committed = await commitTransaction(control, request, { kind, reason }, tx)
    if (committed.outcome === 'conflict') continue
    if (committed.outcome !== 'served') return committed
    return reply(committed.entry, committed.repeated ? null : decision.extra, knownState(control))
  }
  return { outcome: 'contended' }
}
