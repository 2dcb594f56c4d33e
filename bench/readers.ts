// Eight readers page through a large journal while agents poll and an operator halts a channel: the poll p99 without and with
// them, how long a halt takes beside them, and the longest pause of the server's event loop. Of the built server.
//   npx tsx bench/readers.ts [--mb 500] [--readers 8] [--seconds 20] [--heap 512]
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
import { quantile } from './summary.ts'

/** A stage of this many channels makes entries of some 0.9 MB. */
const CHANNELS = 900
const POLL_EVERY_MS = 5
const HALT_EVERY_MS = 500
const HALT_TARGET_MS = 200
const POLLS_FACTOR_TARGET = 2

const { values: options } = parseArgs({
  options: {
    mb: { type: 'string', default: '500' },
    readers: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '20' },
    heap: { type: 'string', default: '512' },
  },
})
const [mb, readers, seconds] = [Number(options.mb), Number(options.readers), Number(options.seconds)]

interface Measured {
  readonly polls: readonly number[]
  readonly halts: readonly number[]
  readonly pages: number
}

const folder = await mkdtemp(join(tmpdir(), 'bellwether-readers-'))
try {
  const entries = await fillJournal(folder)
  const entry = [`--max-old-space-size=${options.heap}`, ...builtEntry()]
  const server = await startBellwether({ dataDir: folder, env: { BELLWETHER_LOG_LEVEL: 'error' }, entry })
  try {
    const alone = await measure(server, 0)
    const pauseAlone = await longestPauseMs(server)
    const beside = await measure(server, readers)
    report(entries, alone, beside, pauseAlone, await longestPauseMs(server))
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

async function measure(server: BellwetherProcess, readersCount: number): Promise<Measured> {
  const over = new AbortController()
  const polls: number[] = []
  const halts: number[] = []
  let pages = 0
  const poller = new Client(server.pollUrl, 1)
  const operator = new Client(server.controlUrl, 1, BENCH_TOKEN)
  const reading = new Client(server.controlUrl, Math.max(readersCount, 1), BENCH_TOKEN)
  const path = `/channels/${encodeURIComponent(channelName(0))}/halt`
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
  const read = async (): Promise<void> => {
    for (let cursor = ''; !over.signal.aborted;) {
      const { status, body } = await reading.admin('GET', `/journal?limit=500${cursor}`)
      if (status !== 200) throw new Error(`a page was answered ${status} ${body.slice(0, 200)}`)
      pages += 1
      // At the end of a page, and not parsed: this process measures, too.
      const next = /"next":"([^"]+)"\}$/.exec(body.slice(-100))?.[1]
      cursor = next === undefined ? '' : `&cursor=${next}`
    }
  }
  const running = [poll(), halt(), ...Array.from({ length: readersCount }, () => read())]
  const end = pause(seconds * 1_000)
  await Promise.race([end, Promise.all(running)])
  over.abort()
  await Promise.all(running)
  for (const client of [poller, operator, reading]) client.close()
  return { polls, halts, pages }
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

function report(entries: number, alone: Measured, beside: Measured, pauseAlone: number, pauseBeside: number): void {
  say(
    `${entries} entries of a stage of ${CHANNELS} channels, ${mb} MB; ${seconds} s without readers, ${seconds} s with ${readers}`,
  )
  const p99 = ({ polls }: Measured): number =>
    quantile(
      polls.toSorted((a, b) => a - b),
      0.99,
    )
  const factor = p99(beside) / p99(alone)
  row('poll p99, without and with readers', `${ms(p99(alone))} / ${ms(p99(beside))}`, factor <= POLLS_FACTOR_TARGET)
  row('… the longest poll', `${ms(Math.max(...alone.polls))} / ${ms(Math.max(...beside.polls))}`)
  const worst = Math.max(...beside.halts)
  row('the longest halt', `${ms(Math.max(...alone.halts))} / ${ms(worst)}`, worst <= HALT_TARGET_MS)
  row('the longest pause of the event loop', `${ms(pauseAlone)} / ${ms(pauseBeside)}`)
  row('pages read', `${alone.pages} / ${beside.pages}`)
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
