// Journal entries that this process has met and cannot read: each is logged once, and named for as long as the process lives.
import type { JournalEntry } from '../store/port.ts'
import type { ReplicaLog } from './replica-log.ts'

/** So many are remembered, the newest; the journal of another program is no reason to grow. */
const REMEMBERED_MAX = 1_000

export class UnreadableEntries {
  readonly #log: ReplicaLog
  /** Why each cannot be read, by seq. */
  readonly #known = new Map<number, string>()

  constructor(log: ReplicaLog) {
    this.#log = log
  }

  get count(): number {
    return this.#known.size
  }

  /** Remembers an entry, where it is one that cannot be read. Its members are named and their values are not. */
  note({ seq, unreadable: why }: Pick<JournalEntry, 'seq' | 'unreadable'>): void {
    if (why === undefined || this.#known.has(seq)) return
    this.#known.set(seq, why)
    if (this.#known.size > REMEMBERED_MAX) this.#known.delete(Math.min(...this.#known.keys()))
    this.#log.error({ seq, why }, 'a journal entry cannot be read')
  }

  /** The newest of them, with why they cannot be read. */
  newest(limit: number): readonly (readonly [seq: number, why: string])[] {
    return [...this.#known].toSorted(([a], [b]) => b - a).slice(0, limit)
  }
}

/** What ends the following of a replica: it goes on from the documents. */
export class EntryUnreadable extends Error {
  override readonly name = 'EntryUnreadable'

  constructor({ seq, unreadable = '' }: JournalEntry) {
    super(`journal entry ${seq} cannot be read: ${unreadable}`)
  }
}
