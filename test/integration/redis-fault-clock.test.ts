// A clock that is wrong, in real processes: it ends no pin, neither in the replica that has it nor in the fleet.
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createChannel, dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { redisTest, until } from '../fixtures/redis-process.ts'
import { leastRights } from '../fixtures/redis-rights.ts'
import { startRedis } from '../fixtures/redis-server.ts'

const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const CLOCK = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url))
const DAYS_40_MS = 40 * 24 * 3_600_000
const HOUR_MS = 3_600_000
/** Twice as long as an expiry takes to be journaled. */
const A_WHILE_MS = 2_500
const SOON_MS = 3_000

function clockEnv(offsetMs: number, stepMs = 0): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${CLOCK}`,
    CLOCK_OFFSET_MS: String(offsetMs),
    CLOCK_STEP_MS: String(stepMs),
    BELLWETHER_LOG_LEVEL: 'warn',
  }
}

/** Makes a channel at 15.2.0, pinned to 15.1.0 for so long. */
async function pinned(server: Running, name: string, forMs: number): Promise<void> {
  await createChannel(server, name, '15.2.0')
  const until = new Date(Date.now() + forMs).toISOString()
  const reply = await server.control.admin('PUT', `/channels/${name}/pin`, { version: '15.1.0', reason: 'bug', until })
  if (reply.status !== 200) throw new Error(`${name} was not pinned: ${reply.body}`)
}

async function isDoubted(server: Running): Promise<boolean> {
  const { warnings } = jsonOf(await server.control.get('/readyz')) as { warnings: { code: string }[] } // Its schema.
  const metrics = (await server.control.get('/metrics')).body
  const isWarned = warnings.some(({ code }) => code === 'clock_unconfirmed')
  return isWarned && /^bellwether_clock_unconfirmed 1$/m.test(metrics)
}

async function expiries(server: Running): Promise<number> {
  const { items } = jsonOf(await server.control.admin('GET', '/journal?kind=channel.expire')) as { items: unknown[] } // The route's schema.
  return items.length
}

async function fleet(t: Test, offsets: readonly number[]): Promise<readonly Running[]> {
  const redis = await startRedis(t)
  const servers: Running[] = []
  for (const offsetMs of offsets) {
    const env = { BELLWETHER_REDIS_URL: redis.url, ...clockEnv(offsetMs, -offsetMs) }
    servers.push(await run(t, { dataDir: await dataFolder(t), env }))
  }
  return servers
}

for (const [title, offsetMs] of [
  ['ahead', DAYS_40_MS],
  ['behind', -DAYS_40_MS],
] as const) {
  await redisTest(t, `a replica that starts 40 days ${title} ends nothing, and follows what others end`, async (t) => {
    const [right, wrong] = await fleet(t, [0, offsetMs])
    if (right === undefined || wrong === undefined) throw new Error('two replicas were started')
    await pinned(right, 'long', HOUR_MS)
    await pinned(right, 'short', SOON_MS)
    t.equal(await isDoubted(wrong), true)
    t.equal(await isDoubted(right), false)
    t.match(wrong.output().stderr, /clock_unconfirmed/)
    await until('the short pin has ended in both', async () => {
      const answers = await Promise.all([right, wrong].map((server) => server.asAgent('/v1/short/version')))
      return answers.every((answer) => answer === '15.2.0')
    })
    await sleep(A_WHILE_MS)
    for (const server of [right, wrong]) t.equal(await server.asAgent('/v1/long/version'), '15.1.0')
    t.equal(await expiries(wrong), 1)
    wrong.child.kill('SIGWINCH')
    await until('its clock is right again', async () => !(await isDoubted(wrong)))
  })
}

await redisTest(t, 'a fleet of wrong clocks ends no pin by itself, and takes changes', async (t) => {
  const [one, other] = await fleet(t, [DAYS_40_MS, DAYS_40_MS])
  if (one === undefined || other === undefined) throw new Error('two replicas were started')
  await pinned(one, 'short', SOON_MS)
  await pinned(one, 'lifted', HOUR_MS)
  await sleep(SOON_MS + A_WHILE_MS)
  for (const server of [one, other]) t.equal(await server.asAgent('/v1/short/version'), '15.1.0')
  t.equal(await expiries(one), 0)
  const lifted = await one.control.admin('DELETE', '/channels/lifted/pin?wait=replicas', { reason: 'fixed' })
  t.equal(lifted.status, 200)
  t.equal(await other.asAgent('/v1/lifted/version'), '15.2.0')
})

await redisTest(
  t,
  'a replica whose user may not ask for the time says so, ends nothing, and does once it may',
  async (t) => {
    const redis = await startRedis(t, { keeps: 'aof' })
    const rights = await leastRights('bellwether')
    await redis.call('ACL', 'SETUSER', 'bw', 'on', '>password', ...rights, '-time')
    const url = redis.url.replace('redis://', 'redis://bw:password@')
    const env = { BELLWETHER_REDIS_URL: url, BELLWETHER_LOG_LEVEL: 'warn' }
    const server = await run(t, { dataDir: await dataFolder(t), env })
    await pinned(server, 'short', SOON_MS)
    t.equal(await isDoubted(server), true)
    const { warnings } = jsonOf(await server.control.get('/readyz'))
    t.match(warnings, [
      { code: 'missing_rights', message: /time/ },
      { code: 'clock_unconfirmed', message: /time/i },
    ])
    t.match((await server.control.get('/metrics')).body, /^bellwether_store_warning\{code="missing_rights"\} 1$/m)
    t.match(server.output().stderr, /missing_rights.*does not allow time/)
    await sleep(SOON_MS + A_WHILE_MS)
    t.equal(await server.asAgent('/v1/short/version'), '15.1.0')
    await redis.call('ACL', 'SETUSER', 'bw', '+time')
    await until('the pin has ended', async () => (await server.asAgent('/v1/short/version')) === '15.2.0')
    t.equal(await isDoubted(server), false)
  },
)

t.test('an embedded server whose clock jumps keeps its pins; a restart ends them and names them', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir, env: clockEnv(0, DAYS_40_MS) })
  await pinned(server, 'long', HOUR_MS)
  t.equal(await isDoubted(server), false)
  server.child.kill('SIGWINCH')
  await until('the jump is noticed', () => isDoubted(server))
  await sleep(A_WHILE_MS)
  t.equal(await server.asAgent('/v1/long/version'), '15.1.0')
  t.equal(await expiries(server), 0)
  await server.end('SIGTERM')
  const ordinary = await run(t, { dataDir, env: clockEnv(0) })
  t.equal(await isDoubted(ordinary), false, 'an ordinary restart suspends nothing')
  t.equal(await ordinary.asAgent('/v1/long/version'), '15.1.0')
  t.notMatch(ordinary.output().stderr, /ended while no server was running/)
  await ordinary.end('SIGTERM')
  const behind = await run(t, { dataDir, env: clockEnv(-HOUR_MS) })
  t.equal(await isDoubted(behind), true)
  t.equal(await behind.asAgent('/v1/long/version'), '15.1.0')
  await behind.end('SIGTERM')
  const ahead = await run(t, { dataDir, env: clockEnv(DAYS_40_MS) })
  t.equal(await ahead.asAgent('/v1/long/version'), '15.2.0', 'it could have been stopped for so long')
  t.match(ahead.output().stderr, /"channels":\["long"\].*ended while no server was running/)
  await until('it is journaled', async () => (await expiries(ahead)) === 1)
})
