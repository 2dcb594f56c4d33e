// What replicas tell each other through Redis: leases, announcements and small facts. None of it is durable.
import type { Coordination, JsonObject } from '../port.ts'
import { announceKeys } from './keys.ts'
import { listOf } from './replies.ts'
import { refusal } from './refusal.ts'
import { runScript } from './scripts.ts'
import type { Session } from './session.ts'

/** Announcements read at once; far more than a store has replicas. */
const ANNOUNCEMENTS_MAX = 1_000
/** Bytes of one announcement; a replica's own has about 500. */
const ANNOUNCEMENT_BYTES_MAX = 16 * 1_024
/** A lease that would last for longer is no replica's; far above what any of them asks for. */
const LEASE_MS_MAX = 600_000
/** The longest owner: a name of 63 characters, and what follows it. */
const LEASE_OWNER_BYTES_MAX = 128

export function redisCoordination(session: Session): Coordination {
  const { keys } = session
  const lease = async (name: string, owner: string, ttlMs: number): Promise<readonly string[]> => {
    const args = [owner, String(ttlMs), String(LEASE_MS_MAX), String(LEASE_OWNER_BYTES_MAX)]
    return session.read('Taking a lease', async (client) =>
      listOf(await runScript(client, 'lease', [keys.lease(name)], args)),
    )
  }
  const announce = (args: readonly string[]): Promise<readonly string[]> =>
    session.read('Announcing', async (client) => {
      const reply = listOf(await runScript(client, 'announce', announceKeys(keys), args))
      if (reply[0] === 'forbidden') throw refusal(reply, null)
      return reply
    })
  return {
    async lease(name, owner, ttlMs, tookOver) {
      // A lease of no time at all is one that is given back.
      const [outcome, detail = '', value = ''] = await lease(name, owner, Math.max(1, Math.ceil(ttlMs)))
      // What another owner has is not written.
      if (outcome !== 'refused') session.writes.accepted()
      if (outcome === 'taken_over') tookOver?.({ value, detail })
      return outcome !== 'refused'
    },
    release: async (name, owner) => void (await lease(name, owner, 0)),
    async announce(id, body, ttlMs) {
      await announce([id, JSON.stringify(body), String(Math.ceil(ttlMs))])
      session.writes.accepted()
    },
    async announced() {
      const list = await announce([String(ANNOUNCEMENTS_MAX), String(ANNOUNCEMENT_BYTES_MAX)])
      const replicas = new Map<string, JsonObject | null>()
      for (let index = 0; index < list.length; index += 2) {
        replicas.set(list[index] ?? '', objectIn(list[index + 1] ?? ''))
      }
      return replicas
    },
    async note(topic, facts, keepMs) {
      const kept = Object.entries(facts).flatMap(([name, fact]) => (fact === null ? [] : [name, fact]))
      const gone = Object.entries(facts).flatMap(([name, fact]) => (fact === null ? [name] : []))
      await session.read('Keeping a fact', async (client) => {
        if (kept.length > 0) {
          await client.hset(keys.notes(topic), ...kept)
          if (keepMs !== undefined) await client.pexpire(keys.notes(topic), keepMs)
        }
        if (gone.length > 0) await client.hdel(keys.notes(topic), ...gone)
      })
    },
    remember: (name, fact, keepMs) =>
      session.read('Keeping a fact', async (client) => {
        await client.set(keys.fact(name), fact, 'PX', Math.max(1, Math.ceil(keepMs)))
      }),
    remembered: (name) => session.read('Reading a fact', (client) => client.get(keys.fact(name))),
    noted: (topic) =>
      session.read('Reading facts', async (client) => new Map(Object.entries(await client.hgetall(keys.notes(topic))))),
  }
}

/** The JSON object that a text is, null where it is none: any program with the password can announce. */
function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    // What JSON.parse gives is JSON.
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
  } catch {
    return null
  }
}
