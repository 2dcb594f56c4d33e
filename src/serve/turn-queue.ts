// Work that waits for later turns of the event loop. Each turn does a bounded part of it, so a burst delays no other connection
// for longer than that.

/** One piece of work is at most a slice of polls, or one request of the HTTP server: together some 2 ms in a turn. */
const PIECES_PER_TURN_MAX = 32

export class TurnQueue {
  readonly #waiting: (() => void)[] = []
  /** Where the next piece is; those before it are done. */
  #next = 0
  #isScheduled = false

  /** Runs `piece` in a later turn, after those that were added before it. */
  add(piece: () => void): void {
    this.#waiting.push(piece)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#run())
  }

  #run(): void {
    this.#isScheduled = false
    const pieces = this.#waiting.slice(this.#next, this.#next + PIECES_PER_TURN_MAX)
    this.#next += pieces.length
    // Moved up only now and then: taking from the front of a long list copies all of it.
    if (this.#next * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#next)
      this.#next = 0
    }
    if (this.#waiting.length > 0) this.#schedule()
    for (const piece of pieces) piece()
  }
}
