// The replica: loads the store's state, follows its journal, and keeps the holder's snapshot current, expiries included.
// While the store is down it serves what it knows, from the last-known-good file where it has just started.
import { readLastKnownGood, writeLastKnownGood, type LastKnownGood } from '../store/last-known-good.ts'
import { StoreRegressed, type Store, type StoreState } from '../store/port.ts'
import type { Clock } from './clock.ts'
import type { SnapshotHolder } from './holder.ts'
import { ReplicaState } from './replica-state.ts'

/** What a replica is doing; `starting` has nothing to serve yet. */
export type ReplicaStatus =
  'starting' | 'following' | 'serving last known good' | 'store unavailable' | 'store regressed'

/** First and longest pause between two tries to reach the store again. */
const RETRY_FIRST_MS = 250
const RETRY_LONGEST_MS = 5_000

/** A timer sees no step of the wall clock, so while an expiry is ahead the time is looked at this often. */
const EXPIRY_CHECK_MAX_MS = 1_000

/** The last-known-good file is this old at most while changes come in; writing it costs a pass over every document. */
const SAVE_INTERVAL_MS = 10_000

/** How long a request waits for this replica to apply what it has committed or lost a race to. */
export const APPLY_WAIT_MAX_MS = 5_000

/** What a replica tells of its own doings; the server logs it. */
export interface ReplicaLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ReplicaOptions {
  readonly store: Store
  readonly holder: SnapshotHolder
  readonly clock: Clock
  readonly log: ReplicaLog
  readonly maxAgeS: number
  /** Where the last-known-good file is. */
  readonly dataDir: string
}

interface Waiter {
  readonly done: (state: ReplicaState) => boolean
  readonly settle: (reached: boolean) => void
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #stop = new AbortController()
  readonly #waiters = new Set<Waiter>()
  #state: ReplicaState | null = null
  #status: ReplicaStatus = 'starting'
  #problem: string | null = null
  #running: Promise<void> = Promise.resolve()
  #publishing = false
  #cancelExpiry: () => void = () => {}
  #cancelSave: (() => void) | null = null
  #saving: Promise<void> = Promise.resolve()
  #savedSeq = -1
  #savedAt = 0
  /** What the last-known-good file had at the start. */
  #kept: StoreState | null = null
  #regressed = false

  constructor(options: ReplicaOptions) {
    this.#options = options
  }

  get status(): ReplicaStatus {
    return this.#status
  }

  /** Why the replica does not follow, null while it does. */
  get problem(): string | null {
    return this.#problem
  }

  /** What the replica knows, null while it has nothing. */
  get state(): ReplicaState | null {
    return this.#state
  }

  /** Resolves once there is something to serve, or the store could not be loaded and there was no file to fall back on. */
  async start(): Promise<void> {
    // Read first also where the store is well: a store that is behind it was restored from a backup, or is another one.
    const kept = await readLastKnownGood(this.#options.dataDir)
    if (kept.outcome === 'read') this.#kept = kept.state
    if (kept.outcome === 'refused') this.#options.log.error({ why: kept.why }, 'the last-known-good file is refused')
    if (!(await this.#load())) this.#fallBack(kept)
    this.#running = this.#run()
  }

  /** Waits until `done` holds of what is served, for APPLY_WAIT_MAX_MS at most; says whether it came to that. */
  until(done: (state: ReplicaState) => boolean): Promise<boolean> {
    if (this.#state !== null && !this.#publishing && done(this.#state)) return Promise.resolve(true)
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(APPLY_WAIT_MAX_MS, () => waiter.settle(false))
      const waiter: Waiter = {
        done,
        settle: (reached) => {
          cancel()
          this.#waiters.delete(waiter)
          resolve(reached)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  /** Stops following and writes the last-known-good file once more. What is served stays served. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#cancelExpiry()
    for (const waiter of this.#waiters) waiter.settle(false)
    await this.#running
    await this.#save()
  }

  async #load(): Promise<boolean> {
    try {
      this.#take(await this.#options.store.load())
      this.#status = 'following'
      this.#problem = null
      return true
    } catch (error) {
      this.#lost(error)
      return false
    }
  }

  #fallBack(read: LastKnownGood): void {
    const { log } = this.#options
    switch (read.outcome) {
      case 'read':
        this.#take(read.state)
        this.#savedSeq = read.state.seq
        if (!this.#regressed) this.#status = 'serving last known good'
        log.warn(
          { seq: read.state.seq, savedAt: read.savedAt },
          'the store is unavailable; serving the last known good state',
        )
        return
      case 'refused':
      case 'absent':
        log.warn({}, 'there is no last-known-good file to use; polls are answered 503 until the store is back')
    }
  }

  /**
   * Follows the journal for as long as the replica lives; a lost store is tried again, ever less often. It is followed
   * only after it was loaded, which shows whether it is still the same: never from the last known good state on.
   */
  async #run(): Promise<void> {
    const { store, clock, log } = this.#options
    const { signal } = this.#stop
    let pauseMs = RETRY_FIRST_MS
    // A store that has gone back is not tried again: it may grow past what this replica has served, along another history.
    while (!signal.aborted && !this.#regressed) {
      const known = this.#state
      if (this.#problem === null && known !== null) {
        const since = clock.now()
        try {
          await store.follow(known.seq, (entry) => this.#apply(known, entry), signal)
          if (!signal.aborted) this.#lost(new Error('the store was closed'))
        } catch (error) {
          this.#lost(error)
        }
        // A store that can be loaded but not followed is not back; it must not be loaded at the shortest pause for ever.
        if (clock.now() - since >= RETRY_LONGEST_MS) pauseMs = RETRY_FIRST_MS
        continue
      }
      await this.#pause(pauseMs)
      if (signal.aborted) return
      pauseMs = Math.min(pauseMs * 2, RETRY_LONGEST_MS)
      if (await this.#load()) log.info({ seq: this.#state?.seq }, 'the store is back')
    }
  }

  /** Resolves after a time, or when the replica is stopped. */
  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#options.clock.after(delayMs, end)
      signal.addEventListener('abort', end)
    })
  }

  /** Serves a whole state, as it was loaded. One that is behind what is served is another store's, or a restored one's. */
  #take(state: StoreState): void {
    const { clock, maxAgeS } = this.#options
    const known = this.#state ?? this.#kept
    if (known !== null && (state.epoch !== known.epoch || state.seq < known.seq)) {
      throw new StoreRegressed(
        `store regressed: it is at seq ${state.seq} of epoch ${state.epoch}, this replica has served seq ${known.seq} of epoch ${known.epoch}`,
      )
    }
    this.#state = new ReplicaState(state, maxAgeS, clock.now())
    this.#publish()
  }

  #apply(state: ReplicaState, entry: Parameters<ReplicaState['apply']>[0]): void {
    state.apply(entry)
    if (this.#publishing) return
    // Entries that arrive together are published together: one snapshot for a whole batch of a replica that catches up.
    this.#publishing = true
    queueMicrotask(() => this.#publish())
  }

  #publish(): void {
    this.#publishing = false
    const state = this.#state
    if (state === null) return
    this.#options.holder.swap(state.publish(this.#options.clock.now()))
    for (const waiter of this.#waiters) if (waiter.done(state)) waiter.settle(true)
    this.#scheduleExpiry(state)
    if (state.seq !== this.#savedSeq) this.#scheduleSave()
  }

  #scheduleExpiry(state: ReplicaState): void {
    this.#cancelExpiry()
    const { clock } = this.#options
    const next = state.nextExpiry(clock.now())
    if (next === null || this.#stop.signal.aborted) return
    const delayMs = Math.min(Math.max(next - clock.now(), 0), EXPIRY_CHECK_MAX_MS)
    this.#cancelExpiry = clock.after(delayMs, () => this.#publish())
  }

  #scheduleSave(): void {
    if (this.#cancelSave !== null || this.#stop.signal.aborted) return
    // The first change after a quiet time is written at once: it may be the rollback that must not be forgotten.
    const { clock } = this.#options
    const delayMs = Math.min(Math.max(this.#savedAt + SAVE_INTERVAL_MS - clock.now(), 0), SAVE_INTERVAL_MS)
    this.#cancelSave = clock.after(delayMs, () => void this.#save())
  }

  #save(): Promise<void> {
    this.#cancelSave?.()
    this.#cancelSave = null
    this.#saving = this.#saving.then(() => this.#saveNow())
    return this.#saving
  }

  async #saveNow(): Promise<void> {
    const { dataDir, clock, log } = this.#options
    const state = this.#state
    if (state === null || state.seq === this.#savedSeq) return
    const { seq, epoch } = state
    this.#savedAt = clock.now()
    try {
      await writeLastKnownGood(dataDir, { seq, epoch, documents: [...state.documents()] }, clock.now())
      this.#savedSeq = seq
    } catch (error) {
      log.warn({ err: error }, 'the last-known-good file could not be written; the older one stays')
      this.#scheduleSave()
    }
  }

  #lost(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error)
    if (this.#problem !== problem) this.#options.log.error({ problem }, 'the store is unavailable')
    this.#problem = problem
    if (error instanceof StoreRegressed) {
      this.#regressed = true
      this.#status = 'store regressed'
    }
    if (this.#status === 'following') this.#status = 'store unavailable'
  }
}
