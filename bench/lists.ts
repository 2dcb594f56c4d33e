// Lists of the largest items that the admin API takes: for each the bytes of one page, how long it takes and the longest pause of the
// server's event loop, alone and beside eight readers, with how long a halt takes then. Of the built server.
//   npx tsx bench/lists.ts [--channels 600] [--releases 60] [--pipelines 30] [--readers 8] [--seconds 5] [--heap 512]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether, type BellwetherProcess } from './bellwether-process.ts'
import { Client } from './client.ts'
import { residentMb } from './process-figures.ts'
import { startReading } from './reading.ts'

const HALT_EVERY_MS = 250
const READING_BEGINS_MS = 2_000
/** As long as the API takes them: three bytes for each character. */
const TEXT = '版'.repeat(1_000)
const CHANGES_BYTES = 60_000
const RULES_BYTES = 250_000
const CALLS_AT_ONCE = 8

const { values: options } = parseArgs({
  options: {
    channels: { type: 'string', default: '600' },
    releases: { type: 'string', default: '60' },
    pipelines: { type: 'string', default: '30' },
    readers: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '5' },
    heap: { type: 'string', default: '512' },
  },
})
const [readers, seconds] = [Number(options.readers), Number(options.seconds)]

const folder = await mkdtemp(join(tmpdir(), 'bellwether-lists-'))
try {
  const entry = [`--max-old-space-size=${options.heap}`, ...builtEntry()]
  const env = { BELLWETHER_LOG_LEVEL: 'error', BELLWETHER_GATES_ALLOW: '127.0.0.1' }
  const server = await startBellwether({ dataDir: folder, env, entry })
  try {
    const viewer = await fill(server)
    say(`  ${'list'.padEnd(26)}bytes     alone       pause     halt beside ${readers}   pause     pages`)
    const lists = ['/channels', '/releases', '/rollouts/p0', '/pipelines', '/blocked-versions', '/replicas']
    for (const path of lists) await measure(server, viewer, path)
    await measure(server, BENCH_TOKEN, '/tokens')
    say(`  memory ${residentMb(server.pid).toFixed(0)} MB of a heap of ${options.heap} MB`)
  } finally {
    await server.end()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Makes the largest of everything; answers a viewer's token. */
async function fill(server: BellwetherProcess): Promise<string> {
  const admin = new Client(server.controlUrl, CALLS_AT_ONCE, BENCH_TOKEN)
  const done = async (method: string, path: string, body: object): Promise<string> => {
    const reply = await admin.admin(method, path, body)
    if (reply.status >= 300) throw new Error(`${method} ${path} → ${reply.status} ${reply.body.slice(0, 300)}`)
    return reply.body
  }
  const each = async (count: number, make: (index: number) => Promise<unknown>): Promise<void> => {
    let next = 0
    const work = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) await make(index)
    }
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, work))
  }
  await each(Number(options.channels), async (index) => {
    const path = `/channels/c${index}`
    const source = { kind: 'static', version: '15.0.0' }
    await done('POST', '/channels', { name: `c${index}`, description: TEXT, source })
    await done('PUT', `${path}/pin`, { version: '15.0.1', reason: TEXT })
    await done('PUT', `${path}/halt`, { reason: TEXT })
  })
  await each(Number(options.pipelines), (index) => {
    const channels = Array.from({ length: 890 }, (_, channel) => `${'x'.repeat(40)}/p${index}-${channel}`)
    const stages = [{ name: 'all', channels, gates: [] }]
    const description = TEXT.slice(0, 300)
    const versions = index === 0 ? null : '<1.0.0'
    const query = 'q'.repeat(Math.floor((RULES_BYTES - JSON.stringify(stages).length) / 100))
    const gates = Array.from({ length: 10 }, (_, gate) => ({
      ...{ name: `g${gate}`, url: 'http://127.0.0.1:9', query: query.slice(0, 2_000), op: '<', threshold: 1 },
    }))
    const more = Array.from({ length: 9 }, (_, at) => ({ name: `s${at}`, channels: [`p${index}/more-${at}`], gates }))
    return done('PUT', `/pipelines/p${index}`, { description, versions, stages: [...stages, ...more] })
  })
  await each(Number(options.releases), (index) => {
    const changes = Array.from({ length: 200 }, (_, id) => ({
      id: `${id}`,
      title: 't'.repeat(240),
      author: 'somebody',
    }))
    while (JSON.stringify(changes).length > CHANGES_BYTES) changes.pop()
    return done('POST', '/releases', { version: `14.0.${index}`, commit: 'abcdef0', kind: 'full', changes })
  })
  await each(Number(options.channels), (index) => done('PUT', `/blocked-versions/13.0.${index}`, { reason: TEXT }))
  const patterns = Array.from({ length: 50 }, (_, index) => `${'t'.repeat(60)}/${'u'.repeat(50)}${index}/*`)
  await each(Number(options.channels), (index) =>
    done('POST', '/tokens', { name: `t${index}`, role: 'viewer', channels: patterns }),
  )
  const { token } = JSON.parse(await done('POST', '/tokens', { name: 'viewer', role: 'viewer' })) as { token: string }
  admin.close()
  return token
}

async function measure(server: BellwetherProcess, token: string, path: string): Promise<void> {
  const reader = new Client(server.controlUrl, 1, token)
  const operator = new Client(server.controlUrl, 1, BENCH_TOKEN)
  const limit = path.startsWith('/rollouts') ? 100 : 500
  await longestPauseMs(server)
  const startedAt = performance.now()
  const first = await reader.admin('GET', `${path}?limit=${limit}`)
  const tookMs = performance.now() - startedAt
  if (first.status !== 200) throw new Error(`GET ${path} → ${first.status} ${first.body.slice(0, 200)}`)
  const pauseAlone = await longestPauseMs(server)
  const over = new AbortController()
  let longestHalt = 0
  const stopReading = startReading({ url: server.controlUrl, token, path: `${path}?limit=${limit}`, readers })
  // A process needs a while to begin.
  await pause(READING_BEGINS_MS)
  const halt = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await pause(HALT_EVERY_MS)
      const haltedAt = performance.now()
      const { status } = await operator.admin('PUT', '/channels/c0/halt', { reason: `bench ${haltedAt}` })
      if (status !== 200) throw new Error(`a halt was answered ${status}`)
      longestHalt = Math.max(longestHalt, performance.now() - haltedAt)
    }
  }
  const halting = halt()
  await Promise.race([pause(seconds * 1_000), halting])
  over.abort()
  await halting
  const pauseBeside = await longestPauseMs(server)
  const pages = await stopReading()
  reader.close()
  operator.close()
  const figures = [ms(tookMs), ms(pauseAlone), ms(longestHalt), ms(pauseBeside)].map((text) => text.padStart(12))
  say(
    `  ${path.padEnd(20)}${String(Buffer.byteLength(first.body)).padStart(12)}${figures.join('')}${String(pages).padStart(9)}`,
  )
}

/** The longest pause since the server's metrics were last asked for, as its own event loop has seen it. */
async function longestPauseMs(server: BellwetherProcess): Promise<number> {
  const client = new Client(server.controlUrl, 1)
  const { body } = await client.get('/metrics')
  client.close()
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(body)?.[1] ?? NaN) * 1_000
}

function ms(figure: number): string {
  return `${figure.toFixed(1)} ms`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
