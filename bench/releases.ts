// What many registered releases cost: one server without any beside one with many, both in one run and in turns.
//   npx tsx bench/releases.ts [--releases 10000] [--channels 1000] [--rounds 5] [--writes 500]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether, type BellwetherProcess } from './bellwether-process.ts'
import { channelName, fillStore } from './channel-store.ts'
import { Client } from './client.ts'
import { cpuMs, residentMb } from './process-figures.ts'
import { quantile, showSummary, summarize } from './summary.ts'

const PIPELINE = 'cloud'
/** After the load the collector needs a moment; what is held then is held for good. */
const REST_MS = 3_000
/** Processor time is counted in ticks of 10 ms. */
const IDLE_MS = 10_000
/** Writes of one side before it is the other's turn. */
const WRITES_IN_TURN = 10
const STARTS = 5

const { values: options } = parseArgs({
  options: {
    releases: { type: 'string', default: '10000' },
    channels: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    writes: { type: 'string', default: '500' },
  },
})
const releases = Number(options.releases)
const channels = Number(options.channels)
const rounds = Number(options.rounds)
const writes = Number(options.writes)

interface Side {
  readonly name: string
  readonly dataDir: string
  readonly server: BellwetherProcess
  readonly control: Client
  readonly poll: Client
}

/** One figure of each round, by the name of the side. */
type Found = Map<string, number[]>

/** Everything that is written has a version of its own. */
let written = 0

const entry = builtEntry()
const folder = await mkdtemp(join(tmpdir(), 'bellwether-releases-'))
try {
  const many = `${releases.toLocaleString('en-US')} releases`
  const dirs = new Map([
    ['no release', join(folder, 'none')],
    [many, join(folder, 'many')],
  ])
  for (const [name, dataDir] of dirs) await fillStore(dataDir, channels, name === many ? releases : 0)
  say(
    `${channels.toLocaleString('en-US')} channels, ${rounds} rounds in turns; median [min..max], ratios within a round`,
  )
  compare('start to listening, ms', await starts(dirs), 0)

  const sides: Side[] = []
  try {
    for (const [name, dataDir] of dirs) sides.push(await start(name, dataDir))
    for (const side of sides) await makePipeline(side)
    await rest(REST_MS)
    compare('resident memory after the start, MB', await inTurns(sides, 1, memory), 1)
    const turns = Math.ceil(writes / WRITES_IN_TURN)
    await inTurns(sides, rounds, writeTime)
    compare(
      `channel write to the answer of a poll, ms (of ${WRITES_IN_TURN})`,
      await inTurns(sides, turns, writeTime),
      2,
    )
    compare('registering a release that begins a rollout, ms', await inTurns(sides, turns, registerTime), 2)
    compare('GET /releases, a page of 100, ms', await inTurns(sides, rounds, pageTime), 1)
    compare('CPU of the idle server, ms a second', await inTurns(sides, 2, idleCpu), 1)
    await rest(REST_MS)
    compare('resident memory at the end, MB', await inTurns(sides, 1, memory), 1)
  } finally {
    for (const { server, control, poll } of sides) {
      control.close()
      poll.close()
      await server.end()
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function start(name: string, dataDir: string): Promise<Side> {
  const server = await startBellwether({ dataDir, entry, env: { BELLWETHER_LOG_LEVEL: 'error' } })
  return {
    name,
    dataDir,
    server,
    control: new Client(server.controlUrl, 1, BENCH_TOKEN),
    poll: new Client(server.pollUrl, 1),
  }
}

/** Each side once in every round; which one is first changes from round to round. */
async function inTurns(
  sides: readonly Side[],
  count: number,
  measure: (side: Side) => Promise<number>,
): Promise<Found> {
  const found: Found = new Map(sides.map(({ name }) => [name, []]))
  for (let round = 0; round < count; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      found.get(side.name)?.push(await measure(side))
    }
  }
  return found
}

async function starts(dirs: ReadonlyMap<string, string>): Promise<Found> {
  const found: Found = new Map([...dirs.keys()].map((name) => [name, []]))
  for (let round = 0; round <= STARTS; round += 1) {
    for (const [name, dataDir] of round % 2 === 0 ? dirs : [...dirs].toReversed()) {
      const startedMs = performance.now()
      const side = await start(name, dataDir)
      // The first one of each writes the last-known-good file.
      if (round > 0) found.get(name)?.push(performance.now() - startedMs)
      await side.server.end()
    }
  }
  return found
}

/** A pipeline that takes only what this registers, not what is registered already. */
async function makePipeline(side: Side): Promise<void> {
  const stages = [{ name: 'canary', channels: [channelName(0)] }]
  await admin(side, 'PUT', `/pipelines/${PIPELINE}`, { versions: '>=15.0.0-0', requirePackages: false, stages })
}

/** From sending a change until the poll after its answer has told it. */
async function writeTime(side: Side): Promise<number> {
  const times: number[] = []
  for (let count = 0; count < WRITES_IN_TURN; count += 1) {
    written += 1
    const [name, version] = [channelName(written % channels), `16.0.${written}`]
    const sentAt = performance.now()
    await admin(side, 'PUT', `/channels/${encodeURIComponent(name)}/version`, { version })
    const { body } = await side.poll.get(`/v1/${name}/version`)
    times.push(performance.now() - sentAt)
    if (body !== version) throw new Error(`${name} told ${body}, not ${version}`)
  }
  return median(times)
}

async function registerTime(side: Side): Promise<number> {
  written += 1
  const sentAt = performance.now()
  await admin(side, 'POST', '/releases', { version: `17.0.${written}`, commit: 'abcdef1', kind: 'full' })
  return performance.now() - sentAt
}

async function pageTime(side: Side): Promise<number> {
  const sentAt = performance.now()
  await admin(side, 'GET', '/releases?limit=100')
  return performance.now() - sentAt
}

async function idleCpu({ server }: Side): Promise<number> {
  const before = cpuMs(server.pid)
  await rest(IDLE_MS)
  return (cpuMs(server.pid) - before) / (IDLE_MS / 1_000)
}

async function memory({ server }: Side): Promise<number> {
  return residentMb(server.pid)
}

function median(times: readonly number[]): number {
  return quantile(
    times.toSorted((a, b) => a - b),
    0.5,
  )
}

async function admin({ control }: Side, method: string, path: string, body?: object): Promise<void> {
  const reply = await control.admin(method, path, body)
  if (reply.status >= 300) throw new Error(`${method} ${path} was answered ${reply.status} ${reply.body}`)
}

function compare(what: string, found: Found, digits: number): void {
  const [none = [], many = []] = [...found.values()]
  say(`\n${what}`)
  for (const [name, figures] of found) say(`  ${name.padEnd(40)}${showSummary(summarize(figures), digits)}`)
  const ratios = many.map((figure, round) => figure / (none[round] ?? NaN))
  // Of a server that has used no whole tick there is none.
  if (ratios.every((ratio) => Number.isFinite(ratio)))
    say(`  ${'ratio, many to none'.padEnd(40)}${showSummary(summarize(ratios), 2)}`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
