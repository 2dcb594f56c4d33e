// Keeps the last-known-good file near what is served: the first change after a quiet time at once, then every second, or
// every few where there is much to write.
import { setAsideLastKnownGood, writeLastKnownGood } from '../store/last-known-good.ts'
import type { Clock } from '../lib/clock.ts'
import { WriteBehind } from '../lib/write-behind.ts'
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
  readonly #file: WriteBehind
  /** What is in the file, as far as this process knows. */
  #saved: { readonly epoch: string; readonly seq: number } | null = null
  /** When the oldest change came that is not in the file, null where all are. */
  #unsavedSince: number | null = null
  /** Why the last write failed, null where it did not. */
  #problem: string | null = null
  /** Documents that the file has no bodies of. */
  #emptied: ReadonlySet<string> = new Set()
  #intervalMs = SAVE_INTERVAL_LEAST_MS

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#file = new WriteBehind({
      clock: options.clock,
      // The first change after a quiet time is written at once: it may be the rollback that must not be forgotten.
      soonMs: 0,
      intervalMs: () => this.#intervalMs,
      write: () => this.#save(),
      failed: (error) => this.#failed(error),
      // With the store gone, a restart has nothing else.
      retries: true,
      closeMsMax: null,
    })
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
    if (this.#isSaved()) return
    this.#unsavedSince ??= this.#options.clock.now()
    this.#file.changed()
  }

  /** Writes the file at once, where it is not up to date: with the store gone, a restart has nothing else. */
  flush(): void {
    this.changed()
    this.#file.flush()
  }

  /** Writes the file once more, where it is not up to date. */
  async stop(): Promise<void> {
    this.changed()
    await this.#file.close()
  }

  #isSaved(): boolean {
    const state = this.#options.current()
    return state === null || (state.epoch === this.#saved?.epoch && state.seq === this.#saved.seq)
  }

  async #save(): Promise<void> {
    const { dataDir, clock, current } = this.#options
    const state = current()
    if (state === null || this.#isSaved()) return
    const { position } = state
    const startedAt = clock.now()
    const emptied = await writeLastKnownGood(dataDir, { ...position, documents: [...state.documents()] }, startedAt)
    this.#saved = position
    this.#unsavedSince = this.#isSaved() ? null : startedAt
    this.#wrote(position.seq, emptied)
    const tookMs = Math.max(0, clock.now() - startedAt)
    this.#intervalMs = Math.min(Math.max(tookMs * SAVE_TIMES_LONGER, SAVE_INTERVAL_LEAST_MS), SAVE_INTERVAL_MOST_MS)
  }

  /** It is tried again every second or so: one line for each problem. */
  #failed(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error)
    if (problem !== this.#problem) {
      this.#options.log.warn({ err: error }, 'the last-known-good file could not be written; the older one stays')
    }
    this.#problem = problem
  }

  #wrote(seq: number, emptied: readonly string[]): void {
    const { log } = this.#options
    if (this.#problem !== null) log.info({ seq }, 'the last-known-good file is written again')
    this.#problem = null
    const found = emptied.filter((key) => !this.#emptied.has(key))
    if (found.length > 0) {
      const keys = found.slice(0, EMPTIED_NAMED_MAX)
      log.error({ keys, count: found.length }, 'documents cannot be written to the last-known-good file')
    }
    this.#emptied = new Set(emptied)
  }
}
