// The Lua scripts of this folder, read once, and the one way to run them.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX } from '../sizes.ts'
import type { RedisClient } from './connection.ts'

/** What stands before a script: what several of them share. A script is sent with it, as one text. */
const PRELUDES = {
  commit: ['rights', 'standing', 'append'],
  position: ['standing'],
  'start-epoch': ['rights', 'standing', 'append'],
  documents: [],
  entries: [],
  lease: [],
  announce: ['rights'],
  confirm: [],
} as const satisfies Readonly<Record<string, readonly string[]>>
/** What every script begins with. */
const LIMITS = `local DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX = ${DOCUMENT_BYTES_MAX}, ${ENTRY_BYTES_MAX}`

export type ScriptName = keyof typeof PRELUDES

interface Script {
  readonly text: string
  readonly sha1: string
}

const scripts: ReadonlyMap<string, Script> = new Map(
  Object.entries(PRELUDES).map(([name, preludes]) => {
    const text = [LIMITS, ...[...preludes, name].map(read)].join('\n')
    return [name, { text, sha1: createHash('sha1').update(text).digest('hex') }]
  }),
)

function read(name: string): string {
  return readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8')
}

/** The whole text of a script, as Redis runs it. */
export function scriptText(name: ScriptName): string {
  const script = scripts.get(name)
  if (script === undefined) throw new Error(`there is no script ${name}`)
  return script.text
}

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
  return client.call('eval', [scriptText(name), keys.length, ...keys, ...args])
}
