// A Cluster whose nodes die and whose slots move: the store is wherever its slot is.
import t, { type Test } from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { isOld, startCluster, startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt, openImpatient, reached } from '../../fixtures/redis-store.ts'
import { commit, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'

/** Far above what the slowest machine needs. */
const MIGRATE_MAX_MS = 60_000

/** A store in a Cluster, the node that has its slot, and the other nodes. */
async function inCluster(t: Test) {
  const { nodes, url } = await startCluster(t, { keeps: 'aof' })
  const store = openImpatient(t, url)
  await reached(() => store.load())
  const counts = await Promise.all(nodes.map((node) => node.call('DBSIZE')))
  const holder = nodes[counts.indexOf(1)]
  if (holder === undefined) throw new Error('no node has the store')
  const slot = Number(await holder.call('CLUSTER', 'KEYSLOT', '{test}:meta'))
  return { store, nodes, holder, others: nodes.filter((node) => node !== holder), slot }
}

/** Writes one document, and sends that again until it is acknowledged. */
function written(store: RedisStore, n: number): Promise<void> {
  return until(`a/${n} is written`, () =>
    commit(store, [put(`a/${n}`, 0)], { requestId: `r-${n}` }).then(
      () => true,
      () => false,
    ),
  )
}

/** Moves a slot with its keys, as redis-cli does. */
async function moveSlot(
  slot: number,
  from: RedisServer,
  to: RedisServer,
  nodes: readonly RedisServer[],
): Promise<void> {
  const [fromId, toId] = await Promise.all([from, to].map((node) => node.call('CLUSTER', 'MYID')))
  await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(fromId))
  await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(toId))
  const keys = await from.call('CLUSTER', 'GETKEYSINSLOT', slot, 1_000)
  if (!Array.isArray(keys)) throw new Error('no keys')
  await from.call('MIGRATE', to.host, to.port, '', 0, MIGRATE_MAX_MS, 'KEYS', ...keys.map(String))
  for (const node of nodes) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId))
}

await redisTest(t, 'the node of the store is killed and started again: following and writing go on', async (t) => {
  const { store, holder, others } = await inCluster(t)
  const one = followLasting(t, store, await reached(() => positionAt(store, 0)))
  for (const n of range(1, 10)) await written(store, n)
  await one.reached(10)
  await holder.kill()
  await t.rejects(store.load(), StoreUnavailable)
  await holder.start()
  await until('the Cluster is whole', async () => {
    const texts = await Promise.all([holder, ...others].map((node) => node.call('CLUSTER', 'INFO')))
    return texts.every((text) => String(text).includes('cluster_state:ok'))
  })
  await answers(store)
  await written(store, 11)
  await one.reached(11)
  t.same(seqs(one.entries), range(1, 11))
})

await redisTest(t, 'the slot of the store moves to another node: following and writing go on', async (t) => {
  const { store, nodes, holder, others, slot } = await inCluster(t)
  const [next] = others
  if (next === undefined) throw new Error('no other node')
  const one = followLasting(t, store, await reached(() => positionAt(store, 0)))
  for (const n of range(1, 10)) await written(store, n)
  await moveSlot(slot, holder, next, nodes)
  for (const n of range(11, 20)) await written(store, n)
  await one.reached(20)
  t.same(seqs(one.entries), range(1, 20))
  t.equal(await holder.call('DBSIZE'), 0)
})

await redisTest(t, 'servers of a Cluster that name no endpoint are at the address that was asked', async (t) => {
  const server = await startRedis(t, { args: ['--cluster-enabled', 'yes'] })
  if (await isOld(server)) return void t.pass('endpoints', { skip: 'NOT TESTED: Redis before 7.0 always names them' })
  await server.call('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'unknown-endpoint')
  await server.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
  await until('it is whole', async () => String(await server.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  const store = openAt(t, `redis+cluster://localhost:${server.port}`)
  t.equal((await commit(store, [put('a', 0)])).seq, 1)
  t.same(
    (await store.serverWarnings()).map(({ code }) => code),
    ['no_persistence'],
  )
})
