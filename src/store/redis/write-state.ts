// Whether Redis takes writes, as this process knows it: from its own writes, and from the last look at INFO.
import { REFUSES_WRITES, type StoreWarning } from '../warning.ts'

export interface WriteLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** What a look at the server says about writes. */
export interface WriteConditions {
  /** Why it refuses writes; null where INFO knows no reason. */
  readonly refusal: string | null
  /** How full its memory is, where there is little left; null where there is enough. */
  readonly nearlyFull: string | null
}

const NEARLY_FULL = 'memory_nearly_full'

export class WriteState {
  readonly #log: WriteLog
  /** Why the last write of this process was refused. */
  #own: string | null = null
  #seen: WriteConditions = { refusal: null, nearlyFull: null }

  constructor(log: WriteLog) {
    this.#log = log
  }

  get warnings(): readonly StoreWarning[] {
    const { refusal, nearlyFull } = this.#seen
    const reason = this.#own ?? refusal
    if (reason !== null)
      return [{ code: REFUSES_WRITES, message: `Redis refuses writes (${reason}); see docs/redis.md` }]
    if (nearlyFull === null) return []
    return [{ code: NEARLY_FULL, message: `Redis will soon refuse writes (${nearlyFull}); see docs/redis.md` }]
  }

  /** Redis has refused a call of this process. */
  refused(reason: string): void {
    this.#change(() => (this.#own = reason))
  }

  /** Redis has carried out a write of this process, so what was seen before is over. */
  accepted(): void {
    if (this.#own === null && this.#seen.refusal === null) return
    this.#change(() => {
      this.#own = null
      this.#seen = { ...this.#seen, refusal: null }
    })
  }

  /** Redis was looked at. A refusal of a write stays until a write is carried out: INFO does not know every reason. */
  looked(seen: WriteConditions): void {
    this.#change(() => (this.#seen = seen))
  }

  #change(change: () => void): void {
    const before = this.warnings
    change()
    const after = this.warnings
    for (const { code, message } of after) {
      if (!before.some((known) => known.code === code)) this.#log.warn({ code }, message)
    }
    for (const { code } of before) {
      if (!after.some((still) => still.code === code)) this.#log.info({ code }, 'this is no longer so')
    }
  }
}
