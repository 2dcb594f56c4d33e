// Looks every second whether something has expired on a channel, and records it; logs each pin that is held past its time.
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { StoreUnavailable } from '../store/port.ts'
import type { Control } from './control.ts'
import { recordExpiries } from './core/record-expiries.ts'

/** How often it is looked whether something has expired. The target does not wait for it. */
const EXPIRY_CHECK_MS = 1_000

/** Held pins that are named in one line of the log. */
const NAMED_MAX = 20

/** Says of each pin once, in each process, that it is held past its time. */
function logHeld({ replica }: Control, known: Set<string>, log: ReplicaLog): void {
  const held = replica.state?.held ?? new Map<string, string>()
  for (const name of known) if (!held.has(name)) known.delete(name)
  const news = [...held].filter(([name]) => !known.has(name))
  if (news.length === 0) return
  for (const [name] of news) known.add(name)
  const channels = Object.fromEntries(news.slice(0, NAMED_MAX))
  log.warn(
    { channels, count: news.length },
    'pins are held past their time, by these guards; an operator must end them',
  )
}

/** Starts recording expiries; the function that it returns stops it, once the commit under way has ended. */
export function startExpiryTask(control: Control, log: ReplicaLog): StopTask {
  const known = new Set<string>()
  return startPeriodicTask({
    clock: control.clock,
    intervalMs: EXPIRY_CHECK_MS,
    async run() {
      await recordExpiries(control)
      logHeld(control, known, log)
    },
    failed(error) {
      // While the store is down, what has expired stays so in every replica, and the next check tries again.
      if (!(error instanceof StoreUnavailable)) log.warn({ err: error }, 'expiries could not be recorded')
    },
  })
}
