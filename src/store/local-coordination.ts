// Coordination where there is one replica only: the embedded store's folder is locked, so whoever asks is alone.
import type { Coordination, JsonObject } from './port.ts'

interface Timed<T> {
  readonly value: T
  readonly endsAt: number
}

/** `now` is the time in milliseconds. Times are kept as with many replicas, so that what is no longer renewed ends here too. */
export function localCoordination(now: () => number): Coordination {
  const leases = new Map<string, Timed<string>>()
  const announcements = new Map<string, Timed<JsonObject>>()
  const topics = new Map<string, Map<string, string>>()
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
    async note(topic, facts) {
      const known = topics.get(topic) ?? new Map<string, string>()
      topics.set(topic, known)
      for (const [name, fact] of Object.entries(facts)) {
        if (fact === null) known.delete(name)
        else known.set(name, fact)
      }
    },
    async noted(topic) {
      return new Map(topics.get(topic))
    },
  }
}
