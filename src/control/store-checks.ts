// Looks at the store's settings at the start and every minute: whether it could lose what it was given.
import type { Clock } from '../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { Replica, ReplicaLog } from '../serve/replica.ts'
import type { StoreWarning } from '../store/port.ts'

const CHECK_INTERVAL_MS = 60_000

/** Warnings name this many documents at most; the metric counts all. */
const NAMED_MAX = 20

/** A warning for each document that this replica cannot act on, and what mends it. */
export function documentWarnings({ state }: Pick<Replica, 'state'>): readonly StoreWarning[] {
  const unreadable = [...(state?.unreadable.values() ?? [])].slice(0, NAMED_MAX)
  return unreadable.map(({ key, unreadable: why = '' }) => ({
    code: 'unreadable_document',
    message: `the document ${key} cannot be read: ${why}. Mend it with POST /admin/v1/store/repair`,
  }))
}

export interface StoreChecks {
  /** As of the last look that succeeded. */
  readonly warnings: () => readonly StoreWarning[]
  /** Looks once; rejects where the store cannot be asked. */
  look(): Promise<readonly StoreWarning[]>
  /** Looks every minute from now on; the answer stops it. */
  start(): StopTask
}

/** `ask` gives what is wrong now. Each warning is logged when it comes and when it goes. */
export function storeChecks(ask: () => Promise<readonly StoreWarning[]>, clock: Clock, log: ReplicaLog): StoreChecks {
  let current: readonly StoreWarning[] = []
  const look = async (): Promise<readonly StoreWarning[]> => {
    const found = await ask()
    for (const { code, message } of found) {
      if (!current.some((known) => known.code === code)) log.warn({ code }, message)
    }
    for (const { code } of current) {
      if (!found.some((still) => still.code === code)) log.info({ code }, 'the store has been put right')
    }
    current = found
    return found
  }
  return {
    warnings: () => current,
    look,
    start: () =>
      startPeriodicTask({
        clock,
        intervalMs: CHECK_INTERVAL_MS,
        async run() {
          await look()
        },
        // A store that is down is said to be so by the replica; it is asked again in a minute.
        failed: () => {},
      }),
  }
}
