// A poll worker's snapshots: rendered from the facts that the primary sends, and served when they are complete.
import { renderChannel, type ServedChannel } from '../serve/answers.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import { Snapshot, type SnapshotStamp } from '../serve/snapshot.ts'
import type { ChannelFacts } from './messages.ts'

export class WorkerSnapshots {
  readonly #holder: SnapshotHolder
  readonly #maxAgeS: number
  #changed = new Map<string, ServedChannel | null>()

  constructor(holder: SnapshotHolder, maxAgeS: number) {
    this.#holder = holder
    this.#maxAgeS = maxAgeS
  }

  /** Renders channels for the next snapshot. */
  prepare(channels: readonly ChannelFacts[]): void {
    for (const [name, revision, target, cohorts] of channels) {
      this.#changed.set(
        name,
        target === null ? null : renderChannel({ name, revision }, target, this.#maxAgeS, cohorts),
      )
    }
  }

  /** Serves what was prepared: as all there is, or as changes of what is served. */
  serve(stamp: SnapshotStamp, isWhole: boolean): void {
    const changed = this.#changed
    this.#changed = new Map()
    const before = isWhole ? Snapshot.of([], stamp, this.#maxAgeS) : this.#holder.current
    if (before === null) throw new Error('changes came before the state that they change')
    this.#holder.swap(before.with(changed, stamp))
  }
}
