// Every key of the store replaced by one of another type, and every number of its head by junk, under a server and before its start:
// agents are served as before, a change is made or says which key it is, and what can be mended is.
import t from 'tap'
import { otherFaults, prepareOthers, OTHER_VERSION } from '../../fixtures/broken-store.ts'
import { at } from '../../fixtures/admin-json.ts'
import type { AdminSession } from '../../fixtures/admin-session.ts'
import { startRedisAdmin, whileTimePasses, type RedisSession } from '../../fixtures/redis-planes.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { sized } from '../../fixtures/test-form.ts'

const reason = 'because'
const KEYS = ['documents', 'journal', 'meta', 'revisions', 'subjects', 'requests', 'replicas', 'replica-ends'] as const
const FIELDS = ['seq', 'epoch', 'first', 'count', 'mark', 'supersedes'] as const

const types: Readonly<Record<string, readonly string[]>> = {
  string: ['SET', 'junk'],
  list: ['RPUSH', 'junk'],
  set: ['SADD', 'junk'],
  zset: ['ZADD', '0', 'junk'],
  hash: ['HSET', 'junk', 'junk'],
  stream: ['XADD', '*', 'junk', 'junk'],
}

/** Calls that change something: a pin, a halt, a block, and what takes them back. */
async function changes({
  planes,
}: AdminSession): Promise<readonly { readonly status: number; readonly text: string }[]> {
  const replies = []
  for (const [method, path, body] of [
    ['PUT', '/channels/a/version', { version: '15.1.5', reason }],
    ['PUT', '/channels/a/version', { version: '15.1.4', force: true, reason }],
    ['PUT', '/channels/a/halt', { reason }],
    ['DELETE', '/channels/a/halt', { reason }],
  ] as const) {
    // What was not halted cannot be resumed.
    if (method === 'DELETE' && replies.at(-1)?.status !== 200) break
    const { statusCode, body: text } = await whileTimePasses(planes.clock, planes.admin(method, path, body))
    replies.push({ status: statusCode, text })
  }
  return replies
}

async function pollFaults({ planes }: AdminSession): Promise<readonly string[]> {
  const answers = await Promise.all(['other', 'a'].map((name) => planes.asAgent(`/v1/${name}/version`)))
  const ready = await planes.control.inject('/readyz')
  return [
    ...(answers[0] === OTHER_VERSION ? [] : [`other: ${answers[0]}`]),
    ...(/^15\.1\.[45]$/.test(answers[1] ?? '') ? [] : [`a: ${answers[1]}`]),
    ...(ready.statusCode === 200 ? [] : [`/readyz: ${ready.statusCode}`]),
  ]
}

async function started(server: RedisServer, t: Parameters<typeof startRedisAdmin>[0]): Promise<RedisSession> {
  const started = await startRedisAdmin(t, server)
  await prepareOthers(started.session)
  await started.session.channel('a', '15.1.4')
  return started
}

async function follows({ planes }: AdminSession): Promise<void> {
  await until('the store is followed', async () => {
    planes.deps.replica.retry()
    await planes.clock.advance(10_000)
    return planes.deps.replica.fault === null
  })
}

for (const name of KEYS.slice(0, sized(2, KEYS.length))) {
  await redisTest(t, `another program's value at ${name}: polls go on, and changes are made or name it`, async (t) => {
    const server = await startRedis(t)
    const { session, junk } = await started(server, t)
    const key = junk.key(name)
    // So that each of the keys is there.
    await session.done('PUT', '/channels/a/version', { version: '15.1.5', reason })
    const own = String(await server.call('TYPE', key))
    const kept = `kept:${name}`
    const others = Object.entries(types).filter(([type]) => type !== own)
    for (const [type, [command = '', ...args]] of others.slice(0, sized(1, 2))) {
      if (own !== 'none') await server.call('RENAME', key, kept)
      await server.call(command, key, ...args)
      await session.planes.clock.advance(10_000)
      const faults = [...(await pollFaults(session))]
      for (const { status, text } of await changes(session)) {
        const isNamed = status === 503 && (text.includes('store_unavailable') || text.includes('write_outcome_unknown'))
        if (status !== 200 && !isNamed) faults.push(`${status} ${text}`)
        if (status !== 200 && !/nothing was changed/.test(text)) faults.push(text)
      }
      const store = openAt(t, server.url)
      const { documents } = await store.load().catch((error: unknown) => {
        if (!String(error).includes(`${key} is of another type`)) faults.push(String(error))
        return { documents: [] }
      })
      if (documents.some(({ unreadable }) => unreadable !== undefined)) faults.push('a document cannot be read')
      await store.close()
      t.same(faults, [], type)
      await server.call('DEL', key)
      if (own !== 'none') await server.call('RENAME', kept, key)
      await follows(session)
      t.same(
        (await changes(session)).map(({ status }) => status),
        [200, 200, 200, 200],
        `after ${type}`,
      )
    }
    t.same(await otherFaults(session), [])
  })
}

const numbers = [
  ...['', 'junk', '-1', '0', '1.5', '999999'],
  ...['1e400', 'nan', '4503599627370496', '9007199254740991', '9'.repeat(40)],
].filter((_, index) => index % sized(4, 2) === 0)

for (const field of FIELDS.slice(0, sized(2, FIELDS.length))) {
  await redisTest(t, `junk as ${field} of the head: polls go on, and the store goes on or is restored`, async (t) => {
    const server = await startRedis(t)
    const { session, junk } = await started(server, t)
    for (const value of numbers) {
      await server.call('HSET', junk.key('meta'), field, value)
      await session.planes.clock.advance(10_000)
      t.same(await pollFaults(session), [], value)
      const replies = await changes(session)
      if (replies.some(({ status }) => status !== 200)) {
        for (const { status, text } of replies) {
          t.ok(
            [409, 503].includes(status) && /nothing was (?:changed|written)/.test(text),
            `${value}: ${status} ${text}`,
          )
        }
        await until('the replica says so', async () => {
          await session.planes.clock.advance(10_000)
          return session.planes.deps.replica.fault !== null
        })
        await session.done('POST', '/store/restore', { reason })
      }
      await follows(session)
      t.same(
        (await changes(session)).map(({ status }) => status),
        [200, 200, 200, 200],
        `after ${value}`,
      )
      t.same(await pollFaults(session), [], `after ${value}`)
    }
    t.same(await otherFaults(session), [])
    const seq = Number(at(await session.done('GET', '/journal?limit=1'), 'items', 0, 'seq'))
    t.ok(seq < 10_000, `no junk becomes a seq: ${seq}`)
  })
}

await redisTest(
  t,
  'a format of the head that no build has stops changes, and says so, until it is put back',
  async (t) => {
    const server = await startRedis(t)
    const { session, junk } = await started(server, t)
    for (const [value, code] of [
      ['99', 'newer_format'],
      ['junk', 'store_unavailable'],
      ['9'.repeat(40), 'store_unavailable'],
    ] as const) {
      await server.call('HSET', junk.key('meta'), 'format', value)
      await session.planes.clock.advance(10_000)
      t.same(await pollFaults(session), [], value)
      for (const { status, text } of await changes(session))
        t.match({ status, text }, { status: 503, text: new RegExp(code) })
      await server.call('HSET', junk.key('meta'), 'format', 1)
      await follows(session)
      t.same(
        (await changes(session)).map(({ status }) => status),
        [200, 200, 200, 200],
        `after ${value}`,
      )
    }
  },
)

await redisTest(t, 'a lease that no replica can have made is taken', async (t) => {
  const server = await startRedis(t)
  const { coordination } = openAt(t, server.url)
  const key = '{test}:lease:task'
  const foreign = [
    ['SET', key, 'junk'],
    ['SET', key, 'junk', 'PX', 9_000_000_000_000],
    ['RPUSH', key, 'junk'],
    ['HSET', key, 'junk', 'junk'],
  ] as const
  for (const [command, ...args] of foreign) {
    await server.call('DEL', key)
    await server.call(command, ...args)
    t.equal(await coordination.lease('task', 'me', 60_000), true, command)
    t.equal(await coordination.lease('task', 'other', 60_000), false, 'and then it is one')
    await coordination.release('task', 'other')
    t.equal(await coordination.lease('task', 'me', 60_000), true)
  }
})
