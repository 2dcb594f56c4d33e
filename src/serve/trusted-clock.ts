// The time by which pins, critical flags and stages end: confirmed by the store, or by two clocks of the machine that agree.
// What a wrong clock ends cannot be undone, so while the time is not confirmed nothing ends (ADR 29).
import type { Times } from '../channels/time.ts'
import type { Clock, MachineClock } from '../lib/clock.ts'

/** Clocks that are further apart are not both right; machines that synchronise theirs are within a second. */
export const CLOCK_DIFFERENCE_MAX_MS = 5 * 60_000

/** What no right clock tells: before Bellwether was written, or beyond the years that a moment is written with. */
const TIME_MIN_MS = Date.parse('2000-01-01T00:00:00.000Z')
const TIME_MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** In the form of a warning: a code, and what is wrong. */
export interface ClockDoubt {
  readonly code: 'clock_unconfirmed'
  readonly message: string
}

export interface TrustedClock extends Clock {
  /** The time up to which expiries take effect: now while it is confirmed, else when it last was, or -Infinity. */
  expiryTime(): number
  /**
   * The time by which access ends (ADR 29): as last confirmed, and the monotonic clock since. A clock that jumps afterwards neither
   * brings a token back nor ends one. Before the first confirmation it is the latest of all times that are known.
   */
  accessTime(): number
  /** Why the time is not confirmed; null while it is. */
  readonly doubt: ClockDoubt | null
}

/** The times that one decision goes by. */
export function timesOf(clock: TrustedClock): Times {
  const [now, expiryTime] = [clock.now(), clock.expiryTime()]
  // A millisecond may have gone by, either way where the clock is kept right.
  return { now, expiryTime: clock.doubt === null ? now : expiryTime }
}

/** The time as last confirmed, going on by the monotonic clock alone. */
class ConfirmedTime {
  readonly #machine: MachineClock
  #last: { readonly time: number; readonly at: number } | null = null

  constructor(machine: MachineClock) {
    this.#machine = machine
  }

  /** Remembers that `time` is confirmed now. */
  confirm(time: number): void {
    this.#last = { time, at: this.#machine.monotonicMs() }
  }

  /** The time that was last confirmed; -Infinity where none was. */
  get last(): number {
    return this.#last?.time ?? Number.NEGATIVE_INFINITY
  }

  /** Now, by the last confirmation; null where there was none. */
  get now(): number | null {
    return this.#last === null ? null : this.#last.time + this.#machine.monotonicMs() - this.#last.at
  }
}

/** The time of a store that replicas share, as of the last contact, and the machine's monotonic clock since. */
export class SharedClock implements TrustedClock {
  readonly #machine: MachineClock
  readonly #ask: () => Promise<number>
  #contact: { readonly time: number; readonly at: number } | null = null
  /** Why the store did not tell its time when it was last asked; null where it did. */
  #problem: string | null = null
  readonly #confirmed: ConfirmedTime

  /** `ask` gives the store's time in milliseconds since the epoch. */
  constructor(machine: MachineClock, ask: () => Promise<number>) {
    this.#machine = machine
    this.#ask = ask
    this.#confirmed = new ConfirmedTime(machine)
  }

  now(): number {
    if (this.#contact === null) return this.#machine.now()
    return this.#contact.time + this.#machine.monotonicMs() - this.#contact.at
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#machine.after(delayMs, run)
  }

  expiryTime(): number {
    this.#confirm()
    return this.#confirmed.last
  }

  accessTime(): number {
    this.#confirm()
    return this.#confirmed.now ?? Math.max(this.now(), this.#machine.now())
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
      if (!(time >= TIME_MIN_MS && time <= TIME_MAX_MS)) {
        throw new RangeError('the store has told a time outside the years 2000 to 9999')
      }
      this.#problem = null
      // What was right until now must be known where this contact is wrong.
      this.#confirm()
      // As of now, so late by the way back at most: what ends late is harmless.
      this.#contact = { time, at: this.#machine.monotonicMs() }
      this.#confirm()
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      throw error
    }
  }

  #confirm(): void {
    if (this.doubt === null) this.#confirmed.confirm(this.now())
  }
}

/** The time of one machine alone: its wall clock, for as long as the monotonic one agrees with it. */
export class LocalClock implements TrustedClock {
  readonly #machine: MachineClock
  /** When the newest entry was made, while the wall clock is before that; else null. */
  #notBefore: number | null
  /** Wall clock less monotonic clock, as last confirmed. */
  #offsetMs: number
  readonly #confirmed: ConfirmedTime

  /** `newestEntryAt` is in milliseconds since the epoch, null for an empty journal. */
  constructor(machine: MachineClock, newestEntryAt: number | null) {
    this.#machine = machine
    this.#notBefore = newestEntryAt
    this.#offsetMs = machine.now() - machine.monotonicMs()
    this.#confirmed = new ConfirmedTime(machine)
  }

  now(): number {
    return this.#look() === null ? this.#machine.now() : this.#machine.monotonicMs() + this.#offsetMs
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#machine.after(delayMs, run)
  }

  expiryTime(): number {
    if (this.#look() === null) this.#confirmed.confirm(this.#machine.now())
    return this.#confirmed.last
  }

  accessTime(): number {
    // After a jump `now` goes on as before it.
    return Math.max(this.now(), this.#notBefore ?? Number.NEGATIVE_INFINITY)
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
