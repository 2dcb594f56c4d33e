// One replica is in trouble, and not Redis: started while Redis is down, with a last-known-good file that is damaged, without
// room to write it, with a clock that is wrong and jumps, or older than what others have written.
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { dataFolder, jsonOf, run } from '../fixtures/fault-process.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { isRedisMissing, until } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'
import { freshMount } from '../fixtures/store-process.ts'
import { sized } from '../fixtures/test-form.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const A_WHILE_MS = sized(700, 1_500)
const LAST_KNOWN_GOOD = 'last-known-good.json'
const HOUR_MS = 3_600_000
const CLOCK = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url))
/** So little room that a last-known-good file with long descriptions does not fit. */
const MOUNT_KB = 256

t.test(
  'a replica that starts while Redis is down serves its last known good state, says so, and catches up',
  async (t) => {
    if (isRedisMissing(t)) return
    const redis = await startRedis(t, { keeps: 'aof' })
    const fleet = await Fleet.start(t, { urls: [redis.url, redis.url, redis.url] })
    fleet.write()
    await sleep(A_WHILE_MS)
    await fleet.rest()
    await fleet.converged()
    await redis.kill()
    await fleet.untilAll('has lost the store', ({ status }) => status === 'store unavailable')
    const { seq } = await fleet.record(1)
    await fleet.restart(1, 'SIGTERM')
    const ready = jsonOf(await fleet.server(1).control.get('/readyz'))
    t.match(ready, { ready: true, status: 'serving last known good', seq })
    t.ok(Number(ready['staleS']) > 0)
    const metrics = await fleet.server(1).control.get('/metrics')
    t.match(metrics.body, /^bellwether_last_known_good_age_seconds [0-9.]*[1-9]/m)
    await redis.start()
    await fleet.untilAll('follows again', ({ status }) => status === 'following')
    fleet.write()
    await sleep(A_WHILE_MS)
    const { violations } = await fleet.check()
    t.strictSame(violations, [])
    t.strictSame(fleet.unanswered, [])
  },
)

t.test('a last-known-good file that is cut, edited or of another make is refused, never half used', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t, { keeps: 'aof' })
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url] })
  const path = join(fleet.dataDir(1), LAST_KNOWN_GOOD)
  await fleet.server(1).end('SIGTERM')
  const good = await readFile(path, 'utf8')
  await redis.stop()
  const faults: Readonly<Record<string, string>> = {
    cut: good.slice(0, good.length >> 1),
    edited: good.replace('1.0.0', '6.6.6'),
    foreign: '{"channels":{"fleet/0":"6.6.6"}}',
  }
  for (const [name, text] of Object.entries(faults)) {
    await writeFile(path, text)
    await fleet.restart(1, 'SIGKILL')
    const answer = await fleet.server(1).poll.get(`/v1/${fleet.channels[0]}/version`)
    t.match(answer, { status: 503, body: 'no channel is loaded yet' }, name)
    t.match(fleet.server(1).output().stderr, /the last-known-good file cannot be used and is set aside/)
  }
  await redis.start()
  await fleet.untilAll('follows', ({ status }) => status === 'following')
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
})

t.test('without room for its last-known-good file a replica goes on as before, and keeps the older one', async (t) => {
  if (isRedisMissing(t)) return
  const mount = await freshMount(t, MOUNT_KB)
  if (mount === null) {
    t.pass('a full disk', { skip: 'NOT TESTED: this user may not mount a file system' })
    return
  }
  const redis = await startRedis(t)
  const dataDirOf = (index: number) => (index === 1 ? mount : null)
  const envOf = () => ({ BELLWETHER_LOG_LEVEL: 'warn' })
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url], dataDirOf, envOf })
  fleet.write()
  await sleep(A_WHILE_MS)
  await writeFile(join(mount, 'stuffing'), Buffer.alloc(MOUNT_KB * 1_024)).catch(() => {})
  await until('the full disk is noticed', () =>
    /last-known-good file could not be written/.test(fleet.server(1).output().stderr),
  )
  await sleep(A_WHILE_MS)
  t.match(JSON.parse(await readFile(join(mount, LAST_KNOWN_GOOD), 'utf8')), { format: 1 }, 'the older file is whole')
  await rm(join(mount, 'stuffing'))
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})

t.test('replicas whose clocks are an hour apart, and jump, serve the same', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const preload = { NODE_OPTIONS: `--import=${CLOCK}` }
  const clocks = [
    { CLOCK_OFFSET_MS: String(HOUR_MS), CLOCK_STEP_MS: String(-2 * HOUR_MS) },
    {},
    { CLOCK_OFFSET_MS: String(-HOUR_MS), CLOCK_STEP_MS: String(2 * HOUR_MS) },
  ]
  const envOf = (index: number) => ({ ...preload, ...clocks[index] })
  const fleet = await Fleet.start(t, { urls: [redis.url, redis.url, redis.url], envOf })
  fleet.write()
  await sleep(A_WHILE_MS)
  for (const index of [0, 2]) fleet.server(index).child.kill('SIGWINCH')
  await sleep(A_WHILE_MS)
  await fleet.untilAll('follows', ({ status }) => status === 'following')
  for (const index of [0, 2]) {
    await until('no replica is taken for dead', async () => {
      const list = jsonOf(await fleet.server(index).control.admin('GET', '/replicas'))
      return (list['items'] as unknown[]).length === 3 // The route's schema.
    })
  }
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})

t.test(
  'a replica that meets what a newer build has written serves on, says so everywhere, and never writes',
  async (t) => {
    if (isRedisMissing(t)) return
    const redis = await startRedis(t)
    const env = { BELLWETHER_REDIS_URL: redis.url }
    const server = await run(t, { dataDir: await dataFolder(t), env })
    const body = { name: 'stable/cloud', source: { kind: 'static', version: '15.1.4' } }
    t.equal((await server.control.admin('POST', '/channels', body)).status, 201)
    // As the commit of a newer build leaves it: a higher format in the store, the document and the entry.
    const document = '{"revision":2,"format":2,"key":"channel/stable/cloud","body":{"of":"the future"}}'
    const change = `{"key":"channel/stable/cloud","before":null,"after":${document}}`
    const entry = `{"seq":2,"mark":"m2","format":2,"at":"2030-01-01T00:00:00Z","actor":"x","kind":"future","subjects":["channel/stable/cloud"],"reason":null,"requestId":null,"changes":[${change}]}`
    const mark = String(await redis.call('HGET', '{bellwether}:meta', 'mark'))
    await redis.call('HSET', '{bellwether}:documents', 'channel/stable/cloud', document)
    await redis.call('HSET', '{bellwether}:meta', 'format', '2', 'seq', '2', 'mark', 'm2')
    const fields = ['entry', entry, 'mark', 'm2', 'previous', mark, 'request', '', 'subject', 'channel/stable/cloud']
    await redis.call('XADD', '{bellwether}:journal', '2-0', ...fields)
    const readiness = async () => jsonOf(await server.control.get('/readyz'))
    await until('the newer entry is met', async () => (await readiness())['status'] === 'newer format')
    t.equal(await server.asAgent('/v1/stable/cloud/version'), '15.1.4', 'it serves what it knows')
    t.match(await readiness(), { ready: true, problem: /newer Bellwether/ })
    t.match((await server.control.get('/metrics')).body, /^bellwether_newer_format 1$/m)
    const [record] = jsonOf(await server.control.admin('GET', '/replicas'))['items'] as readonly unknown[] // The route's schema.
    t.match(record, { status: 'newer format' })
    const write = await server.control.admin('PUT', '/channels/stable%2Fcloud/version', { version: '15.1.5' })
    t.match([write.status, jsonOf(write)['code']], [503, 'newer_format'])
    t.equal(
      await redis.call('HGET', '{bellwether}:documents', 'channel/stable/cloud'),
      document,
      'and nothing is written over',
    )
    const restarted = await run(t, { dataDir: await dataFolder(t), env })
    t.equal(
      await restarted.asAgent('/v1/stable/cloud/version'),
      '503 no channel is loaded yet',
      'a fresh one serves nothing',
    )
  },
)
