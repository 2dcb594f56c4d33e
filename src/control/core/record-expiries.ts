// Commits what time has changed: pins and critical flags that have ended take effect by themselves in every replica
// (channels/target.ts); here each is journaled once, by whichever replica is first.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { channelKey } from '../../channels/channel.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import { timesOf } from '../../serve/trusted-clock.ts'
import type { Control, Request } from '../control.ts'
import { commitTransaction } from './commit.ts'
import { expiryOf, SYSTEM_ACTOR, type Expiry } from './expiries.ts'
import { Transaction } from './transaction.ts'

/** Expiries that fall due together are committed together: a commit holds the event loop, so not too many at once. */
const EXPIRIES_PER_COMMIT_MAX = 100

/** What the server asks for by itself: never a retry. */
export const SYSTEM_REQUEST: Request = {
  actor: SYSTEM_ACTOR,
  reason: null,
  requestId: null,
  mayBeRetry: false,
  onCommitted: () => {},
}

/** Commits what has expired by now, with turns of the event loop between the commits for the polls. */
export async function recordExpiries(control: Control): Promise<void> {
  const { state, fault } = control.replica
  // A store that is not followed may be another one, or behind: nothing may be decided on it, and nothing written to it.
  if (state === null || fault !== null) return
  // What has ended cannot be undone. Another replica, with a clock that is confirmed, records it.
  if (control.clock.doubt !== null) return
  const names = state.lapsed(control.clock.expiryTime())
  for (let start = 0; start < names.length; start += EXPIRIES_PER_COMMIT_MAX) {
    if (start > 0) await nextTurn()
    const batch = names.slice(start, start + EXPIRIES_PER_COMMIT_MAX)
    await recordTogether(control, state, batch, 'ended')
    await recordTogether(control, state, batch, 'held')
  }
}

/**
 * One attempt, judged in the turn that commits it: all pins of a large fleet can end at one moment. A conflict means that another
 * replica was first, or that somebody has changed a channel; the next look sees.
 */
async function recordTogether(
  control: Control,
  state: ReplicaState,
  names: readonly string[],
  what: 'ended' | 'held',
): Promise<void> {
  const { replica, clock } = control
  if (replica.state !== state || replica.fault !== null || clock.doubt !== null) return
  const tx = new Transaction(state, timesOf(clock))
  const recorded: Expiry[] = []
  for (const name of names) {
    const document = tx.get(channelKey(name))
    const expiry = document === undefined ? null : expiryOf(document, tx.isBlocked, tx.expiryTime)
    if (expiry === null || (expiry.held === null) !== (what === 'ended')) continue
    tx.put(expiry.key, expiry.body)
    recorded.push(expiry)
  }
  if (recorded.length === 0) return
  await commitTransaction(control, SYSTEM_REQUEST, what === 'held' ? namedHold(recorded) : ENDED, tx)
}

const ENDED = { kind: 'channel.expire', reason: 'its time was over' }

function namedHold(recorded: readonly Expiry[]): { readonly kind: string; readonly reason: string } {
  const why = recorded.length === 1 ? recorded[0]?.held?.detail : 'each pin says why in `held`'
  return { kind: 'channel.hold', reason: `the pin's time was over, but it stays: ${why}` }
}
