// The replica: loads the store's state, follows its journal, and keeps the holder's snapshot current, expiries included.
// While the store is down it serves what it knows, from the last-known-good file where it has just started.
import { readLastKnownGood, type LastKnownGood } from '../store/last-known-good.ts'
import {
  JournalTrimmed,
  NewerFormat,
  StoreRegressed,
  StoreUnavailable,
  type JournalEntry,
  type StorePosition,
  type StoreState,
} from '../store/port.ts'
import { logForeign } from './foreign-documents.ts'
import { LastKnownGoodKeeper } from './last-known-good-keeper.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { ReplicaState } from './replica-state.ts'
import { RetryPause } from './retry-pause.ts'
import { ServedWaiters } from './served-waiters.ts'
import { EntryUnreadable, UnreadableEntries } from './unreadable-entries.ts'
import { UnreadableLog } from './unreadable-log.ts'

/** What a replica is doing; `starting` has nothing to serve yet. */
export type ReplicaStatus =
  'starting' | 'following' | 'serving last known good' | 'store unavailable' | 'store regressed' | 'newer format'

/** A timer sees no step of the wall clock, so while an expiry is ahead the time is looked at this often. */
const EXPIRY_CHECK_MAX_MS = 1_000

export class Replica {
  readonly #options: ReplicaOptions
  readonly #stop = new AbortController()
  readonly #waiters: ServedWaiters
  #state: ReplicaState | null = null
  #status: ReplicaStatus = 'starting'
  #fault: Error | null = null
  #running: Promise<void> = Promise.resolve()
  #publishing = false
  #cancelExpiry: () => void = () => {}
  #stopFollowing = new AbortController()
  /** Whether the documents in the store are others than those that were followed to. */
  #mustLoad = false
  /** Why what was applied is not served; null while it is. */
  #unserved: Error | null = null
  readonly lastKnownGood: LastKnownGoodKeeper
  /** Where the last-known-good file stood at the start. */
  #kept: StorePosition | null = null
  /** When what is served was last known to be the store's newest, in milliseconds; null before anything is. */
  #currentAt: number | null = null
  readonly #pause: RetryPause
  readonly #unreadable: UnreadableLog
  /** Journal entries that cannot be read, as far as this process has met them. */
  readonly unreadableEntries: UnreadableEntries

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#waiters = new ServedWaiters(options.clock)
    this.#pause = new RetryPause(options.clock, this.#stop.signal, options.retryLongestMs)
    this.#unreadable = new UnreadableLog(options.log)
    this.unreadableEntries = new UnreadableEntries(options.log)
    // What could not be served must not be started from either.
    this.lastKnownGood = new LastKnownGoodKeeper({
      ...options,
      current: () => (this.#unserved === null ? this.#state : null),
    })
  }

  get status(): ReplicaStatus {
    return this.#status
  }

  /** Why the replica does not follow, null while it does. */
  get problem(): string | null {
    return this.#fault?.message ?? null
  }

  /** The same as an error to throw: nothing may be decided on what is known, while it is not known to be current. */
  get fault(): Error | null {
    return this.#fault
  }

  /** For how long, in milliseconds, what is served has not been known to be the store's newest; 0 while it is. */
  get staleMs(): number {
    if (this.#fault === null || this.#currentAt === null) return 0
    return Math.max(0, this.#options.clock.now() - this.#currentAt)
  }

  /** What the replica knows, null while it has nothing. */
  get state(): ReplicaState | null {
    return this.#state
  }

  /** What a store's history must have in it for this replica to follow it. */
  get knownPosition(): StorePosition | null {
    return this.#state?.position ?? this.#kept
  }

  /** Resolves once there is something to serve, or the store could not be loaded and there was no file to fall back on. */
  async start(): Promise<void> {
    // Read first also where the store is well: a store that is behind it was restored from a backup, or is another one.
    const kept = await readLastKnownGood(this.#options.dataDir, this.#options.checkDocument)
    if (kept.outcome === 'read') {
      const { epoch, seq, mark } = kept.state
      this.#kept = { epoch, seq, mark }
    }
    if (kept.outcome === 'refused') await this.lastKnownGood.refuse(kept)
    if (!(await this.#load())) await this.#fallBack(kept)
    this.#running = this.#run()
  }

  /** Tries the store again at once, where it is waited for: an operator has decided, or has mended it. */
  readonly retry = (): void => this.#pause.retry()

  /** Commits have found documents that another program has changed in the store: what is served must be what it has. */
  foundForeign(keys: readonly string[], rewritten: ReadonlySet<string>): void {
    if (!logForeign(this.#options.log, this.#state, keys, rewritten)) return
    this.#mustLoad = true
    this.#stopFollowing.abort()
  }

  /** Waits until `done` holds of what is served, for APPLY_WAIT_MAX_MS at most; says whether it came to that. */
  until(done: (state: ReplicaState) => boolean): Promise<boolean> {
    return this.#waiters.until(this.#publishing ? null : this.#state, done)
  }

  /** Stops following and writes the last-known-good file once more. What is served stays served. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#cancelExpiry()
    this.#waiters.giveUp()
    await this.#running
    await this.lastKnownGood.stop()
  }

  async #load(): Promise<boolean> {
    this.#mustLoad = false
    try {
      this.#take(await this.#options.store.load(this.knownPosition))
      this.#status = 'following'
      this.#fault = null
      return true
    } catch (error) {
      this.#lost(error)
      return false
    }
  }

  async #fallBack(read: LastKnownGood): Promise<void> {
    const { log } = this.#options
    switch (read.outcome) {
      case 'read':
        try {
          this.#take(read.state)
        } catch (error) {
          this.#kept = null
          return this.lastKnownGood.refuse({ why: `it cannot be served: ${textOf(error)}` })
        }
        this.lastKnownGood.has(read.state)
        this.#currentAt = Date.parse(read.savedAt)
        if (this.#status === 'starting') this.#status = 'serving last known good'
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
   * Follows the journal for as long as the replica lives; a lost store is tried again, ever less often. A store that has
   * gone back is tried too, since it may be brought back to where it was: it shows by its history that it is the same.
   */
  async #run(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      const known = this.#state
      if (this.#fault === null && known !== null && !this.#mustLoad) {
        const since = clock.now()
        const mustLoad = await this.#follow(known)
        // A store that can be loaded but not followed is not back; it must not be loaded at the shortest pause for ever.
        this.#pause.wasFollowedFor(clock.now() - since)
        if (!mustLoad) continue
      }
      await this.#pause.wait()
      if (signal.aborted) return
      if (await this.#load()) log.info({ seq: this.#state?.seq }, 'the store is followed again')
    }
  }

  /** Follows until that ends; says whether it has because the whole state must be loaded again. */
  async #follow(known: ReplicaState): Promise<boolean> {
    const { store, log } = this.#options
    const { signal } = this.#stop
    try {
      this.#stopFollowing = new AbortController()
      const either = AbortSignal.any([signal, this.#stopFollowing.signal])
      await store.follow(known.position, (entry) => this.#apply(known, entry), either)
      if (this.#mustLoad) return true
      if (!signal.aborted) this.#lost(this.#unserved ?? new StoreUnavailable('the store was closed'))
    } catch (error) {
      // What an unreadable entry has changed is in the documents, so nothing need be guessed.
      if (error instanceof JournalTrimmed || error instanceof EntryUnreadable) {
        log.warn({ seq: known.seq, why: error.message }, 'the whole state is loaded again')
        return true
      }
      this.#lost(error)
    }
    return false
  }

  /** Serves a whole state, as it was loaded: a later one of the same history, or one that an operator has chosen. */
  #take(state: StoreState): void {
    const { clock, maxAgeS } = this.#options
    const before = this.#state
    this.#state = new ReplicaState(state, maxAgeS, clock.expiryTime(), { at: clock.now(), before })
    try {
      this.#publish()
    } catch (error) {
      this.#state = before
      throw error
    }
  }

  #apply(state: ReplicaState, entry: JournalEntry): void {
    this.unreadableEntries.note(entry)
    if (entry.unreadable !== undefined) throw new EntryUnreadable(entry)
    state.apply(entry, this.#options.clock.now())
    if (this.#publishing) return
    // Entries that arrive together are published together: one snapshot for a whole batch of a replica that catches up.
    this.#publishing = true
    queueMicrotask(() => this.#publishAlone())
  }

  /** Publishes where no caller can be told that it fails: what is served stays, and the state is loaded again. */
  #publishAlone(): void {
    try {
      this.#publish()
    } catch (error) {
      this.#unserved = new StoreUnavailable(`what was applied cannot be served: ${textOf(error)}`)
      this.#options.log.error({ err: error }, 'what was applied cannot be served; the state is loaded again')
      this.#stopFollowing.abort()
    }
  }

  #publish(): void {
    this.#publishing = false
    const state = this.#state
    if (state === null) return
    const { holder, clock } = this.#options
    holder.swap(state.publish(clock.expiryTime(), clock.now()))
    this.#unserved = null
    this.#unreadable.look(state)
    this.#waiters.published(state, holder.spreading)
    this.#scheduleExpiry(state)
    this.lastKnownGood.changed()
  }

  #scheduleExpiry(state: ReplicaState): void {
    this.#cancelExpiry()
    const { clock } = this.#options
    const now = clock.expiryTime()
    const next = state.nextExpiry(now)
    if (next === null || this.#stop.signal.aborted) return
    // A clock that is not confirmed stands still, and is looked at again all the same.
    const delayMs = Math.min(clock.doubt === null ? Math.max(next - now, 0) : EXPIRY_CHECK_MAX_MS, EXPIRY_CHECK_MAX_MS)
    this.#cancelExpiry = clock.after(delayMs, () => this.#publishAlone())
  }

  #lost(error: unknown): void {
    const { clock, log } = this.#options
    const fault = error instanceof Error ? error : new Error(textOf(error))
    if (this.#fault?.message !== fault.message) log.error({ problem: fault.message }, 'the store is unavailable')
    if (this.#fault === null) {
      this.#currentAt = this.#state === null ? null : clock.now()
      this.lastKnownGood.flush()
    }
    // While a store that has gone back, or that is newer, cannot be reached either, that is still what must be decided.
    if (this.#fault === null || !isLasting(this.#fault) || isLasting(fault)) this.#fault = fault
    if (fault instanceof StoreRegressed) this.#status = 'store regressed'
    else if (fault instanceof NewerFormat) this.#status = 'newer format'
    else if (this.#status === 'following') this.#status = 'store unavailable'
  }
}

/** Whether a fault stays until somebody does something about it. */
function isLasting(fault: Error): boolean {
  return fault instanceof StoreRegressed || fault instanceof NewerFormat
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
