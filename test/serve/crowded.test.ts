// A listener with nearly as many connections as it takes: idle ones end, busy ones stay, and new ones are answered; and the limit of
// connections from one address.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { addressKey, limitConnectionsPerAddress } from '../../src/serve/address-limit.ts'
import { OpenConnections } from '../../src/serve/open-connections.ts'
import { PollCounts } from '../../src/serve/poll-counts.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventually, turns } from '../fixtures/poll-clock.ts'
import { head } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { openWire, type Address } from '../fixtures/poll-wire.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'

const CONNECTIONS_MAX = 20
const CROWDED_FROM = 18
const SLOW = head(STABLE, { headers: ['TE: trailers'] })

async function opened(t: Test, address: Address): Promise<Socket> {
  const socket = connect(address)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  // So that its end is seen.
  socket.resume()
  await once(socket, 'connect')
  return socket
}

for (const [which, request] of [
  ['fast path', head(STABLE)],
  ['HTTP server', SLOW],
] as const) {
  await t.test(`idle connections of the ${which} end for new ones, those in use stay`, async (t) => {
    const [clock, counts] = [new FakeClock(), new PollCounts()]
    const server = await startPollServer(t, stateOf('channels'), { clock, counts, connectionsMax: CONNECTIONS_MAX })
    const wires = []
    for (let count = 0; count < CROWDED_FROM; count += 1) {
      const wire = await openWire(t, server)
      wire.send(request)
      await wire.answer()
      wires.push(wire)
    }
    await clock.advance(6_000)
    const [, ...others] = wires
    if (which === 'fast path') {
      for (const wire of others) {
        wire.send(request)
        await wire.answer()
      }
    }
    t.equal(counts.cutOff.crowded, 0)
    const newest = await openWire(t, server)
    newest.send(head(STABLE))
    t.equal((await newest.answer()).body, '15.1.4')
    t.equal(counts.cutOff.crowded, 1)
    t.equal(await wires[0]?.ended(), '', 'the one that has been idle for longest')
    for (const wire of others) {
      wire.send(request)
      t.equal((await wire.answer()).status, 200)
    }
  })
}

await t.test('connections that have just come are not ended for newer ones', async (t) => {
  const [clock, counts] = [new FakeClock(), new PollCounts()]
  const server = await startPollServer(t, stateOf('channels'), { clock, counts, connectionsMax: CONNECTIONS_MAX })
  for (let count = 0; count < CONNECTIONS_MAX; count += 1) await opened(t, server)
  await eventually(() => counts.connections === CONNECTIONS_MAX)
  t.equal(counts.cutOff.crowded, 0)
  const dropped = once(server.plane.server, 'drop')
  await Promise.all([dropped, opened(t, server)])
  t.equal(counts.connections, CONNECTIONS_MAX, 'the limit holds all the same')
})

await t.test('of the connections of an HTTP server, those with a request under way are never ended', async (t) => {
  const open = new OpenConnections()
  const server = createServer(() => {}) // Answers nothing, so every request stays under way.
  server.on('connection', (socket) => open.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // It listens on TCP.
  const address = { host: '127.0.0.1', port }
  const busy = await Promise.all(Array.from({ length: 5 }, () => opened(t, address)))
  for (const socket of busy) {
    socket.write(head('/'), 'latin1')
    await once(server, 'request')
  }
  t.equal(open.endIdle(), false)
  const idle = await opened(t, address)
  await eventually(() => open.size === 6)
  await Promise.all([once(idle, 'close'), Promise.resolve(t.equal(open.endIdle(), true))])
  await eventually(() => open.size === 5)
  t.equal(open.endIdle(), false)
})

await t.test('over its limit a connection of an address is closed, and one that ends makes room', async (t) => {
  const counts = new PollCounts()
  const server = await startPollServer(t, stateOf('channels'), { counts, connectionsPerAddressMax: 3 })
  const first = await opened(t, server)
  await opened(t, server)
  await opened(t, server)
  const fourth = await opened(t, server)
  await once(fourth, 'close')
  t.match(counts, { connections: 3, cutOff: { address_limit: 1 } })
  first.destroy()
  await turns(20)
  const wire = await openWire(t, server)
  wire.send(head(STABLE))
  t.equal((await wire.answer()).body, '15.1.4')
})

await t.test('without a limit nothing stands before the listeners of a server', async (t) => {
  const server = createServer()
  const before = server.listeners('connection')
  limitConnectionsPerAddress(server, 1, () => {})
  t.not(server.listeners('connection')[0], before[0])
  const plane = await startPollServer(t, stateOf('channels'))
  t.equal(plane.plane.server.listenerCount('connection'), 1)
})

await t.test('an address of IPv6 counts by its first 64 bits, one of IPv4 as it is', async (t) => {
  for (const [address, key] of [
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['fe80::1', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ] as const) {
    t.equal(addressKey(address), key, address)
  }
})
