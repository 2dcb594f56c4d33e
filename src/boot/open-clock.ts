// The clock that the store asks for, watched: whether it is confirmed is in the log when that changes.
import type { MachineClock } from '../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { LocalClock, SharedClock, type TrustedClock } from '../serve/trusted-clock.ts'
import type { Store } from '../store/port.ts'

/** How often the store is asked for its time, and the clocks are held against each other for the log. */
const CLOCK_LOOK_MS = 5_000
/** The same while the time is not confirmed. */
const CLOCK_RETRY_MS = 500
/** Channels that are named in one line of the log. */
const ENDED_NAMES_MAX = 100
/** Entries that are looked at for one that can be read, and so says when it was made. */
const NEWEST_MAX = 20

export interface OpenClock {
  readonly clock: TrustedClock
  /** Looks at the clocks from now on; the answer stops it. */
  start(): StopTask
}

/** Opens the clock for a store; one that cannot be reached leaves the time unconfirmed. */
export async function openClock(store: Store, machine: MachineClock, log: ReplicaLog): Promise<OpenClock> {
  if (store.time === undefined) {
    const clock = new LocalClock(machine, await newestEntryAt(store))
    return { clock, start: () => watch(clock, () => Promise.resolve(), log) }
  }
  const clock = new SharedClock(machine, () => store.time?.() ?? Promise.reject(new Error('the store has no time')))
  // A store that is down is said to be so by the replica.
  await clock.look().catch(() => {})
  return { clock, start: () => watch(clock, () => clock.look(), log) }
}

/** A start far ahead cannot be told from a long stop, so the log says what has ended with it. */
export function logEnded(state: ReplicaState | null, clock: TrustedClock, log: ReplicaLog): void {
  const names = state?.lapsed(clock.expiryTime()) ?? []
  if (names.length === 0) return
  const fields = {
    channels: names.slice(0, ENDED_NAMES_MAX),
    count: names.length,
    now: new Date(clock.now()).toISOString(),
  }
  log.warn(fields, 'pins or critical flags ended while no server was running; if the clock is wrong, set them again')
}

async function newestEntryAt(store: Store): Promise<number | null> {
  try {
    for (const limit of [1, NEWEST_MAX]) {
      const newest = (await store.journal({ limit })).entries.find(({ unreadable }) => unreadable === undefined)
      if (newest !== undefined) return Date.parse(newest.at)
    }
    return null
  } catch {
    // A damaged store is served from the last-known-good file, and the log says so.
    return null
  }
}

function watch(clock: TrustedClock, look: () => Promise<void>, log: ReplicaLog): StopTask {
  let wasDoubted = false
  return startPeriodicTask({
    clock,
    intervalMs: () => (clock.doubt === null ? CLOCK_LOOK_MS : CLOCK_RETRY_MS),
    firstMs: 0,
    async run(signal) {
      // A store that is down is said to be so by the replica; the clock itself knows how long it was not confirmed.
      await look().catch(() => {})
      if (signal.aborted) return
      const { doubt } = clock
      if (doubt !== null && !wasDoubted) log.warn({ code: doubt.code }, doubt.message)
      if (doubt === null && wasDoubted) log.info({}, 'the clock is confirmed again')
      wasDoubted = doubt !== null
    },
    failed: (error) => log.warn({ err: error }, 'the clock could not be looked at'),
  })
}
