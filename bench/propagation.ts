// How soon every replica serves a change, how many changes one replica carries, what polls notice of a Redis that stands
// still, and how soon a replica that missed much has caught up. Beside their targets, of the built server.
//   npx tsx bench/propagation.ts
import autocannon from 'autocannon'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { openRedisStore } from '../src/store/redis/redis-store.ts'
import { parseRedisUrl } from '../src/store/redis/redis-url.ts'
import { builtEntry, BENCH_TOKEN, startBellwether, type BellwetherProcess } from './bellwether-process.ts'
import { Client } from './client.ts'
import { startRedis, type RedisProcess } from './redis-process.ts'
import { quantile, showSummary, summarize } from './summary.ts'

const REPLICAS = 8
const WRITES = 500
const WRITE_PAUSE_MS = 10
const CHANNELS = 1_000
const SUSTAINED_PER_S = 200
const SUSTAINED_S = 10
const ROUNDS = 3
const ROUND_S = 3
const POLL_CONNECTIONS = 16
const MISSED = 10_000
const CONNECTIONS_MAX = 32
const CATCH_UP_MAX_MS = 60_000

interface Replica {
  readonly process: BellwetherProcess
  readonly poll: Client
  readonly control: Client
}

const folder = await mkdtemp(join(tmpdir(), 'bellwether-propagation-'))
const redis = await startRedis(folder)
const replicas: Replica[] = []
try {
  for (let index = 0; index < REPLICAS; index += 1) replicas.push(await startReplica(index))
  const first = replicas[0]
  if (first === undefined) throw new Error('there is no replica')
  for (let n = 0; n < CHANNELS; n += 1) await create(first, channel(n))

  const times = (await propagation(replicas, first)).toSorted((a, b) => a - b)
  const [median, high, most] = [0.5, 0.99, 1].map((share) => quantile(times, share).toFixed(1))
  print(`write sent to served by all ${REPLICAS} replicas, ms: median (${WRITES} writes)`, median, '')
  print('… 99th percentile', high, '50')
  print('… longest', most, '')
  const { rate, p50, p99 } = await sustained(first)
  print(`writes a second through one replica, for ${SUSTAINED_S} s`, rate.toFixed(0), String(SUSTAINED_PER_S))
  print('… answered in, ms: median and 99th percentile', `${p50.toFixed(1)}, ${p99.toFixed(1)}`, '')
  for (const replica of replicas.splice(1)) await replica.process.end()
  await stopped(first, redis)
  print(`catching up ${MISSED.toLocaleString('en-US')} missed entries, s`, (await catchUp(first)).toFixed(2), '2')
} finally {
  for (const { process: server } of replicas) await server.end('SIGKILL')
  await redis.end()
  await rm(folder, { recursive: true, force: true })
}

function print(what: string, figure: string | undefined, target: string): void {
  const aim = target === '' ? '' : `target ${target}`
  process.stdout.write(`${what.padEnd(72)}${(figure ?? '').padEnd(24)}${aim}\n`)
}

function channel(n: number): string {
  return `bench/${n}`
}

async function startReplica(index: number): Promise<Replica> {
  const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REPLICA_ID: `r${index}`, BELLWETHER_LOG_LEVEL: 'error' }
  const server = await startBellwether({ dataDir: join(folder, `replica-${index}`), env, entry: builtEntry() })
  const control = new Client(server.controlUrl, CONNECTIONS_MAX, BENCH_TOKEN)
  return { process: server, poll: new Client(server.pollUrl, CONNECTIONS_MAX), control }
}

async function create({ control }: Replica, name: string): Promise<void> {
  const body = { name, source: { kind: 'static', version: '1.0.0' } }
  const reply = await control.admin('POST', '/channels', body)
  if (reply.status !== 201) throw new Error(`${name} was not created: ${reply.status} ${reply.body}`)
}

async function setVersion({ control }: Replica, name: string, version: string): Promise<void> {
  const reply = await control.admin('PUT', `/channels/${encodeURIComponent(name)}/version`, { version })
  if (reply.status !== 200) throw new Error(`${name} was not moved: ${reply.status} ${reply.body}`)
}

/** For each write: from its sending until each replica has answered a poll with it, in milliseconds. */
async function propagation(all: readonly Replica[], writer: Replica): Promise<readonly number[]> {
  const times: number[] = []
  for (let n = 1; n <= WRITES; n += 1) {
    const version = `1.0.${n}`
    const name = channel(n % CHANNELS)
    const sentAt = performance.now()
    const written = setVersion(writer, name, version)
    await Promise.all(all.map((replica) => untilServed(replica, name, version)))
    times.push(performance.now() - sentAt)
    await written
    await rest(WRITE_PAUSE_MS)
  }
  return times
}

/** Polls without a pause until the answer is this version. */
async function untilServed({ poll }: Replica, name: string, version: string): Promise<void> {
  const endsAt = performance.now() + CATCH_UP_MAX_MS
  while ((await poll.get(`/v1/${name}/version`)).body !== version) {
    if (performance.now() > endsAt) throw new Error(`${name} is never served at ${version}`)
  }
}

/** Sends writes at a fixed rate, whether the ones before are answered or not. */
async function sustained(writer: Replica): Promise<{ rate: number; p50: number; p99: number }> {
  const times: number[] = []
  const pending: Promise<void>[] = []
  const startedAt = performance.now()
  for (let n = 0; n < SUSTAINED_PER_S * SUSTAINED_S; n += 1) {
    const dueMs = startedAt + (n * 1_000) / SUSTAINED_PER_S - performance.now()
    if (dueMs > 0) await rest(dueMs)
    const sentAt = performance.now()
    const write = setVersion(writer, channel(n % CHANNELS), `1.1.${n}`)
    pending.push(write.then(() => void times.push(performance.now() - sentAt)))
  }
  await Promise.all(pending)
  const rate = times.length / ((performance.now() - startedAt) / 1_000)
  const sorted = times.toSorted((a, b) => a - b)
  return { rate, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

/** Polls with Redis running and with Redis stopped, in turns. */
async function stopped({ process: server }: Replica, { child }: RedisProcess): Promise<void> {
  const figures = { running: [] as autocannon.Result[], stopped: [] as autocannon.Result[] }
  for (let round = 0; round < ROUNDS; round += 1) {
    figures.running.push(await poll(server))
    child.kill('SIGSTOP')
    figures.stopped.push(await poll(server))
    child.kill('SIGCONT')
    await rest(ROUND_S * 1_000)
  }
  for (const [state, results] of Object.entries(figures)) {
    const rates = summarize(results.map(({ requests }) => requests.average))
    const p50 = summarize(results.map(({ latency }) => latency.p50))
    const p99 = summarize(results.map(({ latency }) => latency.p99))
    print(`polls a second while Redis is ${state}`, showSummary(rates, 0), '')
    print('… answered in, ms: median; 99th percentile', `${showSummary(p50, 1)}; ${showSummary(p99, 1)}`, '')
  }
}

async function poll(server: BellwetherProcess): Promise<autocannon.Result> {
  const url = `${server.pollUrl}/v1/${channel(0)}/version`
  const result = await autocannon({ url, connections: POLL_CONNECTIONS, duration: ROUND_S })
  if (result.non2xx + result.errors > 0) throw new Error('a poll was not answered with a version')
  return result
}

/** A replica stands still while others write; seconds from its going on until it serves the last write. */
async function catchUp(replica: Replica): Promise<number> {
  const target = parseRedisUrl(redis.url)
  if (target.outcome === 'unparsed') throw new Error(target.message)
  const store = openRedisStore({ target: target.value, prefix: 'bellwether', waitReplicas: 0 })
  try {
    const { documents } = await store.load()
    replica.process.child.kill('SIGSTOP')
    for (let n = 0; n < MISSED; n += 1) {
      const document = documents[n % documents.length]
      if (document === undefined) throw new Error('there are no channels')
      const round = Math.floor(n / documents.length)
      const version = `1.2.${n}`
      const source = { kind: 'static', version, critical: false, criticalUntil: null }
      const body = { ...document.body, source, lastServed: version }
      const said = { at: new Date().toISOString(), actor: 'bench', kind: 'channel.version', reason: null }
      const write = { key: document.key, expected: document.revision + round, body }
      const change = { ...said, requestId: null, decidedOn: null, writes: [write], reads: [] }
      const result = await store.commit(change)
      if (result.outcome === 'conflict') throw new Error('somebody else writes')
    }
    const name = documents[(MISSED - 1) % documents.length]?.key.slice('channel/'.length) ?? ''
    const startedAt = performance.now()
    replica.process.child.kill('SIGCONT')
    await untilServed(replica, name, `1.2.${MISSED - 1}`)
    return (performance.now() - startedAt) / 1_000
  } finally {
    await store.close()
  }
}
