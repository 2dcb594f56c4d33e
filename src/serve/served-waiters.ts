// Those who wait until something is served: by this process, and by every other one that answers polls for it.
import type { Clock } from '../lib/clock.ts'
import type { ReplicaState } from './replica-state.ts'

/** How long a request waits for this replica to apply what it has committed or lost a race to. */
export const APPLY_WAIT_MAX_MS = 5_000

interface Waiter {
  readonly done: (state: ReplicaState) => boolean
  readonly settle: (reached: boolean) => void
}

export class ServedWaiters {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  /** Resolves once everything published so far is served by every process; null where it is. */
  #spreading: Promise<void> | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Waits until `done` holds of what is served, for APPLY_WAIT_MAX_MS at most; says whether it came to that. `published` is
   * what this process serves by now, null where that is not everything it knows.
   */
  until(published: ReplicaState | null, done: (state: ReplicaState) => boolean): Promise<boolean> {
    if (published !== null && done(published)) {
      return this.#spreading === null ? Promise.resolve(true) : this.#spreading.then(() => true)
    }
    return new Promise((resolve) => {
      const cancel = this.#clock.after(APPLY_WAIT_MAX_MS, () => waiter.settle(false))
      const waiter: Waiter = {
        done,
        settle: (reached) => {
          cancel()
          this.#waiters.delete(waiter)
          resolve(reached)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  /** Called when this process serves `state`; `spreading` resolves once all others do, null where there are none. */
  published(state: ReplicaState, spreading: Promise<void> | null): void {
    const reached = [...this.#waiters].filter((waiter) => waiter.done(state))
    if (spreading === null) {
      for (const waiter of reached) waiter.settle(true)
      return
    }
    const own = spreading.then(() => {
      // A later one has all of this in it.
      if (this.#spreading === own) this.#spreading = null
      for (const waiter of reached) waiter.settle(true)
    })
    this.#spreading = own
  }

  /** Nobody waits any longer. */
  giveUp(): void {
    for (const waiter of this.#waiters) waiter.settle(false)
  }
}
