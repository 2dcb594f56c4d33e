// The figures of the foundation beside their targets, of the built server: start, memory, loading, and one write.
//   npx tsx bench/figures.ts
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { BENCH_TOKEN, builtEntry, spawnBellwether, startBellwether } from './bellwether-process.ts'
import { channelName, channelVersion, fillStore } from './channel-store.ts'
import { Client } from './client.ts'
import { residentMb } from './process-figures.ts'
import { quantile, showSummary, summarize } from './summary.ts'

const STARTS = 7
const WRITES = 200
const SOME_CHANNELS = 1_000
const MANY_CHANNELS = 10_000
/** After the load the collector needs a moment; what is held then is held for good. */
const REST_MS = 5_000

const entry = builtEntry()
const folder = await mkdtemp(join(tmpdir(), 'bellwether-figures-'))
try {
  const empty = join(folder, 'empty')
  const some = join(folder, 'some')
  const many = join(folder, 'many')
  await fillStore(empty, 1)
  await fillStore(some, SOME_CHANNELS)
  await fillStore(many, MANY_CHANNELS)

  const starts = summarize(await startTimes(empty))
  const manyStarts = summarize(await startTimes(many))
  print(`start to the first poll answered, ms (${STARTS} starts)`, showSummary(starts, 0), '400')
  const loadS = (manyStarts.median - starts.median) / 1_000
  print(`loading ${MANY_CHANNELS.toLocaleString('en-US')} channels, s (start above that of one)`, loadS.toFixed(2), '1')
  print(`resident memory with ${SOME_CHANNELS.toLocaleString('en-US')} channels, MB`, await memory(some), '90')
  const writes = (await writeTimes(some)).toSorted((a, b) => a - b)
  const [median, high] = [quantile(writes, 0.5), quantile(writes, 0.99)]
  print(`one write, durable and served, ms: median (${WRITES} writes)`, median.toFixed(2), '10')
  print('one write, durable and served, ms: 99th percentile', high.toFixed(2), '10')
} finally {
  await rm(folder, { recursive: true, force: true })
}

function print(what: string, figure: string, target: string): void {
  process.stdout.write(`${what.padEnd(66)}${figure.padEnd(24)}target ${target}\n`)
}

/** From the start of the process to the first answer to a poll, in milliseconds, each start on its own. */
async function startTimes(dataDir: string): Promise<readonly number[]> {
  const times: number[] = []
  for (let start = 0; start < STARTS; start += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const startedMs = performance.now()
    const { child, settled } = spawnBellwether({ dataDir, entry, env: { BELLWETHER_POLL_PORT: String(port) } })
    while (!(await isListening(port)) && child.exitCode === null);
    const client = new Client(`http://127.0.0.1:${port}`, 1)
    const { body } = await client.get(`/v1/${channelName(0)}/version`)
    times.push(performance.now() - startedMs)
    if (body !== channelVersion(0)) throw new Error(`the first answer was ${body}`)
    client.close()
    const launched = await settled
    if (launched.outcome === 'ended') throw new Error(`the server ended: ${launched.stderr}`)
    await launched.server.end()
  }
  return times
}

/** Asked again and again without a pause worth the name: a bare connection costs the starting server nothing. */
async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.destroy()
  if (!isOpen) await rest(1)
  return isOpen
}

/** What the server holds some seconds after every channel was asked for. */
async function memory(dataDir: string): Promise<string> {
  const server = await startBellwether({ dataDir, entry })
  const poll = new Client(server.pollUrl, 8)
  const names = Array.from({ length: SOME_CHANNELS }, (_, index) => channelName(index))
  await Promise.all(names.map((name) => poll.get(`/v1/${name}/version`)))
  await rest(REST_MS)
  const held = residentMb(server.pid)
  poll.close()
  await server.end()
  return held.toFixed(1)
}

/** Milliseconds from sending a change to having polled it, one after the other. */
async function writeTimes(dataDir: string): Promise<readonly number[]> {
  const server = await startBellwether({ dataDir, entry })
  const control = new Client(server.controlUrl, 1, BENCH_TOKEN)
  const poll = new Client(server.pollUrl, 1)
  const times: number[] = []
  for (let write = 0; write <= WRITES; write += 1) {
    const version = `15.2.${write}`
    const startedMs = performance.now()
    const reply = await control.admin('PUT', `/channels/${encodeURIComponent(channelName(7))}/version`, { version })
    const { body } = await poll.get(`/v1/${channelName(7)}/version`)
    // The first one opens the connections.
    if (write > 0) times.push(performance.now() - startedMs)
    if (reply.status !== 200 || body !== version) throw new Error(`${reply.status}: polled ${body}, not ${version}`)
  }
  control.close()
  poll.close()
  await server.end()
  return times
}
