// Runs so many tasks at once; the others wait in line, first come, first served, so that tasks that take long starve nobody.
// Callers that refuse or postpone what is beyond the limit ask `free` first.

export class Limiter {
  readonly #max: number
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #running = new Set<Promise<void>>()

  /** `max` tasks run at once. */
  constructor(max: number) {
    this.#max = max
  }

  /** How many more tasks would begin at once. */
  get free(): number {
    return Math.max(0, this.#max - this.#running.size - this.#waiting.length)
  }

  /** Begins a task in this call where there is room, else when its turn comes. Tasks must not reject: nobody waits for one of them. */
  run(task: () => Promise<void>): void {
    this.#waiting.push(task)
    this.#fill()
  }

  /** Drops the tasks that wait. */
  clear(): void {
    this.#waiting.length = 0
  }

  /** Resolves once no task runs or waits. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #fill(): void {
    while (this.#running.size < this.#max) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      const running = next().finally(() => {
        this.#running.delete(running)
        this.#fill()
      })
      this.#running.add(running)
    }
  }
}
