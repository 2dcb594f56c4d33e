// How fast polls are answered: Bellwether's poll plane beside a plain Fastify route and Node's own HTTP server with the
// same answer, each a process of its own, in turns.
//   npx tsx bench/poll.ts [--rounds 5] [--seconds 2] [--connections 64] [--no-pin] [--save]
import autocannon from 'autocannon'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether } from './bellwether-process.ts'
import { Client } from './client.ts'
import { cpuMs, pinSelf } from './process-figures.ts'
import { BODY, HEADERS, POLL_PATH } from './servers/answer.ts'
import { showSummary, summarize, type Summary } from './summary.ts'

const RESULTS = fileURLToPath(new URL('results/', import.meta.url))
const SERVER_CORE = 0
const GENERATOR_CORE = 1
/** The generator itself is the limit from about here on. */
const GENERATOR_BUSY_MAX = 0.95

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    'no-pin': { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const connections = Number(options.connections)

/** One server under test. */
interface Subject {
  readonly name: string
  readonly url: string
  readonly pid: number
  stop(): Promise<unknown>
}

const modes = ['keep-alive', 'a new connection for every poll'] as const

interface Round {
  readonly perSecond: number
  readonly cpuUs: number
  readonly generatorBusy: number
}

interface Row {
  readonly mode: string
  readonly server: string
  readonly perSecond: Summary
  /** Processor time of the server for one poll, in microseconds. */
  readonly cpuUs: Summary
  /** Polls per second against node:http in the same round. */
  readonly ratio: Summary
  readonly generatorBusy: number
}

const isPinned = !options['no-pin'] && availableParallelism() > 1 && pinSelf(GENERATOR_CORE)
const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-poll-'))
const subjects: Subject[] = []
try {
  subjects.push(await bellwether(), await fixture('fastify-route'), await fixture('node-http'))
  for (const subject of subjects) await checkAnswer(subject)
  const rows = await measure()
  print(rows)
  if (options.save) {
    await mkdir(RESULTS, { recursive: true })
    const result = { node: process.version, rounds, seconds, connections, isPinned, rows }
    await writeFile(join(RESULTS, 'poll.json'), `${JSON.stringify(result, null, 2)}\n`)
  }
} finally {
  for (const subject of subjects) await subject.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function bellwether(): Promise<Subject> {
  const core = isPinned ? SERVER_CORE : null
  const server = await startBellwether({ dataDir, core, entry: builtEntry() })
  const control = new Client(server.controlUrl, 1, BENCH_TOKEN)
  await control.admin('POST', '/channels', { name: 'stable/cloud', source: { kind: 'static', version: BODY } })
  control.close()
  return { name: 'bellwether', url: server.pollUrl, pid: server.pid, stop: () => server.end() }
}

async function fixture(name: string): Promise<Subject> {
  const file = fileURLToPath(new URL(`servers/${name}.ts`, import.meta.url))
  const command = [process.execPath, '--import', 'tsx', file]
  if (isPinned) command.unshift('taskset', '-c', String(SERVER_CORE))
  const child: ChildProcess = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const [line] = (await Promise.race([once(child.stdout ?? child, 'data'), ended])) as [Buffer | number] // One or the other.
  if (typeof line === 'number') throw new Error(`${name} ended with ${line}`)
  const stop = (): Promise<unknown> => (child.kill('SIGTERM'), ended)
  return { name, url: line.toString().trim(), pid: child.pid ?? 0, stop }
}

/** A comparison is only fair where all say the same. */
async function checkAnswer({ name, url }: Subject): Promise<void> {
  const client = new Client(url, 1)
  const { status, body, headers } = await client.get(POLL_PATH)
  client.close()
  const wrong = Object.entries(HEADERS).filter(([header, value]) => headers[header.toLowerCase()] !== value)
  if (status !== 200 || body !== BODY || wrong.length > 0) {
    throw new Error(`${name} answers ${status} ${body} ${JSON.stringify(headers)}`)
  }
}

/** All servers in turns, in an order that changes with each round, so that none always follows the same one. */
async function measure(): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const mode of modes) {
    const found = new Map<Subject, Round[]>(subjects.map((subject) => [subject, []]))
    for (const subject of subjects) await load(subject, mode, 1)
    for (let round = 0; round < rounds; round += 1) {
      const first = round % subjects.length
      for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
        found.get(subject)?.push(await load(subject, mode, seconds))
      }
    }
    const base = found.get(subjects.at(-1) ?? never()) ?? []
    for (const [{ name }, figures] of found) {
      rows.push({
        mode,
        server: name,
        perSecond: summarize(figures.map(({ perSecond }) => perSecond)),
        cpuUs: summarize(figures.map(({ cpuUs }) => cpuUs)),
        ratio: summarize(figures.map(({ perSecond }, round) => perSecond / (base[round]?.perSecond ?? NaN))),
        generatorBusy: Math.max(...figures.map(({ generatorBusy }) => generatorBusy)),
      })
    }
  }
  return rows
}

async function load({ name, url, pid }: Subject, mode: (typeof modes)[number], duration: number): Promise<Round> {
  const isKept = mode === 'keep-alive'
  const cpuBefore = cpuMs(pid)
  const ownBefore = process.cpuUsage()
  const startedMs = performance.now()
  const result = await autocannon({
    url: `${url}${POLL_PATH}`,
    connections,
    duration,
    expectBody: BODY,
    // Not reconnectRate: with that autocannon counts no answer at all.
    ...(isKept ? {} : { headers: { connection: 'close' } }),
  })
  const elapsedMs = performance.now() - startedMs
  const own = process.cpuUsage(ownBefore)
  const answered = result['2xx']
  const failed = result.errors + result.timeouts + result.non2xx + result.mismatches
  if (failed > 0 || answered === 0) throw new Error(`${name}, ${mode}: ${failed} of ${answered} polls failed`)
  return {
    perSecond: answered / (elapsedMs / 1_000),
    cpuUs: ((cpuMs(pid) - cpuBefore) * 1_000) / answered,
    generatorBusy: (own.user + own.system) / 1_000 / elapsedMs,
  }
}

function print(rows: readonly Row[]): void {
  const where = isPinned ? `server on core ${SERVER_CORE}, generator on core ${GENERATOR_CORE}` : 'not pinned to cores'
  const lines = [`Node.js ${process.version}, ${rounds} rounds of ${seconds} s, ${connections} connections, ${where}`]
  for (const mode of modes) {
    lines.push('', mode, `${'server'.padEnd(16)}${'polls/s'.padEnd(32)}${'µs CPU/poll'.padEnd(26)}ratio to node:http`)
    for (const { server, perSecond, cpuUs, ratio, generatorBusy } of rows.filter((row) => row.mode === mode)) {
      const isLimit = generatorBusy > GENERATOR_BUSY_MAX
      lines.push(
        `${server.padEnd(16)}${showSummary(perSecond, 0).padEnd(32)}${showSummary(cpuUs, 1).padEnd(26)}` +
          `${showSummary(ratio, 2)}${isLimit ? '  (the generator was the limit)' : ''}`,
      )
    }
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function never(): never {
  throw new Error('there are no servers')
}
