// Whether the Redis user may do all that the scripts do that write: asked from the start on, and changing nothing.
import type { RedisClient } from './connection.ts'
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
  return [...missing]
}

async function missingFor(client: RedisClient, name: ScriptName, keys: readonly string[]): Promise<string | null> {
  try {
    const [verdict, command = '', key = ''] = listOf(await runScript(client, name, keys, ['prove']))
    return verdict === 'forbidden' ? missingRight(command, key) : null
  } catch (error) {
    // No right to run scripts, or to a key at all: Redis refuses that before the script begins.
    if (error instanceof Error && error.message.startsWith('NOPERM')) return missingRight('a script', keys.join(' '))
    throw error
  }
}
