// Three replicas on one Redis, each behind a proxy of its own, and what can happen to Redis and to the way there.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../bench/random.ts'
import { Fleet } from '../../test/fixtures/fleet.ts'
import { leastRights } from '../../test/fixtures/redis-rights.ts'
import { startRedis, type RedisServer } from '../../test/fixtures/redis-server.ts'
import { startProxy, type CutMoment, type TcpProxy } from '../../test/fixtures/tcp-proxy.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import type { FaultKind } from './fault-plan.ts'
import { junkFaults } from './junk-faults.ts'
import { replicaFaults } from './replica-faults.ts'
import { soakFleet, type World } from './world.ts'

const REPLICAS = 3
/** One for each replica: whatever is written into it directly, that replica alone mends. */
const JUNK_CHANNELS = Array.from({ length: REPLICAS }, (_, index) => `junk/${index}`)
const OPERATORS = 2
const USER = 'bellwether'
const PASSWORD = 'secret'
/** Redis is down, still or without a right for at most this long: longer than every limit of the servers. */
const TROUBLE_MAX_MS = 4_000
/** A port that was free can be in use by the other end of a connection for a moment. */
const START_TRIES_MAX = 20
const START_PAUSE_MS = 500
const DELAY_MAX_MS = 800
/** A commit names its request, and the markers of operators are in it. */
const COMMIT = /write-\d+/
/** While nothing is written there is nothing to cut. */
const CUT_WAIT_MAX_MS = 5_000
/** What commits, announcements, leases and readers cannot do without. */
const RIGHTS = ['hset', 'xadd', 'zadd', 'zrem', 'time', 'evalsha', 'xread', 'xrange', 'hget', 'hmget', 'set']

export async function startRedisWorld(t: Teardown, random: Random): Promise<World> {
  const user = ['--user', USER, 'on', `>${PASSWORD}`, ...(await leastRights('bellwether'))]
  const redis = await startRedis(t, { keeps: 'aof', args: user, isDetached: true })
  const proxies = await Promise.all(Array.from({ length: REPLICAS }, () => startProxy(t, redis.port)))
  const urls = proxies.map(({ port }) => `redis://${USER}:${PASSWORD}@127.0.0.1:${port}`)
  const fleet = await Fleet.start(t, { urls, ...soakFleet(random), ownChannels: JUNK_CHANNELS })
  fleet.write(OPERATORS)
  fleet.release()
  return {
    fleet,
    kinds: [
      ...replicaFaults(fleet),
      ...redisFaults(redis),
      ...junkFaults(fleet, redis),
      ...proxies.flatMap(proxyFaults),
    ],
  }
}

function redisFaults(redis: RedisServer): readonly FaultKind[] {
  const fault = (kind: string, weight: number, cause: (troubleMs: number, random: Random) => () => Promise<void>) => ({
    kind,
    weight,
    draw: (random: Random) => ({ part: 'redis', cause: cause(100 + random.next(TROUBLE_MAX_MS), random) }),
  })
  return [
    fault('kill -9 of Redis', 2, (troubleMs) => async () => {
      await redis.kill()
      await sleep(troubleMs / 2)
      await startAgain(redis)
    }),
    fault('SIGSTOP of Redis', 1.5, (troubleMs) => async () => {
      redis.pause()
      await sleep(troubleMs)
      redis.resume()
    }),
    fault('CLIENT KILL of all', 1.5, () => async () => {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }),
    fault('a right taken away', 2, (troubleMs, random) => {
      const right = random.pick(RIGHTS)
      return async () => {
        await redis.call('ACL', 'SETUSER', USER, `-${right}`)
        await sleep(troubleMs)
        await redis.call('ACL', 'SETUSER', USER, `+${right}`)
      }
    }),
  ]
}

async function startAgain(redis: RedisServer): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await redis.start()
      return
    } catch (error) {
      if (tries === START_TRIES_MAX) throw error
      await sleep(START_PAUSE_MS)
    }
  }
}

function proxyFaults(proxy: TcpProxy, index: number): readonly FaultKind[] {
  const fault = (
    kind: string,
    weight: number,
    cause: (troubleMs: number, random: Random) => () => Promise<boolean | void>,
  ): FaultKind => ({
    kind,
    // There are three of each.
    weight: weight / REPLICAS,
    draw: (random) => ({ part: `proxy ${index}`, cause: cause(100 + random.next(TROUBLE_MAX_MS), random) }),
  })
  return [
    fault('connections cut', 2, () => async () => proxy.cut()),
    fault('connections cut around a commit', 2, (_, random) => {
      const moment: CutMoment = random.pick(['before', 'during', 'after'])
      return () =>
        Promise.race([proxy.cutAt(moment, COMMIT).then(() => true), sleep(CUT_WAIT_MAX_MS).then(() => false)])
    }),
    fault('connections refused', 1, (troubleMs) => async () => {
      proxy.refuse(true)
      proxy.cut()
      await sleep(troubleMs)
      proxy.refuse(false)
    }),
    fault('network that passes nothing', 1, (troubleMs) => async () => {
      proxy.blackhole(true)
      await sleep(troubleMs)
      proxy.blackhole(false)
    }),
    fault('answers that get lost', 1, (troubleMs) => async () => {
      proxy.swallowReplies(true)
      await sleep(troubleMs)
      // TCP loses nothing in the middle of a connection that goes on.
      proxy.cut()
      proxy.swallowReplies(false)
    }),
    fault('connections closed by half', 1, () => async () => proxy.halfClose()),
    fault('slow network', 1, (troubleMs, random) => {
      const delayMs = random.next(DELAY_MAX_MS)
      return async () => {
        proxy.delay(delayMs)
        await sleep(troubleMs)
        proxy.delay(0)
      }
    }),
  ]
}
