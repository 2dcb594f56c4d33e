// Rollouts while things break: releases come out one after the other through three real servers on one real Redis, several
// people promote each stage at the same moment, every replica drives, and updaters poll all paths. The checker proves that
// no stage was promoted twice or skipped, no ramp went back, and nobody was told anything wrong on any path.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Run } from '../fixtures/fleet-checker.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { isRedisMissing, until, type RedisProcess } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'
import { sized } from '../fixtures/test-form.ts'
import { startProxy } from '../fixtures/tcp-proxy.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const PROMOTIONS_LEAST = 3
const A_WHILE_MS = sized(1_000, 2_000)
const LEASE_KEY = '{bellwether}:lease:rollouts'
const REPLICAS = 3

t.test('the replica that drives is killed: another one drives on, and nothing is promoted twice', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url), hasPipeline: true })
  fleet.write(1)
  fleet.release()
  await sleep(A_WHILE_MS)
  const driver = await drives(redis)
  await midRamp(redis)
  await fleet.server(driver).end('SIGKILL')
  const before = fleet.promoted
  await until('another one drives', async () => ![driver, -1].includes(await whoDrives(redis)))
  await fleet.restart(driver, 'SIGKILL')
  await until('stages are promoted again', () => fleet.promoted > before)
  await sleep(A_WHILE_MS)
  await mustBeWell(t, fleet)
})

t.test('Redis is killed in the middle of a ramp and restarted with its data', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t, { keeps: 'aof' })
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url), hasPipeline: true })
  fleet.write(1)
  fleet.release()
  await sleep(A_WHILE_MS)
  for (let time = 0; time < 2; time += 1) {
    const before = fleet.promoted
    await midRamp(redis)
    await redis.kill()
    await fleet.untilAll('has lost the store', ({ status }) => status === 'store unavailable')
    await redis.start()
    await fleet.untilAll('follows again', ({ status }) => status === 'following')
    await until('stages are promoted again', () => fleet.promoted > before)
  }
  await mustBeWell(t, fleet)
})

t.test('the replica that drives stands still for longer than its lease, and goes on: two drive at once', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url), hasPipeline: true })
  fleet.release()
  await sleep(A_WHILE_MS)
  const driver = await drives(redis)
  const { child } = fleet.server(driver)
  // In the middle of its steps: it believes in its lease until it looks again.
  await midRamp(redis)
  child.kill('SIGSTOP')
  const before = fleet.promoted
  try {
    // Not before its lease is over.
    await until('another one drives meanwhile', async () => ![driver, -1].includes(await whoDrives(redis)))
  } finally {
    child.kill('SIGCONT')
  }
  await until('stages are promoted again', () => fleet.promoted > before)
  await sleep(A_WHILE_MS)
  await mustBeWell(t, fleet)
})

t.test('connections are cut before, during and after the answers to commits of rollouts', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t)
  const proxies = await Promise.all(Array.from({ length: REPLICAS }, () => startProxy(t, redis.port)))
  const urls = proxies.map(({ port }) => `redis://127.0.0.1:${port}`)
  const fleet = await Fleet.start(t, { urls, hasPipeline: true })
  fleet.write(1)
  fleet.release()
  await sleep(A_WHILE_MS / 2)
  for (const moment of ['during', 'after', 'before', 'during', 'during'] as const) {
    // Whoever is the next to commit a step, promote, or soak is cut.
    await Promise.any(proxies.map((proxy) => proxy.cutAt(moment, /rollout\.(step|promote|soaked)/)))
    await sleep(A_WHILE_MS / 3)
  }
  await sleep(A_WHILE_MS)
  await mustBeWell(t, fleet)
})

/** Ends the run and has it checked; it must have been about something. */
async function mustBeWell(t: Test, fleet: Fleet): Promise<void> {
  // On a busy machine little may have been done by now; the run goes on until it was about something.
  await until('enough stages are promoted', () => fleet.promoted >= PROMOTIONS_LEAST)
  const { violations, run } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
  const { steps, promotions, ramped } = activityOf(run)
  t.comment(`${promotions} promotions, ${steps} steps, ${ramped} polls of cohorts that a ramp told apart`)
  t.ok(promotions >= PROMOTIONS_LEAST, `${promotions} stages were promoted`)
  t.ok(steps >= 10, `${steps} steps of ramps`)
  t.ok(ramped >= 10, `${ramped} polls during ramps`)
}

function activityOf({ journal, observations }: Run): { steps: number; promotions: number; ramped: number } {
  const inRamp = new Set(
    journal.flatMap(({ changes }) =>
      changes.flatMap(({ key, after }) =>
        after?.body['ramp'] === undefined ? [] : `${key.slice('channel/'.length)}@${after.revision}`,
      ),
    ),
  )
  return {
    steps: journal.filter(({ kind }) => kind === 'rollout.step').length,
    promotions: journal.filter(({ kind }) => kind === 'rollout.promote').length,
    ramped: observations.filter(
      ({ channel, cohort, revision }) => cohort !== undefined && inRamp.has(`${channel}@${revision}`),
    ).length,
  }
}

/** The index of the replica that has the lease; -1 for none. */
async function whoDrives(redis: RedisProcess): Promise<number> {
  const owner = await redis.call('GET', LEASE_KEY)
  return typeof owner === 'string' ? Number(/replica-(\d)/.exec(owner)?.[1] ?? -1) : -1
}

/** The index of the replica that drives, once one does. */
async function drives(redis: RedisProcess): Promise<number> {
  let driver = -1
  await until('somebody drives', async () => (driver = await whoDrives(redis)) !== -1)
  return driver
}

/** Waits for a step of a ramp that is not the last one. */
async function midRamp(redis: RedisProcess): Promise<void> {
  await until('a ramp is under way', async () => {
    const [percent] = [await redis.call('HGET', '{bellwether}:documents', 'channel/rollout/canary')].map(
      (text) => /"percent":(\d+)/.exec(String(text))?.[1],
    )
    return percent !== undefined && Number(percent) < 60
  })
}
