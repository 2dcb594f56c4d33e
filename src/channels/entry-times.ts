// When journal entries took effect. Each carries the time of the clock that made it; a clock that was far off must not
// make a version look as if agents had left it long ago, so an entry that does not fit its neighbours counts as late as
// it can have been.

/** Clocks of replicas that are kept in step differ by less; a larger step back between two entries is a wrong clock. */
export const CLOCK_SKEW_MAX_MS = 300_000

/** The oldest entries that were read say how far back is known; a few wrong clocks among so many do not matter. */
const WINDOW_ENTRIES = 20

/** When something took effect (milliseconds since the epoch); shared by all that it concerns, since it may be corrected. */
export interface Moment {
  readonly at: number
}

/** The same, for this file alone to correct. */
interface OpenMoment {
  at: number
}

export class EntryTimes {
  /** Entries from before the state was loaded, newest first, as they were read. */
  readonly #read: OpenMoment[] = []
  readonly #loadedAt: number
  #newest = -Infinity

  constructor(loadedAt: number) {
    this.#loadedAt = loadedAt
  }

  /** The moment of the next entry of the journal, that says `at` (NaN where that is no time) and was applied at `now`. */
  next(at: number, now: number): Moment {
    const isRight = at >= this.#newest - CLOCK_SKEW_MAX_MS && at <= now + CLOCK_SKEW_MAX_MS
    const moment = { at: isRight ? at : Math.max(this.#newest, now) }
    this.#newest = Math.max(this.#newest, moment.at)
    return moment
  }

  /** The moment of the entry before the oldest that is known. Corrects what was read, where this entry shows it to be wrong. */
  before(at: number, now: number): Moment {
    const moment: OpenMoment = { at: at <= now + CLOCK_SKEW_MAX_MS ? at : this.#oldest }
    let index = this.#read.length
    while (index > 0 && (this.#read[index - 1]?.at ?? 0) < moment.at - CLOCK_SKEW_MAX_MS) index -= 1
    const latest = this.#read[index - 1]?.at ?? Math.max(this.#loadedAt, moment.at)
    for (const wrong of this.#read.slice(index)) wrong.at = latest
    this.#read.push(moment)
    this.#newest = Math.max(this.#newest, moment.at)
    return moment
  }

  /** Every entry from this moment on was read. */
  get readTo(): number {
    return this.#read.slice(-WINDOW_ENTRIES).reduce((latest, { at }) => Math.max(latest, at), -Infinity)
  }

  get count(): number {
    return this.#read.length
  }

  get #oldest(): number {
    return this.#read.at(-1)?.at ?? this.#loadedAt
  }
}
