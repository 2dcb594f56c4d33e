// A Redis that has gone back, has lost a part, or goes along another history is found out before anything of it is served
// or written on; and what an operator decides about it holds for every replica.
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  JournalTrimmed,
  StoreDamaged,
  StoreRegressed,
  type Store,
  type StorePosition,
  type StoreState,
} from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt, reached } from '../../fixtures/redis-store.ts'
import { change, commit, NOON, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'
import { startProxy } from '../../fixtures/tcp-proxy.ts'

const NOWHERE = { epoch: '', seq: 0, mark: '' }

async function writeMany(store: Store, from: number, to: number): Promise<void> {
  for (const n of range(from, to)) await commit(store, [put(`written/${n}`, 0)])
}

/** No way leads on from what is known. */
async function refusesAll(t: Test, store: Store, known: StorePosition, found: Partial<StorePosition>): Promise<void> {
  const refused = { name: 'StoreRegressed', known, found }
  // Its connections come back one after the other.
  await t.rejects(
    reached(() => store.load(known)),
    refused,
    'load',
  )
  await t.rejects(
    reached(() => store.commit(change([put('x', 0)], { decidedOn: known }))),
    refused,
    'commit',
  )
  const nothing = (): void => void t.fail('given')
  await t.rejects(
    reached(() => store.follow(known, nothing, new AbortController().signal)),
    refused,
    'follow',
  )
}

function positionOf({ epoch, seq, mark }: StorePosition): StorePosition {
  return { epoch, seq, mark }
}

async function decide(store: Store, known: StorePosition, restore: StoreState | null, requestId = 'decision') {
  const found = await store.position()
  const kind = restore === null ? 'store.accept' : 'store.restore'
  return store.startEpoch({ at: NOON, actor: 'ann', kind, reason: 'why', requestId, restore, known, found })
}

await redisTest(
  t,
  'a flushed Redis ends the followers, and is neither filled nor begun anew by who knows more',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await writeMany(store, 1, 5)
    const known = await store.position()
    const one = followLasting(t, store, known)
    await writeMany(store, 6, 6)
    await one.reached(6)
    await server.call('FLUSHALL')
    t.match(await one.failed(), { name: 'StoreRegressed', found: NOWHERE })
    await refusesAll(t, store, known, NOWHERE)
    t.same(await store.position(), NOWHERE)
    t.equal(await server.call('DBSIZE'), 0, 'nothing was written')
  },
)

await redisTest(t, 'a Redis that was started again empty is found out in the same way', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await writeMany(store, 1, 5)
  const known = await store.position()
  const one = followLasting(t, store, known)
  await server.kill()
  await server.start({ empty: true })
  t.match(await one.failed(), { name: 'StoreRegressed', found: NOWHERE })
  await answers(store)
  await refusesAll(t, store, known, NOWHERE)
  t.equal(await server.call('DBSIZE'), 0)
})

await redisTest(t, 'a Redis from an older backup is found out, however far it goes on from there', async (t) => {
  const server = await startRedis(t, { keeps: 'rdb' })
  const store = openAt(t, server.url)
  await writeMany(store, 1, 3)
  await server.call('SAVE')
  await writeMany(store, 4, 5)
  const known = await store.position()
  const one = followLasting(t, store, await positionAt(store, 2))
  await one.reached(5)
  await server.kill()
  await server.start()
  t.match(await one.failed(), { name: 'StoreRegressed', found: { seq: 3 } })
  await answers(store)
  await refusesAll(t, store, known, { seq: 3 })
  // Somebody who knows nothing of it goes on: to the same seq, and beyond.
  const stranger = openAt(t, server.url)
  for (const seq of [4, 5, 6, 7]) {
    await commit(stranger, [put(`other/${seq}`, 0)])
    await refusesAll(t, store, known, { seq })
  }
  t.equal((await store.load(await positionAt(store, 3))).seq, 7, 'what both histories share is known')
})

await redisTest(
  t,
  'a follower that is led to another history notices, behind it, at the same seq, and ahead',
  async (t) => {
    for (const ahead of [-1, 0, 3]) {
      const [server, other] = [await startRedis(t, { keeps: 'rdb' }), await startRedis(t, { keeps: 'rdb' })]
      const proxy = await startProxy(t, server.port)
      const store = openAt(t, `redis://127.0.0.1:${proxy.port}`)
      await writeMany(store, 1, 3)
      await server.call('SAVE')
      await other.kill()
      await copyFile(join(server.folder, 'dump.rdb'), join(other.folder, 'dump.rdb'))
      await other.start()
      const parted = openAt(t, other.url)
      await writeMany(parted, 4, 5 + ahead)
      const one = followLasting(t, store, await positionAt(store, 3))
      await writeMany(store, 4, 5)
      await one.reached(5)
      proxy.setTarget(other.port)
      proxy.cut()
      t.match(await one.failed(), { name: 'StoreRegressed', known: { seq: 5 }, found: { seq: 5 + ahead } })
      t.same(seqs(one.entries), [4, 5], 'nothing of the other history was given')
    }
  },
)

await redisTest(t, 'a failover that loses what was acknowledged is found out', async (t) => {
  const primary = await startRedis(t, { args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startRedis(t, { args: ['--replicaof', `127.0.0.1 ${primary.port}`] })
  const proxy = await startProxy(t, primary.port)
  const store = openAt(t, `redis://127.0.0.1:${proxy.port}`)
  await writeMany(store, 1, 3)
  const copy = openAt(t, replica.url)
  await until('the replica has it', () =>
    copy.position().then(
      ({ seq }) => seq === 3,
      () => false,
    ),
  )
  await replica.call('REPLICAOF', 'NO', 'ONE')
  await writeMany(store, 4, 5)
  const known = await store.position()
  const one = followLasting(t, store, known)
  proxy.setTarget(replica.port)
  await primary.kill()
  proxy.cut()
  t.match(await one.failed(), { name: 'StoreRegressed', known, found: { seq: 3 } })
  await refusesAll(t, store, known, { seq: 3 })
})

const losses: Readonly<Record<string, (server: RedisServer) => Promise<unknown>>> = {
  'the meta data': (server) => server.call('DEL', '{test}:meta'),
  'the documents': (server) => server.call('DEL', '{test}:documents'),
  'one document': (server) => server.call('HDEL', '{test}:documents', 'written/2'),
  'the journal': (server) => server.call('DEL', '{test}:journal'),
  'the newest entry': (server) => server.call('XDEL', '{test}:journal', '5-0'),
}
for (const [what, lose] of Object.entries(losses)) {
  await redisTest(t, `a Redis that has lost ${what} is not served from and not written to`, async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await writeMany(store, 1, 5)
    const known = await store.position()
    await lose(server)
    const refused = { name: /^Store(?:Damaged|Regressed)$/ }
    await t.rejects(store.load(known), refused)
    await t.rejects(store.load(), refused)
    await t.rejects(store.commit(change([put('x', 0)], { decidedOn: known })), refused)
    t.match(await followLasting(t, store, known).failed(), refused)
  })
}

await redisTest(
  t,
  'a document that is not what was written is marked, and does not take the others along',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await writeMany(store, 1, 2)
    const whole = String(await server.call('HGET', '{test}:documents', 'written/2'))
    for (const text of ['', 'x', '{}', '[]', 'null', whole.slice(0, -3), whole]) {
      await server.call('HSET', '{test}:documents', 'written/1', text)
      const { documents } = await store.load()
      const found = documents.find(({ key }) => key === 'written/1')
      t.match(
        found,
        { revision: 0, body: { unread: /not what/ }, unreadable: /not what Bellwether writes/ },
        JSON.stringify(text),
      )
      t.match(
        documents.find(({ key }) => key === 'written/2'),
        { revision: 1, body: { value: 1 } },
      )
      if (!text.startsWith('{"revision"'))
        await t.rejects(store.commit(change([put('written/1', 1)])), StoreDamaged, JSON.stringify(text))
      const { changes, seq } = await commit(store, [put('written/1', 0, { value: 7 })])
      t.match(changes, [{ before: null, after: { revision: seq, body: { value: 7 } } }], 'it is written over')
      t.equal((await store.load()).documents.length, 2)
    }
  },
)

await redisTest(t, 'a restore writes what was known over a flushed Redis, and every replica follows it', async (t) => {
  const server = await startRedis(t)
  const [store, other] = [openAt(t, server.url), openAt(t, server.url)]
  await writeMany(store, 1, 5)
  const state = await store.load()
  const known = positionOf(state)
  await server.call('FLUSHALL')
  const position = await decide(store, known, state)
  t.equal(position.seq, 6)
  t.same(await other.position(), position)
  const restored = await other.load(known)
  t.same(sorted(restored), sorted(state))
  const { entries } = await other.journal({ limit: 10 })
  t.match(entries, [{ seq: 6, kind: 'store.restore', actor: 'ann', reason: 'why', requestId: 'decision' }])
  t.match(await other.committed('decision'), { seq: 6 })
  const one = followLasting(t, other, position)
  t.equal((await commit(store, [put('written/1', 1)], { decidedOn: position })).seq, 7)
  await one.reached(7)
  await t.rejects(
    store.follow(known, () => t.fail('given'), new AbortController().signal),
    JournalTrimmed,
    'who was in the old epoch loads anew',
  )
})

await redisTest(t, 'of two decisions at once one holds', async (t) => {
  const server = await startRedis(t)
  const stores = range(1, 5).map(() => openAt(t, server.url))
  const [first] = stores
  if (first === undefined) throw new Error('no store')
  await writeMany(first, 1, 5)
  const state = await first.load()
  await server.call('FLUSHALL')
  const decided = await Promise.allSettled(stores.map((store) => decide(store, positionOf(state), state)))
  const [won] = decided.filter((one) => one.status === 'fulfilled').map((one) => one.value)
  const lost = decided.filter((one) => one.status === 'rejected' && one.reason instanceof StoreRegressed)
  t.equal(lost.length, 4)
  t.same(await first.position(), won)
  t.equal((await first.journal({ limit: 10 })).entries.length, 1)
})

await redisTest(t, 'ten thousand documents are restored in one step', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  const documents = range(1, 10_000).map((n) => {
    return { key: `written/${n}`, revision: n, format: 1, body: { n, description: 'x'.repeat(500), list: [] } }
  })
  const known = { epoch: 'lost', seq: 20_000, mark: '0123456789abcdef' }
  await store.load()
  const position = await decide(store, known, { ...known, documents })
  t.equal(position.seq, 20_010)
  const state = await store.load(known)
  t.same(sorted(state), sorted({ ...state, documents }))
  const other = await follows(t, store, position)
  t.equal(other, 20_011)
})

/** Commits once and answers the seq that a follower from `position` is given. */
async function follows(t: Test, store: RedisStore, position: StorePosition): Promise<number> {
  const one = followLasting(t, store, position)
  const { seq } = await commit(store, [put('one more', 0)])
  await one.reached(seq)
  return one.entries[0]?.seq ?? 0
}

await redisTest(t, 'a restored document never has a revision twice, not even over later deletions', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await commit(store, [put('a', 0)])
  const old = await store.load()
  for (const revision of range(1, 9)) await commit(store, [put('a', revision)])
  const known = { epoch: 'lost', seq: 30, mark: '0123456789abcdef' }
  await decide(store, known, { ...old, ...known })
  t.equal((await store.load()).documents[0]?.revision, 1, 'it is as it was')
  await commit(store, [{ key: 'a', expected: 1, body: null }])
  t.equal((await commit(store, [put('a', 0)])).changes[0]?.after?.revision, 11)
})

function sorted({ documents }: StoreState): StoreState['documents'] {
  return [...documents].sort((a, b) => (a.key < b.key ? -1 : 1))
}
