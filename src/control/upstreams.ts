// What is known of upstreams beside the channels' documents: where they may be, and when each has last answered well. The
// latter changes with every poll, so it is not journaled; the replica that polls tells the others.
import type { Coordination } from '../store/port.ts'
import type { AllowedHosts } from './allowed-hosts.ts'

const TOPIC = 'upstreams'

const ANSWERED_AT_MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

export class Upstreams {
  readonly hosts: AllowedHosts
  readonly #answeredAt = new Map<string, number>()

  constructor(hosts: AllowedHosts) {
    this.hosts = hosts
  }

  /** When the upstream of a channel has last given a good answer, in milliseconds since the epoch; null for never, as far as is known. */
  lastAnswerAt(channel: string): number | null {
    return this.#answeredAt.get(channel) ?? null
  }

  /** Keeps that a channel's upstream has answered well, here and for the other replicas. */
  async answered(coordination: Coordination, channel: string, at: number): Promise<void> {
    this.#answeredAt.set(channel, at)
    await coordination.note(TOPIC, { [channel]: String(at) })
  }

  /** Forgets channels that have no upstream (any more), here and for the others. */
  async forget(coordination: Coordination, channels: readonly string[]): Promise<void> {
    if (channels.length === 0) return
    for (const channel of channels) this.#answeredAt.delete(channel)
    await coordination.note(TOPIC, Object.fromEntries(channels.map((channel) => [channel, null])))
  }

  /** Takes in what the replica that polls has told. */
  async learn(coordination: Coordination): Promise<void> {
    const noted = await coordination.noted(TOPIC)
    for (const channel of this.#answeredAt.keys()) if (!noted.has(channel)) this.#answeredAt.delete(channel)
    for (const [channel, at] of noted) {
      const time = Number(at)
      // Another program can have written any number; a moment of none of these years cannot be shown.
      if (time >= 0 && time <= ANSWERED_AT_MAX_MS) this.#answeredAt.set(channel, time)
    }
  }

  /** The channels that are known to have answered. */
  channels(): Iterable<string> {
    return this.#answeredAt.keys()
  }
}
