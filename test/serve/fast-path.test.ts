// The fast path on real connections: its counts, its limits, and how it lets go of a connection.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Lifecycle } from '../../src/serve/lifecycle.ts'
import { PollCounts } from '../../src/serve/poll-counts.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { eventually, within } from '../fixtures/poll-clock.ts'
import { head } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { openWire, type Address, type Wire } from '../fixtures/poll-wire.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'

/** Few enough to be read and answered at once. */
const BATCH_POLLS = 150
/** Far more answers than the kernel keeps for a client that does not read. */
const BATCHES_MAX = 1_000
const SLOW_POLLS = 20_000
/** A server that still reads answers long before. */
const SILENCE_MS = 500
/** The HTTP server has no other clock than the real one. */
const REQUEST_TIMEOUT_MS = 500

async function startPlane(t: Test, requestTimeoutMs?: number) {
  const clock = new FakeClock()
  const counts = new PollCounts()
  const lifecycle = new Lifecycle()
  return {
    clock,
    counts,
    lifecycle,
    ...(await startPollServer(t, stateOf('channels'), {
      clock,
      counts,
      lifecycle,
      ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
    })),
  }
}

/** A connection that the server has taken. */
async function taken(t: Test, address: Address & { readonly counts: PollCounts }): Promise<Socket> {
  const before = address.counts.connections
  const socket = connect({ ...address, noDelay: true })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  await eventually(() => address.counts.connections > before)
  return socket
}

async function statusOf(wire: Wire): Promise<number> {
  wire.send(head(STABLE))
  return (await wire.answer()).status
}

await t.test('polls are counted by their status, and a connection that is handed over once', async (t) => {
  const server = await startPlane(t)
  const wire = await openWire(t, server)
  wire.send(head(STABLE) + head(STABLE, { headers: ['If-None-Match: *'] }) + head('/v1/nope/version'))
  for (const status of [200, 304, 404]) t.equal((await wire.answer()).status, status)
  t.match(server.counts, { fast: { 200: 1, 304: 1, 404: 1, 503: 0 }, connections: 1, handedOver: 0 })
  wire.send(head('/healthz') + head(STABLE))
  t.equal((await wire.answer()).body, 'ok')
  t.equal((await wire.answer()).body, '15.1.4')
  t.match(server.counts, { fast: { 200: 1 }, http: { 200: 1 }, connections: 1, handedOver: 1 })
})

await t.test("a poll that comes in pieces is the HTTP server's, with all of its bytes", async (t) => {
  const server = await startPlane(t)
  const wire = await openWire(t, server)
  wire.send(head(STABLE))
  t.equal((await wire.answer()).body, '15.1.4')
  await wire.sendSlowly(head('/v1/stable/cloud/critical'))
  t.equal((await wire.answer()).body, 'no')
  t.match(server.counts, { fast: { 200: 1 }, http: { 200: 1 }, handedOver: 1 })
})

await t.test('a connection on which nothing is asked is ended after 10 s, one that is kept after 65 s', async (t) => {
  const server = await startPlane(t)
  const silent = await taken(t, server)
  const idle = await openWire(t, server)
  idle.send(head(STABLE))
  await idle.answer()
  await server.clock.advance(9_000)
  t.equal(server.counts.cutOff.silent, 0)
  await Promise.all([once(silent, 'close'), server.clock.advance(4_000)])
  t.match(server.counts.cutOff, { silent: 1, idle: 0 })
  await server.clock.advance(50_000)
  t.equal(server.counts.cutOff.idle, 0)
  idle.send(head(STABLE))
  t.equal((await idle.answer()).status, 200, 'a poll makes it live on')
  await server.clock.advance(60_000)
  t.equal(server.counts.cutOff.idle, 0)
  await server.clock.advance(8_000)
  t.equal(await idle.ended(), '')
  t.match(server.counts.cutOff, { silent: 1, idle: 1, 'not reading': 0 })
})

await t.test('whoever asks and does not read is not read from any more, and cut off after 10 s', async (t) => {
  const server = await startPlane(t)
  const socket = await taken(t, server)
  socket.pause()
  const polls = head(STABLE).repeat(BATCH_POLLS)
  let answered = 0
  // One batch after the other, so that none is cut by the end of a read.
  for (let batches = 0; batches < BATCHES_MAX; batches += 1) {
    socket.write(polls, 'latin1')
    if (!(await within(SILENCE_MS, () => server.counts.fast[200] === answered + BATCH_POLLS))) break
    answered += BATCH_POLLS
  }
  t.ok(answered < BATCH_POLLS * BATCHES_MAX, `reading has ended after ${answered} answers`)
  t.equal(server.counts.handedOver, 0)
  await server.clock.advance(14_000)
  t.match(server.counts.cutOff, { 'not reading': 1, idle: 0, silent: 0 })
})

await t.test('whoever reads slowly gets every answer, one that lies across two reads included', async (t) => {
  const server = await startPlane(t)
  const socket = await taken(t, server)
  socket.setEncoding('latin1')
  socket.pause()
  socket.write(head(STABLE).repeat(SLOW_POLLS - 1) + head(STABLE, { headers: ['Connection: close'] }), 'latin1')
  // So much at once is cut by the end of a read, and goes to the HTTP server with what is left of it.
  await eventually(() => server.counts.handedOver > 0)
  let text = ''
  for await (const some of socket) text += some as string // Text, since an encoding is set.
  t.equal(text.split('HTTP/1.1 200 OK\r\n').length - 1, SLOW_POLLS)
})

await t.test("the date is the clock's, to the second", async (t) => {
  const server = await startPlane(t)
  const wire = await openWire(t, server)
  for (const seconds of ['00', '01', '02']) {
    wire.send(head(STABLE))
    t.ok((await wire.answer()).headers.includes(`date: Sun, 01 Mar 2026 00:00:${seconds} GMT`), seconds)
    await server.clock.advance(1_000)
  }
})

await t.test('the next answer on a connection is from the newest snapshot', async (t) => {
  const server = await startPlane(t)
  const wire = await openWire(t, server)
  const state = stateOf('channels')
  if (state === null) throw new Error('there is a world without a state')
  wire.send(head(STABLE))
  t.equal((await wire.answer()).body, '15.1.4')
  server.holder.swap(new ReplicaState({ ...state, seq: state.seq + 1, documents: [] }, 10, NOW).snapshot)
  wire.send(head(STABLE))
  t.equal((await wire.answer()).body, 'unknown channel')
})

await t.test(
  'a plane that closes answers what is on its way, says that it is the last, and ends the rest',
  async (t) => {
    const server = await startPlane(t)
    const [polled, idle] = [await openWire(t, server), await openWire(t, server)]
    for (const wire of [polled, idle]) {
      wire.send(head(STABLE))
      await wire.answer()
    }
    polled.send(head(STABLE))
    const closing = server.plane.close()
    t.ok((await polled.answer()).headers.includes('connection: close'))
    t.equal(await polled.ended(), '')
    t.equal(await idle.ended(), '')
    await server.clock.advance(10_000)
    await closing
  },
)

await t.test(
  'a process that drains answers as before; once it closes, each answer ends its connection, and idle ones stay',
  async (t) => {
    const server = await startPlane(t)
    const [fast, http, pipelined, idle] = await Promise.all([1, 2, 3, 4].map(() => openWire(t, server)))
    if (!fast || !http || !pipelined || !idle) throw new Error('four connections were opened')
    server.lifecycle.drain()
    // The HTTP server has the connection from here on.
    http.send(head('/readyz'))
    t.match(await http.answer(), { status: 503, body: 'not ready' })
    for (const wire of [fast, http, pipelined, idle]) {
      wire.send(head(STABLE))
      const { status, headers } = await wire.answer()
      t.ok(status === 200 && headers.includes('connection: keep-alive'), 'answered as before')
    }
    t.equal(await statusOf(await openWire(t, server)), 200, 'on new connections too')
    server.lifecycle.close()
    fast.send(head(STABLE))
    http.send(head(STABLE))
    pipelined.send(head(STABLE).repeat(3))
    const last = await Promise.all([fast.answer(), http.answer(), pipelined.answer()])
    for (const { status, headers } of last) t.ok(status === 200 && headers.includes('connection: close'))
    for (const wire of [fast, http, pipelined]) t.equal(await wire.ended(), '', 'nothing comes behind the last answer')
    await server.clock.advance(4_000)
    idle.send(head(STABLE))
    t.ok((await idle.answer()).headers.includes('connection: close'), 'an idle one is answered once more')
    t.equal(await idle.ended(), '')
  },
)

await t.test('last answers are the same bytes on both paths', async (t) => {
  const planes = [await startPlane(t), await startPlane(t)]
  const texts: string[] = []
  for (const [at, server] of planes.entries()) {
    const wire = await openWire(t, server)
    if (at === 1) {
      wire.send(head('/healthz'))
      await wire.answer()
    }
    server.lifecycle.close()
    wire.send(head(STABLE))
    texts.push((await wire.ended()).replace(/^Date: .*$/m, 'Date'))
  }
  t.match(texts[0], /^Connection: close\r$/m)
  t.equal(texts[0], texts[1])
  t.same(
    planes.map(({ counts }) => [counts.fast[200], counts.http[200]]),
    [
      [1, 0],
      [0, 1],
    ],
  )
})

await t.test('a client that goes away in the middle of anything leaves nothing behind', async (t) => {
  const server = await startPlane(t)
  for (const bytes of ['', head(STABLE), head(STABLE).repeat(500), 'GET /v1/sta', `${head(STABLE)}GET /v1`]) {
    const socket = await taken(t, server)
    socket.write(bytes, 'latin1')
    socket.resetAndDestroy()
  }
  const wire = await openWire(t, server)
  wire.send(head(STABLE, { headers: ['Connection: close'] }))
  t.equal((await wire.answer()).status, 200)
  t.equal(await wire.ended(), '')
  await server.clock.advance(2_000)
  const count = (): Promise<number> =>
    new Promise((resolve) => server.plane.server.getConnections((_error, open) => resolve(open)))
  await eventually(async () => (await count()) === 0)
  t.pass('no connection is left')
})

await t.test(
  "half a poll is the HTTP server's, which waits for the rest as long as its limit says and no longer",
  async (t) => {
    const server = await startPlane(t, REQUEST_TIMEOUT_MS)
    for (const before of ['', head(STABLE)]) {
      const wire = await openWire(t, server)
      wire.send(`${before}${head(STABLE).slice(0, -2)}`)
      if (before !== '') t.equal((await wire.answer()).status, 200)
      t.equal((await wire.answer()).status, 408)
      t.equal(await wire.ended(), '')
    }
    t.equal(server.counts.handedOver, 2)
  },
)
