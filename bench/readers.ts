// Eight readers page through a large journal while agents poll and an operator halts a channel: the poll p99 without and with
// them, in turns, how long a halt takes, and the longest pause of the server's event loop. Of the built server, once it has read back
// what its channels served.
//   npx tsx bench/readers.ts [--mb 500] [--readers 8] [--rounds 7] [--seconds 5] [--heap 512]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { channelBody, channelKey, channelOf } from '../src/channels/channel.ts'
import { openEmbeddedStore } from '../src/store/embedded/embedded-store.ts'
import type { Document } from '../src/store/port.ts'
import { BENCH_TOKEN, builtEntry, startBellwether, type BellwetherProcess } from './bellwether-process.ts'
import { channelName, fill } from './channel-store.ts'
import { Client } from './client.ts'
import { residentMb } from './process-figures.ts'
import { startReading } from './reading.ts'
import { quantile, showSummary, summarize } from './summary.ts'

/** A stage of this many channels makes entries of some 0.9 MB. */
const CHANNELS = 900
const POLL_EVERY_MS = 5
const HALT_EVERY_MS = 500
const HALT_TARGET_MS = 200
const POLLS_FACTOR_TARGET = 2
/** A journal of gigabytes is read back in less. */
const RESTORED_WITHIN_MS = 300_000
const RESTORED_CHECK_MS = 200
const READING_BEGINS_MS = 2_000

const { values: options } = parseArgs({
  options: {
    mb: { type: 'string', default: '500' },
    readers: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '5' },
    heap: { type: 'string', default: '512' },
  },
})
const [mb, readers] = [Number(options.mb), Number(options.readers)]
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)]

/** What goes on beside the polls of one leg of a round. */
interface Beside {
  readonly halts: boolean
  readonly readers: number
}

const LEGS = {
  'polls alone': { halts: false, readers: 0 },
  'with halts': { halts: true, readers: 0 },
  'with halts and readers': { halts: true, readers },
} satisfies Record<string, Beside>

type Leg = keyof typeof LEGS

interface Measured {
  readonly p99: number
  readonly longestHalt: number
  readonly longestPause: number
  readonly pages: number
}

const folder = await mkdtemp(join(tmpdir(), 'bellwether-readers-'))
try {
  const entries = await fillJournal(folder)
  const entry = [`--max-old-space-size=${options.heap}`, ...builtEntry()]
  const server = await startBellwether({ dataDir: folder, env: { BELLWETHER_LOG_LEVEL: 'error' }, entry })
  try {
    await restored(server)
    const measured: Record<Leg, Measured[]> = { 'polls alone': [], 'with halts': [], 'with halts and readers': [] }
    // In turns: whatever else the machine does then falls on all of them.
    for (let round = 0; round < rounds; round += 1) {
      for (const leg of Object.keys(LEGS) as Leg[]) measured[leg].push(await measure(server, LEGS[leg])) // Object.keys loses the keys' type.
    }
    report(entries, measured)
    say(`  memory ${residentMb(server.pid).toFixed(0)} MB of a heap of ${options.heap} MB`)
  } finally {
    await server.end()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Steps of a stage of all channels, as many as make a journal of so many megabytes; answers how many. */
async function fillJournal(dataDir: string): Promise<number> {
  const store = await openEmbeddedStore(dataDir)
  await fill(store, { channels: CHANNELS })
  let { documents }: { readonly documents: readonly Document[] } = await store.load()
  let count = 0
  for (let bytes = 0; bytes < mb * 1_000_000; count += 1) {
    const at = new Date().toISOString()
    const writes = documents.map((document) => {
      const channel = channelOf(document)
      const source = { kind: 'static', version: `16.${count % 10}.0`, critical: false, criticalUntil: null } as const
      const body = channelBody({ ...channel, description: 'x'.repeat(200), source, updatedAt: at })
      return { key: channelKey(channel.name), expected: document.revision, body }
    })
    const about = { at, actor: 'bench', kind: 'rollout.promote', reason: null, requestId: null, decidedOn: null }
    const committed = await store.commit({ ...about, writes, reads: [] })
    if (committed.outcome !== 'committed') throw new Error('somebody else writes to this store')
    documents = committed.entry.changes.flatMap(({ after }) => after ?? [])
    bytes += JSON.stringify(committed.entry).length
  }
  await store.close()
  return count
}

/** Waits until the server reads nothing of the journal in the background any more. */
async function restored(server: BellwetherProcess): Promise<void> {
  const client = new Client(server.controlUrl, 1)
  const endsAt = performance.now() + RESTORED_WITHIN_MS
  while (!/^bellwether_history_restored 1$/m.test((await client.get('/metrics')).body)) {
    if (performance.now() > endsAt) throw new Error('the server still restores what its channels served')
    await pause(RESTORED_CHECK_MS)
  }
  client.close()
}

async function measure(server: BellwetherProcess, beside: Beside): Promise<Measured> {
  const over = new AbortController()
  const polls: number[] = []
  const halts: number[] = []
  const about = { url: server.controlUrl, token: BENCH_TOKEN, path: '/journal?limit=500', readers: beside.readers }
  const stopReading = beside.readers === 0 ? null : startReading(about)
  // A process needs a while to begin.
  if (stopReading !== null) await pause(READING_BEGINS_MS)
  const poller = new Client(server.pollUrl, 1)
  const operator = new Client(server.controlUrl, 1, BENCH_TOKEN)
  const path = `/channels/${encodeURIComponent(channelName(0))}/halt`
  await longestPauseMs(server)
  const poll = async (): Promise<void> => {
    while (!over.signal.aborted) {
      polls.push(await timed(async () => (await poller.get(`/v1/${channelName(1)}/version`)).status))
      await pause(POLL_EVERY_MS)
    }
  }
  const halt = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await pause(HALT_EVERY_MS)
      halts.push(await timed(async () => (await operator.admin('PUT', path, { reason: 'bench' })).status))
      await operator.admin('DELETE', path, { reason: 'bench' })
    }
  }
  const halting = beside.halts ? [halt()] : []
  const running = [poll(), ...halting]
  const end = pause(seconds * 1_000)
  await Promise.race([end, Promise.all(running)])
  over.abort()
  await Promise.all(running)
  const longestPause = await longestPauseMs(server)
  const pages = (await stopReading?.()) ?? 0
  for (const client of [poller, operator]) client.close()
  return {
    p99: quantile(
      polls.toSorted((a, b) => a - b),
      0.99,
    ),
    longestHalt: Math.max(0, ...halts),
    longestPause,
    pages,
  }
}

/** What something took in milliseconds; it must be answered 200. */
async function timed(ask: () => Promise<number>): Promise<number> {
  const startedAt = performance.now()
  const status = await ask()
  if (status !== 200) throw new Error(`answered ${status}`)
  return performance.now() - startedAt
}

/** The longest pause since the server's metrics were last asked for, as its own event loop has seen it. */
async function longestPauseMs(server: BellwetherProcess): Promise<number> {
  const client = new Client(server.controlUrl, 1)
  const { body } = await client.get('/metrics')
  client.close()
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(body)?.[1] ?? NaN) * 1_000
}

function report(entries: number, measured: Readonly<Record<Leg, readonly Measured[]>>): void {
  say(
    `${entries} entries of a stage of ${CHANNELS} channels, ${mb} MB; ${rounds} rounds of ${seconds} s of each, ${readers} readers`,
  )
  for (const [leg, legs] of Object.entries(measured)) {
    say(`  ${leg}`)
    row('poll p99, the median of the rounds', spread(legs.map(({ p99 }) => p99)))
    row('the longest pause of the event loop', ms(Math.max(...legs.map(({ longestPause }) => longestPause))))
    if (leg === 'polls alone') continue
    const worst = Math.max(...legs.map(({ longestHalt }) => longestHalt))
    row('the longest halt', ms(worst), leg === 'with halts' ? null : worst <= HALT_TARGET_MS)
  }
  const [without, beside] = [measured['with halts'], measured['with halts and readers']]
  // Within a round: the machine is another one a minute later.
  const factors = summarize(beside.map(({ p99 }, round) => p99 / (without[round]?.p99 ?? NaN)))
  row('poll p99, with readers over without', `${showSummary(factors, 2)} ×`, factors.median <= POLLS_FACTOR_TARGET)
  row('pages read', String(beside.reduce((sum, { pages }) => sum + pages, 0)))
}

function spread(figures: readonly number[]): string {
  return `${showSummary(summarize(figures), 1)} ms`
}

function row(what: string, figures: string, isReached: boolean | null = null): void {
  const aim = isReached === null ? '' : isReached ? 'reached' : 'NOT REACHED'
  say(`  ${what.padEnd(40)}${figures.padEnd(26)}${aim}`)
}

function ms(figure: number): string {
  return `${figure.toFixed(1)} ms`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
