// The snapshot: the immutable picture of all channels at one seq, with every answer rendered.
import { renderCommon, type CommonAnswers, type ServedChannel } from './answers.ts'

/** Which state a snapshot shows. */
export interface SnapshotStamp {
  readonly seq: number
  readonly epoch: string
  /** When it was made, in milliseconds since the epoch. */
  readonly at: number
}

/** Nobody outside can reach the map, and nothing in here changes it after construction: a snapshot is frozen. */
export class Snapshot {
  readonly seq: number
  readonly epoch: string
  readonly at: number
  readonly common: CommonAnswers
  readonly #channels: ReadonlyMap<string, ServedChannel>

  private constructor(stamp: SnapshotStamp, common: CommonAnswers, channels: ReadonlyMap<string, ServedChannel>) {
    this.seq = stamp.seq
    this.epoch = stamp.epoch
    this.at = stamp.at
    this.common = common
    this.#channels = channels
    Object.freeze(this)
  }

  static of(channels: Iterable<ServedChannel>, stamp: SnapshotStamp, maxAgeS: number): Snapshot {
    const byName = new Map<string, ServedChannel>()
    for (const channel of channels) byName.set(channel.name, channel)
    return new Snapshot(stamp, renderCommon(maxAgeS), byName)
  }

  /** The next snapshot: channels that changed are replaced (null: removed), all others are the same objects. */
  with(changed: ReadonlyMap<string, ServedChannel | null>, stamp: SnapshotStamp): Snapshot {
    const channels = new Map(this.#channels)
    for (const [name, channel] of changed) {
      if (channel === null) channels.delete(name)
      else channels.set(name, channel)
    }
    return new Snapshot(stamp, this.common, channels)
  }

  find(name: string): ServedChannel | undefined {
    return this.#channels.get(name)
  }

  get size(): number {
    return this.#channels.size
  }
}
