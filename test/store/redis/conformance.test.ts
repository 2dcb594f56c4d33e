// The Redis store passes what every store must, on a single server and on a Cluster.
import t, { type Test } from 'tap'
import { isRedisMissing } from '../../fixtures/redis-process.ts'
import { startCluster, startRedis } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { conformance, type MakePlace } from '../conformance.ts'

/** Thousands of commits on a machine that is busy take their time. */
t.setTimeout(240_000)

/** Places in one Redis are kept apart by their prefixes. */
function placesAt(url: string): MakePlace {
  let places = 0
  return async (t: Test) => {
    const prefix = `place-${(places += 1)}`
    return { open: async () => openAt(t, url, { prefix }) }
  }
}

if (!isRedisMissing(t)) {
  const [server, cluster] = await Promise.all([startRedis(t), startCluster(t)])
  conformance(t, 'one Redis server', placesAt(server.url))
  conformance(t, 'a Redis Cluster', placesAt(cluster.url))
}
