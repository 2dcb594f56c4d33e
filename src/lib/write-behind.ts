// Writes what changes to a file behind the changes: soon after a change, no more often than an interval allows, one write at a time,
// and once more at the end. Nobody who changes something waits for the disk.
import type { Clock } from './clock.ts'

export interface WriteBehindOptions {
  readonly clock: Clock
  /** From a change after a quiet time to the write. */
  readonly soonMs: number
  /** From the start of one write to the start of the next while changes come in; a function is called before each. */
  readonly intervalMs: number | (() => number)
  /** Writes everything as it is at the call; rejects where it could not. */
  readonly write: () => Promise<void>
  /** Called with what a write has rejected with. */
  readonly failed: (error: unknown) => void
  /** Whether a failed write is tried again after the interval. Else the next change or the end tries again. */
  readonly retries: boolean
  /** How long the end waits for the disk, null for as long as it takes. */
  readonly closeMsMax: number | null
  /** Called where that was too short. */
  readonly late?: () => void
}

export class WriteBehind {
  readonly #options: WriteBehindOptions
  #cancel: (() => void) | null = null
  /** Writes that are under way or follow it, each after the one before. */
  #last: Promise<void> = Promise.resolve()
  #writes = 0
  #changes = 0
  /** How many of the changes are in the file. */
  #written = 0
  #writtenAt = Number.NEGATIVE_INFINITY
  #closed: Promise<void> | null = null

  constructor(options: WriteBehindOptions) {
    this.#options = options
  }

  /** Something has changed: it will be written. */
  changed(): void {
    this.#changes += 1
    this.#plan()
  }

  /** Writes what is not written yet now, or right after the write that is under way. */
  flush(): void {
    if (this.#closed === null) void this.#write()
  }

  /** Writes what is not written yet, and nothing after that; never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    const { clock, closeMsMax, late } = this.#options
    const written = this.#write()
    if (closeMsMax === null) return written
    let giveUp = (): void => {}
    const isOver = new Promise<'late'>((resolve) => {
      giveUp = clock.after(closeMsMax, () => resolve('late'))
    })
    if ((await Promise.race([written, isOver])) === 'late') late?.()
    giveUp()
  }

  #plan(): void {
    // After a write that is under way it is planned then.
    if (this.#cancel !== null || this.#writes > 0 || this.#closed !== null) return
    this.#cancel = this.#options.clock.after(this.#delayMs(), () => void this.#write())
  }

  #delayMs(): number {
    const { clock, soonMs } = this.#options
    const intervalMs =
      typeof this.#options.intervalMs === 'number' ? this.#options.intervalMs : this.#options.intervalMs()
    // A clock that was set back must not put it off.
    return Math.min(Math.max(this.#writtenAt + intervalMs - clock.now(), soonMs), intervalMs)
  }

  #write(): Promise<void> {
    this.#cancel?.()
    this.#cancel = null
    this.#writes += 1
    this.#last = this.#writeAfter(this.#last)
    return this.#last
  }

  async #writeAfter(before: Promise<void>): Promise<void> {
    await before
    const changes = this.#changes
    if (this.#written < changes) await this.#writeNow(changes)
    this.#writes -= 1
    const isDue = this.#changes > changes || (this.#written < changes && this.#options.retries)
    if (!isDue || this.#writes > 0 || this.#closed !== null) return
    // A write that took longer than the interval is followed at once.
    if (this.#delayMs() === 0) void this.#write()
    else this.#plan()
  }

  async #writeNow(changes: number): Promise<void> {
    const { clock, write, failed } = this.#options
    this.#writtenAt = clock.now()
    try {
      await write()
      this.#written = changes
    } catch (error) {
      failed(error)
    }
  }
}
