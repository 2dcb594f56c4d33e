// Looks whether Redis is set up to keep what it is given (eviction policy, persistence, version, the rights that the scripts need),
// and whether it takes writes now.
import type { Redis } from 'ioredis'
import { SETTINGS_UNCHECKED, type StoreWarning } from '../warning.ts'
import { primariesOf, serverOf, type RedisClient } from './connection.ts'
import { refusalIn } from './faults.ts'
import { infoOf, settingOf, versionOf, writeConditionsOf, type Info } from './info.ts'
import { missingRights } from './rights.ts'
import type { Session } from './session.ts'
import type { WriteConditions } from './write-state.ts'

/** XREAD, XADD and ZSET commands as they are used here, and scripts whose effects are replicated. */
const OLDEST = { text: '6.2', major: 6, minor: 2 } as const

/**
 * What is wrong with the settings of any server that holds data, each once. What could not be checked is a warning, too. Whether the
 * server takes writes is told to `session.writes`.
 */
export async function serverWarnings(session: Session): Promise<readonly StoreWarning[]> {
  const found = await session.read('Looking at the settings of Redis', async (client) => {
    const servers = primariesOf(client)
    const looks = await Promise.all(servers.map(lookAt))
    // Keys are in one slot, so in a Cluster only one server is written to.
    const home = await serverOf(client, session.keys.meta)
    const written = looks.filter(({ server }) => home === null || server === home)
    const conditions = written.flatMap((look) => look.conditions ?? [])
    session.writes.looked({
      refusal: conditions.find(({ refusal }) => refusal !== null)?.refusal ?? null,
      nearlyFull: conditions.find(({ nearlyFull }) => nearlyFull !== null)?.nearlyFull ?? null,
    })
    // Last: a server that still loads, or is a replica, refuses the scripts, and then the connection is made anew.
    const rights = await rightsWarnings(client, session)
    const none = servers.length === 0 ? [unchecked('settings', 'the Cluster does not say which servers it has')] : []
    return [...rights, ...none, ...looks.flatMap(({ warnings }) => warnings)]
  })
  return [...new Map(found.map((warning) => [`${warning.code} ${warning.message}`, warning])).values()]
}

/** Only what the server itself says of its state is no reason to stop here; any other fault is of the connection. */
async function rightsWarnings(client: RedisClient, { keys }: Session): Promise<readonly StoreWarning[]> {
  try {
    const rights = await missingRights(client, keys)
    return rights.length === 0 ? [] : [{ code: 'missing_rights', message: rights.join('; ') }]
  } catch (error) {
    const reason = refusalIn(error)
    if (reason === null) throw error
    return [unchecked('rights of the user', reason)]
  }
}

interface Look {
  readonly server: Redis
  readonly warnings: readonly StoreWarning[]
  /** null where INFO may not be asked. */
  readonly conditions: WriteConditions | null
}

async function lookAt(server: Redis): Promise<Look> {
  const info = await infoOf(server)
  if (info === null) return { server, warnings: [unknown('INFO')], conditions: null }
  const [warnings, conditions] = await Promise.all([settingsWarnings(server, info), writeConditionsOf(server, info)])
  return { server, warnings, conditions }
}

async function settingsWarnings(server: Redis, info: Info): Promise<readonly StoreWarning[]> {
  const warnings: StoreWarning[] = []
  const version = info.get('redis_version')
  const { major, minor } = versionOf(info)
  if (version === undefined) warnings.push(unknown('redis_version of INFO'))
  else if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    warnings.push({ code: 'old_version', message: `Redis is ${version}; Bellwether needs ${OLDEST.text} or newer` })
  }
  const policy = info.get('maxmemory_policy')
  if (policy === undefined) warnings.push(unknown('maxmemory_policy of INFO'))
  else if (policy !== 'noeviction') {
    const message = `Redis may throw away what it holds (maxmemory-policy ${policy}); set maxmemory-policy noeviction`
    warnings.push({ code: 'eviction', message })
  }
  if (info.get('aof_enabled') === '1') return warnings
  const schedule = await settingOf(server, 'save')
  if (schedule === null) warnings.push(unknown('CONFIG GET'))
  else if (schedule === '') {
    const message = 'Redis keeps nothing on disk, so a restart loses everything; set appendonly yes'
    warnings.push({ code: 'no_persistence', message })
  } else {
    const message = `Redis saves snapshots only (save ${schedule}), so a crash loses every write since the last one; set appendonly yes`
    warnings.push({ code: 'snapshots_only', message })
  }
  return warnings
}

/** A hosted server may not let this be asked, and have persistence of its own; who runs Bellwether there must look. */
function unknown(command: string): StoreWarning {
  const message = `Redis does not let ${command} be asked, so whether it keeps what it is given is not known; see docs/redis.md`
  return { code: 'settings_unknown', message }
}

function unchecked(what: string, why: string): StoreWarning {
  return { code: SETTINGS_UNCHECKED, message: `Redis could not be asked for the ${what} (${why}); see docs/redis.md` }
}
