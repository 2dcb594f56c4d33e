// Announcements in Redis that no replica of this build has written: skipped and named, and no write is answered wrongly over them.
import t, { type Test } from 'tap'
import { createChannel, dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { redisTest } from '../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../fixtures/redis-server.ts'

const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const ANNOUNCEMENTS = '{bellwether}:replicas'
const ENDS = '{bellwether}:replica-ends'
/** Long after every test, in milliseconds since the epoch. */
const LATER = 9_999_999_999_999
const SET_VERSION = '/channels/stable%2Fcloud/version?wait=replicas'
/** Far above what any replica tells of itself. */
const HUGE_BYTES = 1_000_000

const readable = {
  ...{ role: 'all', status: 'following', problem: null, seq: 1_000_000, epoch: 'e', snapshotAgeS: 1 },
  ...{ pollProcesses: 1, build: 'newer', startedAt: '2026-03-01T00:00:00.000Z' },
}

/** What each id has announced, and whether it can be read. */
const junk: readonly (readonly [id: string, body: string])[] = [
  ['text', 'not JSON'],
  ['list', '[]'],
  ['null', 'null'],
  ['empty', '{}'],
  ['nameless', JSON.stringify(readable)],
  ['other-name', JSON.stringify({ ...readable, id: 'another' })],
  ['seq-text', JSON.stringify({ ...readable, id: 'seq-text', seq: '7' })],
  ['seq-half', JSON.stringify({ ...readable, id: 'seq-half', seq: 1.5 })],
  ['no-status', JSON.stringify({ ...readable, id: 'no-status', status: null })],
  ['crlf\r\nSet-Cookie: a=b', JSON.stringify({ ...readable, id: 'crlf\r\nSet-Cookie: a=b' })],
  ['ümlaut', JSON.stringify({ ...readable, id: 'ümlaut' })],
  ['with,comma', JSON.stringify({ ...readable, id: 'with,comma' })],
  ['i'.repeat(HUGE_BYTES), JSON.stringify(readable)],
  ['huge', JSON.stringify({ ...readable, id: 'huge', problem: 'x'.repeat(HUGE_BYTES) })],
  ['deep', '['.repeat(60_000)],
]

async function started(t: Test): Promise<{ redis: RedisServer; server: Running }> {
  const redis = await startRedis(t)
  const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REPLICA_ID: 'this-one' }
  const server = await run(t, { dataDir: await dataFolder(t), env })
  await createChannel(server, 'stable/cloud', '15.1.4')
  return { redis, server }
}

async function announce(redis: RedisServer, id: string, body: string): Promise<void> {
  await redis.call('HSET', ANNOUNCEMENTS, id, body)
  await redis.call('ZADD', ENDS, LATER, id)
}

await redisTest(t, 'announcements that cannot be read are skipped, and the list of replicas names them', async (t) => {
  const { redis, server } = await started(t)
  for (const [id, body] of junk) await announce(redis, id, body)
  await redis.call('ZADD', ENDS, LATER, 'nothing-announced')
  await announce(redis, 'newer', JSON.stringify({ ...readable, id: 'newer', unknown: { of: 'the future' } }))
  const reply = await server.control.admin('GET', '/replicas')
  t.equal(reply.status, 200)
  const { items, warnings } = jsonOf(reply) as {
    items: { id: string }[]
    warnings: { code: string; message: string }[]
  } // The route's schema.
  t.strictSame(
    items.map(({ id }) => id),
    ['newer', 'this-one'],
    'one of a newer build has more members',
  )
  t.notOk('unknown' in (items[0] ?? {}))
  t.equal(warnings.length, junk.length + 1)
  t.ok(warnings.every(({ code, message }) => code === 'unreadable_announcement' && message.length < 500))
  for (const id of ['text', 'ümlaut', 'nothing-announced'])
    t.ok(
      warnings.some(({ message }) => message.includes(`"${id}"`)),
      id,
    )
})

await redisTest(t, 'a write that waits is answered as made, whatever is announced', async (t) => {
  const { redis, server } = await started(t)
  for (const [index, [id, body]] of junk.entries()) {
    await announce(redis, id, body)
    const version = `15.2.${index}`
    const reply = await server.control.admin('PUT', SET_VERSION, { version })
    t.equal(reply.status, 200, id.slice(0, 20))
    t.equal(reply.headers['bellwether-applied-by'], 'this-one')
    t.equal(reply.headers['bellwether-not-applied-by'], 'unknown')
    t.equal(reply.headers['set-cookie'], undefined)
    t.equal(await server.asAgent('/v1/stable/cloud/version'), version)
    await redis.call('HDEL', ANNOUNCEMENTS, id)
    await redis.call('ZREM', ENDS, id)
  }
  const reply = await server.control.admin('PUT', SET_VERSION, { version: '15.3.0' })
  t.equal(reply.headers['bellwether-not-applied-by'], undefined, 'and what is gone is forgotten')
})

await redisTest(t, 'where the announcements are of another type, writes and the list are answered', async (t) => {
  const { redis, server } = await started(t)
  for (const key of [ANNOUNCEMENTS, ENDS]) {
    await redis.call('DEL', ANNOUNCEMENTS, ENDS)
    await redis.call('SET', key, 'text')
    const reply = await server.control.admin('PUT', SET_VERSION, { version: '15.1.5' })
    t.equal(reply.status, 200, key)
    t.equal((await server.control.admin('GET', '/replicas')).status, 200)
  }
})
