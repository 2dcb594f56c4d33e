// Keeps the last-known-good file near what is served: the first change after a quiet time at once, then every second, or
// every few where there is much to write.
import { writeLastKnownGood } from '../store/last-known-good.ts'
import type { Clock } from '../lib/clock.ts'
import type { ReplicaLog } from './replica.ts'
import type { ReplicaState } from './replica-state.ts'

/** While changes come in, the file is this old at least, and at most: writing it costs a pass over every document. */
const SAVE_INTERVAL_LEAST_MS = 1_000
const SAVE_INTERVAL_MOST_MS = 10_000
/** In between it is written so often that the writing takes a fiftieth of the time. */
const SAVE_TIMES_LONGER = 50

export interface KeeperOptions {
  readonly clock: Clock
  readonly log: ReplicaLog
  readonly dataDir: string
  /** What is served now, null for nothing. */
  readonly current: () => ReplicaState | null
}

export class LastKnownGoodKeeper {
  readonly #options: KeeperOptions
  #cancel: (() => void) | null = null
  #saving: Promise<void> = Promise.resolve()
  /** What is in the file, as far as this process knows. */
  #saved: { readonly epoch: string; readonly seq: number } | null = null
  #savedAt = 0
  #intervalMs = SAVE_INTERVAL_LEAST_MS
  #stopped = false

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** Tells that the file has this state, because it was read from there. */
  has(state: { readonly epoch: string; readonly seq: number }): void {
    this.#saved = { epoch: state.epoch, seq: state.seq }
  }

  /** Called whenever what is served has changed. */
  changed(): void {
    if (this.#isSaved() || this.#cancel !== null || this.#stopped) return
    // The first change after a quiet time is written at once: it may be the rollback that must not be forgotten.
    const { clock } = this.#options
    const delayMs = Math.min(Math.max(this.#savedAt + this.#intervalMs - clock.now(), 0), this.#intervalMs)
    this.#cancel = clock.after(delayMs, () => void this.#save())
  }

  /** Writes the file at once, where it is not up to date: with the store gone, a restart has nothing else. */
  flush(): void {
    if (!this.#isSaved() && !this.#stopped) void this.#save()
  }

  /** Writes the file once more, where it is not up to date. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#save()
  }

  #isSaved(): boolean {
    const state = this.#options.current()
    return state === null || (state.epoch === this.#saved?.epoch && state.seq === this.#saved.seq)
  }

  #save(): Promise<void> {
    this.#cancel?.()
    this.#cancel = null
    this.#saving = this.#saving.then(() => this.#saveNow())
    return this.#saving
  }

  async #saveNow(): Promise<void> {
    const { dataDir, clock, log, current } = this.#options
    const state = current()
    if (state === null || this.#isSaved()) return
    const { position } = state
    this.#savedAt = clock.now()
    try {
      await writeLastKnownGood(dataDir, { ...position, documents: [...state.documents()] }, clock.now())
      this.#saved = position
      const tookMs = Math.max(0, clock.now() - this.#savedAt)
      this.#intervalMs = Math.min(Math.max(tookMs * SAVE_TIMES_LONGER, SAVE_INTERVAL_LEAST_MS), SAVE_INTERVAL_MOST_MS)
    } catch (error) {
      log.warn({ err: error }, 'the last-known-good file could not be written; the older one stays')
      this.changed()
    }
  }
}
