// Redis itself goes: killed and back, killed and back empty, back from an older backup, flushed. Updaters poll every replica
// all the time, and the checker proves afterwards that none was told anything wrong and no acknowledged write was lost.
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Fleet } from '../fixtures/fleet.ts'
import { isRedisMissing, until } from '../fixtures/redis-process.ts'
import { sized } from '../fixtures/test-form.ts'
import { startRedis } from '../fixtures/redis-server.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const REPLICAS = 3
/** So many acknowledged writes a run must be about, however long that takes. */
const MANY = 100
/** Long enough for some hundred writes and polls. */
const A_WHILE_MS = sized(700, 2_000)

t.test('Redis killed and restarted with its append-only file', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t, { keeps: 'aof' })
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
  fleet.write()
  await sleep(A_WHILE_MS)
  await redis.kill()
  await fleet.untilAll('has lost the store', ({ status }) => status === 'store unavailable')
  const before = fleet.answered
  await sleep(A_WHILE_MS)
  await until('polls are answered all the time', () => fleet.answered > before)
  await until('writes are refused meanwhile', () => fleet.count('refused') > 0)
  await redis.start()
  await fleet.untilAll('follows again', ({ status }) => status === 'following')
  await sleep(A_WHILE_MS)
  await until('there are many writes', () => fleet.count('acknowledged') > MANY)
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})

t.test(
  'Redis killed and restarted empty: nothing changes for agents, and restore brings everything back',
  async (t) => {
    if (isRedisMissing(t)) return
    const redis = await startRedis(t)
    const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
    fleet.write()
    await sleep(A_WHILE_MS)
    await fleet.rest()
    await fleet.converged()
    await fleet.keepJournal()
    fleet.write()
    await redis.kill()
    await redis.start({ empty: true })
    await fleet.untilAll('says that the store has gone back', ({ status }) => status === 'store regressed')
    await fleet.rest()
    const served = await fleet.record(0)
    await sleep(A_WHILE_MS)
    t.strictSame((await fleet.record(0)).seq, served.seq, 'it serves what it served')
    await fleet.decide('restore', 0)
    fleet.write()
    await sleep(A_WHILE_MS)
    const { violations } = await fleet.check()
    t.strictSame(violations, [])
    t.strictSame(fleet.unanswered, [])
  },
)

t.test('Redis restored from an older backup: the same', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t, { keeps: 'rdb' })
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
  fleet.write()
  await sleep(A_WHILE_MS / 2)
  await redis.call('SAVE')
  await copyFile(join(redis.folder, 'dump.rdb'), join(redis.folder, 'backup.rdb'))
  await sleep(A_WHILE_MS)
  await fleet.rest()
  await fleet.converged()
  await fleet.keepJournal()
  await redis.kill()
  await copyFile(join(redis.folder, 'backup.rdb'), join(redis.folder, 'dump.rdb'))
  await redis.start()
  await fleet.untilAll('says that the store has gone back', ({ status }) => status === 'store regressed')
  await fleet.decide('restore', 1)
  fleet.write()
  await sleep(A_WHILE_MS)
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})

t.test(
  'Redis flushed under running replicas, and accepted as it is: agents hold, and nobody goes back by himself',
  async (t) => {
    if (isRedisMissing(t)) return
    const redis = await startRedis(t)
    const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
    fleet.write()
    await sleep(A_WHILE_MS)
    await fleet.rest()
    await fleet.converged()
    await fleet.keepJournal()
    await redis.call('FLUSHALL')
    await fleet.untilAll('says that the store has gone back', ({ status }) => status === 'store regressed')
    const before = fleet.answered
    await sleep(A_WHILE_MS)
    await until('polls are answered all the time', () => fleet.answered > before)
    await fleet.restart(2, 'SIGKILL')
    await fleet.untilAll('still says so', ({ status }) => status === 'store regressed')
    await fleet.decide('restore', 2)
    fleet.write()
    await sleep(A_WHILE_MS)
    const { violations } = await fleet.check()
    t.strictSame(violations, [])
    t.strictSame(fleet.unanswered, [])
  },
)

t.test('an older backup that is accepted: all replicas take it together, and only then', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startRedis(t, { keeps: 'rdb' })
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
  await redis.call('SAVE')
  await copyFile(join(redis.folder, 'dump.rdb'), join(redis.folder, 'backup.rdb'))
  const [channel = ''] = fleet.channels
  const asked = async () => (await fleet.server(0).poll.get(`/v1/${channel}/version`)).body
  fleet.write()
  await sleep(A_WHILE_MS)
  await until('the channel has moved', async () => (await asked()) !== '1.0.0')
  await fleet.rest()
  await fleet.converged()
  await redis.kill()
  await copyFile(join(redis.folder, 'backup.rdb'), join(redis.folder, 'dump.rdb'))
  await redis.start()
  await fleet.untilAll('says that the store has gone back', ({ status }) => status === 'store regressed')
  t.not(await asked(), '1.0.0', 'what was served is served until somebody decides')
  await fleet.decide('accept', 1)
  await fleet.converged()
  t.equal(await asked(), '1.0.0', 'and then what the backup has')
})
