// A Redis user who lacks a right: what a script may not do to its end, it does not begin, and everybody is told so.
import t, { type Test } from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { leastRights } from '../../fixtures/redis-rights.ts'
import { isOld, startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt } from '../../fixtures/redis-store.ts'
import { change, commit, NOON, put, remove } from '../../fixtures/store-changes.ts'

const PREFIX = '{test}:'

/** A server with a user `bw` who may do everything, and a store opened as that user, with some documents in it. */
async function withUser(t: Test): Promise<{ server: RedisServer; store: RedisStore }> {
  const server = await startRedis(t, { keeps: 'aof' })
  await server.call('ACL', 'SETUSER', 'bw', 'on', '>secret', '~*', '&*', '+@all')
  const store = openAt(t, `redis://bw:secret@127.0.0.1:${server.port}`, { limits: { journalMax: 3 } })
  for (const n of [1, 2, 3]) await commit(store, [put(`a/${n}`, 0)], { requestId: `r-${n}` })
  return { server, store }
}

/** All that Redis holds of the store, as text. */
async function contents(server: RedisServer): Promise<string> {
  const keys = await server.call('KEYS', '*')
  if (!Array.isArray(keys)) throw new Error('no list of keys')
  const dumps = keys.map(String).toSorted()
  return JSON.stringify(await Promise.all(dumps.map(async (key) => [key, String(await server.call('DUMP', key))])))
}

const WRITES = ['xadd', 'hset', 'hdel', 'zadd', 'zrem', 'xtrim'] as const
for (const command of WRITES) {
  await redisTest(
    t,
    `a user without ${command}: a commit is refused, changes nothing, and nobody is given it`,
    async (t) => {
      const { server, store } = await withUser(t)
      const one = followLasting(t, store, await store.position())
      const before = await contents(server)
      await server.call('ACL', 'SETUSER', 'bw', `-${command}`)
      for (const writes of [[put('a/1', 1)], [put('b', 0)], [remove('a/2', 1)]]) {
        const error: unknown = await store.commit(change(writes, { requestId: 'refused' })).catch((why: unknown) => why)
        t.ok(error instanceof StoreUnavailable, String(error))
        t.match(error, { message: new RegExp(command, 'i') })
      }
      t.equal(await contents(server), before)
      await server.call('ACL', 'SETUSER', 'bw', `+${command}`)
      t.equal((await commit(store, [put('a/1', 1)])).seq, 4)
      await one.reached(4)
      t.equal(one.entries.length, 1)
    },
  )
}

for (const key of ['meta', 'documents', 'revisions', 'journal', 'subjects', 'requests']) {
  await redisTest(t, `a user who may only read ${key}: a commit is refused and changes nothing`, async (t) => {
    const { server, store } = await withUser(t)
    if (await isOld(server)) return void t.pass('Redis has rights to read a key from 7.0 on')
    const before = await contents(server)
    const others = ['meta', 'documents', 'revisions', 'journal', 'subjects', 'requests'].filter((name) => name !== key)
    const rules = ['resetkeys', `%R~${PREFIX}${key}`, ...others.map((name) => `~${PREFIX}${name}`)]
    await server.call('ACL', 'SETUSER', 'bw', ...rules)
    await t.rejects(store.commit(change([put('a/1', 1)], { requestId: 'refused' })), StoreUnavailable)
    await t.rejects(store.commit(change([remove('a/2', 1)], { requestId: 'refused' })), StoreUnavailable)
    t.equal(await contents(server), before)
  })
}

await redisTest(t, 'a store that was never filled is not begun to be filled by a user who lacks a right', async (t) => {
  const server = await startRedis(t)
  await server.call('ACL', 'SETUSER', 'bw', 'on', '>secret', '~*', '&*', '+@all', '-zadd')
  const store = openAt(t, `redis://bw:secret@127.0.0.1:${server.port}`)
  const state = await store.load()
  await t.rejects(store.commit(change([put('a', 0)])), StoreUnavailable)
  await t.rejects(store.commit(change([put('a', 0)], { decidedOn: state })), StoreUnavailable)
  t.same(await store.load(), state)
  await server.call('ACL', 'SETUSER', 'bw', '+zadd')
  t.equal((await commit(store, [put('a', 0)])).seq, 1)
})

for (const command of [...WRITES.filter((name) => name !== 'xtrim'), 'xdel'] as const) {
  await redisTest(t, `a user without ${command}: a restore is refused and changes nothing`, async (t) => {
    const { server, store } = await withUser(t)
    const state = await store.load()
    await server.call('FLUSHALL')
    const other = openAt(t, server.url)
    await commit(other, [put('other', 0)])
    const before = await contents(server)
    const { epoch, seq, mark } = state
    const decide = async () => {
      const found = await store.position()
      const known = { epoch, seq, mark }
      return store.startEpoch({
        at: NOON,
        actor: 'ann',
        kind: 'k',
        reason: 'r',
        requestId: 'd',
        restore: state,
        known,
        found,
      })
    }
    await server.call('ACL', 'SETUSER', 'bw', `-${command}`)
    await t.rejects(decide(), StoreUnavailable)
    t.equal(await contents(server), before)
    await server.call('ACL', 'SETUSER', 'bw', `+${command}`)
    t.equal((await decide()).seq, 4)
    t.equal((await store.load()).documents.length, 3)
  })
}

for (const command of ['hset', 'zadd', 'zrem', 'hdel']) {
  await redisTest(t, `a user without ${command}: a replica is not announced halfway`, async (t) => {
    const { server, store } = await withUser(t)
    await store.coordination.announce('one', { id: 'one' }, 60_000)
    const before = await contents(server)
    await server.call('ACL', 'SETUSER', 'bw', `-${command}`)
    await t.rejects(store.coordination.announce('two', { id: 'two' }, 60_000), StoreUnavailable)
    t.equal(await contents(server), before)
    t.same([...(await store.coordination.announced()).keys()], ['one'])
  })
}

await redisTest(t, 'a command that Redis does not have is refused like one that the user may not use', async (t) => {
  const server = await startRedis(t, { args: ['--rename-command', 'ZADD', ''] })
  const store = openAt(t, server.url)
  const state = await store.load()
  await t.rejects(store.commit(change([put('a', 0)])), StoreUnavailable)
  t.same(await store.load(), state)
})

await redisTest(t, 'an announcement is not made halfway where a key is of another type', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await server.call('SET', '{test}:replica-ends', 'mine')
  await t.rejects(store.coordination.announce('one', { id: 'one' }, 60_000))
  t.equal(await server.call('DBSIZE'), 1)
})

await redisTest(
  t,
  'a right that is missing is a warning from the start on, and goes with what was missing',
  async (t) => {
    const { server, store } = await withUser(t)
    await answers(store)
    t.same(await store.serverWarnings(), [])
    const before = await contents(server)
    await server.call('ACL', 'SETUSER', 'bw', '-zrem')
    const [warning, ...more] = await store.serverWarnings()
    t.match(warning, { code: 'missing_rights', message: /zrem.*docs\/redis\.md/i })
    t.same(more, [])
    t.equal(await contents(server), before)
    await server.call('ACL', 'SETUSER', 'bw', '+zrem')
    t.same(await store.serverWarnings(), [])
    await server.call('ACL', 'SETUSER', 'bw', '-time')
    t.match(await store.serverWarnings(), [
      { code: 'missing_rights', message: /does not allow time .*docs\/redis\.md/ },
    ])
    await t.rejects(store.time(), { name: 'StoreUnavailable', message: /time/ })
    await server.call('ACL', 'SETUSER', 'bw', '+time')
    t.same(await store.serverWarnings(), [])
    t.ok((await store.time()) > 0)
    for (const [taken, given] of [
      ['-evalsha', '+evalsha'],
      ['resetkeys', '~*'],
    ] as const) {
      await server.call('ACL', 'SETUSER', 'bw', taken)
      t.match(await store.serverWarnings(), [{ code: 'missing_rights' }], taken)
      await server.call('ACL', 'SETUSER', 'bw', given)
    }
  },
)

await redisTest(
  t,
  'a user without pttl is told so; its leases are had and renewed, and no other is taken over',
  async (t) => {
    const { server, store } = await withUser(t)
    const { coordination } = store
    await server.call('ACL', 'SETUSER', 'bw', '-pttl')
    t.match(await store.serverWarnings(), [{ code: 'missing_rights', message: /does not allow pttl/ }])
    t.equal(await coordination.lease('l', 'me', 60_000), true)
    t.equal(await coordination.lease('l', 'me', 60_000), true)
    await server.call('SET', `${PREFIX}lease:l`, 'stranger')
    t.equal(await coordination.lease('l', 'me', 60_000), false)
  },
)

await redisTest(t, 'the least rights are enough for coordination, and give no warning', async (t) => {
  const server = await startRedis(t, { keeps: 'aof' })
  await server.call('ACL', 'SETUSER', 'least', 'reset', 'on', '>secret', ...(await leastRights('test')))
  const store = openAt(t, server.url.replace('//', '//least:secret@'))
  const { coordination } = store
  await coordination.announce('one', { id: 'one' }, 60_000)
  t.same([...(await coordination.announced()).keys()], ['one'])
  t.equal(await coordination.lease('l', 'me', 60_000), true)
  t.equal(await coordination.lease('l', 'other', 60_000), false)
  await coordination.release('l', 'me')
  await coordination.note('topic', { kept: 'fact', gone: 'fact' }, 60_000)
  await coordination.note('topic', { gone: null })
  t.same(await coordination.noted('topic'), new Map([['kept', 'fact']]))
  t.same(await store.serverWarnings(), [])
})
