// The holder: the one place that says which snapshot is served, and the only one that replaces it.
import type { Snapshot } from './snapshot.ts'

/** Brings a snapshot to the other processes that answer polls; resolves once they do so from it. */
export type Spread = (next: Snapshot) => Promise<void>

export class SnapshotHolder {
  #current: Snapshot | null = null
  #spread: Spread | null = null
  #spreading: Promise<void> | null = null

  /** The snapshot to answer from; a poll reads it once. null before the first one. */
  get current(): Snapshot | null {
    return this.#current
  }

  /** Resolves once the last snapshot that was swapped in is served by every process; null where this one is the only one. */
  get spreading(): Promise<void> | null {
    return this.#spreading
  }

  /** Has every snapshot from now on brought to other processes, too. Set before these begin, so that they miss none. */
  spreadBy(spread: Spread): void {
    this.#spread = spread
  }

  /** Serves another snapshot from now on. Going back to an older seq of the same epoch is a fault of the caller. */
  swap(next: Snapshot): void {
    const current = this.#current
    if (current !== null && current.epoch === next.epoch && next.seq < current.seq) {
      throw new RangeError(`a snapshot at seq ${next.seq} must not replace one at seq ${current.seq}`)
    }
    this.#current = next
    this.#spreading = this.#spread?.(next) ?? null
  }
}
