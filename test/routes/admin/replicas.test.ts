// GET /replicas and ?wait=replicas: who is there, how far each is, and writes that wait for all.
import t from 'tap'
import { announceReplica, REPLICAS_WAIT_MAX_MS } from '../../../src/control/replicas.ts'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { silent } from '../../fixtures/silent-log.ts'

const CLOUD = channelPath('stable/cloud')

/** Another replica, as it tells of itself. */
function tell(
  session: AdminSession,
  id: string,
  seq: number,
  more: object = {},
  processToken: string | null = null,
): Promise<void> {
  const { coordination, replica } = session.planes.deps
  const body = {
    id,
    processToken,
    role: 'poll',
    status: 'following',
    problem: null,
    seq,
    epoch: replica.state?.epoch ?? '',
  }
  const rest = { snapshotAgeS: 1, pollProcesses: 1, build: 'test', startedAt: '2026-03-01T00:00:00.000Z' }
  return coordination.announce(processToken ?? id, { ...body, ...rest, ...more }, 60_000)
}

t.test('every live replica is listed by its name, with how far it is behind', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  await session.channel('other')
  await tell(session, 'b', 1)
  await tell(session, 'a', 2, { status: 'store unavailable', problem: 'down' })
  await tell(session, 'z', 7, { epoch: 'another' })
  const items = itemsOf(await session.done('GET', '/replicas'))
  t.strictSame(
    items.map((item) => [at(item, 'id'), at(item, 'status'), at(item, 'seq'), at(item, 'lag'), at(item, 'self')]),
    [
      ['a', 'store unavailable', 2, 0, false],
      ['b', 'following', 1, 1, false],
      ['this-one', 'following', 2, 0, true],
      ['z', 'following', 7, 0, false],
    ],
  )
})

t.test('processes with one name are each listed, waited for, and warned of', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  await tell(session, 'this-one', 1, {}, 'b0b0')
  await tell(session, 'this-one', 1, {}, 'c0c0')
  const list = await session.done('GET', '/replicas')
  t.strictSame(
    itemsOf(list).map((item) => [at(item, 'id'), at(item, 'processToken'), at(item, 'self')]),
    [
      ['this-one', 'a1b2c3d4', true],
      ['this-one', 'b0b0', false],
      ['this-one', 'c0c0', false],
    ],
  )
  t.match(at(list, 'warnings'), [
    { code: 'duplicate_replica_id', message: /^3 processes have the replica id this-one: / },
  ])
  const first = await session.done('GET', '/replicas?limit=2')
  const second = await session.done('GET', `/replicas?limit=2&cursor=${String(at(first, 'next'))}`)
  t.strictSame(
    itemsOf(second).map((item) => at(item, 'processToken')),
    ['c0c0'],
  )
  await tell(session, 'this-one', 2, {}, 'b0b0')
  const waiting = session.call('PUT', `${CLOUD}/version?wait=replicas`, { version: '15.1.5' })
  await session.planes.clock.advance(REPLICAS_WAIT_MAX_MS + 100)
  const reply = await waiting
  t.equal(reply.headers['bellwether-applied-by'], 'this-one,this-one')
  t.equal(reply.headers['bellwether-not-applied-by'], 'this-one')
})

t.test('the token of a process must be its key, and its name must be one', async (t) => {
  const session = await startAdmin(t)
  await tell(session, 'one', 1, { processToken: 'ffff' }, 'b0b0')
  await tell(session, 'one', 1, { processToken: 7 }, 'c0c0')
  await tell(session, 'a,b', 1, {}, 'd0d0')
  await tell(session, 'one\r\nSet-Cookie: a=b', 1, {}, 'e0e0')
  const list = await session.done('GET', '/replicas')
  t.equal(itemsOf(list).length, 1)
  t.strictSame(
    (at(list, 'warnings') as readonly { code: string }[]).map(({ code }) => code), // The route's schema.
    Array(4).fill('unreadable_announcement'),
  )
})

t.test('a replica announces itself at once, after every change, and is gone when it stops or is silent', async (t) => {
  const session = await startAdmin(t)
  const { deps, clock } = session.planes
  const facts = {
    holder: { current: null, swap() {} },
    role: 'all',
    build: 'test',
    startedAt: clock.now(),
    processes: () => 1,
  }
  const stop = announceReplica({ ...deps, replicaId: 'one' }, facts as never, silent) // Only `current` is read.
  await clock.advance(0)
  t.strictSame([...(await deps.coordination.announced()).keys()], ['a1b2c3d4'])
  await clock.advance(60_000)
  t.strictSame([...(await deps.coordination.announced()).keys()], ['a1b2c3d4'], 'it keeps telling')
  const stopping = stop()
  await clock.advance(2_000)
  await stopping
  await clock.advance(1)
  t.equal((await deps.coordination.announced()).size, 0)
})

t.test('a write that waits for replicas names those that serve it', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  await tell(session, 'b', 1)
  const waiting = session.call('PUT', `${CLOUD}/version?wait=replicas`, { version: '15.1.5' })
  await session.planes.clock.advance(100)
  await tell(session, 'b', 2)
  await session.planes.clock.advance(100)
  const reply = await waiting
  t.equal(reply.status, 200)
  t.equal(reply.headers['bellwether-applied-by'], 'b,this-one')
  t.equal(reply.headers['bellwether-not-applied-by'], undefined)
})

t.test('a write waits for its limit at most, and then says who does not serve it', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  await tell(session, 'slow', 1)
  const waiting = session.call('DELETE', `${CLOUD}?wait=replicas`)
  await session.planes.clock.advance(REPLICAS_WAIT_MAX_MS + 100)
  const reply = await waiting
  t.equal(reply.status, 204)
  t.equal(reply.headers['bellwether-applied-by'], 'this-one')
  t.equal(reply.headers['bellwether-not-applied-by'], 'slow')
})

t.test('where the others cannot be asked, a write that is made is answered, and a list has this one', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const { coordination } = session.planes.deps
  coordination.announced = () => Promise.reject(new StoreUnavailable('down'))
  const reply = await session.call('PUT', `${CLOUD}/version?wait=replicas`, { version: '15.1.5' })
  t.equal(reply.status, 200)
  t.equal(reply.headers['bellwether-applied-by'], 'this-one')
  t.equal(reply.headers['bellwether-not-applied-by'], 'unknown')
  t.equal(itemsOf(await session.done('GET', '/replicas')).length, 1)
})

t.test('only writes can wait, and only for replicas', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  t.equal((await session.call('GET', '/channels?wait=replicas')).status, 400)
  t.equal((await session.call('PUT', `${CLOUD}/version?wait=all`, { version: '15.1.5' })).status, 400)
})
