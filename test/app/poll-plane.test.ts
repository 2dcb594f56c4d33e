// The poll plane's listener: its limits, its two routes, and what it does with connections that went wrong.
import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { buildPollPlane } from '../../src/app/poll-plane.ts'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { comparable, head } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { openWire } from '../fixtures/poll-wire.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'

/** A connection to a poll plane, with the server's end of it. */
async function connected(t: Test) {
  const server = await startPollServer(t, stateOf('channels'), { fastPath: false })
  const [accepted, wire] = await Promise.all([once(server.plane.server, 'connection'), openWire(t, server)])
  const [socket] = accepted as [Socket] // What `connection` is documented to carry.
  const fail = (code: string) =>
    server.plane.server.emit('clientError', Object.assign(new Error(code), { code }), socket)
  return { ...server, wire, socket, fail }
}

await t.test('every wait and every count has its limit', async (t) => {
  const plane = buildPollPlane(new SnapshotHolder())
  t.teardown(() => plane.close())
  const { requestTimeout, headersTimeout, keepAliveTimeout, maxConnections } = plane.server
  t.same(
    { requestTimeout, headersTimeout, keepAliveTimeout, maxConnections },
    { requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 65_000, maxConnections: 50_000 },
  )
})

await t.test('the router knows the poll, the health and the readiness, and nothing else', async (t) => {
  const plane = buildPollPlane(new SnapshotHolder())
  t.teardown(() => plane.close())
  await plane.ready()
  t.equal(
    plane.printRoutes({ commonPrefix: false }),
    '└── / (GET, HEAD)\n    ├── healthz (GET, HEAD)\n    └── readyz (GET, HEAD)\n',
  )
})

await t.test('a request that does not end in time is told so', async (t) => {
  const { wire, fail } = await connected(t)
  wire.send(head(STABLE).slice(0, 20))
  fail('ERR_HTTP_REQUEST_TIMEOUT')
  t.same(comparable(await wire.answer()), {
    status: 408,
    headers: [
      'cache-control: no-store',
      'connection: close',
      'content-length: 15',
      'content-type: text/plain; charset=utf-8',
      'x-content-type-options: nosniff',
    ],
    body: 'request timeout',
  })
  t.equal(await wire.ended(), '')
})

await t.test('whoever was refused and does not go away is cut off after 10 s', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  for (const bytes of ['garbage\r\n\r\n', head('x:1', { method: 'CONNECT' })]) {
    const { wire, socket } = await connected(t)
    wire.send(bytes)
    t.equal((await wire.answer()).status, 405)
    // More of the same does not make it longer.
    mock.timers.tick(9_999)
    wire.send(bytes)
    t.equal(socket.destroyed, false, 'there is time to read the refusal')
    const closed = once(socket, 'close')
    mock.timers.tick(1)
    await closed
    t.equal(await wire.ended(), '')
  }
})

await t.test('whoever was refused and goes away is let go of at once', async (t) => {
  for (const bytes of ['garbage\r\n\r\n', head('x:1', { method: 'CONNECT' })]) {
    const { wire, socket } = await connected(t)
    const closed = once(socket, 'close')
    wire.send(bytes)
    t.equal((await wire.answer()).status, 405)
    wire.end()
    await closed
  }
})

await t.test('what a refused client goes on sending is neither answered nor a reason to cut it off', async (t) => {
  const { wire, fail, socket } = await connected(t)
  wire.send('garbage\r\n\r\n')
  for (const code of ['HPE_INVALID_METHOD', 'HPE_HEADER_OVERFLOW', 'HPE_INVALID_CONSTANT']) fail(code)
  wire.send(head(STABLE).repeat(10))
  t.equal((await wire.answer()).status, 405)
  t.equal(await wire.ended(), '')
  t.equal(socket.destroyed, false)
})

/** Runs `meanwhile` when the next request has been read and is not answered yet. */
function duringNextRequest(server: Server, meanwhile: (response: ServerResponse) => void): void {
  server.prependOnceListener('request', (_request, response) => meanwhile(response))
}

await t.test('faults while an answer is under way are told once, behind it', async (t) => {
  const { plane, wire, fail } = await connected(t)
  let listeners = 0
  duringNextRequest(plane.server, (response) => {
    const before = response.listenerCount('finish')
    for (let count = 0; count < 50; count += 1) fail('HPE_INVALID_HEADER_TOKEN')
    listeners = response.listenerCount('finish') - before
  })
  wire.send(head(STABLE))
  t.match(await wire.answer(), { status: 200, body: '15.1.4' })
  t.match(await wire.answer(), { status: 400, body: 'bad request' })
  t.equal(await wire.ended(), '')
  t.equal(listeners, 1)
})

await t.test('whoever takes neither the answers nor ends the request in time is cut off', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const { plane, wire, fail, socket } = await connected(t)
  duringNextRequest(plane.server, () => {
    fail('ERR_HTTP_REQUEST_TIMEOUT')
    mock.timers.tick(10_000)
  })
  wire.send(head(STABLE))
  t.equal(await wire.ended(), '')
  t.equal(socket.destroyed, true)
})

await t.test('a connection that was reset is let go of', async (t) => {
  const { fail, socket, wire } = await connected(t)
  fail('ECONNRESET')
  t.equal(socket.destroyed, true)
  t.equal(await wire.ended(), '')
})

await t.test('a fault that nobody knows is a bad request', async (t) => {
  const { wire, fail } = await connected(t)
  fail('HPE_SOMETHING_NEW')
  t.match(await wire.answer(), { status: 400, body: 'bad request' })
  t.equal(await wire.ended(), '')
})
