// Keeps the last-known-good file near what is served: the first change after a quiet time at once, then every second, or
// every few where there is much to write.
import { setAsideLastKnownGood, writeLastKnownGood } from '../store/last-known-good.ts'
import type { StorePosition } from '../store/port.ts'
import type { Clock } from './clock.ts'
import type { ReplicaLog } from './replica-log.ts'
import type { ReplicaState } from './replica-state.ts'

/** While changes come in, the file is this old at least, and at most: writing it costs a pass over every document. */
const SAVE_INTERVAL_LEAST_MS = 1_000
const SAVE_INTERVAL_MOST_MS = 10_000
/** In between it is written so often that the writing takes a fiftieth of the time. */
const SAVE_TIMES_LONGER = 50
/** A change that is not in the file for longer is warned of: three of the longest intervals, so that a slow disk alone is not. */
const UNSAVED_WARN_MS = 30_000
/** Keys of documents in one line of the log. */
const EMPTIED_NAMED_MAX = 20

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
  /** When the oldest change came that is not in the file, null where all are. */
  #unsavedSince: number | null = null
  /** Why the last write failed, null where it did not. */
  #problem: string | null = null
  /** Documents that the file has no bodies of. */
  #emptied: ReadonlySet<string> = new Set()
  #intervalMs = SAVE_INTERVAL_LEAST_MS
  #stopped = false

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** Why a restart without the store would serve an older state, null while it would not. */
  get warning(): string | null {
    const since = this.#unsavedSince
    if (since === null || this.#isSaved() || this.#options.clock.now() - since < UNSAVED_WARN_MS) return null
    const sinceText = new Date(since).toISOString()
    return `the last-known-good file lacks changes since ${sinceText}; a restart without the store would serve older versions. The log says why`
  }

  /** Tells that the file has this state, because it was read from there. */
  has(state: { readonly epoch: string; readonly seq: number }): void {
    this.#saved = { epoch: state.epoch, seq: state.seq }
  }

  /** Says in one line what is wrong with a file. One that no build can use is moved out of the way, and the line says where to. */
  async refuse({ why, isNewer = false }: { readonly why: string; readonly isNewer?: boolean }): Promise<void> {
    const { dataDir, log } = this.#options
    if (isNewer) return log.error({ why }, 'the last-known-good file is refused')
    const movedTo = await setAsideLastKnownGood(dataDir)
    log.error({ why, movedTo }, 'the last-known-good file cannot be used and is set aside')
  }

  /** Called whenever what is served has changed. */
  changed(): void {
    if (!this.#isSaved()) this.#unsavedSince ??= this.#options.clock.now()
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
      const emptied = await writeLastKnownGood(dataDir, { ...position, documents: [...state.documents()] }, clock.now())
      this.#wrote(position, emptied)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      // Tried again every second or so: one line for each problem.
      if (problem !== this.#problem) {
        log.warn({ err: error }, 'the last-known-good file could not be written; the older one stays')
      }
      this.#problem = problem
      this.changed()
    }
  }

  #wrote(position: StorePosition, emptied: readonly string[]): void {
    const { clock, log } = this.#options
    this.#saved = position
    this.#unsavedSince = this.#isSaved() ? null : this.#savedAt
    if (this.#problem !== null) log.info({ seq: position.seq }, 'the last-known-good file is written again')
    this.#problem = null
    const found = emptied.filter((key) => !this.#emptied.has(key))
    if (found.length > 0) {
      const keys = found.slice(0, EMPTIED_NAMED_MAX)
      log.error({ keys, count: found.length }, 'documents cannot be written to the last-known-good file')
    }
    this.#emptied = new Set(emptied)
    const tookMs = Math.max(0, clock.now() - this.#savedAt)
    this.#intervalMs = Math.min(Math.max(tookMs * SAVE_TIMES_LONGER, SAVE_INTERVAL_LEAST_MS), SAVE_INTERVAL_MOST_MS)
  }
}
