// Rendered answers as they go out on a connection: with the Date and the lines about the connection, for the rest of a second.
import type { Clock } from '../lib/clock.ts'
import type { Answer } from './answers.ts'

/** Longer than the usual 60 s of proxies in front, so that they close first and never poll into a closed connection. */
export const IDLE_MAX_MS = 65_000

const DATE_INTERVAL_MS = 1_000
/** So many whole answers are kept for the rest of a second: most fleets follow a handful of channels. */
const TEXTS_MAX = 256

export class AnswerTexts {
  readonly #clock: Clock
  /** The lines that end every head: on a connection that is kept, and on one that ends. */
  #keptLines = ''
  #lastLines = ''
  /** Whole answers to a GET on a connection that is kept. */
  readonly #texts = new Map<Answer, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `head` is the answer's own, or that of its 304. */
  headText(head: string, isLast: boolean): string {
    return head + (isLast ? this.#lastLines : this.#keptLines)
  }

  /** The whole answer, on a connection that is kept. */
  keptText(answer: Answer): string {
    return this.#texts.get(answer) ?? this.#render(answer)
  }

  #render(answer: Answer): string {
    const text = answer.head + this.#keptLines + answer.body
    if (this.#texts.size < TEXTS_MAX) this.#texts.set(answer, text)
    return text
  }

  /** Renders the lines with the Date again every second; the answer stops that. No periodic task: the poll path awaits nothing. */
  start(): () => void {
    const now = this.#clock.now()
    const date = `Date: ${new Date(now).toUTCString()}\r\n`
    this.#keptLines = `${date}Connection: keep-alive\r\nKeep-Alive: timeout=${IDLE_MAX_MS / 1_000}\r\n\r\n`
    this.#lastLines = `${date}Connection: close\r\n\r\n`
    this.#texts.clear()
    let stop = this.#clock.after(DATE_INTERVAL_MS - (now % DATE_INTERVAL_MS), () => (stop = this.start()))
    return () => stop()
  }
}
