// Whether the Redis user may do all that the scripts do that write, and ask for the time: asked from the start on, and changing
// nothing.
import type { Redis } from 'ioredis'
import { serverOf, type RedisClient } from './connection.ts'
import { announceKeys, writtenKeys, type Keys } from './keys.ts'
import { missingRight } from './refusal.ts'
import { listOf } from './replies.ts'
import { runScript, type ScriptName } from './scripts.ts'

/** One sentence for every right that is found missing; each script names its first. */
export async function missingRights(client: RedisClient, keys: Keys): Promise<readonly string[]> {
  const scripts = [
    ['commit', writtenKeys(keys)],
    ['start-epoch', writtenKeys(keys)],
    ['announce', announceKeys(keys)],
  ] as const
  const missing = new Set<string>()
  for (const [name, scriptKeys] of scripts) {
    const why = await missingFor(client, name, scriptKeys)
    if (why !== null) missing.add(why)
  }
  for (const [why, ask] of READS) if (!(await mayAsk(client, keys, ask))) missing.add(why)
  return [...missing]
}

const NO_TIME =
  'Redis does not allow time to its user, so no replica that starts ends a pin, a critical flag or a stage; give it the rights of docs/redis.md'

const NO_PTTL =
  'Redis does not allow pttl to its user, so a lease that another program has set without an end is never taken over; give it the rights of docs/redis.md'

type Ask = (server: Redis, keys: Keys) => Promise<unknown>

const READS: readonly (readonly [why: string, ask: Ask])[] = [
  [NO_TIME, (server) => server.time()],
  [NO_PTTL, (server, keys) => server.pttl(keys.meta)],
]

async function mayAsk(client: RedisClient, keys: Keys, ask: Ask): Promise<boolean> {
  const server = await serverOf(client, keys.meta)
  try {
    if (server !== null) await ask(server, keys)
    return true
  } catch (error) {
    if (isForbidden(error)) return false
    throw error
  }
}

function isForbidden(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith('NOPERM')
}

async function missingFor(client: RedisClient, name: ScriptName, keys: readonly string[]): Promise<string | null> {
  try {
    const [verdict, command = '', key = ''] = listOf(await runScript(client, name, keys, ['prove']))
    return verdict === 'forbidden' ? missingRight(command, key) : null
  } catch (error) {
    // No right to run scripts, or to a key at all: Redis refuses that before the script begins.
    if (isForbidden(error)) return missingRight('a script', keys.join(' '))
    throw error
  }
}
