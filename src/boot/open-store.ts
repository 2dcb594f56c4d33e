// Which store the configuration asks for, opened: the embedded one, or Redis with what replicas tell each other.
import { hostname } from 'node:os'
import { randomBytes, randomUUID } from 'node:crypto'
import { ConfigError, type Config, type RedisConfig } from '../config.ts'
import { checkDocument } from '../control/check-document.ts'
import { checkedStore } from '../store/checked-store.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import type { Clock } from '../lib/clock.ts'
import { lockFolder } from '../store/embedded/folder-lock.ts'
import { readLastKnownGood } from '../store/last-known-good.ts'
import { localCoordination } from '../store/local-coordination.ts'
import { openNotes, type NotesLog } from '../store/notes-keeper.ts'
import type { RedisLimits } from '../store/redis/limits.ts'
import { StoreDamaged, type Coordination, type Store } from '../store/port.ts'
import type { StoreWarning } from '../store/warning.ts'
import { unavailableStore } from '../store/unavailable-store.ts'

export interface OpenStore {
  readonly store: Store
  readonly coordination: Coordination
  /** Why the store is not served from, though the server starts; null where it is. */
  readonly damage: string | null
  /** What is wrong with the store's settings; rejects where it cannot be asked. */
  readonly warnings: () => Promise<readonly StoreWarning[]>
  /** Whether the store takes writes now, as far as is known. */
  readonly writeWarnings: () => readonly StoreWarning[]
  readonly close: () => Promise<void>
}

/** 64 bits: no two processes of one store have the same. It is no secret. */
const PROCESS_TOKEN_BYTES = 8

/** Throws ConfigError or an error with one line that says what to do. */
export async function openStore(
  config: Config,
  clock: Clock,
  log: NotesLog,
  limits: Partial<RedisLimits> = {},
): Promise<OpenStore> {
  return config.redis === null ? openEmbedded(config.dataDir, clock, log) : openRedis(config, config.redis, log, limits)
}

/** A name that no other process has, and that says which machine it is on. */
export function newReplicaId(): string {
  const host = hostname().replaceAll(/[^A-Za-z0-9._-]/g, '-') || 'replica'
  return `${host.slice(0, 50)}-${randomUUID().slice(0, 8)}`
}

/** What tells this process from every other one, whatever name it is given. */
export function newProcessToken(): string {
  return randomBytes(PROCESS_TOKEN_BYTES).toString('hex')
}

/**
 * The embedded store in a folder, and the notes beside it. A damaged store leaves the last known good state to serve; without
 * one there is nothing to start for.
 */
export async function openEmbedded(dataDir: string, clock: Clock, log: NotesLog): Promise<OpenStore> {
  const now = (): number => clock.now()
  const warnings = (): Promise<[]> => Promise.resolve([])
  const writeWarnings = (): [] => []
  try {
    const store = await openEmbeddedStore(dataDir)
    // Only now: the folder is locked as long as the store is open.
    const keeper = await openNotes({ folder: dataDir, clock, log })
    const coordination = localCoordination(now, keeper.notes)
    const close = async (): Promise<void> => {
      await keeper.close()
      await store.close()
    }
    return { store: checkedStore(store, checkDocument), coordination, damage: null, warnings, writeWarnings, close }
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error
    const good = await readLastKnownGood(dataDir)
    if (good.outcome === 'read') {
      const store = unavailableStore(error.message)
      // Nothing is driven while nothing can be committed, and the folder stays as it is: there is nothing to note in it.
      const coordination = localCoordination(now)
      return { store, coordination, damage: error.message, warnings, writeWarnings, close: () => store.close() }
    }
    const also = good.outcome === 'absent' ? 'there is no last-known-good file to serve from' : good.why
    const advice = `restore ${dataDir} from a backup, or set BELLWETHER_DATA_DIR to another folder`
    throw new Error(`${error.message}, and ${also}; nothing was changed: ${advice}`, { cause: error })
  }
}

/** The data directory keeps the last-known-good file, so it belongs to one replica here too. */
async function openRedis(
  { dataDir }: Config,
  { url, prefix, waitReplicas }: RedisConfig,
  log: NotesLog,
  limits: Partial<RedisLimits>,
): Promise<OpenStore> {
  // Loaded only where it is used: the embedded store's users need not pay for it.
  const [{ openRedisStore }, { parseRedisUrl }] = await Promise.all([
    import('../store/redis/redis-store.ts'),
    import('../store/redis/redis-url.ts'),
  ])
  const target = parseRedisUrl(url)
  if (target.outcome === 'unparsed') throw new ConfigError([`BELLWETHER_REDIS_URL ${target.message}`])
  const lock = lockFolder(dataDir)
  const store = openRedisStore({ target: target.value, prefix, waitReplicas, limits, log })
  return {
    store: checkedStore(store, checkDocument),
    coordination: store.coordination,
    damage: null,
    warnings: () => store.serverWarnings(),
    writeWarnings: () => store.writeWarnings(),
    async close() {
      await store.close()
      lock.release()
    },
  }
}
