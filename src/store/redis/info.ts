// What INFO and CONFIG GET say of a server, read once: null or undefined is what the server does not tell.
import type { Redis } from 'ioredis'
import type { WriteConditions } from './write-state.ts'

export type Info = ReadonlyMap<string, string>

/** Above this share of maxmemory an operator is warned: enough is left for halts and rollbacks until somebody acts. */
const NEARLY_FULL_SHARE = 0.9
/** Redis holds back scripts by min-replicas-to-write from here on. */
const SCRIPTS_HELD_BACK_MAJOR = 7

export async function infoOf(server: Redis): Promise<Info | null> {
  const text = await allowed(server.info())
  return text === null ? null : fieldsOf(text)
}

/** The value of a setting; null where the user may not ask, or this Redis does not have it. */
export async function settingOf(server: Redis, name: string): Promise<string | null> {
  const reply = await allowed(server.config('GET', name))
  return reply?.[1] ?? null
}

export function versionOf(info: Info): { readonly major: number; readonly minor: number } {
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '').split('.').map(Number)
  return { major, minor }
}

/** Every reason that INFO knows why the next write is refused, in the words of Redis' own errors. */
export async function writeConditionsOf(server: Redis, info: Info): Promise<WriteConditions> {
  const reasons: string[] = []
  if (info.get('loading') === '1') reasons.push('LOADING Redis is loading the dataset in memory')
  if (info.get('role') === 'slave' && info.get('slave_read_only') !== '0') {
    const primary = `${info.get('master_host')}:${info.get('master_port')}`
    reasons.push(`READONLY this server is a replica of ${primary}`)
  }
  if (info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'err')
    reasons.push('MISCONF the append-only file cannot be written')
  if (await isStoppedBySaving(server, info)) reasons.push('MISCONF the last snapshot could not be saved')
  const missing = await missingReplicas(server, info)
  if (missing !== null) reasons.push(missing)
  const memory = memoryOf(info)
  if (memory !== null && memory.share > 1) reasons.push(`OOM ${memory.text}`)
  const isNear = memory !== null && memory.share >= NEARLY_FULL_SHARE && memory.share <= 1
  return { refusal: reasons.length === 0 ? null : reasons.join('; '), nearlyFull: isNear ? memory.text : null }
}

async function isStoppedBySaving(server: Redis, info: Info): Promise<boolean> {
  if (info.get('rdb_last_bgsave_status') !== 'err') return false
  if ((await settingOf(server, 'save')) === '') return false
  return (await settingOf(server, 'stop-writes-on-bgsave-error')) === 'yes'
}

async function missingReplicas(server: Redis, info: Info): Promise<string | null> {
  // It is there only where min-replicas-to-write is set.
  const good = info.get('min_slaves_good_slaves')
  if (good === undefined || versionOf(info).major < SCRIPTS_HELD_BACK_MAJOR) return null
  const setting = await settingOf(server, 'min-replicas-to-write')
  const wanted = setting === null ? 1 : Number(setting)
  return Number(good) < wanted ? `NOREPLICAS ${good} good replicas; min-replicas-to-write is ${wanted}` : null
}

/** Only where nothing is evicted: otherwise there is the warning `eviction`, and Redis makes room by itself. */
function memoryOf(info: Info): { readonly share: number; readonly text: string } | null {
  const maxBytes = Number(info.get('maxmemory') ?? 0)
  if (!(maxBytes > 0) || info.get('maxmemory_policy') !== 'noeviction') return null
  // Redis does not count the buffers of its replicas and of its append-only file.
  const usedBytes = Number(info.get('used_memory') ?? 0) - Number(info.get('mem_not_counted_for_evict') ?? 0)
  return { share: usedBytes / maxBytes, text: `it uses ${usedBytes} of ${maxBytes} bytes of maxmemory` }
}

/** The answer to a command; null where the user may not give it, or this Redis does not have it. */
async function allowed<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Error && /^NOPERM|unknown (?:sub)?command/i.test(error.message)) return null
    throw error
  }
}

function fieldsOf(info: string): Info {
  const fields = new Map<string, string>()
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}
