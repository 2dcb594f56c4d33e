// The time by which pins, critical flags and stages end: confirmed by the store, or by two clocks of the machine that agree.
// What a wrong clock ends cannot be undone, so while the time is not confirmed nothing ends (ADR 29).
import type { Times } from '../channels/time.ts'
import type { Clock, MachineClock } from '../lib/clock.ts'

/** Clocks that are further apart are not both right; machines that synchronise theirs are within a second. */
export const CLOCK_DIFFERENCE_MAX_MS = 5 * 60_000

/** In the form of a warning: a code, and what is wrong. */
export interface ClockDoubt {
  readonly code: 'clock_unconfirmed'
  readonly message: string
}

export interface TrustedClock extends Clock {
  /** The time up to which expiries take effect: now while it is confirmed, else when it last was, or -Infinity. */
  expiryTime(): number
  /** Why the time is not confirmed; null while it is. */
  readonly doubt: ClockDoubt | null
}

/** The times that one decision goes by. */
export function timesOf(clock: TrustedClock): Times {
  const [now, expiryTime] = [clock.now(), clock.expiryTime()]
  // A millisecond may have gone by, either way where the clock is kept right.
  return { now, expiryTime: clock.doubt === null ? now : expiryTime }
}

/** The time of a store that replicas share, as of the last contact, and the machine's monotonic clock since. */
export class SharedClock implements TrustedClock {
  readonly #machine: MachineClock
  readonly #ask: () => Promise<number>
  #contact: { readonly time: number; readonly at: number } | null = null
  /** Why the store did not tell its time when it was last asked; null where it did. */
  #problem: string | null = null
  #confirmedAt = Number.NEGATIVE_INFINITY

  /** `ask` gives the store's time in milliseconds since the epoch. */
  constructor(machine: MachineClock, ask: () => Promise<number>) {
    this.#machine = machine
    this.#ask = ask
  }

  now(): number {
    if (this.#contact === null) return this.#machine.now()
    return this.#contact.time + this.#machine.monotonicMs() - this.#contact.at
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#machine.after(delayMs, run)
  }

  expiryTime(): number {
    if (this.doubt === null) this.#confirmedAt = this.now()
    return this.#confirmedAt
  }

  get doubt(): ClockDoubt | null {
    if (this.#contact === null) {
      const why = this.#problem === null ? '' : ` (${this.#problem})`
      return doubted(`the store has not told its time since the start${why}`)
    }
    const aheadMs = this.#machine.now() - this.now()
    if (Math.abs(aheadMs) <= CLOCK_DIFFERENCE_MAX_MS) return null
    return doubted(`this machine's clock is ${secondsOf(aheadMs)} the store's: set whichever is wrong`)
  }

  /** Asks the store for its time; rejects where it does not tell. */
  async look(): Promise<void> {
    try {
      const time = await this.#ask()
      if (!Number.isFinite(time)) throw new RangeError('the store has told a time that is none')
      this.#problem = null
      // As of now, so late by the way back at most: what ends late is harmless.
      this.#contact = { time, at: this.#machine.monotonicMs() }
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      throw error
    }
  }
}

/** The time of one machine alone: its wall clock, for as long as the monotonic one agrees with it. */
export class LocalClock implements TrustedClock {
  readonly #machine: MachineClock
  /** When the newest entry was made, while the wall clock is before that; else null. */
  #notBefore: number | null
  /** Wall clock less monotonic clock, as last confirmed. */
  #offsetMs: number
  #confirmedAt = Number.NEGATIVE_INFINITY

  /** `newestEntryAt` is in milliseconds since the epoch, null for an empty journal. */
  constructor(machine: MachineClock, newestEntryAt: number | null) {
    this.#machine = machine
    this.#notBefore = newestEntryAt
    this.#offsetMs = machine.now() - machine.monotonicMs()
  }

  now(): number {
    return this.#look() === null ? this.#machine.now() : this.#machine.monotonicMs() + this.#offsetMs
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#machine.after(delayMs, run)
  }

  expiryTime(): number {
    if (this.#look() === null) this.#confirmedAt = this.#machine.now()
    return this.#confirmedAt
  }

  get doubt(): ClockDoubt | null {
    return this.#look()
  }

  #look(): ClockDoubt | null {
    const wall = this.#machine.now()
    const offsetMs = wall - this.#machine.monotonicMs()
    if (this.#notBefore !== null && wall < this.#notBefore) {
      this.#offsetMs = offsetMs
      const newest = new Date(this.#notBefore).toISOString()
      return doubted(`this machine's clock is before the newest journal entry, of ${newest}: set it right`)
    }
    if (this.#notBefore !== null) this.#offsetMs = offsetMs
    this.#notBefore = null
    const jumpedMs = offsetMs - this.#offsetMs
    if (Math.abs(jumpedMs) > CLOCK_DIFFERENCE_MAX_MS) {
      return doubted(`this machine's clock is ${secondsOf(jumpedMs)} where it was: set it back, or restart the server`)
    }
    // Small steps are those of a clock that is kept right.
    this.#offsetMs = offsetMs
    return null
  }
}

function doubted(why: string): ClockDoubt {
  return { code: 'clock_unconfirmed', message: `${why}. Until then no pin, critical flag or stage ends here` }
}

function secondsOf(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1_000)} s ${ms < 0 ? 'behind' : 'ahead of'}`
}
