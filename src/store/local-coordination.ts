// Coordination where there is one replica only: the embedded store's folder is locked, so whoever asks is alone.
import { Notes } from './notes.ts'
import type { Coordination, JsonObject } from './port.ts'

/** Facts that are remembered at once, some 200 bytes each; the oldest is forgotten first. */
const FACTS_MAX = 10_000

interface Timed<T> {
  readonly value: T
  readonly endsAt: number
}

/**
 * `now` is the time in milliseconds. Times are kept as with many replicas, so that what is no longer renewed ends here too.
 * Leases and announcements end with the process; `notes` live as long as whoever gives them has them live.
 */
export function localCoordination(now: () => number, notes = new Notes(now)): Coordination {
  const leases = new Map<string, Timed<string>>()
  const facts = new Map<string, Timed<string>>()
  const announcements = new Map<string, Timed<JsonObject>>()
  return {
    async lease(name, owner, ttlMs) {
      const time = now()
      const held = leases.get(name)
      if (held !== undefined && held.value !== owner && held.endsAt > time) return false
      leases.set(name, { value: owner, endsAt: time + ttlMs })
      return true
    },
    async release(name, owner) {
      if (leases.get(name)?.value === owner) leases.delete(name)
    },
    async announce(id, body, ttlMs) {
      announcements.set(id, { value: body, endsAt: now() + ttlMs })
    },
    async announced() {
      const time = now()
      for (const [id, { endsAt }] of announcements) if (endsAt <= time) announcements.delete(id)
      return new Map([...announcements].map(([id, { value }]) => [id, value]))
    },
    async remember(name, fact, keepMs) {
      facts.delete(name)
      facts.set(name, { value: fact, endsAt: now() + keepMs })
      const [oldest] = facts.keys()
      if (facts.size > FACTS_MAX && oldest !== undefined) facts.delete(oldest)
    },
    async remembered(name) {
      const fact = facts.get(name)
      return fact === undefined || fact.endsAt <= now() ? null : fact.value
    },
    async note(topic, noted) {
      notes.note(topic, noted)
    },
    async noted(topic) {
      return notes.noted(topic)
    },
  }
}
