// What a newer Bellwether has written is not read wrongly and not written over, whatever part of it is newer.
import t from 'tap'
import { FORMAT, NewerFormat } from '../../../src/store/port.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { change, commit, NOON, positionAt, put } from '../../fixtures/store-changes.ts'

const NEWER = FORMAT + 1

/** What a newer build's commit writes, in one step. ARGV: format, then the entry's fields. */
const COMMIT = `
local seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
redis.call('HSET', KEYS[2], 'mark', 'm', 'format', ARGV[1])
redis.call('XADD', KEYS[1], seq .. '-0', unpack(ARGV, 2))`

/** All that Redis holds, to see that nothing has changed. */
async function contents(server: RedisServer): Promise<string> {
  const keys = await server.call('KEYS', '*')
  if (!Array.isArray(keys)) throw new Error('no keys')
  const values = keys
    .map(String)
    .toSorted()
    .map((key) => server.call('DUMP', key))
  return JSON.stringify(await Promise.all(values))
}

await redisTest(t, 'a store that a newer build has written to is read and written by newer builds only', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await commit(store, [put('a', 0)])
  const known = await store.position()
  await server.call('HSET', '{test}:meta', 'format', NEWER)
  const before = await contents(server)
  await t.rejects(store.load(), NewerFormat)
  await t.rejects(store.load(known), NewerFormat)
  await t.rejects(store.commit(change([put('b', 0)])), NewerFormat)
  await t.rejects(
    store.follow(known, () => t.fail('given'), new AbortController().signal),
    { name: 'NewerFormat', message: /written by a newer Bellwether \(format 2, this one reads up to 1\)/ },
  )
  const decision = { at: NOON, actor: 'ann', kind: 'store.accept', reason: 'why', requestId: null, restore: null }
  await t.rejects(store.startEpoch({ ...decision, known, found: known }), NewerFormat)
  t.equal(await contents(server), before)
})

await redisTest(t, 'a newer document is neither loaded nor written over, nor decided on', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await commit(store, [put('a', 0), put('b', 0)])
  const newer = JSON.stringify({ revision: 1, format: NEWER, key: 'a', body: {} })
  await server.call('HSET', '{test}:documents', 'a', newer)
  await server.call('HSET', '{test}:meta', 'format', NEWER)
  const before = await contents(server)
  await t.rejects(store.load(), NewerFormat)
  await t.rejects(store.commit(change([put('b', 1), put('a', 1)])), NewerFormat)
  await t.rejects(store.commit(change([{ key: 'a', expected: 1, body: null }])), NewerFormat)
  await t.rejects(store.commit(change([put('b', 1)], { reads: [{ key: 'a', expected: 1 }] })), NewerFormat)
  t.equal(await contents(server), before)
})

await redisTest(
  t,
  'a document of a newer format than its store is of no newer build, and unreadable alone',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await commit(store, [put('a', 0), put('b', 0)])
    const junk = JSON.stringify({ revision: 1, format: NEWER, key: 'a', body: {} })
    await server.call('HSET', '{test}:documents', 'a', junk)
    const state = await store.load()
    t.match(
      state.documents.find(({ key }) => key === 'a'),
      { revision: 0, unreadable: /format is higher than that of its store/ },
    )
    t.equal((await commit(store, [put('b', 1)])).seq, 2)
    t.match((await commit(store, [put('a', 0)])).changes, [{ key: 'a', before: null, after: { revision: 3 } }])
  },
)

await redisTest(t, 'a follower stops before an entry that a newer build has written', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await commit(store, [put('a', 0)])
  await commit(store, [put('a', 1)])
  const given: number[] = []
  const start = await positionAt(store, 0)
  const known = await store.position()
  const [entry] = (await store.journal({ limit: 1 })).entries
  const newer = JSON.stringify({ ...entry, seq: 3, format: NEWER })
  const chain = ['mark', 'm', 'previous', known.mark, 'epoch', known.epoch]
  const following = store.follow(start, ({ seq }) => void given.push(seq), new AbortController().signal)
  following.catch(() => {})
  await until('the others are given', () => given.length === 2)
  await server.call('EVAL', COMMIT, 2, '{test}:journal', '{test}:meta', NEWER, 'entry', newer, ...chain)
  await t.rejects(following, NewerFormat)
  t.same(given, [1, 2])
  await t.rejects(store.journal({ limit: 5 }), NewerFormat)
})

await redisTest(t, 'an entry of a newer format than its store is unreadable alone', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await commit(store, [put('a', 0)])
  const known = await store.position()
  const [entry] = (await store.journal({ limit: 1 })).entries
  const newer = JSON.stringify({ ...entry, seq: 2, mark: 'm', format: NEWER })
  const chain = ['mark', 'm', 'previous', known.mark, 'epoch', known.epoch]
  await server.call('EVAL', COMMIT, 2, '{test}:journal', '{test}:meta', FORMAT, 'entry', newer, ...chain)
  t.match((await store.journal({ limit: 5 })).entries, [{ seq: 2, unreadable: /format/ }, { seq: 1 }])
  t.same(await store.load(), { ...(await store.position()), documents: (await store.load()).documents })
})
