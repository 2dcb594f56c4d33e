// Commits what time has changed: pins and critical flags that have ended take effect by themselves in every replica
// (channels/target.ts); here each is journaled once, by whichever replica is first.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Control, Request } from '../control.ts'
import { commitTransaction } from './commit.ts'
import { expiriesIn, expiryOf, SYSTEM_ACTOR, type Expiry } from './expiries.ts'
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
  const due = expiriesIn(state, control.clock.expiryTime())
  const ended = due.filter(({ held }) => held === null)
  const held = due.filter(({ held: holds }) => holds !== null)
  for (const batch of [ended, held]) {
    for (let start = 0; start < batch.length; start += EXPIRIES_PER_COMMIT_MAX) {
      await recordTogether(control, batch.slice(start, start + EXPIRIES_PER_COMMIT_MAX))
      await nextTurn()
    }
  }
}

/** One attempt: a conflict means that another replica was first, or that somebody has changed a channel; the next look sees. */
async function recordTogether(control: Control, batch: readonly Expiry[]): Promise<void> {
  const { state, fault } = control.replica
  if (state === null || fault !== null || control.clock.doubt !== null) return
  const tx = new Transaction(state, control.clock.expiryTime())
  const isHold = batch[0]?.held !== null
  const recorded: Expiry[] = []
  for (const { key } of batch) {
    const document = tx.get(key)
    // The block list is read for every version of the channel, whatever the rule looks at.
    const expiry = document === undefined ? null : expiryOf(document, tx.isBlocked, tx.now)
    if (expiry === null || (expiry.held !== null) !== isHold) continue
    tx.put(key, expiry.body)
    recorded.push(expiry)
  }
  if (recorded.length === 0) return
  await commitTransaction(control, SYSTEM_REQUEST, isHold ? namedHold(recorded) : ENDED, tx)
}

const ENDED = { kind: 'channel.expire', reason: 'its time was over' }

function namedHold(recorded: readonly Expiry[]): { readonly kind: string; readonly reason: string } {
  const why = recorded.length === 1 ? recorded[0]?.held?.detail : 'each pin says why in `held`'
  return { kind: 'channel.hold', reason: `the pin's time was over, but it stays: ${why}` }
}
