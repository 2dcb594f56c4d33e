// The journal is kept up to a limit: what is older goes with everything that was kept about it, and nobody is misled by that.
import t from 'tap'
import { JournalTrimmed } from '../../../src/store/port.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { allPages, change, commit, follower, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'

const KEPT = 50
const TRIMMED_AT_ONCE = 10

const trims = { limits: { journalMax: KEPT, trimMax: TRIMMED_AT_ONCE } }

async function counts(server: RedisServer): Promise<unknown[]> {
  return Promise.all([
    server.call('XLEN', '{test}:journal'),
    server.call('ZCARD', '{test}:subjects'),
    server.call('HLEN', '{test}:requests'),
  ])
}

await redisTest(
  t,
  'the newest entries are kept, and nothing is left of the older ones but the documents',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url, trims)
    for (const n of range(1, 200)) {
      await commit(store, [put(`a/${n}`, 0), put('always', n - 1)], { requestId: `r-${n}` })
    }
    t.same(await counts(server), [KEPT, 2 * KEPT, KEPT])
    t.equal((await store.load()).documents.length, 201)
    t.same(seqs((await allPages(store, { limit: 20 })).entries), range(151, 200).reverse())
    t.same(seqs((await allPages(store, { limit: 20, subject: 'always' })).entries), range(151, 200).reverse())
    t.same(await store.journal({ limit: 5, subject: 'a/1' }), { entries: [], next: null })
    t.equal(await store.committed('r-150'), null)
    t.match(await store.committed('r-151'), { seq: 151 })
  },
)

await redisTest(t, 'the journal begins with the oldest entry that is kept', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url, trims)
  const at = (n: number): string => new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString()
  t.equal(await store.journalBegins(), null, 'there is none')
  for (const n of range(1, KEPT)) await commit(store, [put(`a/${n}`, 0)], { at: at(n) })
  t.equal(await store.journalBegins(), null, 'all that there ever were')
  for (const n of range(KEPT + 1, KEPT + 7)) await commit(store, [put(`a/${n}`, 0)], { at: at(n) })
  t.equal(await store.journalBegins(), at(8))
})

await redisTest(t, 'whoever is too far behind must load anew, and can', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url, trims)
  for (const n of range(1, 20)) await commit(store, [put(`a/${n}`, 0)])
  const [start, old] = [await positionAt(store, 0), await positionAt(store, 20)]
  for (const n of range(21, 150)) await commit(store, [put(`a/${n}`, 0)])
  const nothing = (): void => void t.fail('given')
  for (const known of [start, old]) {
    await t.rejects(store.follow(known, nothing, new AbortController().signal), JournalTrimmed)
    t.equal((await store.load(known)).mark, (await store.position()).mark)
    const decided = change([put(`decided/${known.seq}`, 0)], { decidedOn: known })
    t.equal((await store.commit(decided)).outcome, 'committed')
  }
  const oldest = (await allPages(store, { limit: 500 })).entries.at(-1)?.seq ?? 0
  const one = follower(store, oldest)
  await one.reached(152)
  await one.stop()
  t.same(seqs(one.entries), range(oldest + 1, 152))
})

await redisTest(t, 'a follower that is overtaken by the trimming is told so, and given no gap', async (t) => {
  const server = await startRedis(t)
  const writer = openAt(t, server.url, { limits: { journalMax: 5, trimMax: 100 } })
  const store = openAt(t, server.url, { limits: { batchMax: 10 } })
  await commit(writer, [put('a/1', 0)])
  const given: number[] = []
  const position = await positionAt(store, 1)
  let overtaking: Promise<unknown> = Promise.resolve()
  await commit(writer, [put('a/2', 0)])
  await t.rejects(
    store.follow(
      position,
      ({ seq }) => {
        given.push(seq)
        // Sent at once and before the next read of the journal.
        if (seq === 2) overtaking = Promise.all(range(3, 60).map((n) => commit(writer, [put(`a/${n}`, 0)])))
        if (seq > 58) throw new Error('it was not overtaken')
      },
      new AbortController().signal,
    ),
    JournalTrimmed,
  )
  await overtaking
  t.same(given, range(2, given.length + 1))
})

await redisTest(
  t,
  'a limit that was lowered is reached step by step, a bounded number of entries in each commit',
  async (t) => {
    const server = await startRedis(t)
    const [generous, frugal] = [openAt(t, server.url), openAt(t, server.url, trims)]
    for (const n of range(1, 100)) await commit(generous, [put(`a/${n}`, 0)], { requestId: `r-${n}` })
    t.same(await counts(server), [100, 100, 100])
    await commit(frugal, [put('b/1', 0)])
    t.same(await counts(server), [91, 91, 90])
    t.same(seqs((await allPages(frugal, { limit: 500 })).entries), range(11, 101).reverse())
    for (const n of range(2, 10)) await commit(frugal, [put(`b/${n}`, 0)])
    t.same(await counts(server), [KEPT, KEPT, 40])
  },
)
