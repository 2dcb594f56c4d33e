// Looks every second whether something has expired on a channel, and records it.
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { StoreUnavailable } from '../store/port.ts'
import type { Control } from './control.ts'
import { recordExpiries } from './core/record-expiries.ts'

/** How often it is looked whether something has expired. The target does not wait for it. */
const EXPIRY_CHECK_MS = 1_000

/** Starts recording expiries; the function that it returns stops it, once the commit under way has ended. */
export function startExpiryTask(control: Control, log: ReplicaLog): StopTask {
  return startPeriodicTask({
    clock: control.clock,
    intervalMs: EXPIRY_CHECK_MS,
    run: () => recordExpiries(control),
    failed(error) {
      // While the store is down, what has expired stays so in every replica, and the next check tries again.
      if (!(error instanceof StoreUnavailable)) log.warn({ err: error }, 'expiries could not be recorded')
    },
  })
}
