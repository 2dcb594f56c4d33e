// The snapshot: the immutable picture of all channels at one seq, with every answer rendered.
import type { Target } from '../channels/target.ts'
import { renderCommon, type CommonAnswers, type ServedChannel } from './answers.ts'

/** Which state a snapshot shows. */
export interface SnapshotStamp {
  readonly seq: number
  readonly epoch: string
  /** When it was made, in milliseconds since the epoch. */
  readonly at: number
}

type Shard = ReadonlyMap<string, ServedChannel>

/**
 * Channels are kept in so many maps by a hash of their names; the next snapshot copies those in which something has
 * changed and shares the rest. With 100,000 channels that is 200 entries and not 100,000 for a change. A power of two.
 */
const SHARDS = 512
const EMPTY: Shard = new Map()

/** Nobody outside can reach the maps, and nothing in here changes them after construction: a snapshot is frozen. */
export class Snapshot {
  readonly seq: number
  readonly epoch: string
  readonly at: number
  readonly size: number
  readonly common: CommonAnswers
  readonly #shards: readonly Shard[]

  private constructor(stamp: SnapshotStamp, common: CommonAnswers, shards: readonly Shard[], size: number) {
    this.seq = stamp.seq
    this.epoch = stamp.epoch
    this.at = stamp.at
    this.size = size
    this.common = common
    this.#shards = shards
    Object.freeze(this)
  }

  static of(channels: Iterable<ServedChannel>, stamp: SnapshotStamp, maxAgeS: number): Snapshot {
    const shards = Array.from({ length: SHARDS }, () => EMPTY)
    const changes: Change[] = []
    for (const channel of channels) changes.push([channel.name, channel])
    const size = applyTo(shards, changes)
    return new Snapshot(stamp, renderCommon(maxAgeS), shards, size)
  }

  /** The next snapshot: channels that changed are replaced (null: removed), all others are the same objects. */
  with(changed: ReadonlyMap<string, ServedChannel | null>, stamp: SnapshotStamp): Snapshot {
    const shards = [...this.#shards]
    const grown = applyTo(shards, changed)
    return new Snapshot(stamp, this.common, shards, this.size + grown)
  }

  find(name: string): ServedChannel | undefined {
    return this.#shards[shardOf(name)]?.get(name)
  }

  /** What is served of channels that `before` serves otherwise, or not at all; null for those that are gone. */
  changesSince(before: Snapshot): ReadonlyMap<string, ServedChannel | null> {
    const changed = new Map<string, ServedChannel | null>()
    for (const [index, shard] of this.#shards.entries()) {
      const old = before.#shards[index] ?? EMPTY
      if (shard === old) continue
      for (const name of old.keys()) if (!shard.has(name)) changed.set(name, null)
      for (const [name, channel] of shard) if (!isSame(channel, old.get(name))) changed.set(name, channel)
    }
    return changed
  }

  /** Every channel, in no promised order. */
  *channels(): Generator<ServedChannel> {
    for (const shard of this.#shards) yield* shard.values()
  }
}

type Change = readonly [name: string, channel: ServedChannel | null]

/** Puts changes into `shards`, each shard that is touched being copied first; gives by how many channels that is more. */
function applyTo(shards: Shard[], changes: Iterable<Change>): number {
  const copies = new Map<number, Map<string, ServedChannel>>()
  let grown = 0
  for (const [name, channel] of changes) {
    const index = shardOf(name)
    let copy = copies.get(index)
    if (copy === undefined) {
      copy = new Map(shards[index])
      copies.set(index, copy)
      shards[index] = copy
    }
    const before = copy.size
    if (channel === null) copy.delete(name)
    else copy.set(name, channel)
    grown += copy.size - before
  }
  return grown
}

/** Whether both were rendered from the same, so that no byte of an answer differs. */
function isSame(one: ServedChannel, other: ServedChannel | undefined): boolean {
  if (one === other) return true
  if (one.revision !== other?.revision) return false
  if (!isAlike(one.target, other.target)) return false
  const [ramp, before] = [one.ramp, other.ramp]
  if (ramp === null || before === null) return ramp === before
  // A store that has lost a write gives its revision again, to another percentage or another rollout.
  if (ramp.seed !== before.seed || ramp.percent !== before.percent) return false
  return isAlike(ramp.early, before.early) && isAlike(ramp.late, before.late)
}

function isAlike(one: Target, other: Target): boolean {
  return (
    one.version === other.version &&
    one.critical === other.critical &&
    one.because === other.because &&
    one.detail === other.detail
  )
}

/** FNV-1a over a name's characters, folded to a shard. */
function shardOf(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 16)) & (SHARDS - 1)
}
