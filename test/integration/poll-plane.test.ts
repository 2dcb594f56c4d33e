// The poll plane over real sockets, byte for byte: the whole table, and what no single row can say.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { malformedPaths } from '../fixtures/poll-paths.ts'
import { checkRow, comparable, head, headOnly, notModified, sorted, whole, type Row } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { table } from '../fixtures/poll-table.ts'
import { openWire, type Address } from '../fixtures/poll-wire.ts'
import { healthy, polls, stable, STABLE, stateOf, unknownChannel, WORLDS } from '../fixtures/poll-worlds.ts'
import { startServer } from '../fixtures/server-process.ts'
import { freshFolder } from '../fixtures/store-process.ts'

/** Rows under way at once: each has a connection of its own. */
const ROWS_AT_ONCE = 8

async function checkRows(t: Test, address: Address, rows: readonly Row[]): Promise<void> {
  const left = rows.values()
  const work = async (): Promise<void> => {
    for (const row of left) await checkRow(t, address, row)
  }
  await Promise.all(Array.from({ length: ROWS_AT_ONCE }, work))
  t.pass(`${rows.length} rows`)
}

for (const [about, rows] of Object.entries(table)) {
  for (const world of WORLDS) {
    const here = rows.filter((row) => row.world === world)
    if (here.length === 0) continue
    await t.test(`${here.length} requests about ${about} are answered byte for byte in world "${world}"`, async (t) => {
      await checkRows(t, await startPollServer(t, stateOf(world)), here)
    })
  }
}

await t.test('a server process that serves its last known good state answers the same bytes', async (t) => {
  const folder = await freshFolder(t)
  const state = stateOf('channels')
  if (state === null) throw new Error('there is a world without a state')
  await writeLastKnownGood(folder, state, NOW)
  await writeFile(join(folder, 'store.mdb'), 'this is not a store\n'.repeat(1_000))
  const server = await startServer(folder)
  t.teardown(() => server.end())
  const { hostname, port } = new URL(server.pollUrl)
  // What a row is about, every kind of it, and not every poll in every form once more.
  const rows = Object.values(table).flatMap((all) => all.filter(({ world }) => world === 'channels').slice(0, 100))
  await checkRows(t, { host: hostname, port: Number(port) }, rows)
})

await t.test('the table promises no redirect, and no 200 that a client could take for another version', async (t) => {
  const rows = Object.values(table).flat()
  t.ok(rows.length > 3_000)
  for (const { title, answers } of rows) {
    for (const { status, body, bodiless } of answers) {
      if (![100, 200, 304, 400, 404, 405, 431, 503].includes(status)) t.fail(`${title}: ${status}`)
      const isTarget = /^(?:v?\d+\.\d+\.\d+[\w.+-]*|none|yes|no)$/.test(body)
      const isHealth = body === 'ok' && /health|readyz/.test(title)
      if (status === 200 && !bodiless && !isTarget && !isHealth && !/ten requests|good requests/.test(title)) {
        t.fail(`${title}: ${body}`)
      }
      if (/[\r\n]/.test(body)) t.fail(`${title}: a body of more than one line`)
    }
  }
  const titles = rows.map(({ title }) => title)
  t.equal(new Set(titles).size, titles.length, 'every row has a title of its own')
})

await t.test('a target made of any bytes is found only where it is a poll of the table', async (t) => {
  const server = await startPollServer(t, stateOf('default'))
  const known = new Map(polls.filter(({ world }) => world === 'default').map(({ path, answer }) => [path, answer]))
  const part = fc.constantFrom(
    ...['/', '/', '/', 'v1', 'webapi', 'automaticupgrades', 'channel', 'stable', 'cloud', 'default', 'version', 'nope'],
    ...[
      'critical',
      '.',
      '..',
      '%2f',
      '%2F',
      '%00',
      '?',
      '#',
      '//',
      'V1',
      '\\',
      ';',
      '*',
      'halted',
      '%',
      ':',
      'http://x',
    ],
  )
  const path = fc
    .oneof(
      fc.array(part, { maxLength: 14 }).map((parts) => `/${parts.join('')}`),
      fc.constantFrom(...known.keys(), ...malformedPaths),
      // One byte of a good path replaced by any that may stand in a target.
      fc
        .tuple(fc.constantFrom(...known.keys()), fc.nat(), fc.integer({ min: 0x21, max: 0x7e }))
        .map(([good, at, byte]) => {
          const index = 1 + (at % (good.length - 1))
          return `${good.slice(0, index)}${String.fromCharCode(byte)}${good.slice(index + 1)}`
        }),
    )
    .filter((target) => !/^\/(?:healthz|readyz)(?:\?|$)/.test(target))
  await fc.assert(
    fc.asyncProperty(fc.array(path, { minLength: 1, maxLength: 20 }), async (targets) => {
      const wire = await openWire(t, server)
      wire.send(targets.map((target) => head(target)).join(''))
      for (const target of targets) {
        const { status, body } = await wire.answer()
        const expected = known.get(target.split('?')[0] ?? '')
        const isNameOfNone = status === 404 && /^(?:not found|unknown channel)$/.test(body)
        // Another name than one of the table's is answered by the channel "default" on the webapi path.
        const isFallback = target.includes('/webapi/automaticupgrades/channel/') && /^(?:v14\.3\.2|yes)$/.test(body)
        const isOther = expected === undefined && (isNameOfNone || isFallback)
        const isExpected = expected?.status === status && expected.body === body
        // Channels of the world that the table does not ask for in "default" are found, too; "channels" asks for all.
        const isElsewhere = polls.some((poll) => poll.path === target.split('?')[0] && poll.answer.body === body)
        if (!isExpected && !isOther && !isElsewhere) throw new Error(`${target}: ${status} ${body}`)
      }
      wire.destroy()
    }),
    { numRuns: 150 },
  )
})

await t.test('a request may come in single bytes', async (t) => {
  const server = await startPollServer(t, stateOf('channels'))
  const wire = await openWire(t, server)
  const headers = ['If-None-Match: "x", W/"15.1.4"']
  await wire.sendSlowly(head(STABLE))
  t.same(comparable(await wire.answer()), sorted(whole(stable)))
  await wire.sendSlowly(head(STABLE, { method: 'HEAD' }))
  t.same(comparable(await wire.answer(true)), sorted(headOnly(stable)))
  await wire.sendSlowly(head(STABLE, { headers }))
  t.same(comparable(await wire.answer()), sorted(notModified(stable)))
  await wire.sendSlowly(`${head('/v1/x/version', { headers: ['Content-Length: 2'] })}hi${head('/healthz')}`)
  t.same(comparable(await wire.answer()), sorted(whole(unknownChannel)))
  t.same(comparable(await wire.answer()), sorted(whole(healthy)))
  await wire.sendSlowly('FO')
  t.equal((await wire.answer()).status, 405)
  t.equal(await wire.ended(), '')
})

await t.test('a request may be cut in two anywhere', async (t) => {
  const server = await startPollServer(t, stateOf('channels'))
  const wire = await openWire(t, server)
  const bytes = head(STABLE)
  for (let cut = 1; cut < bytes.length; cut += 1) {
    wire.send(bytes.slice(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    wire.send(bytes.slice(cut))
    t.same(comparable(await wire.answer()), sorted(whole(stable)), `cut after ${cut} bytes`)
  }
})

await t.test('a client that has ended its side is answered', async (t) => {
  const server = await startPollServer(t, stateOf('channels'))
  const wire = await openWire(t, server)
  wire.send(head(STABLE) + head('/v1/x/version'))
  wire.end()
  t.same(comparable(await wire.answer()), sorted(whole(stable)))
  t.same(comparable(await wire.answer()), sorted(whole(unknownChannel)))
  t.equal(await wire.ended(), '')
})

await t.test('clients that go away in the middle of anything harm no other', async (t) => {
  const server = await startPollServer(t, stateOf('channels'))
  const halves = [
    '',
    'G',
    head(STABLE).slice(0, 60),
    head(STABLE),
    head(STABLE).repeat(500),
    'garbage\r\n\r\n',
    head('x:1', { method: 'CONNECT' }),
    head(STABLE, { headers: ['Content-Length: 100'] }),
    head(STABLE, { method: 'POST', headers: ['Content-Length: 100'] }),
    head(STABLE, { headers: [`X: ${'x'.repeat(20_000)}`] }),
  ]
  for (const half of halves) {
    for (const leave of ['end', 'destroy'] as const) {
      const wire = await openWire(t, server)
      wire.send(half)
      wire[leave]()
    }
  }
  const wire = await openWire(t, server)
  wire.send(head(STABLE))
  t.same(comparable(await wire.answer()), sorted(whole(stable)))
})

await t.test('a poll that comes in while the server closes is answered, and ends its connection', async (t) => {
  const { plane, ...address } = await startPollServer(t, stateOf('channels'))
  const wire = await openWire(t, address)
  // A request whose end has not come keeps its connection. Its beginning is read with the request before.
  wire.send(head(STABLE) + head(STABLE).slice(0, 10))
  t.same(comparable(await wire.answer()), sorted(whole(stable)))
  const closed = plane.close()
  while (plane.server.listening) await new Promise((resolve) => setImmediate(resolve))
  wire.send(head(STABLE).slice(10))
  t.same(comparable(await wire.answer()), sorted(whole(stable, 'closed')))
  t.equal(await wire.ended(), '')
  await closed
})

await t.test('how long an answer may be cached is as configured', async (t) => {
  for (const maxAgeS of [0, 3_600]) {
    const server = await startPollServer(t, stateOf('channels'), { maxAgeS })
    const wire = await openWire(t, server)
    const age = `cache-control: public, max-age=${maxAgeS}`
    for (const path of [STABLE, '/v1/stable/halted/version', '/v1/nope/version', '/v1/stable/cloud/critical']) {
      wire.send(head(path))
      t.ok((await wire.answer()).headers.includes(age), path)
      wire.send(head(path, { headers: ['If-None-Match: *'] }))
      t.ok((await wire.answer()).headers.includes(age), `${path} again`)
    }
    for (const path of ['/v1/broken/word/version', '/nope', '/v1//stable/cloud/version']) {
      wire.send(head(path))
      t.ok((await wire.answer()).headers.includes('cache-control: no-store'), path)
    }
  }
})

interface Ran {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

function run(command: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, args, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }))
  })
}

const curl = await run('curl', ['--version'])
await t.test(
  'the client line of RFD 109 gets the version alone, and fails where there is none',
  { skip: curl.code === 0 ? false : 'NO curl ON THIS MACHINE: the client line of RFD 109 was not run' },
  async (t) => {
    const served = await startPollServer(t, stateOf('channels'))
    const cold = await startPollServer(t, null)
    const ask = ({ host, port }: Address, path: string) => run('curl', ['-sSf', `http://${host}:${port}${path}`])
    t.same(await ask(served, STABLE), { code: 0, stdout: '15.1.4', stderr: '' })
    t.same(await ask(served, '/v1/stable/cloud//version'), { code: 0, stdout: '15.1.4', stderr: '' })
    t.same(await ask(served, '/v1/stable/urgent/critical'), { code: 0, stdout: 'yes', stderr: '' })
    t.same(await ask(served, '/v1/stable/halted/critical'), { code: 0, stdout: 'no', stderr: '' })
    t.match(await ask(served, '/v1/stable/halted/version'), { code: 22, stdout: '', stderr: /404/ })
    t.match(await ask(served, '/v1/stable/empty/version'), { code: 22, stdout: '', stderr: /404/ })
    t.match(await ask(served, '/v1/nope/version'), { code: 22, stdout: '', stderr: /404/ })
    t.match(await ask(served, '/v1/broken/word/version'), { code: 22, stdout: '', stderr: /503/ })
    t.match(await ask(cold, STABLE), { code: 22, stdout: '', stderr: /503/ })
  },
)
