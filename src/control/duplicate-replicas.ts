// Names that several live processes have: two machines with one BELLWETHER_REPLICA_ID, or two processes on one. Every process counts by
// itself whatever it is called, so nothing breaks; but people who read a list, a log or a header take the two for one.
import type { Clock } from '../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { StoreWarning } from '../store/warning.ts'
import { announcementKey, readAnnouncements, type Announcement } from './announcements.ts'
import type { Control } from './control.ts'

export const DUPLICATE_REPLICA_ID = 'duplicate_replica_id'

/** Longer than a process takes to announce itself again. */
const LOOK_INTERVAL_MS = 2_000
/** Names that are warned of one by one. */
const NAMED_MAX = 20

/** A warning for each name that several of these processes have. */
export function duplicateWarnings(processes: Iterable<Pick<Announcement, 'id'>>): readonly StoreWarning[] {
  return [...duplicatesIn(processes)].slice(0, NAMED_MAX).map(([id, count]) => warningOf(id, count))
}

type Identified = Pick<Control, 'coordination' | 'replicaId' | 'processToken'> & { readonly clock: Clock }

/** Looks every few seconds for names that several live processes have, and logs each once. */
export class DuplicateReplicaMonitor {
  readonly #process: Identified
  readonly #log: ReplicaLog
  /** What was announced at the last look, by key. */
  #seen: ReadonlyMap<string, string> = new Map()
  #found: ReadonlyMap<string, number> = new Map()

  constructor(process: Identified, log: ReplicaLog) {
    this.#process = process
    this.#log = log
  }

  /** As of the last look that succeeded. */
  get warnings(): readonly StoreWarning[] {
    return [...this.#found].slice(0, NAMED_MAX).map(([id, count]) => warningOf(id, count))
  }

  start(): StopTask {
    return startPeriodicTask({
      clock: this.#process.clock,
      intervalMs: LOOK_INTERVAL_MS,
      firstMs: 0,
      run: () => this.look(),
      // A store that is away, or damaged, is said to be so by the replica.
      failed: () => {},
    })
  }

  async look(): Promise<void> {
    const { coordination, replicaId, processToken } = this.#process
    const { announcements } = await readAnnouncements(coordination)
    const seen = new Map(announcements.map((one) => [announcementKey(one), JSON.stringify(one)]))
    // One that was killed is still announced when its successor is seen first, and has nothing new to say by the next look. A process
    // that stands still for a moment does not end a warning that was right.
    const isLive = (key: string): boolean => this.#seen.has(key) && this.#seen.get(key) !== seen.get(key)
    const others = announcements.filter((one) => announcementKey(one) !== processToken)
    const own = { id: replicaId }
    const live = duplicatesIn([own, ...others.filter((one) => isLive(announcementKey(one)))])
    const announced = duplicatesIn([own, ...others])
    this.#seen = seen
    this.#report(new Map([...announced].filter(([id]) => live.has(id) || this.#found.has(id))))
  }

  #report(found: ReadonlyMap<string, number>): void {
    const before = this.#found
    this.#found = found
    for (const [id, count] of found) {
      const { code, message } = warningOf(id, count)
      if (!before.has(id)) this.#log.warn({ code, replica: id }, message)
    }
    for (const id of before.keys()) {
      if (!found.has(id)) this.#log.info({ code: DUPLICATE_REPLICA_ID, replica: id }, 'one process has this name again')
    }
  }
}

/** Names that several processes have, and how many have each. */
function duplicatesIn(processes: Iterable<Pick<Announcement, 'id'>>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { id } of processes) counts.set(id, (counts.get(id) ?? 0) + 1)
  return new Map([...counts].filter(([, count]) => count > 1).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function warningOf(id: string, count: number): StoreWarning {
  const advice = 'give each process its own BELLWETHER_REPLICA_ID. One that was killed is listed for 5 s more'
  return { code: DUPLICATE_REPLICA_ID, message: `${count} processes have the replica id ${id}: ${advice}` }
}
