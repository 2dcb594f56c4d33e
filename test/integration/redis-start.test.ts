// Starting on Redis: what the configuration gets wrong, a Redis that could lose what it is given, and two on one folder.
import t from 'tap'
import { dataFolder, jsonOf, run, runToEnd } from '../fixtures/fault-process.ts'
import { redisTest, until } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'

const MINUTE_MS = 60_000
const WARNING = /keeps nothing on disk/

await redisTest(t, 'a Redis that keeps nothing is warned of; a strict server does not start on it', async (t) => {
  const redis = await startRedis(t)
  const env = { BELLWETHER_REDIS_URL: redis.url }
  const server = await run(t, { dataDir: await dataFolder(t), env })
  const [warning] = jsonOf(await server.control.get('/readyz'))['warnings'] as readonly unknown[] // The route's schema.
  t.match(warning, { code: 'no_persistence', message: WARNING })
  t.match(server.output().stderr, WARNING)
  t.match((await server.control.get('/metrics')).body, /^bellwether_store_warning\{code="no_persistence"\} 1$/m)
  const ended = await runToEnd(t, { dataDir: await dataFolder(t), env: { ...env, BELLWETHER_REDIS_STRICT: 'true' } })
  t.equal(ended.code, 1)
  t.match(ended.lines.at(-1), /^bellwether: BELLWETHER_REDIS_STRICT is set, and Redis keeps nothing on disk/)
})

await redisTest(t, 'on a Redis that keeps what it is given a strict server starts, and says nothing', async (t) => {
  const redis = await startRedis(t, { keeps: 'aof' })
  const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REDIS_STRICT: 'true' }
  const server = await run(t, { dataDir: await dataFolder(t), env })
  t.strictSame(jsonOf(await server.control.get('/readyz'))['warnings'], [])
})

await redisTest(
  t,
  'a strict server does not start on a Redis that it cannot look at; another one warns of it',
  async (t) => {
    const redis = await startRedis(t, { keeps: 'aof' })
    await redis.kill()
    const env = { BELLWETHER_REDIS_URL: redis.url }
    const ended = await runToEnd(t, { dataDir: await dataFolder(t), env: { ...env, BELLWETHER_REDIS_STRICT: 'true' } })
    t.equal(ended.code, 1)
    t.match(ended.lines.at(-1), /^bellwether: BELLWETHER_REDIS_STRICT is set, and the settings .* could not be checked/)
    const server = await run(t, { dataDir: await dataFolder(t), env })
    const warnings = async () => jsonOf(await server.control.get('/readyz'))['warnings'] as readonly { code: string }[] // The route's schema.
    t.match(
      (await warnings()).find(({ code }) => code === 'settings_unchecked'),
      { message: /could not be checked/ },
    )
    await redis.start()
    const isUnchecked = async () => (await warnings()).some(({ code }) => code === 'settings_unchecked')
    await until('it is looked at again', async () => !(await isUnchecked()), MINUTE_MS)
  },
)

await redisTest(t, 'a Redis that refuses writes is told of by /readyz, replicas, a metric and every 503', async (t) => {
  const redis = await startRedis(t, { keeps: 'aof' })
  const server = await run(t, { dataDir: await dataFolder(t), env: { BELLWETHER_REDIS_URL: redis.url } })
  const isWarned = async (): Promise<boolean> =>
    /"refuses_writes".*OOM command not allowed/.test((await server.control.get('/readyz')).body)
  await redis.call('CONFIG', 'SET', 'maxmemory', '1kb')
  // No one writes: it is the replica's own announcement that fails.
  await until('it is in /readyz', isWarned)
  t.match(jsonOf(await server.control.get('/readyz')), { ready: true, status: 'following' })
  t.match(jsonOf(await server.control.admin('GET', '/replicas')), { warnings: [{ code: 'refuses_writes' }] })
  t.match((await server.control.get('/metrics')).body, /^bellwether_store_warning\{code="refuses_writes"\} 1$/m)
  const body = { name: 'stable/cloud', source: { kind: 'static', version: '15.1.4' } }
  const refused = await server.control.admin('POST', '/channels', body)
  t.equal(refused.status, 503)
  t.match(jsonOf(refused), { code: 'store_unavailable', detail: /nothing was changed.*OOM command not allowed/ })
  await redis.call('CONFIG', 'SET', 'maxmemory', '0')
  await until('it is over', async () => !(await isWarned()))
  t.equal((await server.control.admin('POST', '/channels', body)).status, 201)
})

await redisTest(t, 'the log has JSON lines only, also of what the Redis client writes to the console', async (t) => {
  const redis = await startRedis(t, { keeps: 'aof' })
  const env = { BELLWETHER_REDIS_URL: redis.url.replace('//', '//:needless@') }
  const server = await run(t, { dataDir: await dataFolder(t), env })
  const { stderr } = server.output()
  t.match(stderr, /does not require a password/)
  for (const line of stderr.trimEnd().split('\n')) t.doesNotThrow(() => void JSON.parse(line), line)
})

await redisTest(t, 'a replica of one plane has only that one, and all are listed', async (t) => {
  const redis = await startRedis(t)
  const start = async (id: string, role: string) => {
    const env = { BELLWETHER_REDIS_URL: redis.url, BELLWETHER_REPLICA_ID: id, BELLWETHER_ROLE: role }
    return run(t, { dataDir: await dataFolder(t), env })
  }
  const control = await start('c', 'control')
  const poll = await start('p', 'poll')
  const listed = async () => {
    const { items } = jsonOf(await control.control.admin('GET', '/replicas'))
    return (items as readonly { id: string; role: string }[]).map(({ id, role }) => `${id} ${role}`) // The route's schema.
  }
  await until('both have told of themselves', async () => (await listed()).length === 2)
  const body = { name: 'stable/cloud', source: { kind: 'static', version: '15.1.4' } }
  const made = await control.control.admin('POST', '/channels?wait=replicas', body)
  t.equal(made.headers['bellwether-applied-by'], 'c,p')
  t.equal(await poll.asAgent('/v1/stable/cloud/version'), '15.1.4')
  t.equal(poll.controlUrl, '')
  t.equal(control.pollUrl, '')
  t.strictSame(await listed(), ['c control', 'p poll'])
})

await redisTest(t, 'a second replica on the same folder does not start', async (t) => {
  const redis = await startRedis(t)
  const env = { BELLWETHER_REDIS_URL: redis.url }
  const dataDir = await dataFolder(t)
  await run(t, { dataDir, env })
  const ended = await runToEnd(t, { dataDir, env })
  t.equal(ended.code, 1)
  t.match(ended.lines.at(-1), /^bellwether: .*(?:another process|in use|already)/)
})

await t.test('a URL that is none ends the start with one line, and without its password', async (t) => {
  const env = { BELLWETHER_REDIS_URL: 'redis://:hunter2@host:port' }
  const ended = await runToEnd(t, { dataDir: await dataFolder(t), env })
  t.equal(ended.code, 1)
  t.match(ended.lines, [/^bellwether: BELLWETHER_REDIS_URL has a host or port that is none/])
  t.notMatch(ended.lines.join(), /hunter2/)
})
