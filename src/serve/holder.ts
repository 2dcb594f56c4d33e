// The holder: the one place that says which snapshot is served, and the only one that replaces it.
import type { Snapshot } from './snapshot.ts'

export class SnapshotHolder {
  #current: Snapshot | null = null

  /** The snapshot to answer from; a poll reads it once. null before the first one. */
  get current(): Snapshot | null {
    return this.#current
  }

  /** Serves another snapshot from now on. Going back to an older seq of the same epoch is a fault of the caller. */
  swap(next: Snapshot): void {
    const current = this.#current
    if (current !== null && current.epoch === next.epoch && next.seq < current.seq) {
      throw new RangeError(`a snapshot at seq ${next.seq} must not replace one at seq ${current.seq}`)
    }
    this.#current = next
  }
}
