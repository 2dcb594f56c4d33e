// The network between replicas and Redis fails: connections are cut at every moment of a commit, answers get lost, Redis stands
// still, one replica is cut off. The checker proves that nobody was told anything wrong and that no write was lost or doubled.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Fleet } from '../fixtures/fleet.ts'
import { isRedisMissing, until } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'
import { startProxy } from '../fixtures/tcp-proxy.ts'
import { sized } from '../fixtures/test-form.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const A_WHILE_MS = sized(500, 2_000)
/** Longer than every limit of the servers (test/fixtures/impatient-server.mjs). */
const LONG_MS = 3_500
/** So many acknowledged writes a run must be about, however long that takes. */
const MANY = 40
/** A commit's script is called by its SHA-1, as every script is; that it writes shows by its request id. */
const COMMIT = /write-\d+/

t.test('the connection is cut before, during and after the answer to a commit, again and again', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const proxies = [await startProxy(t, redis.port), await startProxy(t, redis.port)]
  const urls = [redis.url, ...proxies.map(({ port }) => `redis://127.0.0.1:${port}`)]
  const fleet = await Fleet.start(t, { urls })
  fleet.write()
  for (const moment of ['before', 'during', 'after', 'during', 'before', 'after'] as const) {
    await Promise.all(proxies.map((proxy) => proxy.cutAt(moment, COMMIT)))
    await sleep(A_WHILE_MS / 2)
  }
  await sleep(A_WHILE_MS)
  await until('there are many writes', () => fleet.count('acknowledged') > MANY)
  const { violations, run } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
  const replayed = new Set(run.journal.map(({ requestId }) => requestId))
  t.ok(run.attempts.filter(({ outcome, marker }) => outcome === 'acknowledged' && replayed.has(marker)).length > MANY)
})

t.test('answers and wake-ups of Redis get lost while its connections stay open', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis.port)
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url, `redis://127.0.0.1:${proxy.port}`] })
  fleet.write()
  await sleep(A_WHILE_MS)
  proxy.swallowReplies(true)
  await fleet.untilAll('notices', ({ status }) => status === 'store unavailable', [2])
  await sleep(A_WHILE_MS)
  proxy.swallowReplies(false)
  // What was swallowed is gone for good; the connections must be made anew by themselves.
  await fleet.untilAll('follows again', ({ status }) => status === 'following')
  proxy.halfClose()
  await sleep(A_WHILE_MS)
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})

t.test('Redis stands still for longer than every limit, with every connection open', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url, redis.url] })
  fleet.write()
  await sleep(A_WHILE_MS)
  redis.pause()
  const before = fleet.answered
  await sleep(LONG_MS)
  await fleet.untilAll('has noticed', ({ status }) => status === 'store unavailable')
  await until('polls are answered meanwhile', () => fleet.answered - before > 100)
  redis.resume()
  await fleet.untilAll('follows again', ({ status }) => status === 'following')
  await sleep(A_WHILE_MS)
  const { violations, run } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
  const waited = run.attempts.filter(({ sentAt, receivedAt }) => receivedAt - sentAt > LONG_MS / 4)
  const refused = run.attempts.filter(({ outcome }) => outcome === 'refused')
  t.ok(
    waited.length + refused.length > 0,
    'writes were refused, or sent again until somebody knew what had become of them',
  )
})

t.test('one replica is cut off for longer than every limit: it serves what it knows, and catches up', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis.port)
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url, `redis://127.0.0.1:${proxy.port}`] })
  fleet.write()
  await sleep(A_WHILE_MS)
  proxy.blackhole(true)
  await fleet.untilAll('has noticed', ({ status }) => status === 'store unavailable', [2])
  const { seq: cutOffAt } = await fleet.record(2)
  await sleep(LONG_MS)
  t.equal((await fleet.record(2)).seq, cutOffAt, 'it knows nothing newer')
  await until('the others go on', async () => ((await fleet.record(0)).seq ?? 0) > (cutOffAt ?? 0))
  proxy.blackhole(false)
  await fleet.untilAll('follows again', ({ status }) => status === 'following')
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})
