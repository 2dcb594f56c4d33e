// The Lua scripts of this folder, read once, and the one way to run them.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RedisClient } from './connection.ts'

const NAMES = ['commit', 'position', 'start-epoch', 'entries', 'lease', 'announce', 'confirm'] as const
export type ScriptName = (typeof NAMES)[number]

interface Script {
  readonly text: string
  readonly sha1: string
}

const scripts = new Map<ScriptName, Script>(
  NAMES.map((name) => {
    const text = readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8')
    return [name, { text, sha1: createHash('sha1').update(text).digest('hex') }]
  }),
)

/** Runs a script; the server is sent its text only where it does not know it yet. */
export async function runScript(
  client: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const script = scripts.get(name)
  if (script === undefined) throw new Error(`there is no script ${name}`)
  try {
    // As one list: a restore has more arguments than a call can have.
    return await client.call('evalsha', [script.sha1, keys.length, ...keys, ...args])
  } catch (error) {
    // The script was not run, so it can be sent again whatever it does.
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return client.call('eval', [script.text, keys.length, ...keys, ...args])
  }
}

/** Sends a script with its text, in this turn: for what must go over the same connection as what is sent next. */
export function sendScript(
  client: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return client.call('eval', [scripts.get(name)?.text ?? '', keys.length, ...keys, ...args])
}
