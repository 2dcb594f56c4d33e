// Looks whether Redis is set up to keep what it is given: an eviction policy, persistence, a version that
// has what is needed, and the rights that the scripts need.
import type { Redis } from 'ioredis'
import type { StoreWarning } from '../port.ts'
import { primariesOf } from './connection.ts'
import { missingRights } from './rights.ts'
import type { Session } from './session.ts'

/** XREAD, XADD and ZSET commands as they are used here, and scripts whose effects are replicated. */
const OLDEST = { text: '6.2', major: 6, minor: 2 } as const

/** What is wrong with any server that holds data, each once. */
export async function serverWarnings(session: Session): Promise<readonly StoreWarning[]> {
  const found = await session.read('Looking at the settings of Redis', async (client) => {
    const rights = await missingRights(client, session.keys)
    const settings = await Promise.all(primariesOf(client).map(warningsOf))
    const missing = rights.length === 0 ? [] : [{ code: 'missing_rights', message: rights.join('; ') }]
    return [...missing, ...settings.flat()]
  })
  return [...new Map(found.map((warning) => [warning.code, warning])).values()]
}

async function warningsOf(server: Redis): Promise<readonly StoreWarning[]> {
  const text = await allowed(server.info())
  if (text === null) return [unknown('INFO')]
  const info = fieldsOf(text)
  const warnings: StoreWarning[] = []
  const version = info.get('redis_version') ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    warnings.push({ code: 'old_version', message: `Redis is ${version}; Bellwether needs ${OLDEST.text} or newer` })
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    const message = `Redis may throw away what it holds (maxmemory-policy ${policy}); set maxmemory-policy noeviction`
    warnings.push({ code: 'eviction', message })
  }
  if (info.get('aof_enabled') === '1') return warnings
  const schedule = await allowed(server.config('GET', 'save'))
  if (schedule === null) warnings.push(unknown('CONFIG GET'))
  else if ((schedule[1] ?? '') === '') {
    const message = 'Redis keeps nothing on disk, so a restart loses everything; set appendonly yes'
    warnings.push({ code: 'no_persistence', message })
  }
  return warnings
}

/** A hosted server may not let this be asked, and have persistence of its own; who runs Bellwether there must look. */
function unknown(command: string): StoreWarning {
  const message = `Redis does not let ${command} be asked, so whether it keeps what it is given is not known; see docs/redis.md`
  return { code: 'settings_unknown', message }
}

/** The answer to a command; null where the user may not give it, or this Redis does not have it. */
async function allowed<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Error && /^NOPERM|unknown command/i.test(error.message)) return null
    throw error
  }
}

function fieldsOf(info: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}
