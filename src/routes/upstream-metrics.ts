// Metrics of forward channels: how old their upstreams' answers are, and what is wrong with them.
import { Counter, Gauge, type Registry } from 'prom-client'
import { CHANNEL_KIND, channelNameOf, channelOf, type ForwardSource } from '../channels/channel.ts'
import type { FollowOptions } from '../control/follow-upstreams.ts'
import type { Upstreams } from '../control/upstreams.ts'
import type { Clock } from '../lib/clock.ts'
import type { Replica } from '../serve/replica.ts'

/** Adds the gauges; the answer is to be called after every poll. */
export function upstreamMetrics(
  registry: Registry,
  replica: Replica,
  upstreams: Upstreams,
  clock: Clock,
): FollowOptions['count'] {
  const registers = [registry]
  new Gauge({
    name: 'bellwether_upstream_answer_age_seconds',
    help: "How long ago a forward channel's upstream last answered well; absent before its first answer.",
    labelNames: ['channel'],
    registers,
    collect() {
      this.reset()
      for (const [channel] of forwardSources(replica)) {
        const at = upstreams.lastAnswerAt(channel)
        if (at !== null) this.set({ channel }, Math.max(0, clock.now() - at) / 1_000)
      }
    },
  })
  new Gauge({
    name: 'bellwether_upstream_problem',
    help: '1 for each forward channel whose upstream is in trouble, by what it is.',
    labelNames: ['channel', 'kind'],
    registers,
    collect() {
      this.reset()
      for (const [channel, { problem }] of forwardSources(replica)) {
        if (problem !== null) this.set({ channel, kind: problem.kind }, 1)
      }
    },
  })
  const polls = new Counter({
    name: 'bellwether_upstream_polls_total',
    help: 'Polls of upstreams by this replica, by what they led to.',
    labelNames: ['outcome'],
    registers,
  })
  return (outcome) => polls.inc({ outcome })
}

function* forwardSources(replica: Replica): Generator<readonly [channel: string, source: ForwardSource]> {
  for (const document of replica.state?.documentsOf(CHANNEL_KIND) ?? []) {
    const name = channelNameOf(document.key)
    const source = name === null ? null : channelOf(document).source
    if (name !== null && source?.kind === 'forward') yield [name, source]
  }
}
