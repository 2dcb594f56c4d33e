// A write that has ended halfway, wherever: it is told as what it is, nobody is given it or builds on it, and an admin's restore
// makes the store whole, with nothing of it left.
import t, { type Test } from 'tap'
import {
  StoreDamaged,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
  type StorePosition,
  type StoreState,
} from '../../../src/store/port.ts'
import { keysOf, writtenKeys } from '../../../src/store/redis/keys.ts'
import { writeFault } from '../../../src/store/redis/faults.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { refusal } from '../../../src/store/redis/refusal.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { endingAfter, runCommit } from '../../fixtures/redis-scripts.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { allPages, change, commit, NOON, put, range, remove, seqs } from '../../fixtures/store-changes.ts'

const REQUEST = 'halfway'

/** Journal, three documents, three subjects, a request, what is trimmed, and the head. */
const WRITES_OF_COMMIT = 14

async function filled(t: Test): Promise<{ server: RedisServer; store: RedisStore; state: StoreState }> {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  for (const n of range(1, 4)) await commit(store, [put(`a/${n}`, 0)], { requestId: `r-${n}` })
  await commit(store, [put('a/1', 1)])
  return { server, store, state: await store.load() }
}

/** Ends a commit that changes, adds and deletes after so many of its writes; whether it was ended. */
async function tear(server: RedisServer, { epoch }: StorePosition, writes: number): Promise<boolean> {
  const reply = await runCommit(server, endingAfter('commit', writes), {
    ...{ epoch, mark: 'torn', requestId: REQUEST, keep: 4 },
    writes: [
      ['a/1', 2, '{"value":2}'],
      ['b', 0, '{"value":1}'],
      ['a/2', 1, ''],
    ],
  })
  if (!Array.isArray(reply)) throw new Error('no list')
  if (reply[0] === 'halfway') return true
  if (reply[0] !== 'committed') throw new Error(String(reply))
  return false
}

function positionOf({ epoch, seq, mark }: StorePosition): StorePosition {
  return { epoch, seq, mark }
}

async function damageOf(store: RedisStore): Promise<StorePosition> {
  const error: unknown = await store.position().catch((why: unknown) => why)
  if (!(error instanceof StoreDamaged) || error.found === null) throw new Error(String(error))
  return error.found
}

function restore(store: RedisStore, state: StoreState, found: StorePosition, requestId = 'decision') {
  const decision = { at: NOON, actor: 'ann', kind: 'store.restore', reason: 'why', requestId, restore: state, found }
  return store.startEpoch({ ...decision, known: positionOf(state) })
}

for (const writes of range(1, WRITES_OF_COMMIT)) {
  await redisTest(
    t,
    `a commit that ends after its write ${writes} is given to nobody, and can be restored over`,
    async (t) => {
      const { server, store, state } = await filled(t)
      const one = followLasting(t, store, positionOf(state))
      if (!(await tear(server, state, writes))) return void t.equal(writes, WRITES_OF_COMMIT, 'there are more writes')
      t.match(await one.failed(), { name: 'StoreDamaged' })
      t.same(one.entries, [])
      const fresh = openAt(t, server.url)
      for (const known of [null, positionOf(state)]) await t.rejects(fresh.load(known), StoreDamaged)
      await t.rejects(store.commit(change([put('c', 0)])), StoreDamaged)
      t.equal(await store.committed(REQUEST), null)
      t.notOk(seqs((await allPages(store, { limit: 2 })).entries).includes(6))
      t.same(seqs((await allPages(store, { limit: 2, subject: 'b' })).entries), [])

      const found = await damageOf(store)
      await t.rejects(restore(store, state, { ...found, seq: found.seq + 1 }), StoreRegressed)
      const position = await restore(store, state, found)
      t.equal(position.seq, 7)
      t.same(positionOf(await fresh.load(positionOf(state))), position)
      const { documents } = await fresh.load()
      t.same(sorted(documents), sorted(state.documents))
      const { entries } = await allPages(store, { limit: 500 })
      t.notOk(seqs(entries).includes(6), 'nothing is left of it in the journal')
      t.same(seqs((await allPages(store, { limit: 500, subject: 'b' })).entries), [])
      const next = followLasting(t, store, position)
      const again = await commit(store, [put('a/1', 2), put('b', 0), remove('a/2', 1)], { requestId: REQUEST })
      t.equal(again.seq, 8, 'sent again, it is made')
      await next.reached(8)
    },
  )
}

await redisTest(t, 'what a replica has already served of a half write is kept by its restore', async (t) => {
  const { server, store, state } = await filled(t)
  await tear(server, state, 5)
  const served = { ...positionOf(state), seq: 6, mark: 'torn' }
  const position = await restore(store, { ...state, ...served }, await damageOf(store))
  t.equal(position.seq, 7)
  t.match((await store.journal({ limit: 2 })).entries, [{ seq: 7 }, { seq: 6, mark: 'torn' }])
  t.match(await store.committed(REQUEST), { seq: 6 })
  t.same(seqs((await allPages(store, { limit: 500, subject: 'b' })).entries).at(-1), 6)
})

await redisTest(t, 'a revision that only the half write had is not given a second time', async (t) => {
  const { server, store, state } = await filled(t)
  await tear(server, state, 3)
  await restore(store, state, await damageOf(store))
  await commit(store, [remove('a/1', 2)])
  t.equal((await commit(store, [put('a/1', 0)])).changes[0]?.after?.revision, 4)
})

const losses: Readonly<Record<string, (server: RedisServer) => Promise<unknown>>> = {
  'the meta data': (server) => server.call('DEL', '{test}:meta'),
  'a part of the meta data': (server) => server.call('HDEL', '{test}:meta', 'count'),
  'the sense of the meta data': (server) => server.call('HSET', '{test}:meta', 'format', 'x', 'seq', 'y'),
  'the documents': (server) => server.call('DEL', '{test}:documents'),
  'the journal': (server) => server.call('DEL', '{test}:journal'),
  'the newest entry': (server) => server.call('XDEL', '{test}:journal', '5-0'),
}
for (const [what, lose] of Object.entries(losses)) {
  await redisTest(
    t,
    `a store that has lost ${what} can be restored by a replica that knows it, and not accepted`,
    async (t) => {
      const { server, store, state } = await filled(t)
      await lose(server)
      await t.rejects(store.load(positionOf(state)), StoreDamaged)
      const found = await damageOf(store)
      const accept = {
        at: NOON,
        actor: 'ann',
        kind: 'store.accept',
        reason: 'why',
        requestId: 'a',
        restore: null,
        found,
      }
      await t.rejects(store.startEpoch({ ...accept, known: positionOf(state) }), StoreDamaged)
      const position = await restore(store, state, found)
      t.same(sorted((await store.load(positionOf(state))).documents), sorted(state.documents))
      const one = followLasting(t, store, position)
      await commit(store, [put('c', 0)])
      await one.reached(position.seq + 1)
    },
  )
}

await redisTest(t, 'a store that was made whole after an operator has looked is not restored over', async (t) => {
  const { server, store, state } = await filled(t)
  const gone = String(await server.call('HGET', '{test}:documents', 'a/3'))
  await server.call('HDEL', '{test}:documents', 'a/3')
  const found = await damageOf(store)
  await server.call('HSET', '{test}:documents', 'a/3', gone)
  const wrapped = await store.position()
  t.same(wrapped, positionOf(state))
  await server.call('HDEL', '{test}:documents', 'a/3')
  const position = await restore(store, state, found)
  await t.rejects(restore(store, state, found, 'again'), StoreRegressed)
  t.same(await store.position(), position)
})

for (const writes of range(1, 6)) {
  await redisTest(t, `a restore that ends after its write ${writes} can be made again`, async (t) => {
    const { server, store, state } = await filled(t)
    const { epoch, seq, mark } = state
    // It goes back from two entries that this replica does not know.
    await commit(store, [put('later', 0)])
    await commit(store, [put('a/3', 1)])
    const found = await store.position()
    const text = JSON.stringify({ revision: 1, format: 1, key: 'a/3', body: { value: 1 } })
    const entry = { seq: 8, mark: 'torn', format: 1, at: NOON, actor: 'ann', kind: 'k', subjects: [], changes: [] }
    const keys = writtenKeys(keysOf('test'))
    const reply = await server.call(
      'EVAL',
      ...[endingAfter('start-epoch', writes), keys.length, ...keys, '1', found.epoch, found.seq, found.mark],
      ...['another', epoch, epoch, seq, mark, '', 1, 8, 'torn', REQUEST, JSON.stringify(entry), 2, 'store', 'a/3'],
      ...['a/3', text, 2, 'later', '', 1],
    )
    t.match(reply, ['halfway'])
    await t.rejects(store.load(positionOf(state)), StoreDamaged)
    t.equal(await store.committed(REQUEST), null)
    const position = await restore(store, state, await damageOf(store), REQUEST)
    t.equal(position.seq, 9)
    t.match(await store.committed(REQUEST), { seq: 9 })
    t.notOk(seqs((await allPages(store, { limit: 500 })).entries).includes(8))
    t.same(sorted((await store.load(positionOf(state))).documents), sorted(state.documents))
    await commit(store, [remove('a/3', 1)])
    t.equal((await commit(store, [put('a/3', 0)])).changes[0]?.after?.revision, 3, 'no revision is given twice')
  })
}

t.test('only an error that certainly came before the first write says that nothing was changed', async (t) => {
  const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })
  const sha = '0123456789abcdef0123456789abcdef01234567'
  for (const message of [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    'NOREPLICAS Not enough good replicas to write.',
    "NOPERM this user has no permissions to run the 'evalsha' command",
    'BUSY Redis is busy running a script.',
    "@user_script: 27: -OOM command not allowed when used memory > 'maxmemory'.",
    'ERR Protocol error: unauthenticated bulk length',
    "ERR unknown command 'evalsha', with args beginning with: ",
    `ERR user_script:3: attempt to index a nil value script: ${sha}, on @user_script:3.`,
    `ERR Error running script (call to f_${sha}): @user_script:12: user_script:12: attempt to compare nil with number`,
  ]) {
    t.ok(writeFault(reply(message), 'Writing', '') instanceof StoreUnavailable, message)
  }
  for (const message of ['ERR upstream failure', 'ERR server closed connection', 'ERR', 'something']) {
    t.ok(writeFault(reply(message), 'Writing', '') instanceof StoreOutcomeUnknown, message)
  }
  t.ok(refusal(['halfway', 'why'], null) instanceof StoreOutcomeUnknown)
  t.ok(refusal(['forbidden', 'ZADD', 'key'], null) instanceof StoreUnavailable)
})

function sorted(documents: StoreState['documents']): StoreState['documents'] {
  return [...documents].sort((a, b) => (a.key < b.key ? -1 : 1))
}
