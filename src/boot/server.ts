// The server: config → open store → start planes → close with grace.
import { releaseHeap } from './heap.ts' // First: it must be set before the others are loaded.
import type { FastifyInstance } from 'fastify'
import { pino, type Logger } from 'pino'
import type { Registry } from 'prom-client'
import { banner, type BannerFacts } from '../app/banner.ts'
import { build } from '../build.ts'
import { ConfigError, readConfig, type Config } from '../config.ts'
import { adminToken } from '../control/admin-token.ts'
import { checkDocument } from '../control/check-document.ts'
import { startExpiryTask } from '../control/expiry-task.ts'
import { pauseOf, type Control } from '../control/control.ts'
import { restoreHistories } from '../control/restore-history.ts'
import { DuplicateReplicaMonitor } from '../control/duplicate-replicas.ts'
import { announceReplica, type ReplicaFacts } from '../control/replicas.ts'
import { AllowedHosts } from '../control/allowed-hosts.ts'
import { openGateSecrets, openOutside, type OpenOutside } from '../open-outside.ts'
import { Upstreams } from '../control/upstreams.ts'
import {
  documentWarnings,
  heldPinWarnings,
  entryWarnings,
  isUnchecked,
  lastKnownGoodWarnings,
  storeChecks,
  type StoreChecks,
} from '../control/store-checks.ts'
import { closePlane, listen } from '../listening.ts'
import { openPollPlane, type OpenPollPlane } from '../open-poll-plane.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { SnapshotHolder } from '../serve/holder.ts'
import { Lifecycle } from '../serve/lifecycle.ts'
import { Replica } from '../serve/replica.ts'
import { closeOnSignals } from './close-on-signals.ts'
import { connectionLimits, descriptorLimit, listenersOf, type ConnectionLimits } from './connection-limits.ts'
import { logConsole } from './console-log.ts'
import { logEnded, openClock } from './open-clock.ts'
import { openMetricsPlane } from './open-metrics-plane.ts'
import { newProcessToken, newReplicaId, openStore, type OpenStore } from './open-store.ts'
import type { StoreWarning } from '../store/warning.ts'
import type { RedisLimits } from '../store/redis/limits.ts'

/** A strict server waits this long for a Redis that starts beside it, or that is slow to connect to. */
const STRICT_TRIES_MAX = 6
const STRICT_PAUSE_MS = 1_000
/** What a log that cannot be written keeps for later; beyond that, lines are dropped. */
const LOG_BYTES_MAX = 1024 * 1024

type Stop = () => Promise<void>

/** How long a server waits for others; tests of faults start servers that wait less. */
export interface ServerLimits {
  readonly redis?: Partial<RedisLimits>
  /** Longest pause between two tries to reach the store again. */
  readonly retryLongestMs?: number
  /** After this long a lease is over that its replica has not renewed. */
  readonly leaseMs?: number
}

/** Runs the server until a signal ends it; throws where it cannot start. */
export async function runServer(limits: ServerLimits = {}): Promise<void> {
  const config = readConfig()
  const logger = openLog(config)
  const lifecycle = new Lifecycle()
  logConsole(logger)
  // The signals are listened to before anything is opened: one that comes during the start waits for the start's end.
  const starting = Promise.resolve().then(() => start(config, limits, logger, lifecycle))
  const stop: Stop = async () => (await starting)()
  closeOnSignals({ drainMs: config.drainS * 1_000, lifecycle, logger, stop })
  await starting
}

/** What a server that could not start says on stderr. */
export function startFaultText(error: unknown): string {
  const lines = error instanceof ConfigError ? error.lines : [error instanceof Error ? error.message : String(error)]
  return lines.map((line) => `bellwether: ${line}\n`).join('')
}

/** Starts the server; the answer stops it. */
async function start(config: Config, limits: ServerLimits, logger: Logger, lifecycle: Lifecycle): Promise<Stop> {
  const clock = systemClock
  const startedAt = clock.now()
  const { dataDir, role, pollMaxAgeS: maxAgeS } = config
  // Before anything is opened: a start that fails here leaves nothing behind.
  const gateSecrets = await openGateSecrets(config)
  const opening = await openStore(config, clock, logger, limits.redis)
  const { store, coordination, damage, close } = opening
  if (damage !== null) logger.error({ damage }, 'the store is damaged; writes are refused')
  const checks = storeChecks(opening.warnings, clock, logger)
  const [opened] = await Promise.all([openClock(store, clock, logger), checkStore(config, checks, clock)])
  const trusted = opened.clock
  const holder = new SnapshotHolder()
  const replicaParts = { store, holder, clock: trusted, log: logger }
  const replica = new Replica({ ...replicaParts, maxAgeS, dataDir, checkDocument, ...limits })
  await replica.start()
  logEnded(replica.state, trusted, logger)

  const replicaId = config.replicaId ?? newReplicaId()
  const processToken = newProcessToken()
  const duplicates = new DuplicateReplicaMonitor({ coordination, clock: trusted, replicaId, processToken }, logger)
  const upstreams = new Upstreams(new AllowedHosts(config.upstreamAllow, 'BELLWETHER_UPSTREAM_ALLOW'))
  const outside = openOutside(config, logger, gateSecrets)
  const connections = limitConnections(config, logger)
  const allWarnings = warningsOf({ connections, checks, opening, replica, duplicates })
  const stores = { store, coordination, replica, warnings: allWarnings }
  const shared = { ...stores, replicaId, processToken, clock: trusted, upstreams, outside }
  const pollParts = { config, holder, lifecycle, clock, log: logger, connectionsMax: connections.poll }
  const polls = role === 'control' ? null : await openPollPlane(pollParts)
  const processes = (): number => polls?.processes() ?? 0
  const facts = { holder, role, build: build.version, startedAt, processes }
  const handed = { config, limits, logger, lifecycle, shared, outside, facts, polls }
  const parts = { ...handed, connectionsMax: connections.control }
  const control = role === 'poll' ? null : await openControlPlane(parts)
  const sources = { holder, replica, warnings: allWarnings, clock: trusted, polls }
  const metrics = await openMetricsPlane(config, control?.registry ?? null, sources)
  const stops = control?.stops ?? []
  const stopChecks = checks.start()
  const stopClock = opened.start()
  // On the embedded store there is nobody to tell.
  if (config.redis !== null)
    stops.push(announceReplica({ ...shared, count: () => {} }, facts, logger), duplicates.start())
  releaseHeap()
  sayWhereItListens(logger, replicaId, {
    pollAddress: polls?.address ?? null,
    controlAddress: control?.address ?? null,
    metricsAddress: metrics?.address ?? null,
    tokenPath: control?.tokenPath ?? null,
  })

  return async () => {
    const { hasDrained } = lifecycle
    await Promise.all([polls?.close(), control === null ? null : closePlane(control.plane, hasDrained)])
    await metrics?.plane.close()
    await Promise.all([stopChecks(), stopClock()])
    for (const stop of stops) await stop()
    outside.close()
    await replica.stop()
    await close()
  }
}

interface Warners {
  readonly connections: ConnectionLimits
  readonly checks: StoreChecks
  readonly opening: Pick<OpenStore, 'writeWarnings'>
  readonly replica: Replica
  readonly duplicates: DuplicateReplicaMonitor
}

/** Everything that is wrong although all works, when it is asked for. */
function warningsOf({ connections, checks, opening, replica, duplicates }: Warners): () => readonly StoreWarning[] {
  return () => [
    ...connections.warnings,
    ...checks.warnings(),
    ...opening.writeWarnings(),
    ...documentWarnings(replica),
    ...heldPinWarnings(replica),
    ...entryWarnings(replica),
    ...lastKnownGoodWarnings(replica),
    ...duplicates.warnings,
  ]
}

/** In the log, and on stdout for the person who has started the server. */
function sayWhereItListens(logger: Logger, replicaId: string, facts: Omit<BannerFacts, 'version'>): void {
  const { pollAddress: poll, controlAddress: control, metricsAddress: metrics } = facts
  const { version } = build
  logger.info({ poll, control, metrics, replica: replicaId, version }, 'listening')
  // Whoever reads this may have gone already.
  process.stdout.on('error', () => {})
  process.stdout.write(banner({ version, ...facts }))
}

/** The limits of this process; what limits them is in the log from the start on. */
function limitConnections(config: Config, logger: Logger): ConnectionLimits {
  const limits = connectionLimits(listenersOf(config), descriptorLimit())
  for (const { code, message } of limits.warnings) logger.warn({ code }, message)
  return limits
}

interface ControlParts {
  readonly config: Config
  readonly limits: ServerLimits
  readonly logger: Logger
  readonly lifecycle: Lifecycle
  readonly shared: Omit<Control, 'count'>
  readonly outside: OpenOutside
  readonly facts: ReplicaFacts
  /** null where this replica answers no polls. */
  readonly polls: OpenPollPlane | null
  readonly connectionsMax: number
}

interface OpenControlPlane {
  readonly plane: FastifyInstance
  readonly address: string
  readonly registry: Registry
  /** Where the first token is; null where it is given in the configuration. */
  readonly tokenPath: string | null
  /** What goes on beside the listener, to be stopped in this order. */
  readonly stops: Stop[]
}

/** Opens the control plane, and starts what only its replicas do. */
async function openControlPlane(parts: ControlParts): Promise<OpenControlPlane> {
  const { config, limits, logger, lifecycle, shared, outside, facts, polls, connectionsMax } = parts
  const { replica, upstreams, clock, warnings } = shared
  const token = await adminToken(config.dataDir, config.adminToken)
  // Loaded only now: the documentation pages and validators take longer to load than the poll plane takes to answer.
  const [{ buildControlPlane }, { buildMetrics }, { upstreamMetrics }, { rolloutMetrics }] = await Promise.all([
    import('../app/control-plane.ts'),
    import('../routes/metrics.ts'),
    import('../routes/upstream-metrics.ts'),
    import('../routes/rollout-metrics.ts'),
  ])
  const [{ followUpstreams }, { driveRollouts }, { warnOfGates }] = await Promise.all([
    import('../control/follow-upstreams.ts'),
    import('../control/drive-rollouts.ts'),
    import('../control/gate-checks.ts'),
  ])
  const { registry, count } = buildMetrics({ holder: facts.holder, replica, warnings, clock, polls })
  const control = { ...shared, count }
  const { webhookSecret: secret, verifiedLabel, repositories } = config.github
  const github = { secret, verifiedLabel, repositories }
  const { connectionsPerAddressMax } = config
  const plane = await buildControlPlane({
    ...{ control, facts, lifecycle, registry, github, logger, connectionsMax, connectionsPerAddressMax },
    adminToken: token.text,
  })
  const stops: Stop[] = [restoreHistories(control, logger), startExpiryTask(control, logger)]
  rolloutMetrics(registry, replica)
  const countPoll = upstreamMetrics(registry, replica, upstreams, clock)
  const intervalMs = config.upstreamIntervalS * 1_000
  stops.push(followUpstreams(control, { intervalMs, count: countPoll, ...limits }, logger))
  warnOfGates(control, logger)
  stops.push(driveRollouts(control, outside.evaluate, logger, limits.leaseMs))
  const address = await listen(plane, config.control, 'CONTROL')
  return { plane, address, registry, tokenPath: token.path, stops }
}

/**
 * What the store could lose is in the log from the start on; a strict server does not start over it, nor over what it cannot check.
 * Whether the store takes writes now is no reason not to start: polls need none.
 */
async function checkStore(config: Config, checks: StoreChecks, clock: Clock): Promise<void> {
  let found = await checks.look()
  if (config.redis?.strict !== true) return
  for (let tries = 1; tries < STRICT_TRIES_MAX && isUnchecked(found); tries += 1) {
    await pauseOf(clock, STRICT_PAUSE_MS)
    found = await checks.look()
  }
  if (found.length > 0)
    throw new ConfigError(found.map(({ message }) => `BELLWETHER_REDIS_STRICT is set, and ${message}`))
}

/** Logs go to stderr; stdout has the few lines for whoever has just started the server. */
function openLog(config: Config): Logger {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: LOG_BYTES_MAX })
  // A log whose disk is full, or whose reader has gone, is no reason to answer no poll.
  destination.on('error', () => {})
  return pino({ level: config.logLevel, name: build.name }, destination)
}
