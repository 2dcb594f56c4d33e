// How soon a stage of many channels is promoted and rolled back: from sending the request until the last replica has
// answered a poll with the new version, and until the request is answered. Of the built server, beside its target.
//   npx tsx bench/promotion.ts [--rounds 7] [--channels 500] [--replicas 8]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openRedisStore } from '../src/store/redis/redis-store.ts'
import { parseRedisUrl } from '../src/store/redis/redis-url.ts'
import { BENCH_TOKEN, builtEntry, startBellwether, type BellwetherProcess } from './bellwether-process.ts'
import { channelName, fill, fillStore } from './channel-store.ts'
import { Client } from './client.ts'
import { startRedis } from './redis-process.ts'
import { showSummary, summarize } from './summary.ts'

const PIPELINE = 'cloud'
const TARGET_MS = 250
/** Between two writes, so that each finds replicas that have nothing left to do. */
const PAUSE_MS = 500
/** Nothing takes as long unless it hangs. */
const SERVED_MAX_MS = 60_000
/** Channels that are asked for beside the last one. */
const SAMPLE = 4

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    channels: { type: 'string', default: '500' },
    replicas: { type: 'string', default: '8' },
  },
})
const rounds = Number(options.rounds)
const channels = Number(options.channels)
const replicaCount = Number(options.replicas)

interface Replica {
  readonly process: BellwetherProcess
  readonly poll: Client
  readonly control: Client
}

/** What one write took, in milliseconds after it was sent. */
interface Times {
  readonly last: number
  readonly sample: number
  readonly answered: number
  /** The longest that a poll has waited for its answer meanwhile. */
  readonly longestPoll: number
}

const entry = builtEntry()
const folder = await mkdtemp(join(tmpdir(), 'bellwether-promotion-'))
try {
  say(`${channels} channels in one stage, ${rounds} rounds; ms after sending the request: median [min..max]`)
  await withEmbeddedStore()
  await withRedis()
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function withEmbeddedStore(): Promise<void> {
  const dataDir = join(folder, 'embedded')
  await fillStore(dataDir, channels)
  const replica = await startReplica(dataDir, {})
  try {
    await measure('one server, embedded store', [replica])
  } finally {
    await endReplica(replica)
  }
}

async function withRedis(): Promise<void> {
  const redis = await startRedis(folder)
  const replicas: Replica[] = []
  try {
    const target = parseRedisUrl(redis.url)
    if (target.outcome === 'unparsed') throw new Error(target.message)
    const store = openRedisStore({ target: target.value, prefix: 'bellwether', waitReplicas: 0 })
    await fill(store, { channels })
    await store.close()
    for (let index = 0; index < replicaCount; index += 1) {
      const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REPLICA_ID: `r${index}` }
      replicas.push(await startReplica(join(folder, `replica-${index}`), env))
    }
    await measure(`${replicaCount} replicas, one Redis`, replicas)
  } finally {
    for (const replica of replicas) await endReplica(replica)
    await redis.end()
  }
}

async function startReplica(dataDir: string, env: Readonly<Record<string, string>>): Promise<Replica> {
  const server = await startBellwether({ dataDir, env: { ...env, BELLWETHER_LOG_LEVEL: 'error' }, entry })
  const [poll, control] = [new Client(server.pollUrl, 1), new Client(server.controlUrl, 1, BENCH_TOKEN)]
  return { process: server, poll, control }
}

async function endReplica({ process: server, poll, control }: Replica): Promise<void> {
  poll.close()
  control.close()
  await server.end('SIGKILL')
}

async function measure(where: string, replicas: readonly Replica[]): Promise<void> {
  const [writer] = replicas
  if (writer === undefined) throw new Error('there is no replica')
  const names = Array.from({ length: channels }, (_, index) => channelName(index))
  const stages = [{ name: 'everyone', channels: names, soakMinutes: 0 }]
  await admin(writer, 'PUT', `/pipelines/${PIPELINE}`, { requirePackages: false, stages })
  const promotions: Times[] = []
  const rollbacks: Times[] = []
  const compatible: Times[] = []
  let kept = '15.1000.0'
  await promote(replicas, writer, kept, null)
  say(`\n${where}`)
  try {
    // The first round warms up.
    for (let round = 0; round <= rounds; round += 1) {
      const version = `15.${1_001 + round}.1`
      promotions.push(await promote(replicas, writer, version, null))
      rollbacks.push(await takeBack(replicas, writer, version, kept))
    }
    // Last, since it reads in the journal what all those before have written.
    for (let round = 0; round <= rounds; round += 1) {
      kept = `15.${2_001 + round}.1`
      compatible.push(await promote(replicas, writer, kept, '15.0.0'))
    }
  } catch (error) {
    say(`  FAILED after ${promotions.length} + ${compatible.length} promotions: ${String(error)}`)
    process.exitCode = 1
  }
  print('promotion', promotions, replicas.length)
  print('rollback', rollbacks, replicas.length)
  print('promotion with minAgentVersion', compatible, replicas.length)
}

async function promote(
  replicas: readonly Replica[],
  writer: Replica,
  version: string,
  minAgentVersion: string | null,
): Promise<Times> {
  await admin(writer, 'POST', '/releases', { version, commit: 'abcdef1', kind: 'full', minAgentVersion })
  await rest(PAUSE_MS)
  const body = { release: version, stage: 'everyone' }
  return timed(replicas, version, () => admin(writer, 'POST', `/rollouts/${PIPELINE}/promote`, body))
}

async function takeBack(replicas: readonly Replica[], writer: Replica, version: string, to: string): Promise<Times> {
  await rest(PAUSE_MS)
  const body = { release: version, reason: 'measured' }
  const times = await timed(replicas, to, () => admin(writer, 'POST', `/rollouts/${PIPELINE}/rollback`, body))
  await admin(writer, 'POST', `/rollouts/${PIPELINE}/unpin`, body)
  return times
}

/** Sends a write while every replica is polled without a pause, until all of them tell `version`. */
async function timed(replicas: readonly Replica[], version: string, write: () => Promise<void>): Promise<Times> {
  const lastName = channelName(channels - 1)
  const sample = Array.from({ length: SAMPLE }, (_, index) => channelName(Math.floor((index * channels) / SAMPLE)))
  const sentAt = performance.now()
  const failed = new AbortController()
  const written = write().then(
    () => performance.now() - sentAt,
    (error: unknown) => {
      failed.abort()
      throw error
    },
  )
  const watch = { lastName, sample, version, sentAt, signal: failed.signal }
  const served = Promise.all(replicas.map((replica) => untilServed(replica, watch)))
  const [times, answered] = await Promise.all([served, written])
  return {
    last: Math.max(...times.map(({ last }) => last)),
    sample: Math.max(...times.map((one) => one.sample)),
    answered,
    longestPoll: Math.max(...times.map((one) => one.longestPoll)),
  }
}

interface Watch {
  readonly lastName: string
  readonly sample: readonly string[]
  readonly version: string
  readonly sentAt: number
  /** Aborted where the write has failed. */
  readonly signal: AbortSignal
}

/** When a replica has told the version for the last channel, and when for every one of the sample, too. */
async function untilServed({ poll }: Replica, watch: Watch): Promise<Omit<Times, 'answered'>> {
  const { lastName, sample, version, sentAt, signal } = watch
  let longestPoll = 0
  const since = async (name: string): Promise<number> => {
    for (let isServed = false; !isServed && !signal.aborted;) {
      const askedAt = performance.now()
      isServed = (await poll.get(`/v1/${name}/version`)).body === version
      longestPoll = Math.max(longestPoll, performance.now() - askedAt)
      if (performance.now() - sentAt > SERVED_MAX_MS) throw new Error(`${name} is never served at ${version}`)
    }
    return performance.now() - sentAt
  }
  const last = await since(lastName)
  const others: number[] = []
  for (const name of sample) others.push(await since(name))
  return { last, sample: Math.max(last, ...others), longestPoll }
}

async function admin({ control }: Replica, method: string, path: string, body: object): Promise<void> {
  const reply = await control.admin(method, path, body)
  if (reply.status >= 300) throw new Error(`${method} ${path} was answered ${reply.status} ${reply.body}`)
}

/** Prints what all rounds but the first have taken. */
function print(name: string, [, ...times]: readonly Times[], count: number): void {
  const row = (what: string, figure: string, aim: string): void => say(`  ${what.padEnd(72)}${figure.padEnd(26)}${aim}`)
  if (times.length === 0) return row(name, 'not measured', '')
  const last = summarize(times.map((one) => one.last))
  const reached = last.median < TARGET_MS ? 'reached' : 'NOT REACHED'
  row(
    `${name}: served by ${count === 1 ? 'it' : `all ${count}`}, the last channel`,
    showSummary(last, 0),
    `under ${TARGET_MS}: ${reached}`,
  )
  row(`… ${SAMPLE} other channels, too`, showSummary(summarize(times.map((one) => one.sample)), 0), '')
  row('… the request answered', showSummary(summarize(times.map((one) => one.answered)), 0), '')
  row('… the longest poll meanwhile', showSummary(summarize(times.map((one) => one.longestPoll)), 0), '')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
