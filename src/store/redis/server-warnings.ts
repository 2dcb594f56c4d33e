// Looks whether Redis is set up to keep what it is given: an eviction policy, persistence, a version that has what is needed.
import type { Redis } from 'ioredis'
import type { StoreWarning } from '../port.ts'
import { primariesOf } from './connection.ts'
import type { Session } from './session.ts'

/** XREAD, XADD and ZSET commands as they are used here, and scripts whose effects are replicated. */
const OLDEST = { text: '6.2', major: 6, minor: 2 } as const

/** What is wrong with any server that holds data, each once. */
export async function serverWarnings(session: Session): Promise<readonly StoreWarning[]> {
  const found = await session.read('Looking at the settings of Redis', (client) =>
    Promise.all(primariesOf(client).map(warningsOf)),
  )
  return [...new Map(found.flat().map((warning) => [warning.code, warning])).values()]
}

async function warningsOf(server: Redis): Promise<readonly StoreWarning[]> {
  const info = fieldsOf(await server.info())
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
  const saves = info.get('aof_enabled') === '1' || (await savesSnapshots(server))
  if (!saves) {
    const message = 'Redis keeps nothing on disk, so a restart loses everything; set appendonly yes'
    warnings.push({ code: 'no_persistence', message })
  }
  return warnings
}

/** Whether RDB snapshots are on; hosted servers do not let that be asked, and have persistence of their own. */
async function savesSnapshots(server: Redis): Promise<boolean> {
  try {
    const [, schedule = ''] = await server.config('GET', 'save')
    return schedule !== ''
  } catch (error) {
    if (error instanceof Error && /unknown command|NOPERM/i.test(error.message)) return true
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
