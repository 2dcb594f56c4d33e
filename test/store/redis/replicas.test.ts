// Redis with replicas of its own: writes that only count once they are on several machines, and failovers by Sentinels.
import t, { type Test } from 'tap'
import { StoreOutcomeUnknown, StoreRegressed, StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, startSentinels, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt, openImpatient, reached } from '../../fixtures/redis-store.ts'
import { allPages, change, commit, positionAt, put, range } from '../../fixtures/store-changes.ts'
import { startProxy } from '../../fixtures/tcp-proxy.ts'

/** For a replica that confirms nothing; any time is right. */
const confirmed = { waitReplicas: 1, limits: { waitMs: 300 } }
/** For one that does, however busy the machine is. */
const surelyConfirmed = { waitReplicas: 1, limits: { waitMs: 50_000 } }

const write = (requestId: string) => change([put(`written/${requestId}`, 0)], { requestId })

async function replicated(t: Test): Promise<{ primary: RedisServer; replica: RedisServer }> {
  const primary = await startRedis(t, { args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startRedis(t, { args: ['--replicaof', `127.0.0.1 ${primary.port}`] })
  await until('the replica follows', async () => {
    // From its first acknowledgement on; before that, nothing it has counts. There must be something to acknowledge.
    await primary.call('PUBLISH', 'nobody', 'listens')
    return /state=online,offset=[1-9]/.test(String(await primary.call('INFO', 'replication')))
  })
  return { primary, replica }
}

await redisTest(t, 'a write is acknowledged only once a Redis replica has it, however often it is sent', async (t) => {
  const { primary, replica } = await replicated(t)
  const proxy = await startProxy(t, primary.port)
  const store = openAt(t, `redis://127.0.0.1:${proxy.port}`, confirmed)
  const patient = openAt(t, primary.url, surelyConfirmed)
  t.match(await patient.commit(write('r-1')), { outcome: 'committed', repeated: false })
  replica.pause()
  await t.rejects(store.commit(write('r-2')), StoreOutcomeUnknown)
  t.match(await store.committed('r-2'), { seq: 2 }, 'it is written here')
  await t.rejects(store.commit(write('r-2')), StoreOutcomeUnknown, 'sent again, it is still on one machine only')
  proxy.cut()
  await until('there is another connection', async () => {
    // A conflict writes nothing, so nothing needs to be confirmed.
    const conflict = store.commit(change([put('written/r-1', 0)])).catch(() => null)
    return (await conflict)?.outcome === 'conflict'
  })
  await t.rejects(store.commit(write('r-2')), StoreOutcomeUnknown, 'and so it is over another connection')
  replica.resume()
  await until('it is confirmed', async () => {
    try {
      return (await store.commit(write('r-2'))).outcome === 'committed'
    } catch (error) {
      if (error instanceof StoreOutcomeUnknown) return false
      throw error
    }
  })
  t.equal((await store.position()).seq, 2)
})

await redisTest(t, 'writes that wait for a replica that is gone end, also many at once', async (t) => {
  const { primary, replica } = await replicated(t)
  const store = openImpatient(t, primary.url, confirmed)
  await commit(openAt(t, primary.url, surelyConfirmed), [put('first', 0)])
  await replica.kill()
  const ended = await Promise.allSettled(range(1, 30).map((n) => store.commit(write(`r-${n}`))))
  for (const one of ended) {
    t.ok(one.status === 'rejected' && /^Store(?:OutcomeUnknown|Unavailable)$/.test(one.reason.name), one.status)
  }
  await answers(store)
  const { entries } = await reached(() => allPages(store, { limit: 500 }))
  const ids = entries.map(({ requestId }) => requestId)
  t.equal(new Set(ids).size, ids.length, 'none is there twice')
})

/** Writes until told to stop, each until it is acknowledged; answers the ids in the order of their acknowledgement. */
function writing(store: RedisStore): { readonly acknowledged: string[]; stop(): Promise<void> } {
  const acknowledged: string[] = []
  let isStopped = false
  const run = async (): Promise<void> => {
    for (let n = 1; !isStopped; n += 1) {
      const id = `w-${n}`
      await until(`${id} is acknowledged`, async () => {
        try {
          return (await store.commit(write(id))).outcome === 'committed'
        } catch (error) {
          if (error instanceof StoreUnavailable || error instanceof StoreOutcomeUnknown) return false
          throw error
        }
      })
      acknowledged.push(id)
    }
  }
  const running = run()
  return {
    acknowledged,
    stop() {
      isStopped = true
      return running
    },
  }
}

await redisTest(
  t,
  'through a failover of Sentinels no acknowledged write is lost, doubled or given out of order',
  async (t) => {
    const sentinels = await startSentinels(t, { replicas: 2, keeps: 'aof' })
    const store = openImpatient(t, sentinels.url, confirmed)
    const reader = openImpatient(t, sentinels.url)
    await reached(() => store.load())
    const one = followLasting(t, reader, await reached(() => positionAt(store, 0)))
    const writer = writing(store)
    await until('some are written', () => writer.acknowledged.length >= 20)
    const from = sentinels.primary.port
    await sentinels.primary.kill()
    await sentinels.failedOver(from)
    const before = writer.acknowledged.length
    await until('writing goes on', () => writer.acknowledged.length >= before + 20)
    await sentinels.primary.start()
    await until('writing goes on', () => writer.acknowledged.length >= before + 40)
    await writer.stop()
    const entries = [...(await reached(() => allPages(store, { limit: 500 }))).entries].reverse()
    t.same(
      entries.map(({ requestId }) => requestId),
      writer.acknowledged,
    )
    // What the primary had told nobody but this follower when it died is lost and was never acknowledged: the follower finds
    // out and says so. Everything before it was given once and in order.
    await until(
      'the follower has everything, or more',
      () => one.fault() !== null || one.entries.length >= entries.length,
    )
    const marks = new Set(entries.map(({ mark }) => mark))
    const given = one.entries.filter(({ mark }) => marks.has(mark))
    t.same(given, entries.slice(0, given.length))
    t.same(one.entries.slice(0, given.length), given)
    if (one.fault() === null) t.equal(given.length, entries.length)
    else {
      t.type(one.fault(), StoreRegressed)
      t.ok(one.entries.length > given.length, 'it was given what the store has lost')
    }
  },
)

await redisTest(t, 'a Sentinel that is gone is not needed, and a primary that became a replica is left', async (t) => {
  const sentinels = await startSentinels(t, { replicas: 1 })
  await sentinels.sentinels[0]?.kill()
  const store = openAt(t, sentinels.url)
  await answers(store)
  await commit(store, [put('a', 0)])
  const from = sentinels.primary.port
  await sentinels.sentinels[1]?.call('SENTINEL', 'FAILOVER', sentinels.name)
  await until('the primary has moved', async () => {
    const address = await sentinels.sentinels[1]?.call('SENTINEL', 'get-master-addr-by-name', sentinels.name)
    return Array.isArray(address) && Number(address[1]) !== from
  })
  const writer = writing(store)
  await until('writing goes on', () => writer.acknowledged.length >= 5)
  await writer.stop()
  t.equal((await store.load()).documents.length, writer.acknowledged.length + 1)
})
