// The pause between two tries to reach the store again: ever longer, and cut short by an operator who has mended it.
import type { Clock } from '../lib/clock.ts'

/** First and longest pause between two tries. */
const RETRY_FIRST_MS = 250
const RETRY_LONGEST_MS = 5_000

export class RetryPause {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #longestMs: number
  #nextMs = RETRY_FIRST_MS
  #end: () => void = () => {}
  #isAsked = false

  /** `signal` ends every pause. */
  constructor(clock: Clock, signal: AbortSignal, longestMs = RETRY_LONGEST_MS) {
    this.#clock = clock
    this.#signal = signal
    this.#longestMs = longestMs
  }

  /** Tries at once; asked for while it is being tried, it is tried once more. */
  retry(): void {
    this.#isAsked = true
    this.#end()
  }

  /** Begins with short pauses again after the store was followed for longer than the last one. */
  wasFollowedFor(ms: number): void {
    if (ms >= this.#nextMs) this.#nextMs = RETRY_FIRST_MS
  }

  /** Resolves after the pause, when a try is asked for, or when the signal aborts. */
  async wait(): Promise<void> {
    if (!this.#isAsked) await this.#pause()
    this.#isAsked = false
    this.#nextMs = Math.min(this.#nextMs * 2, this.#longestMs)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        this.#end = () => {}
        this.#signal.removeEventListener('abort', end)
        resolve()
      }
      this.#end = end
      const cancel = this.#clock.after(this.#nextMs, end)
      this.#signal.addEventListener('abort', end)
    })
  }
}
