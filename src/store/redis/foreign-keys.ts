// Keys of the store that another program has put something else at: Redis says that there is one, and not which.
import { StoreDamaged } from '../port.ts'
import type { RedisClient } from './connection.ts'
import type { Keys } from './keys.ts'

/** The fault of a call, with the names of the keys that are of another type where that is why it failed. */
export async function withForeignKeys(error: unknown, fault: Error, client: RedisClient, keys: Keys): Promise<Error> {
  if (!(error instanceof Error) || !error.message.includes('WRONGTYPE')) return fault
  const foreign = await foreignKeys(client, keys)
  if (foreign.length === 0) return fault
  const advice = 'another program may use the same prefix; see docs/runbooks/store-damaged.md'
  return new StoreDamaged(
    `The store is damaged: in Redis ${foreign.join(', ')} is of another type than Bellwether writes; ${advice}`,
  )
}

/** None where they cannot be asked for; then the fault says so without names. */
async function foreignKeys(client: RedisClient, keys: Keys): Promise<readonly string[]> {
  const types = [
    [keys.meta, 'hash'],
    [keys.documents, 'hash'],
    [keys.revisions, 'hash'],
    [keys.journal, 'stream'],
    [keys.subjects, 'zset'],
    [keys.requests, 'hash'],
    [keys.replicas, 'hash'],
    [keys.replicaEnds, 'zset'],
  ] as const
  try {
    const found = await Promise.all(types.map(([key]) => client.type(key)))
    return types.flatMap(([key, type], index) => (['none', type].includes(found[index] ?? '') ? [] : [key]))
  } catch {
    return []
  }
}
