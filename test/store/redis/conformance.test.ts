// The Redis store passes what every store must, on a single server, on a Cluster, and with the least rights.
import t, { type Test } from 'tap'
import { isRedisMissing } from '../../fixtures/redis-process.ts'
import { leastRights } from '../../fixtures/redis-rights.ts'
import { startCluster, startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { conformance, type MakePlace } from '../conformance.ts'

/** Thousands of commits on a machine that is busy take their time. */
t.setTimeout(240_000)

/** Places in one Redis are kept apart by their prefixes. */
function placesAt(url: string, name = 'place'): MakePlace {
  let places = 0
  return async (t: Test) => {
    const prefix = `${name}-${(places += 1)}`
    return { open: async () => openAt(t, url, { prefix }) }
  }
}

/** The server, as the user of docs/redis.md. */
async function leastUrl(server: RedisServer): Promise<string> {
  const rules = await leastRights('least-*')
  await server.call('ACL', 'SETUSER', 'least', 'reset', 'on', '>secret', ...rules)
  return server.url.replace('//', '//least:secret@')
}

if (!isRedisMissing(t)) {
  const [server, cluster] = await Promise.all([startRedis(t), startCluster(t)])
  conformance(t, 'one Redis server', placesAt(server.url))
  conformance(t, 'a Redis Cluster', placesAt(cluster.url))
  conformance(t, 'a user with the least rights', placesAt(await leastUrl(server), 'least'))
}
