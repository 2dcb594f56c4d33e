// Whether the Redis user may do all that the scripts do that write, and ask for the time: asked from the start on, and changing
// nothing.
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
  if (!(await mayAskTime(client, keys))) missing.add(NO_TIME)
  return [...missing]
}

const NO_TIME =
  'Redis does not allow time to its user, so no replica that starts ends a pin, a critical flag or a stage; give it the rights of docs/redis.md'

async function mayAskTime(client: RedisClient, keys: Keys): Promise<boolean> {
  const server = await serverOf(client, keys.meta)
  try {
    await server?.time()
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
