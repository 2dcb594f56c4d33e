// Who may read a page now, of the journal or of a list: a few readers at once, the others wait in line. What a change is decided on
// is not read through here, so that no reader is ever in the way of a halt, a pin or a rollback.

/** Pages that are read at once: more would take as long and hold more memory. */
const READS_MAX = 2
/** Pages that are read, or that their readers have not taken yet: each is a page in memory. */
const ANSWERS_MAX = 16
/** Readers in line; each holds a connection and nothing else. */
const WAITING_MAX = 200

/** A reader's place. */
export interface ReadPlace {
  /** The page was read; it is being sent. */
  read(): void
  /** The reader has taken the page, or has gone. May be called again. */
  end(): void
}

export type Entered = { readonly outcome: 'entered'; readonly place: ReadPlace } | { readonly outcome: 'full' | 'gone' }

/**
 * No `Limiter` (lib/limiter.ts): a reader has two places, one while its page is read and one until it was taken, and can be refused
 * or leave the line.
 */
export class PageReaders {
  readonly #waiting = new Set<() => void>()
  #reading = 0
  #answering = 0

  /** Waits for a place; `gone` where `signal` has aborted before there was one. */
  async enter(signal: AbortSignal): Promise<Entered> {
    if (signal.aborted) return { outcome: 'gone' }
    if (this.#waiting.size === 0 && this.#hasRoom()) return { outcome: 'entered', place: this.#place() }
    if (this.#waiting.size >= WAITING_MAX) return { outcome: 'full' }
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.delete(enter)
        resolve({ outcome: 'gone' })
      }
      const enter = (): void => {
        signal.removeEventListener('abort', leave)
        resolve({ outcome: 'entered', place: this.#place() })
      }
      this.#waiting.add(enter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #hasRoom(): boolean {
    return this.#reading < READS_MAX && this.#answering < ANSWERS_MAX
  }

  #place(): ReadPlace {
    this.#reading += 1
    this.#answering += 1
    let [isReading, isAnswering] = [true, true]
    const read = (): void => {
      if (!isReading) return
      isReading = false
      this.#reading -= 1
      this.#next()
    }
    const end = (): void => {
      if (!isAnswering) return
      isAnswering = false
      this.#answering -= 1
      this.#next()
    }
    return { read, end }
  }

  #next(): void {
    for (const enter of this.#waiting) {
      if (!this.#hasRoom()) return
      this.#waiting.delete(enter)
      enter()
    }
  }
}
