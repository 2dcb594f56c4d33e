// A periodic task that one replica at a time does: the one that has the lease. A replica that dies loses the lease with its time,
// and another takes it. Two may lead for a moment, so what a leader does must be harmless if it is done twice.
import { startPeriodicTask, type StopTask } from '../../lib/periodic-task.ts'
import type { Replica } from '../../serve/replica.ts'
import type { ReplicaLog } from '../../serve/replica-log.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import { StoreOutcomeUnknown, StoreUnavailable } from '../../store/port.ts'
import type { Control } from '../control.ts'

/** The longest that nobody leads after the leader has died. */
const LEASE_MS = 15_000
const RENEWALS_PER_LEASE = 3
/** How often it is looked what is due, and whether the lease can be had. */
const CHECK_MS = 1_000

export interface LeaderTaskOptions {
  /** The lease's name among those of the store. */
  readonly lease: string
  /** LEASE_MS unless given. */
  readonly leaseMs?: number | undefined
  /** From the start to the first look; CHECK_MS unless given. */
  readonly firstMs?: number
  /** Whether only a replica whose clock is confirmed may lead: for what ends by time and cannot be undone. */
  readonly needsConfirmedClock: boolean
  readonly log: ReplicaLog
  /** What the log says of a look that failed. */
  readonly failure: string
  /** Whether there is anything to lead in a state. While there is not, the lease is neither asked for nor renewed. */
  readonly isNeeded: (state: ReplicaState) => boolean
  /** Called when this replica has the lease and did not have it at the look before. */
  readonly taken: () => Promise<void> | void
  /** Does what is due. `signal` aborts when the task is stopped. */
  readonly lead: (state: ReplicaState, signal: AbortSignal) => Promise<void>
  /** Called at every look at which this replica may not lead: what only the leader knows is forgotten here. */
  readonly follow: () => Promise<void> | void
  /** Called when the task is stopped and no look is under way; the lease is given back once it resolves. */
  readonly end: () => Promise<void>
}

type Leading = Pick<Control, 'coordination' | 'replicaId' | 'processToken' | 'clock'> & {
  readonly replica: Pick<Replica, 'state' | 'fault'>
}

export class LeaderTask {
  readonly #control: Leading
  readonly #options: LeaderTaskOptions
  readonly #ending = new AbortController()
  #stopLooking: StopTask = () => Promise.resolve()
  #holdsUntil = 0
  #renewAt = 0

  constructor(control: Leading, options: LeaderTaskOptions) {
    this.#control = control
    this.#options = options
  }

  /** Looks every second from now on. */
  start(): void {
    const { log, failure, firstMs = CHECK_MS } = this.#options
    this.#stopLooking = startPeriodicTask({
      clock: this.#control.clock,
      intervalMs: CHECK_MS,
      firstMs,
      run: () => this.look(),
      failed(error) {
        if (!isStoreAway(error)) log.warn({ err: error }, failure)
      },
    })
  }

  /** Ends the task once the look under way has ended, and gives the lease back. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#stopLooking()
    await this.#options.end()
    // Where it cannot be given back, its time ends it.
    if (this.#holdsUntil > 0) await this.#control.coordination.release(this.#options.lease, this.#owner).catch(() => {})
  }

  /** Does what is due now, if this replica leads. */
  async look(): Promise<void> {
    const { replica, clock } = this.#control
    const { isNeeded, needsConfirmedClock, lead, follow } = this.#options
    const { state, fault } = replica
    // While the store is not followed nothing may be decided.
    if (fault !== null || state === null || !isNeeded(state)) return
    // The lease is left to a replica that may lead.
    const mayLead = !needsConfirmedClock || clock.doubt === null
    if (mayLead && (await this.#hasLease(clock.now()))) await lead(state, this.#ending.signal)
    else await follow()
  }

  /** The name is for people who read the lease; another process can have it, too. */
  get #owner(): string {
    const { replicaId, processToken } = this.#control
    return `${replicaId}/${processToken}`
  }

  async #hasLease(now: number): Promise<boolean> {
    const { coordination } = this.#control
    const { lease, leaseMs = LEASE_MS, taken, log } = this.#options
    // A clock that was set back must not make the next renewal late.
    if (now < this.#renewAt && this.#renewAt - now <= leaseMs / RENEWALS_PER_LEASE) return this.#holdsUntil > now
    const held = this.#holdsUntil > now
    const takes = await coordination.lease(lease, this.#owner, leaseMs, (from) =>
      log.warn({ lease, ...from }, 'a lease that no replica has written was taken over'),
    )
    // By the time it was asked for: the store may have begun to count a moment later, never earlier.
    this.#holdsUntil = takes ? now + leaseMs : 0
    this.#renewAt = now + (takes ? leaseMs / RENEWALS_PER_LEASE : CHECK_MS)
    if (takes && !held) await taken()
    return takes
  }
}

/** Whether the store is away or did not answer: the next look comes, and the replica says what is wrong. */
export function isStoreAway(error: unknown): boolean {
  return error instanceof StoreUnavailable || error instanceof StoreOutcomeUnknown
}
