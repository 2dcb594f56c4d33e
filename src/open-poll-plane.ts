// The poll plane as the configuration asks for it: in this process, or in workers that it feeds.
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { buildPollPlane, schemeOf } from './app/poll-plane.ts'
import { environmentNames, type Config } from './config.ts'
import { closePlane, listen } from './listening.ts'
import type { Clock } from './lib/clock.ts'
import type { SnapshotHolder } from './serve/holder.ts'
import type { Lifecycle } from './serve/lifecycle.ts'
import { PollCounts, type PollTotals } from './serve/poll-counts.ts'
import type { ReplicaLog } from './serve/replica-log.ts'

export interface OpenPollPlane {
  /** As a URL without a slash at the end. */
  readonly address: string
  /** Everything counted so far. */
  readonly counts: () => PollTotals
  /** How many processes answer polls now. */
  readonly processes: () => number
  readonly close: () => Promise<void>
}

export interface PollPlaneParts {
  readonly config: Config
  readonly holder: SnapshotHolder
  readonly lifecycle: Lifecycle
  readonly clock: Clock
  readonly log: ReplicaLog
  /** Of this process; workers have limits of their own. */
  readonly connectionsMax: number
}

/** Opens the poll plane. Throws an error of one line where it cannot listen. */
export async function openPollPlane(parts: PollPlaneParts): Promise<OpenPollPlane> {
  return parts.config.pollWorkers === 1 ? openHere(parts) : openWorkers(parts)
}

async function openHere(parts: PollPlaneParts): Promise<OpenPollPlane> {
  const { config, holder, lifecycle, clock, log, connectionsMax } = parts
  const counts = new PollCounts()
  const tls = await openTls(config, clock)
  const plane = buildPollPlane(holder, {
    ...{ counts, clock, lifecycle, tls, connectionsMax },
    connectionsPerAddressMax: config.connectionsPerAddressMax,
  })
  const address = await listen(plane, config.poll, 'POLL', schemeOf(tls))
  const stopTls = tls?.keepCurrent(plane.server, log)
  return {
    address,
    counts: () => counts,
    processes: () => 1,
    async close() {
      await stopTls?.()
      await closePlane(plane, lifecycle.hasDrained)
    },
  }
}

async function openTls({ pollTls }: Config, clock: Clock) {
  if (pollTls === null) return null
  // Loaded only where it is used.
  const { PollTls } = await import('./app/poll-tls.ts')
  return PollTls.open({ ...pollTls, ticketSecret: pollTls.ticketSecret ?? randomBytes(32).toString('hex') }, clock)
}

async function openWorkers({ config, holder, lifecycle, clock, log }: PollPlaneParts): Promise<OpenPollPlane> {
  const { WorkerPool } = await import('./workers/worker-pool.ts')
  const { withheldFromWorkers } = await import('./workers/worker-environment.ts')
  const pool = new WorkerPool({
    count: config.pollWorkers,
    // Beside this file, built or not.
    entry: fileURLToPath(new URL(`poll-worker${import.meta.url.slice(-'.ts'.length)}`, import.meta.url)),
    ticketSecret: config.pollTls?.ticketSecret ?? null,
    withheld: withheldFromWorkers(environmentNames()),
    clock,
    log,
    holder,
    lifecycle,
  })
  return {
    address: await pool.start(),
    counts: () => pool.counts(),
    processes: () => pool.listening,
    close: () => pool.stop(),
  }
}
