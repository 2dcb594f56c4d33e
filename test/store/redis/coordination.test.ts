// What replicas tell each other through Redis: leases that outlive no owner, announcements that end, and small facts.
import t from 'tap'
import type { ForeignLease } from '../../../src/store/foreign-lease.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startCluster, startRedis } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { range } from '../../fixtures/store-changes.ts'

const LONG_MS = 600_000
const LEASE = '{test}:lease:l'

for (const form of ['one server', 'a Cluster'] as const) {
  await redisTest(
    t,
    `${form}: a lease is had by one, kept by renewing, and given back by its owner only`,
    async (t) => {
      const { url } = form === 'one server' ? await startRedis(t) : await startCluster(t)
      const [one, other] = [openAt(t, url).coordination, openAt(t, url).coordination]
      t.equal(await one.lease('upstream', 'one', LONG_MS), true)
      t.equal(await other.lease('upstream', 'other', LONG_MS), false)
      t.equal(await one.lease('upstream', 'one', LONG_MS), true, 'renewed')
      t.equal(await other.lease('another', 'other', LONG_MS), true, 'other names are other leases')
      await other.release('upstream', 'other')
      t.equal(await other.lease('upstream', 'other', LONG_MS), false, 'who does not have it gives nothing back')
      await one.release('upstream', 'one')
      t.equal(await other.lease('upstream', 'other', LONG_MS), true)
      const contenders = range(1, 20).map((n) => one.lease('contended', `owner-${n}`, LONG_MS))
      t.equal((await Promise.all(contenders)).filter((isHad) => isHad).length, 1)
    },
  )

  await redisTest(t, `${form}: announcements and facts are seen by everybody`, async (t) => {
    const { url } = form === 'one server' ? await startRedis(t) : await startCluster(t)
    const [one, other] = [openAt(t, url).coordination, openAt(t, url).coordination]
    t.same(await other.announced(), new Map())
    await one.announce('r-1', { seq: 1 }, LONG_MS)
    await one.announce('r-2', { text: 'ä "\u0000', list: [], nothing: null }, LONG_MS)
    await one.announce('r-1', { seq: 2 }, LONG_MS)
    t.same(
      await other.announced(),
      new Map<string, unknown>([
        ['r-1', { seq: 2 }],
        ['r-2', { text: 'ä "\u0000', list: [], nothing: null }],
      ]),
    )
    t.same(await other.noted('upstreams'), new Map())
    await one.note('upstreams', { a: '1', b: '2', 'c/d': '' })
    await one.note('upstreams', { a: '3', b: null, never: null })
    await one.note('others', { a: 'x' })
    await one.note('upstreams', {})
    t.same(
      await other.noted('upstreams'),
      new Map([
        ['a', '3'],
        ['c/d', ''],
      ]),
    )
  })
}

await redisTest(t, 'a lease that no replica has written is taken over and named', async (t) => {
  const { url, call } = await startRedis(t)
  const { coordination } = openAt(t, url)
  const foreign = [
    ['SET', ['a-name'], 'a-name', 'it has no end'],
    ['SET', ['name/0a1b'], 'name/0a1b', 'it has no end'],
    ['SET', ['a-name', 'PX', '600000000'], 'a-name', 'its end is too far away'],
    ['SET', ['not a name', 'PX', '60000'], 'not a name', 'it names no replica'],
    ['SET', ['', 'PX', '60000'], '', 'it names no replica'],
    ['SET', ['name/', 'PX', '60000'], 'name/', 'it names no replica'],
    ['SET', ['name/xyz', 'PX', '60000'], 'name/xyz', 'it names no replica'],
    ['SET', ['n'.repeat(1_000_000), 'PX', '60000'], 'n'.repeat(128), 'it names no replica'],
    ['HSET', ['a', 'b'], '', 'it is no text'],
    ['RPUSH', ['a'], '', 'it is no text'],
  ] as const
  for (const [command, args, value, detail] of foreign) {
    await call('DEL', LEASE)
    await call(command, LEASE, ...args)
    const from: ForeignLease[] = []
    const take = () => coordination.lease('l', 'me/0a', LONG_MS, (found) => void from.push(found))
    await coordination.release('l', 'me/0a')
    t.equal(await call('EXISTS', LEASE), 1, 'nothing of others is given back')
    t.equal(await take(), true, value.slice(0, 20))
    t.equal(await take(), true)
    t.strictSame(from, [{ value, detail }], 'named once')
    const leftMs = Number(await call('PTTL', LEASE))
    t.ok(leftMs > LONG_MS / 2 && leftMs <= LONG_MS)
  }
  for (const owner of ['of-an-older-build', 'name.1/0a1b2c3d4e5f6789']) {
    await call('SET', LEASE, owner, 'PX', String(LONG_MS))
    t.equal(await coordination.lease('l', 'me/0a', LONG_MS, () => t.fail('not taken over')), false, owner)
  }
  // Its owner gives it an end again.
  await call('SET', LEASE, 'me/0a')
  t.equal(await coordination.lease('l', 'me/0a', LONG_MS, () => t.fail('its own')), true)
  t.ok(Number(await call('PTTL', LEASE)) > 0)
})

await redisTest(t, 'a lease whose owner has died is over with its time, and so is what it announced', async (t) => {
  const server = await startRedis(t)
  const [dying, { coordination: other }] = [openAt(t, server.url), openAt(t, server.url)]
  const { coordination: one } = dying
  await one.lease('upstream', 'one', 50)
  await one.announce('one', { seq: 1 }, 50)
  await other.announce('other', { seq: 2 }, LONG_MS)
  await dying.close()
  await until('the lease is free', () => other.lease('upstream', 'other', LONG_MS))
  await until('it is gone', async () => (await other.announced()).size === 1)
  t.same([...(await other.announced()).keys()], ['other'])
  await other.announce('other', { seq: 3 }, LONG_MS)
  t.equal(await server.call('HLEN', '{test}:replicas'), 1, 'and nothing is left of it')
})

await redisTest(
  t,
  'facts that nobody notes any more are dropped with their time, where they are given one',
  async (t) => {
    const server = await startRedis(t)
    const { coordination: one } = openAt(t, server.url)
    const leftMs = async (): Promise<number> => Number(await server.call('PTTL', '{test}:notes:gates/cloud/15.2.0'))
    await one.note('gates/cloud/15.2.0', { a: '1' })
    t.equal(await leftMs(), -1, 'for good, unless told otherwise')
    await one.note('gates/cloud/15.2.0', { a: '1' }, LONG_MS)
    t.ok((await leftMs()) > LONG_MS / 2 && (await leftMs()) <= LONG_MS)
    await server.call('PEXPIRE', '{test}:notes:gates/cloud/15.2.0', '60000')
    await one.note('gates/cloud/15.2.0', { b: '2' }, LONG_MS)
    t.ok((await leftMs()) > LONG_MS / 2, 'whoever notes more keeps the topic')
    await one.note('gates/cloud/15.2.0', { a: null, b: null })
    t.equal(await leftMs(), -2, 'and nothing is left once all of it is taken back')
  },
)

await redisTest(t, 'who is there is still told by a Redis that refuses writes', async (t) => {
  const server = await startRedis(t)
  const [one, other] = [openAt(t, server.url).coordination, openAt(t, server.url).coordination]
  await one.announce('gone', { seq: 1 }, 1)
  await until('it is over', async () => (await one.announced()).size === 0)
  await one.announce('one', { seq: 1 }, LONG_MS)
  await server.call('CONFIG', 'SET', 'min-replicas-to-write', '1')
  t.same([...(await other.announced()).keys()], ['one'])
})
