// Redis changes its servers under the replicas: a Sentinel failover during writes, and a Cluster whose node goes and comes.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Fleet } from '../fixtures/fleet.ts'
import { isRedisMissing, until } from '../fixtures/redis-process.ts'
import { sized } from '../fixtures/test-form.ts'
import { startCluster, startSentinels } from '../fixtures/redis-server.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const A_WHILE_MS = sized(700, 2_000)
const REPLICAS = 3
/** So many acknowledged writes a run must be about, however long that takes. */
const MANY = 100

t.test(
  'a Sentinel failover during writes loses no acknowledged write, where a Redis replica must have each',
  async (t) => {
    if (isRedisMissing(t)) return
    const redis = await startSentinels(t, { replicas: 2 })
    const env = { BELLWETHER_REDIS_WAIT_REPLICAS: '1' }
    const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url), env })
    fleet.write()
    await sleep(A_WHILE_MS)
    const from = await redis.primaryPort()
    await [redis.primary, ...redis.replicas].find(({ port }) => port === from)?.kill()
    await redis.failedOver(from)
    await fleet.untilAll('follows again', ({ status }) => status === 'following')
    const acknowledged = fleet.count('acknowledged')
    await sleep(A_WHILE_MS)
    await until('writes go on', () => fleet.count('acknowledged') > acknowledged)
    await until('there are many writes', () => fleet.count('acknowledged') > MANY)
    const { violations } = await fleet.check()
    t.strictSame(violations, [])
    t.strictSame(fleet.unanswered, [])
  },
)

t.test('a Cluster of three: all of it on one node, which is killed and comes back', async (t) => {
  if (isRedisMissing(t)) return
  const redis = await startCluster(t, { keeps: 'aof' })
  const fleet = await Fleet.start(t, { urls: Array(REPLICAS).fill(redis.url) })
  fleet.write()
  await sleep(A_WHILE_MS)
  const sizes = await Promise.all(redis.nodes.map((node) => node.call('DBSIZE')))
  const holders = redis.nodes.filter((_, index) => Number(sizes[index]) > 0)
  t.equal(holders.length, 1, 'one slot holds the whole store')
  await holders[0]?.kill()
  await fleet.untilAll('has lost the store', ({ status }) => status === 'store unavailable')
  const before = fleet.answered
  await sleep(A_WHILE_MS)
  await until('polls are answered all the time', () => fleet.answered > before)
  await holders[0]?.start()
  await fleet.untilAll('follows again', ({ status }) => status === 'following')
  await sleep(A_WHILE_MS)
  await until('there are many writes', () => fleet.count('acknowledged') > MANY)
  const { violations } = await fleet.check()
  t.strictSame(violations, [])
  t.strictSame(fleet.unanswered, [])
})
