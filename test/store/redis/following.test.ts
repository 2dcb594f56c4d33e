// Following through everything that connections do: every entry in order, without gap or repeat.
import t from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt, openImpatient } from '../../fixtures/redis-store.ts'
import { commit, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'
import { startProxy, type TcpProxy } from '../../fixtures/tcp-proxy.ts'

/** More than one batch of everything that is read in batches. */
const MISSED = 10_000

async function writeMany(store: RedisStore, from: number, to: number): Promise<void> {
  for (const n of range(from, to)) await commit(store, [put(`written/${n}`, 0)])
}

async function commandsSeen(server: RedisServer, command: string): Promise<number> {
  const stats = String(await server.call('INFO', 'commandstats'))
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

type Fault = (of: { proxy: TcpProxy; server: RedisServer }, isOn: boolean) => void
const faults: Readonly<Record<string, Fault>> = {
  'connections that are cut again and again': ({ proxy }, isOn) => isOn && proxy.cut(),
  'connections that are half-closed': ({ proxy }, isOn) => isOn && proxy.halfClose(),
  'connections that are cut and refused for a while'({ proxy }, isOn) {
    proxy.refuse(isOn)
    if (isOn) proxy.cut()
  },
  'a network that passes nothing for a while': ({ proxy }, isOn) => proxy.blackhole(isOn),
  'a network that loses the answers for a while': ({ proxy }, isOn) => proxy.swallowReplies(isOn),
  'a slow network': ({ proxy }, isOn) => proxy.delay(isOn ? 20 : 0),
}
for (const [name, fault] of Object.entries(faults)) {
  await redisTest(t, `a follower behind ${name} is given everything once`, async (t) => {
    const server = await startRedis(t)
    const proxy = await startProxy(t, server.port)
    const writer = openAt(t, server.url)
    const store = openImpatient(t, `redis://127.0.0.1:${proxy.port}`)
    await writer.load()
    const one = followLasting(t, store, await positionAt(writer, 0))
    for (const round of range(0, 4)) {
      await writeMany(writer, round * 60 + 1, round * 60 + 20)
      await one.reached(round * 60 + 5)
      fault({ proxy, server }, true)
      await writeMany(writer, round * 60 + 21, round * 60 + 40)
      fault({ proxy, server }, false)
      await writeMany(writer, round * 60 + 41, round * 60 + 60)
    }
    await one.reached(300)
    t.same(seqs(one.entries), range(1, 300))
  })
}

await redisTest(t, 'a follower outlives a Redis that is killed and started again with its file', async (t) => {
  const server = await startRedis(t, { keeps: 'aof' })
  const store = openAt(t, server.url)
  await store.load()
  const one = followLasting(t, store, await positionAt(store, 0))
  for (const round of range(0, 2)) {
    await writeMany(store, round * 10 + 1, round * 10 + 10)
    // One that is not connected yet would have nothing to lose.
    await one.reached(round * 10 + 10)
    await server.kill()
    await until('the loss is noticed', () => one.losses() > round)
    await server.start()
    await answers(store)
  }
  await writeMany(store, 31, 40)
  await one.reached(40)
  t.same(seqs(one.entries), range(1, 40))
})

await redisTest(t, 'a follower says that the store is unavailable while Redis is stopped', async (t) => {
  const server = await startRedis(t)
  const writer = openAt(t, server.url)
  await writeMany(writer, 1, 3)
  const position = await positionAt(writer, 3)
  const following = openImpatient(t, server.url).follow(position, () => {}, new AbortController().signal)
  server.pause()
  await t.rejects(following, StoreUnavailable)
  server.resume()
})

await redisTest(t, 'a follower that has long heard nothing is given the next entry', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url, { limits: { followMs: 20 } })
  await writeMany(store, 1, 3)
  const one = followLasting(t, store, await positionAt(store, 3))
  await until('it has waited several times', async () => (await commandsSeen(server, 'xread')) >= 5)
  await writeMany(store, 4, 4)
  await one.reached(4)
  t.same(seqs(one.entries), [4])
  t.equal(one.losses(), 0)
})

await redisTest(t, 'an aborted or closed follower ends at once, also while it waits for entries', async (t) => {
  const server = await startRedis(t)
  const [store, other] = [openAt(t, server.url, { limits: { followMs: 60_000 } }), openAt(t, server.url)]
  await writeMany(store, 1, 3)
  const abort = new AbortController()
  const position = await positionAt(store, 3)
  const aborted = store.follow(position, () => t.fail('given'), abort.signal)
  const closed = store.follow(position, () => t.fail('given'), new AbortController().signal)
  await until('both wait', async () => {
    return String(await server.call('INFO', 'clients')).includes('blocked_clients:2')
  })
  abort.abort()
  await aborted
  await store.close()
  await closed
  t.equal((await other.position()).seq, 3)
})

await redisTest(t, 'ten thousand missed entries are given in order', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await store.load()
  for (const batch of range(0, MISSED / 100 - 1)) {
    await Promise.all(range(1, 100).map((n) => commit(store, [put(`written/${batch * 100 + n}`, 0)])))
  }
  const after = await positionAt(store, 0)
  const started = performance.now()
  const one = followLasting(t, store, after)
  await one.reached(MISSED)
  t.comment(`${MISSED} entries in ${Math.round(performance.now() - started)} ms`)
  t.same(seqs(one.entries), range(1, MISSED))
})

await redisTest(t, 'a state that is loaded while others write is one state', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url, { limits: { scanMax: 10 } })
  await writeMany(store, 1, 500)
  let isDone = false
  const writing = (async () => {
    for (let n = 1; !isDone; n += 1) {
      const write = (key: string, revision: number) => ({ key, expected: revision, body: { n } })
      // Two documents that always say the same; one more comes and goes.
      await commit(store, [write('written/1', n), write('written/500', n), write('written/250', n)])
    }
  })()
  for (const _ of range(1, 20)) {
    const { documents, seq } = await store.load()
    const saying = ['written/1', 'written/250', 'written/500'].map((key) => {
      return documents.find((document) => document.key === key)
    })
    t.equal(documents.length, 500)
    t.same(
      saying.map((document) => document?.revision),
      Array(3).fill(seq - 499),
      `the revisions at ${seq}`,
    )
  }
  isDone = true
  await writing
})
