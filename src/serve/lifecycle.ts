// How far the process is with its end: readiness, connections and poll workers go by it.

/** Goes from serving to draining to closing, or from serving to closing at once. It never goes back. */
export class Lifecycle {
  #stage: 'serving' | 'draining' | 'closing' = 'serving'
  #hasDrained = false
  readonly #onDrain: (() => void)[] = []

  /** Whether load balancers should send connections here. */
  get isServing(): boolean {
    return this.#stage === 'serving'
  }

  /** Whether every answer is the last on its connection. */
  get isClosing(): boolean {
    return this.#stage === 'closing'
  }

  /** Whether a drain has begun: it may be over by now. */
  get hasDrained(): boolean {
    return this.#hasDrained
  }

  /** Begins to drain: not ready any more, everything is answered as before. */
  drain(): void {
    if (this.#stage !== 'serving') return
    this.#stage = 'draining'
    this.#hasDrained = true
    for (const run of this.#onDrain) run()
  }

  close(): void {
    this.#stage = 'closing'
  }

  /** Calls `run` when a drain begins. */
  onDrain(run: () => void): void {
    this.#onDrain.push(run)
  }
}
