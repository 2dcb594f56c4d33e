// Metrics in Prometheus' text format, on the control plane.
import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import { Type } from 'typebox'
import type { Control } from '../control/control.ts'
import { DUPLICATE_REPLICA_ID } from '../control/duplicate-replicas.ts'
import { isHistoryRestored } from '../control/restore-history.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import type { Replica } from '../serve/replica.ts'
import type { TrustedClock } from '../serve/trusted-clock.ts'
import { pollMetrics, type PollSources } from './poll-metrics.ts'

export interface Metrics {
  readonly registry: Registry
  readonly count: Control['count']
}

export interface MetricsSources {
  readonly holder: SnapshotHolder
  readonly replica: Replica
  readonly warnings: Control['warnings']
  readonly clock: TrustedClock
  /** null where this replica answers no polls. */
  readonly polls: PollSources | null
}

/** The registry with what this process counts; gauges read their sources when they are scraped. */
export function buildMetrics(sources: MetricsSources): Metrics {
  const { warnings, polls } = sources
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const changes = new Counter({
    name: 'bellwether_changes_total',
    help: 'Changes by outcome: committed, lost to another writer, refused by a guard, without effect, or tried in a dry run.',
    labelNames: ['outcome', 'kind'],
    registers,
  })
  for (const [name, help, read] of gaugesOf(sources)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  new Gauge({
    name: 'bellwether_store_warning',
    help: '1 for each setting of the store by which it could lose what it was given.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset()
      for (const { code } of warnings()) this.set({ code }, 1)
    },
  })
  if (polls !== null) pollMetrics(registry, polls)
  return { registry, count: (outcome, kind) => changes.inc({ outcome, kind }) }
}

type Gauges = readonly (readonly [name: string, help: string, read: () => number])[]

/** What is read when it is scraped. */
function gaugesOf({ holder, replica, warnings, clock }: MetricsSources): Gauges {
  return [
    ['bellwether_applied_seq', 'The journal entry up to which changes are served.', () => holder.current?.seq ?? 0],
    ['bellwether_channels', 'Channels that are served.', () => holder.current?.size ?? 0],
    [
      'bellwether_stale_seconds',
      'For how long what is served was not known to be the newest; 0 while the store is followed.',
      () => replica.staleMs / 1_000,
    ],
    [
      'bellwether_last_known_good_age_seconds',
      'The age of the last known good state while this replica has started from it and serves it, else 0.',
      () => (replica.status === 'serving last known good' ? replica.staleMs / 1_000 : 0),
    ],
    [
      'bellwether_store_regressed',
      '1 while the store has gone back and an operator must decide, else 0.',
      () => Number(replica.status === 'store regressed'),
    ],
    [
      'bellwether_newer_format',
      '1 while a newer Bellwether has written what this one does not read, else 0.',
      () => Number(replica.status === 'newer format'),
    ],
    [
      'bellwether_unreadable_documents',
      'Documents of the store that this build cannot act on; each fails closed, see the warnings of /readyz.',
      () => replica.state?.unreadable.size ?? 0,
    ],
    [
      'bellwether_history_restored',
      '1 once what channels served before the start is known as far back as anybody may ask, else 0.',
      () => Number(isHistoryRestored({ replica, clock })),
    ],
    [
      'bellwether_held_pins',
      'Channels whose pin is held past its time, because its end would break a guard; see the warnings of /readyz.',
      () => replica.state?.held.size ?? 0,
    ],
    [
      'bellwether_unreadable_entries',
      'Journal entries that this process has met and cannot read (1,000 at most); see the warnings of /readyz.',
      () => replica.unreadableEntries.count,
    ],
    [
      'bellwether_last_known_good_unsaved',
      '1 while a change is not in the last-known-good file for 30 s, so that a restart without the store would not have it, else 0.',
      () => Number(replica.lastKnownGood.warning !== null),
    ],
    [
      'bellwether_duplicate_replica_ids',
      'Names of replicas that several live processes have; see the warnings of /readyz.',
      () => warnings().filter(({ code }) => code === DUPLICATE_REPLICA_ID).length,
    ],
    [
      'bellwether_clock_unconfirmed',
      '1 while the time is not confirmed, so that this replica ends no pin, critical flag or stage, else 0.',
      () => Number(clock.doubt !== null),
    ],
    [
      'bellwether_following',
      '1 while the replica follows its store, else 0.',
      () => Number(replica.status === 'following'),
    ],
  ]
}

export function metricsRoutes(app: FastifyInstance, registry: Registry): void {
  app.route({
    method: 'GET',
    url: '/metrics',
    schema: {
      operationId: 'getMetrics',
      summary: 'Metrics',
      description: "In Prometheus' text format.",
      tags: ['health'],
      response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: Type.String() } } } },
    },
    handler: async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  })
}
