// Shares the event loop between all that parse journal entries: an entry may be a megabyte, and parsing two of them in one turn
// is twice the pause for every poll. Operators' reads and the replica go before those of readers.
import type { ReadLane } from './port.ts'

/** Bytes of JSON parsed in one turn of the event loop: some 0.5 ms of small entries. A larger entry has a turn to itself. */
export const TURN_BYTES_MAX = 64 * 1024

/** One piece of work, done without a pause; answers how many bytes of JSON it has parsed. */
type Work = () => number

export class Turns {
  readonly #waiting: Readonly<Record<ReadLane, Work[]>> = { operator: [], reader: [] }
  /** Bytes parsed in this turn. */
  #used = 0
  #nextTurn: NodeJS.Immediate | null = null

  /** Runs `work` as soon as this turn has room for it; settles as `work` does. `sizeOf` answers the bytes that were parsed. */
  run<T>(lane: ReadLane, work: () => T, sizeOf: (done: T) => number): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting[lane].push(() => {
        try {
          const done = work()
          resolve(done)
          return sizeOf(done)
        } catch (error) {
          // The caller decides what kind of fault this is.
          reject(error instanceof Error ? error : new Error(String(error)))
          return 0
        }
      })
      this.#work()
    })
  }

  #work(): void {
    while (this.#used < TURN_BYTES_MAX) {
      const work = this.#waiting.operator.shift() ?? this.#waiting.reader.shift()
      if (work === undefined) break
      this.#used += work()
    }
    if (this.#used === 0 || this.#nextTurn !== null) return
    this.#nextTurn = setImmediate(() => {
      this.#nextTurn = null
      this.#used = 0
      this.#work()
    })
  }
}
