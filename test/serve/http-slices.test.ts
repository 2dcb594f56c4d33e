// Many requests at once on a connection: they are answered in slices, on the fast path and by the HTTP server, and no other
// connection waits for all of them.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { PollCounts } from '../../src/serve/poll-counts.ts'
import { TurnQueue } from '../../src/serve/turn-queue.ts'
import { eventually, turns } from '../fixtures/poll-clock.ts'
import { head } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { openWire } from '../fixtures/poll-wire.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'

/** The HTTP server's, by a header that the fast path leaves to it. */
const SLOW = head(STABLE, { headers: ['TE: trailers'] })
const BURST_BYTES = 64 * 1_024
const CONNECTIONS = 20

function answeredOf({ fast, http }: PollCounts): number {
  return fast[200] + http[200]
}

for (const [path, request] of [
  ['fast path', head(STABLE)],
  ['HTTP server', SLOW],
] as const) {
  await t.test(`a burst on many connections holds up no poll on another one: ${path}`, async (t) => {
    const counts = new PollCounts()
    const server = await startPollServer(t, stateOf('channels'), { counts })
    const wire = await openWire(t, server)
    wire.send(head(STABLE))
    await wire.answer()
    const burst = request.repeat(Math.floor(BURST_BYTES / request.length))
    const total = (burst.length / request.length) * CONNECTIONS
    const sockets = Array.from({ length: CONNECTIONS }, () => connect(server))
    for (const socket of sockets) {
      t.teardown(() => socket.destroy())
      socket.on('error', () => {})
      socket.write(burst, 'latin1')
    }
    await eventually(() => counts.connections === CONNECTIONS + 1 && answeredOf(counts) > 1)
    wire.send(head(STABLE))
    t.equal((await wire.answer()).status, 200)
    t.ok(answeredOf(counts) < total / 2, `${answeredOf(counts)} of ${total} were answered before it`)
    let received = 0
    for (const socket of sockets)
      socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1').split('HTTP/1.1 200').length - 1))
    await eventually(() => answeredOf(counts) >= total + 2)
    t.equal(answeredOf(counts), total + 2, 'every poll of the burst is answered')
    await eventually(() => received > total * 0.99)
  })
}

/** A connection to the HTTP server alone, whose answers do not leave the server's memory until they are let go. */
async function blocked(t: Test) {
  const counts = new PollCounts()
  const server = await startPollServer(t, stateOf('channels'), { counts, fastPath: false })
  const [accepted, wire] = await Promise.all([once(server.plane.server, 'connection'), openWire(t, server)])
  const [socket] = accepted as [Socket] // What `connection` is documented to carry.
  const held: (() => void)[] = []
  const { _write: write, _writev: writev } = socket
  // As a kernel does that has no room left: the bytes stay, and nobody is told that they are written.
  Object.assign(socket, {
    _write: (...args: Parameters<typeof write>) => held.push(() => write.apply(socket, args)),
    _writev: (...args: Parameters<NonNullable<typeof writev>>) => held.push(() => writev?.apply(socket, args)),
  })
  const letGo = (): void => {
    Object.assign(socket, { _write: write, _writev: writev })
    for (const goOn of held.splice(0)) goOn()
  }
  return { counts, wire, socket, letGo }
}

await t.test('of a client that does not read only one answer is kept, then it is cut off', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const { counts, wire, socket } = await blocked(t)
  wire.send(SLOW.repeat(100))
  await eventually(() => counts.http[200] > 0)
  await turns(100)
  t.equal(counts.http[200], 1)
  mock.timers.tick(9_999)
  t.equal(socket.destroyed, false)
  mock.timers.tick(1)
  t.equal(socket.destroyed, true)
  t.equal(await wire.ended(), '')
  t.match(counts.cutOff, { 'not reading': 1 })
})

await t.test('a client that reads late gets every answer', async (t) => {
  const { counts, wire, letGo } = await blocked(t)
  wire.send(SLOW.repeat(100))
  await eventually(() => counts.http[200] > 0)
  await turns(100)
  t.equal(counts.http[200], 1)
  letGo()
  for (let count = 0; count < 100; count += 1) t.equal((await wire.answer()).body, '15.1.4')
  t.match(counts.cutOff, { 'not reading': 0 })
})

await t.test('what comes behind a tunnel in the same write is not read, on this connection or another', async (t) => {
  const { wire, letGo, counts } = await blocked(t)
  // The answer before is not taken yet, so the refusal waits for it.
  wire.send(SLOW)
  await eventually(() => counts.http[200] > 0)
  wire.send(head('x:1', { method: 'CONNECT' }) + SLOW.repeat(50))
  await turns(100)
  wire.send(SLOW)
  await turns(100)
  letGo()
  t.equal((await wire.answer()).status, 200)
  t.equal((await wire.answer()).status, 405)
  t.equal(await wire.ended(), '')
  t.equal(counts.http[200], 1)
})

await t.test('a turn does a bounded part of the work, in the order in which it came', async (t) => {
  const queue = new TurnQueue()
  const done: number[] = []
  for (let piece = 0; piece < 100; piece += 1) {
    queue.add(() => {
      done.push(piece)
      if (piece === 0) queue.add(() => done.push(100))
    })
  }
  t.equal(done.length, 0)
  const counts: number[] = []
  while (done.length < 101) {
    await turns(1)
    counts.push(done.length)
  }
  t.same(counts, [32, 64, 96, 101])
  t.same(
    done,
    Array.from({ length: 101 }, (_, piece) => piece),
  )
})
