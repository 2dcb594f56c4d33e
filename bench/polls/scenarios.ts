// The scenarios of the poll bench: which servers are compared under which load, and the ratios that matter.
import { setTimeout as pause } from 'node:timers/promises'
import { BENCH_TOKEN } from '../bellwether-process.ts'
import { channelName } from '../channel-store.ts'
import { makeCertificate } from '../certificate.ts'
import { Client } from '../client.ts'
import { residentMb } from '../process-figures.ts'
import { summarize, type Summary } from '../summary.ts'
import { cohort } from './cohort.ts'
import { idleConnections, load, loadAtRate, loadOverTls, type Generator, type RateResult } from './generators.ts'
import { Rounds, type Ratio, type Row } from './rounds.ts'
import { bellwether, fastifyRedis, fixture, isInstalled, nginx, type Place, type Subject } from './subjects.ts'

export interface BenchOptions {
  readonly place: Place
  readonly generator: Generator
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
}

/** A figure that is no rate: a memory, a latency. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly value: Summary
  readonly atMost: number | null
  readonly aimFor: number | null
}

export interface Outcome {
  readonly rows: readonly Row[]
  readonly ratios: readonly Ratio[]
  readonly figures: readonly Figure[]
  /** What could not be measured here, and why. */
  readonly skipped: readonly string[]
}

export type Scenario = (options: BenchOptions) => Promise<Outcome>

const NOTHING: Outcome = { rows: [], ratios: [], figures: [], skipped: [] }
const MANY_CHANNELS = 100_000
const SOME_CHANNELS = 1_000
const IDLE_CONNECTIONS = 10_000
/** After a load the collector needs a moment; what is held then is held for good. */
const REST_MS = 5_000
const RATE_PER_S = 5_000
const WRITES_PER_S = 50

async function keepAlive(options: BenchOptions): Promise<Outcome> {
  const { place } = options
  const names = ['bellwether', 'fastify', 'fastify + redis', 'floor', 'node:http', 'nginx static', 'nginx return']
  return compare('keep-alive', options, names, { place }, {}, (rounds) => [
    rounds.ratio('bellwether', 'nginx static', 'polls/s', 1, 1.4),
    rounds.ratio('bellwether', 'nginx return', 'polls/s', 0.6, 0.85),
    rounds.ratio('bellwether', 'fastify', 'polls/s', 3, 4.2),
    rounds.ratio('bellwether', 'fastify + redis', 'polls/s', 4, 5.4),
    rounds.ratio('bellwether', 'floor', 'polls/s', 0.75, 1),
  ])
}

async function pipelined(options: BenchOptions): Promise<Outcome> {
  const names = ['bellwether', 'node:http', 'fastify', 'nginx static', 'nginx return']
  return compare('pipelined by 10', options, names, { place: options.place }, { pipelined: 10 }, (rounds) => [
    rounds.ratio('bellwether', 'nginx static', 'polls/s', 5, 7),
  ])
}

async function newConnections(options: BenchOptions): Promise<Outcome> {
  const names = ['bellwether', 'floor, closing', 'node:http', 'fastify', 'nginx static', 'nginx return']
  const isNode20 = process.version.startsWith('v20') && options.place.node === process.execPath
  const [atLeast, aimFor] = isNode20 ? [0.33, 0.45] : [0.43, 0.6]
  return compare(
    'new connection for each poll',
    options,
    names,
    { place: options.place },
    { isClosing: true },
    (rounds) => [
      rounds.ratio('bellwether', 'node:http', 'polls/s', 1.1, 1.3),
      rounds.ratio('bellwether', 'nginx static', 'CPU per poll', atLeast, aimFor),
    ],
  )
}

const starters: Readonly<Record<string, (place: Place) => Promise<Subject>>> = {
  bellwether: (place) => bellwether(place),
  'node:http': (place) => fixture(place, 'node-http', 'node:http'),
  fastify: (place) => fixture(place, 'fastify-route', 'fastify'),
  'fastify + redis': (place) => fastifyRedis(place),
  floor: (place) => fixture(place, 'net-floor', 'floor'),
  'floor, closing': (place) => fixture(place, 'net-floor', 'floor, closing', ['close']),
  'nginx static': (place) => nginx(place, 'static'),
  'nginx return': (place) => nginx(place, 'return'),
}

/** Starts the servers, loads them in turns, and ends them. */
async function compare(
  scenario: string,
  { generator, rounds, seconds, connections }: BenchOptions,
  names: readonly string[],
  { place }: { readonly place: Place },
  how: { readonly pipelined?: number; readonly isClosing?: boolean },
  ratios: (rounds: Rounds) => readonly (Ratio | null)[],
): Promise<Outcome> {
  const found = new Rounds(scenario)
  const subjects: Subject[] = []
  const skipped: string[] = []
  try {
    for (const name of names) {
      if (name.startsWith('nginx') && !isInstalled('nginx')) skipped.push(`${scenario}: there is no ${name}`)
      else subjects.push((await starters[name]?.(place)) ?? never(name))
    }
    const { folder } = place
    await found.run(subjects, rounds, ({ url, path }) =>
      load(url, path, { generator, connections, seconds, folder, ...how }),
    )
  } finally {
    for (const { stop } of subjects) await stop()
  }
  const measured = ratios(found).flatMap((ratio) => ratio ?? [])
  return { ...NOTHING, rows: found.rows(), ratios: measured, skipped }
}

async function tls({ place, rounds, seconds }: BenchOptions): Promise<Outcome> {
  const certificate = makeCertificate(place.folder, 'bench')
  if (certificate === null) return { ...NOTHING, skipped: ['TLS: there is no openssl'] }
  const env = { BELLWETHER_POLL_TLS_CERT: certificate.cert, BELLWETHER_POLL_TLS_KEY: certificate.key }
  const ours = await bellwether(place, { env })
  const subjects: Subject[] = [ours]
  const skipped: string[] = []
  if (isInstalled('nginx')) subjects.push(await nginx(place, 'static', certificate))
  else skipped.push('TLS: there is no nginx')
  const all: Outcome[] = []
  try {
    for (const [version, isResumed] of [
      ['TLSv1.3', false],
      ['TLSv1.3', true],
      ['TLSv1.2', true],
    ] as const) {
      const found = new Rounds(`${version}, ${isResumed ? 'resumed' : 'new'}, for each poll`)
      await found.run(subjects, rounds, ({ url, path }) => loadOverTls(url, path, { version, isResumed, seconds }))
      const [atLeast, aimFor] = isResumed ? [0, 0] : [0.65, 0.75]
      const ratio = found.ratio('bellwether', 'nginx static (TLS)', 'CPU per poll', atLeast, aimFor)
      all.push({ ...NOTHING, rows: found.rows(), ratios: ratio === null ? [] : [ratio] })
    }
  } finally {
    for (const { stop } of subjects) await stop()
  }
  return { ...NOTHING, rows: all.flatMap(({ rows }) => rows), ratios: all.flatMap(({ ratios }) => ratios), skipped }
}

async function channels({ place, generator, rounds, seconds, connections }: BenchOptions): Promise<Outcome> {
  const found = new Rounds('channels at random')
  const counts = new Map<string, number>([1, SOME_CHANNELS, MANY_CHANNELS].map((count) => [nameOf(count), count]))
  const subjects: Subject[] = []
  try {
    for (const [name, count] of counts) subjects.push(await bellwether(place, { name, channels: count }))
    const options = { generator, connections, seconds, folder: place.folder }
    await found.run(subjects, rounds, ({ name, url, path }) =>
      load(url, path, { ...options, channels: counts.get(name) ?? never(name) }),
    )
  } finally {
    for (const { stop } of subjects) await stop()
  }
  const ratio = found.ratio(nameOf(MANY_CHANNELS), nameOf(1), 'polls/s', 0.7, 0.85)
  return { ...NOTHING, rows: found.rows(), ratios: ratio === null ? [] : [ratio] }
}

function nameOf(count: number): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'channel' : 'channels'}`
}

async function workers({ place, generator, rounds, seconds, connections }: BenchOptions): Promise<Outcome> {
  // Both cores, the generator's threads included: that is how a machine is used.
  const anywhere = { ...place, core: null }
  const found = new Rounds('workers, new connection for each poll')
  const subjects: Subject[] = []
  try {
    for (const [name, count] of [
      ['1 worker', '1'],
      ['2 workers', '2'],
    ] as const) {
      subjects.push(await bellwether(anywhere, { name, env: { BELLWETHER_WORKERS: count } }))
    }
    const options = { generator, connections, seconds, folder: place.folder, isClosing: true, threads: 2 }
    await found.run(subjects, rounds, ({ url, path }) => load(url, path, options))
  } finally {
    for (const { stop } of subjects) await stop()
  }
  const ratio = found.ratio('2 workers', '1 worker', 'polls/s', 1.3, 1.6)
  return { ...NOTHING, rows: found.rows(), ratios: ratio === null ? [] : [ratio] }
}

async function latency({ place, rounds, seconds }: BenchOptions): Promise<Outcome> {
  const server = await bellwether(place, { channels: SOME_CHANNELS })
  const quiet: RateResult[] = []
  const busy: RateResult[] = []
  try {
    await loadAtRate(server.url, server.path, RATE_PER_S, seconds)
    for (let round = 0; round < rounds; round += 1) {
      quiet.push(await loadAtRate(server.url, server.path, RATE_PER_S, seconds))
      const stopWriting = startWriting(server.controlUrl)
      busy.push(await loadAtRate(server.url, server.path, RATE_PER_S, seconds))
      await stopWriting()
    }
  } finally {
    await server.stop()
  }
  const show = (name: string, times: readonly number[]): Figure => ({
    ...{ name, unit: 'µs', value: summarize(times) },
    ...{ atMost: null, aimFor: null },
  })
  const at = `at ${RATE_PER_S} polls/s`
  const ratios = busy.map(({ p50Us }, round) => p50Us / (quiet[round]?.p50Us ?? NaN))
  const name = `p50 ${at}, while ${WRITES_PER_S} writes/s run against without`
  return {
    ...NOTHING,
    figures: [
      show(
        `p50 ${at}`,
        quiet.map(({ p50Us }) => p50Us),
      ),
      show(
        `p99 ${at}`,
        quiet.map(({ p99Us }) => p99Us),
      ),
      show(
        `p50 ${at}, ${WRITES_PER_S} writes/s`,
        busy.map(({ p50Us }) => p50Us),
      ),
      show(
        `p99 ${at}, ${WRITES_PER_S} writes/s`,
        busy.map(({ p99Us }) => p99Us),
      ),
      { name, unit: '×', value: summarize(ratios), atMost: 1.2, aimFor: 1.05 },
    ],
  }
}

/** Writes one change after the other at WRITES_PER_S; the answer stops that. */
function startWriting(controlUrl: string): () => Promise<void> {
  const client = new Client(controlUrl, 4, BENCH_TOKEN)
  const writing: Promise<unknown>[] = []
  let count = 0
  const timer = setInterval(() => {
    count += 1
    const path = `/channels/${encodeURIComponent(channelName(count % SOME_CHANNELS))}/version`
    writing.push(client.admin('PUT', path, { version: `16.0.${count}` }))
  }, 1_000 / WRITES_PER_S)
  return async () => {
    clearInterval(timer)
    await Promise.all(writing)
    client.close()
  }
}

async function memory({ place }: BenchOptions): Promise<Outcome> {
  const figures: Figure[] = []
  for (const [count, atMost, aimFor] of [
    [SOME_CHANNELS, 90, 70],
    [10_000, 120, null],
    [MANY_CHANNELS, 400, null],
  ] as const) {
    const server = await bellwether(place, { channels: count })
    await pause(REST_MS)
    const held = sumMb(server)
    await server.stop()
    figures.push({ name: `memory with ${nameOf(count)}`, unit: 'MB', value: summarize([held]), atMost, aimFor })
  }
  for (const name of ['bellwether', 'node:http', 'floor', 'nginx static']) {
    if (name.startsWith('nginx') && !isInstalled('nginx')) continue
    const server = (await starters[name]?.(place)) ?? never(name)
    await pause(REST_MS)
    const before = sumMb(server)
    const end = await idleConnections(server.url, server.path, IDLE_CONNECTIONS)
    await pause(REST_MS)
    const each = ((sumMb(server) - before) * 1_000) / IDLE_CONNECTIONS
    await end()
    await server.stop()
    const [atMost, aimFor] = name === 'bellwether' ? [5, 3] : [null, null]
    figures.push({
      name: `memory for an idle connection, ${name}`,
      unit: 'KB',
      value: summarize([each]),
      atMost,
      aimFor,
    })
  }
  return { ...NOTHING, figures }
}

function sumMb({ pids }: Subject): number {
  return pids.reduce((sum, pid) => sum + residentMb(pid), 0)
}

function never(name: string): never {
  throw new Error(`there is no ${name}`)
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  'keep-alive': keepAlive,
  pipelined,
  'new-connections': newConnections,
  tls,
  channels,
  workers,
  latency,
  memory,
  cohort,
}
