// A poll worker's process: takes snapshots from the primary and answers polls from them. It has no store, no operators and
// no log of its own, and it ends with the primary.
import { connectionLimits, descriptorLimit } from './boot/connection-limits.ts'
import { releaseHeap } from './boot/heap.ts'
import { buildPollPlane, schemeOf } from './app/poll-plane.ts'
import { PollTls } from './app/poll-tls.ts'
import { readConfig } from './config.ts'
import { systemClock } from './lib/clock.ts'
import { startPeriodicTask } from './lib/periodic-task.ts'
import { closePlane, listen } from './listening.ts'
import { SnapshotHolder } from './serve/holder.ts'
import { Lifecycle } from './serve/lifecycle.ts'
import { PollCounts } from './serve/poll-counts.ts'
import type { ToPrimary, ToWorker } from './workers/messages.ts'
import { WorkerSnapshots } from './workers/worker-snapshots.ts'

/** How often the primary is told of what was counted. */
const COUNTS_INTERVAL_MS = 1_000

// A variable that is read here for the first time must be named in workers/worker-environment.ts, or it has its default.
const config = readConfig()
const counts = new PollCounts()
const holder = new SnapshotHolder()
const lifecycle = new Lifecycle()
const snapshots = new WorkerSnapshots(holder, config.pollMaxAgeS)
let ticketSecret = ''
let opened: ReturnType<typeof open> | null = null

// The primary says when to end; a signal to the whole group, as a terminal sends it, is for the primary.
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})
// Without it nobody would say what to serve.
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToWorker) => hear(message))
// It has no log: the primary's says why it ends, and the primary replaces it.
process.on('uncaughtException', endWith)
process.on('unhandledRejection', endWith)
tell({ kind: 'started' })

function hear(message: ToWorker): void {
  switch (message.kind) {
    case 'start':
      ticketSecret = message.ticketSecret
      return
    case 'channels':
      snapshots.prepare(message.channels)
      return
    case 'serve':
      snapshots.serve(message.stamp, message.isWhole)
      tell({ kind: 'serving', turn: message.turn })
      return
    case 'serve nothing':
      tell({ kind: 'serving', turn: message.turn })
      return
    case 'listen':
      opened ??= open()
      return
    case 'drain':
      lifecycle.drain()
      return
    case 'close':
      void close()
  }
}

/** Listens, once there is something to answer; the answer closes it all. */
async function open(): Promise<() => Promise<void>> {
  try {
    const tls = config.pollTls === null ? null : await PollTls.open({ ...config.pollTls, ticketSecret }, systemClock)
    const { connectionsPerAddressMax } = config
    const limits = connectionLimits({ poll: true, control: false }, descriptorLimit())
    const plane = buildPollPlane(holder, {
      ...{ counts, lifecycle, tls, connectionsPerAddressMax },
      connectionsMax: limits.poll,
    })
    const address = await listen(plane, config.poll, 'POLL', schemeOf(tls))
    const stopTls = tls?.keepCurrent(plane.server, { warn: told('warn'), info: told('info') })
    const stopCounts = startPeriodicTask({
      clock: systemClock,
      intervalMs: COUNTS_INTERVAL_MS,
      run: () => tell({ kind: 'counts', counts }),
      // The primary is gone, which ends this process.
      failed: () => {},
    })
    releaseHeap()
    tell({ kind: 'listening', address })
    return async () => {
      await stopCounts()
      await stopTls?.()
      await closePlane(plane, lifecycle.hasDrained)
    }
  } catch (error) {
    tell({ kind: 'failed', why: error instanceof Error ? error.message : String(error) })
    return process.exit(1)
  }
}

async function close(): Promise<void> {
  lifecycle.close()
  const closeAll = await opened
  await closeAll?.()
  process.send?.({ kind: 'counts', counts } satisfies ToPrimary, () => process.exit(0))
}

function endWith(thrown: unknown): void {
  const message = `a fault of the poll worker; ending: ${thrown instanceof Error ? thrown.stack : String(thrown)}`
  if (process.send === undefined || !process.connected) return process.exit(1)
  process.send({ kind: 'told', level: 'error', message } satisfies ToPrimary, () => process.exit(1))
}

function told(level: 'info' | 'warn'): (fields: object, message: string) => void {
  return (_fields, message) => tell({ kind: 'told', level, message })
}

function tell(message: ToPrimary): void {
  process.send?.(message)
}
