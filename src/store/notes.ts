// Small facts by topic, in memory: what a replica that is alone notes for itself (Coordination.note and noted).

/** What is noted under one topic. */
export interface Topic {
  /** When something was last noted under it, in milliseconds since the epoch. */
  readonly notedAt: number
  readonly facts: ReadonlyMap<string, string>
}

export class Notes {
  readonly #now: () => number
  readonly #changed: () => void
  readonly #topics = new Map<string, { notedAt: number; readonly facts: Map<string, string> }>()

  /** `now` is the time in milliseconds; `known` is what was noted before; `changed` is called after every change. */
  constructor(now: () => number, known: ReadonlyMap<string, Topic> = new Map(), changed: () => void = () => {}) {
    this.#now = now
    this.#changed = changed
    for (const [topic, { notedAt, facts }] of known) this.#topics.set(topic, { notedAt, facts: new Map(facts) })
  }

  /** Keeps facts under `topic`, by name, in place of older ones; null takes one away, and the topic with its last. */
  note(topic: string, facts: Readonly<Record<string, string | null>>): void {
    // Changed in place: a topic can have as many facts as there are channels, and each of them is noted by itself.
    const noted = this.#topics.get(topic) ?? { notedAt: 0, facts: new Map<string, string>() }
    let hasChanged = false
    for (const [name, fact] of Object.entries(facts)) {
      if (fact !== null) noted.facts.set(name, fact)
      else if (!noted.facts.delete(name)) continue
      hasChanged = true
    }
    if (!hasChanged) return
    noted.notedAt = this.#now()
    if (noted.facts.size > 0) this.#topics.set(topic, noted)
    else this.#topics.delete(topic)
    this.#changed()
  }

  noted(topic: string): ReadonlyMap<string, string> {
    return new Map(this.#topics.get(topic)?.facts)
  }

  /** Everything that is noted now, by topic; what is noted later is not in it. */
  all(): ReadonlyMap<string, Topic> {
    return new Map([...this.#topics].map(([topic, { notedAt, facts }]) => [topic, { notedAt, facts: new Map(facts) }]))
  }
}
