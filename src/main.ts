// The server process: config → open store → start planes → close with grace. The one file that ends the process.
import { releaseHeap } from './heap.ts'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { pino, type Logger } from 'pino'
import { banner } from './app/banner.ts'
import { buildPollPlane } from './app/poll-plane.ts'
import { build } from './build.ts'
import { ConfigError, readConfig, type Config, type Listen } from './config.ts'
import { adminToken } from './control/admin-token.ts'
import { journalLapses } from './control/journal-lapses.ts'
import { systemClock } from './serve/clock.ts'
import { SnapshotHolder } from './serve/holder.ts'
import { Replica } from './serve/replica.ts'
import { openEmbeddedStore } from './store/embedded/embedded-store.ts'
import { readLastKnownGood } from './store/last-known-good.ts'
import { StoreDamaged, type Store } from './store/port.ts'
import { unavailableStore } from './store/unavailable-store.ts'

/** What is still under way at the end has this long; then the process ends all the same. */
const CLOSE_GRACE_MS = 10_000
/** A client that has not finished its request by then is cut off, so that there is time to close the rest in order. */
const PLANE_GRACE_MS = 5_000
/** What a log that cannot be written keeps for later; beyond that, lines are dropped. */
const LOG_BYTES_MAX = 1024 * 1024

type Stop = () => Promise<void>

try {
  const config = readConfig()
  const logger = openLog(config)
  // The signals are listened to before anything is opened: one that comes during the start waits for the start's end.
  const starting = Promise.resolve().then(() => start(config, logger))
  closeWithGrace({ delay: CLOSE_GRACE_MS, logger }, async ({ err }) => {
    if (err !== undefined) logger.fatal({ err }, 'a fault of the server; ending')
    const stop = await starting
    await stop()
  })
  await starting
} catch (error) {
  const lines = error instanceof ConfigError ? error.lines : [error instanceof Error ? error.message : String(error)]
  for (const line of lines) process.stderr.write(`bellwether: ${line}\n`)
  process.exit(1)
}

/** Starts the server; the answer stops it. */
async function start(config: Config, logger: Logger): Promise<Stop> {
  const clock = systemClock
  const { store, damage } = await openStore(config)
  if (damage !== null) logger.error({ damage }, 'the store is damaged; writes are refused')
  const holder = new SnapshotHolder()
  const { dataDir, pollMaxAgeS: maxAgeS } = config
  const replica = new Replica({ store, holder, clock, log: logger, maxAgeS, dataDir })
  await replica.start()

  const planes: FastifyInstance[] = []
  const stops: Stop[] = []
  let pollAddress: string | null = null
  let controlAddress: string | null = null
  let tokenPath: string | null = null
  if (config.role !== 'control') {
    const plane = buildPollPlane(holder)
    planes.push(plane)
    pollAddress = await listen(plane, config.poll, 'POLL')
  }
  if (config.role !== 'poll') {
    const token = await adminToken(dataDir, config.adminToken)
    tokenPath = token.path
    // Loaded only now: the documentation pages and validators take longer to load than the poll plane takes to answer.
    const [{ buildControlPlane }, { buildMetrics }] = await Promise.all([
      import('./app/control-plane.ts'),
      import('./routes/metrics.ts'),
    ])
    const { registry, count } = buildMetrics(holder, replica)
    const control = { store, replica, clock, count }
    const plane = await buildControlPlane({ control, holder, registry, adminToken: token.text, logger })
    planes.push(plane)
    stops.push(journalLapses(control, logger))
    controlAddress = await listen(plane, config.control, 'CONTROL')
  }
  logger.info({ poll: pollAddress, control: controlAddress, version: build.version }, 'listening')
  releaseHeap()
  // Whoever reads this may have gone already.
  process.stdout.on('error', () => {})
  process.stdout.write(banner({ version: build.version, pollAddress, controlAddress, tokenPath }))

  return async () => {
    await Promise.all(planes.map(closePlane))
    for (const stop of stops) await stop()
    await replica.stop()
    await store.close()
  }
}

/** Logs go to stderr; stdout has the few lines for whoever has just started the server. */
function openLog(config: Config): Logger {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: LOG_BYTES_MAX })
  // A log whose disk is full, or whose reader has gone, is no reason to answer no poll.
  destination.on('error', () => {})
  return pino({ level: config.logLevel, name: build.name }, destination)
}

/** A damaged store leaves the last known good state to serve; without one there is nothing to start for. */
async function openStore({ dataDir }: Config): Promise<{ readonly store: Store; readonly damage: string | null }> {
  try {
    return { store: await openEmbeddedStore(dataDir), damage: null }
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error
    const good = await readLastKnownGood(dataDir)
    if (good.outcome === 'read') return { store: unavailableStore(error.message), damage: error.message }
    const also = good.outcome === 'absent' ? 'there is no last-known-good file to serve from' : good.why
    const advice = `restore ${dataDir} from a backup, or set BELLWETHER_DATA_DIR to another folder`
    throw new Error(`${error.message}, and ${also}; nothing was changed: ${advice}`, { cause: error })
  }
}

async function closePlane(plane: FastifyInstance): Promise<void> {
  const cutOff = setTimeout(() => plane.server.closeAllConnections(), PLANE_GRACE_MS)
  await plane.close()
  clearTimeout(cutOff)
}

async function listen(plane: FastifyInstance, { host, port }: Listen, name: 'POLL' | 'CONTROL'): Promise<string> {
  try {
    await plane.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const plain = name === 'POLL' ? 'poll plane' : 'control plane'
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: `port ${port} on ${host} is in use by another program; stop it, or set BELLWETHER_${name}_PORT`,
      EACCES: `port ${port} may not be opened by this user; set BELLWETHER_${name}_PORT to 1024 or more`,
      EADDRNOTAVAIL: `${host} is no address of this machine; set BELLWETHER_${name}_HOST`,
      ENOTFOUND: `${host} is no known host; set BELLWETHER_${name}_HOST`,
    }
    const why = reasons[code] ?? (error instanceof Error ? error.message : String(error))
    throw new Error(`the ${plain} cannot listen: ${why}`, { cause: error })
  }
  // A TCP server that listens has an AddressInfo.
  const address = plane.server.address() as AddressInfo
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}
