// Looks every second whether something has expired on a channel, and records it.
import type { ReplicaLog } from '../serve/replica-log.ts'
import { StoreUnavailable } from '../store/port.ts'
import type { Control } from './control.ts'
import { recordExpiries } from './core/record-expiries.ts'

/** How often it is looked whether something has expired. The target does not wait for it. */
const EXPIRY_CHECK_MS = 1_000

/** Starts recording expiries; the function that it returns stops it, once the commit under way has ended. */
export function startExpiryTask(control: Control, log: ReplicaLog): () => Promise<void> {
  let stopped = false
  let cancel = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const check = (): void => {
    if (stopped) return
    running = recordExpiries(control)
      .catch((error: unknown) => {
        // While the store is down, what has expired stays so in every replica, and the next check tries again.
        if (!(error instanceof StoreUnavailable)) log.warn({ err: error }, 'expiries could not be recorded')
      })
      .finally(() => {
        if (!stopped) cancel = control.clock.after(EXPIRY_CHECK_MS, check)
      })
  }
  cancel = control.clock.after(EXPIRY_CHECK_MS, check)
  return async () => {
    stopped = true
    cancel()
    await running
  }
}
