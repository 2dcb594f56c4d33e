// Two server processes that were given one BELLWETHER_REPLICA_ID: each counts by itself, and everybody is warned.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { LaunchOptions } from '../../bench/bellwether-process.ts'
import { createChannel, dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { redisTest, until } from '../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../fixtures/redis-server.ts'

const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const ID = 'one-name'
const CODE = 'duplicate_replica_id'
const LEASES = ['upstreams', 'rollouts'] as const
const LEADS = { upstreams: 'this replica polls the upstreams', rollouts: 'this replica drives the rollouts' } as const
const SET_VERSION = '/channels/stable%2Fcloud/version?wait=replicas'
/** More than one renewal of a lease and several looks of the process that does not have it. */
const LOOKS = 60

interface Listed {
  readonly id: string
  readonly processToken: string
  readonly self: boolean
  readonly seq: number
}

interface Page {
  readonly items: readonly Listed[]
  readonly warnings: readonly { readonly code: string; readonly message: string }[]
  readonly next: string | null
}

async function launch(t: Test, redis: RedisServer): Promise<LaunchOptions> {
  const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REPLICA_ID: ID, BELLWETHER_UPSTREAM_ALLOW: '127.0.0.1' }
  return { dataDir: await dataFolder(t), env }
}

async function replicas(server: Running, query = ''): Promise<Page> {
  return jsonOf(await server.control.admin('GET', `/replicas${query}`)) as unknown as Page // The route's schema.
}

async function warningsOf(server: Running): Promise<readonly string[]> {
  const { warnings } = jsonOf(await server.control.get('/readyz')) as unknown as Page // The route's schema.
  return warnings.map(({ code }) => code).filter((code) => code === CODE)
}

async function gauge(server: Running): Promise<string> {
  const { body } = await server.control.get('/metrics')
  return /^bellwether_duplicate_replica_ids (\d+)$/m.exec(body)?.[1] ?? 'none'
}

async function done(server: Running, method: string, path: string, body: object): Promise<void> {
  const { status, body: text } = await server.control.admin(method, path, body)
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
}

/** Something for each lease: a channel that follows an upstream, and a rollout that waits for people. */
async function giveWork(server: Running): Promise<void> {
  await createChannel(server, 'stable/cloud', '15.1.4')
  await createChannel(server, 'p/1', '15.1.2')
  await createChannel(server, 'p/2', '15.1.2')
  const source = { kind: 'forward', url: 'http://127.0.0.1:1/v1/stable/cloud' }
  await done(server, 'POST', '/channels', { name: 'followed', source })
  const stages = ['p/1', 'p/2'].map((channel, index) => ({ name: `stage-${index}`, channels: [channel] }))
  await done(server, 'PUT', '/pipelines/fleet', { requirePackages: false, stages })
  await done(server, 'POST', '/releases', { version: '15.2.0', commit: 'aabbcc', kind: 'full' })
  await done(server, 'POST', '/rollouts/fleet/promote', { stage: 'stage-0' })
}

async function holder(redis: RedisServer, lease: (typeof LEASES)[number]): Promise<string> {
  return String(await redis.call('GET', `{bellwether}:lease:${lease}`))
}

await redisTest(t, 'two processes of one name: one has each lease, both are listed and waited for', async (t) => {
  const redis = await startRedis(t)
  // As another program, or a person with redis-cli, can leave it: nobody would ever poll.
  await redis.call('SET', '{bellwether}:lease:upstreams', 'a stranger')
  const [one, two] = [await run(t, await launch(t, redis)), await run(t, await launch(t, redis))]
  await until('both have told of themselves', async () => (await replicas(one)).items.length === 2)
  await giveWork(one)

  const { items, warnings } = await replicas(two)
  t.strictSame(
    items.map(({ id }) => id),
    [ID, ID],
  )
  const tokens = items.map(({ processToken }) => processToken)
  t.equal(new Set(tokens).size, 2)
  t.equal(items.filter(({ self }) => self).length, 1)
  t.match(warnings, [{ code: CODE, message: new RegExp(`^2 processes have the replica id ${ID}: `) }])
  t.equal(warnings.length, 1)
  const first = await replicas(two, '?limit=1')
  const second = await replicas(two, `?limit=1&cursor=${first.next ?? ''}`)
  t.strictSame(
    [...first.items, ...second.items].map(({ processToken }) => processToken),
    tokens,
    'page by page',
  )

  for (const lease of LEASES) {
    await until(`${lease} is had`, async () => (await holder(redis, lease)).startsWith(`${ID}/`))
  }
  const holders = new Map(await Promise.all(LEASES.map(async (lease) => [lease, await holder(redis, lease)] as const)))
  for (let looks = 0; looks < LOOKS; looks += 1) {
    for (const lease of LEASES)
      if ((await holder(redis, lease)) !== holders.get(lease)) t.fail(`${lease} has changed hands`)
    await sleep(100)
  }
  const logs = [one, two].map((server) => server.output().stderr)
  for (const lease of LEASES) {
    t.ok(tokens.map((token) => `${ID}/${token}`).includes(holders.get(lease) ?? ''), lease)
    t.equal(logs.filter((log) => log.includes(LEADS[lease])).length, 1, `one process says of ${lease} that it leads`)
  }
  t.equal(logs.filter((log) => /"value":"a stranger".*was taken over/.test(log)).length, 1, 'and the stranger is named')

  const reply = await one.control.admin('PUT', SET_VERSION, { version: '15.1.5' })
  t.equal(reply.headers['bellwether-applied-by'], `${ID},${ID}`)
  t.equal(reply.headers['bellwether-not-applied-by'], undefined)
  t.equal(await two.asAgent('/v1/stable/cloud/version'), '15.1.5')

  // One that stands still is waited for, although the one that answers has its name.
  two.child.kill('SIGSTOP')
  let isAnswered = false
  const waiting = one.control.admin('PUT', SET_VERSION, { version: '15.1.6' }).then((answer) => {
    isAnswered = true
    return answer
  })
  await until('the write is made', async () => (await one.asAgent('/v1/stable/cloud/version')) === '15.1.6')
  await replicas(one)
  t.equal(isAnswered, false)
  two.child.kill('SIGCONT')
  t.equal((await waiting).headers['bellwether-applied-by'], `${ID},${ID}`)
})

await redisTest(t, 'two processes of one name are warned of everywhere until one of them is gone', async (t) => {
  const redis = await startRedis(t)
  const one = await run(t, await launch(t, redis))
  await until('it has told of itself', async () => (await replicas(one)).items.length === 1)
  t.strictSame((await replicas(one)).warnings, [])
  const two = await run(t, await launch(t, redis))
  const other = await run(t, { dataDir: await dataFolder(t), env: { BELLWETHER_REDIS_URL: redis.url } })
  for (const server of [one, two, other]) {
    await until('it is warned of', async () => (await warningsOf(server)).length === 1)
    t.equal(await gauge(server), '1')
  }
  t.equal(await two.end('SIGTERM'), 0)
  for (const server of [one, other]) {
    await until('the warning is gone', async () => (await warningsOf(server)).length === 0)
    t.equal(await gauge(server), '0')
    t.equal(server.output().stderr.split(`"${CODE}"`).length - 1, 2, 'logged when it came and when it went')
  }
  t.strictSame((await replicas(one)).warnings, [])
})

await redisTest(
  t,
  'a process that was killed and started again is not taken for two, and no write hangs on it',
  async (t) => {
    const redis = await startRedis(t)
    const other = await run(t, { dataDir: await dataFolder(t), env: { BELLWETHER_REDIS_URL: redis.url } })
    const options = await launch(t, redis)
    const before = await run(t, options)
    await createChannel(other, 'stable/cloud', '15.1.4')
    const tokensOf = async (): Promise<readonly string[]> => {
      const { items } = await replicas(other)
      return items.filter(({ id }) => id === ID).map(({ processToken }) => processToken)
    }
    await until('it has told of itself', async () => (await tokensOf()).length === 1)
    const [killed] = await tokensOf()
    await before.end('SIGKILL')
    const after = await run(t, options)
    await until('the new one has told of itself', async () => (await tokensOf()).some((token) => token !== killed))
    const reply = await after.control.admin('PUT', SET_VERSION, { version: '15.1.5' })
    t.equal(reply.headers['bellwether-not-applied-by'], undefined, 'what was killed is over before the wait is')
    t.equal(
      String(reply.headers['bellwether-applied-by'])
        .split(',')
        .filter((id) => id === ID).length,
      1,
    )
    const tokens = await tokensOf()
    t.equal(tokens.length, 1)
    t.notOk(tokens.includes(killed ?? ''))
    t.strictSame((await replicas(other)).warnings, [])
    for (const server of [other, after])
      t.notMatch(server.output().stderr, CODE, 'its last word does not count as another process')
  },
)
