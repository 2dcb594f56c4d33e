// Logs the documents that a replica cannot act on: each once when it comes, and once when it can be read again.
import type { ReplicaLog } from './replica-log.ts'
import type { ReplicaState } from './replica-state.ts'

export class UnreadableLog {
  readonly #log: ReplicaLog
  /** Why each cannot be read, by key. */
  #known: ReadonlyMap<string, string | undefined> = new Map()

  constructor(log: ReplicaLog) {
    this.#log = log
  }

  /** Bodies are not logged: they may hold what must not be. */
  look({ unreadable }: ReplicaState): void {
    for (const [key, { unreadable: why }] of unreadable) {
      if (this.#known.get(key) !== why) this.#log.error({ key, why }, 'a document cannot be read; it fails closed')
    }
    for (const key of this.#known.keys()) {
      if (!unreadable.has(key)) this.#log.info({ key }, 'a document can be read again')
    }
    this.#known = new Map([...unreadable].map(([key, { unreadable: why }]) => [key, why]))
  }
}
