// The connections of one store and the one way to use them: every call waits a bounded time for a connection, ends within
// its limit, and fails as one of the port's errors. A connection whose command was given up is made anew.
import { StoreUnavailable } from '../port.ts'
import { connect, reconnect, refusedLogin, untilReady, whyLost, whyUnusable, type RedisClient } from './connection.ts'
import { isTimeout, loginFault, readFault, refusalIn, writeFault } from './faults.ts'
import { withForeignKeys } from './foreign-keys.ts'
import type { Keys } from './keys.ts'
import type { RedisLimits } from './limits.ts'
import type { RedisTarget } from './redis-url.ts'
import { WriteState, type WriteLog } from './write-state.ts'

/** Reads and writes have connections of their own: WAIT holds up what comes after it, and so does what is long to read. */
type Purpose = 'read' | 'read-much' | 'write' | 'restore'

/** How much longer than one command a call may take: a Cluster or a Sentinel is asked where to go, more than once. */
const CALL_COMMANDS_MAX = 2

export class Session {
  readonly keys: Keys
  readonly limits: RedisLimits
  /** Whether Redis takes writes: every refused call is told to it; the caller tells it of each write that was carried out. */
  readonly writes: WriteState
  readonly #target: RedisTarget
  readonly #clients = new Map<Purpose, RedisClient>()
  #closed = false

  constructor(target: RedisTarget, keys: Keys, limits: RedisLimits, log: WriteLog) {
    this.#target = target
    this.keys = keys
    this.limits = limits
    this.writes = new WriteState(log)
    // Connected from the start on, so that the first calls need not wait.
    for (const purpose of ['read', 'read-much', 'write'] as const) this.#client(purpose)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** A connection of the caller's own, for commands that hold it up; the caller disconnects it. */
  open(commandMs: number): RedisClient {
    this.checkOpen()
    return connect(this.#target, this.limits, commandMs)
  }

  /** Reads: whatever goes wrong, nothing was changed. */
  read<T>(doing: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#call('read', doing, action, readFault)
  }

  /** Reads in many pieces, each within the limit of one command. */
  readMuch<T>(doing: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#call('read-much', doing, action, readFault)
  }

  /** Writes: rejects with StoreOutcomeUnknown where nobody can say whether it was done. */
  write<T>(doing: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#call('write', doing, action, writeFault)
  }

  /** Writes much at once. */
  restore<T>(doing: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#call('restore', doing, action, writeFault)
  }

  close(): void {
    this.#closed = true
    for (const client of this.#clients.values()) client.disconnect()
    this.#clients.clear()
  }

  checkOpen(): void {
    if (this.#closed) throw new StoreUnavailable('The store is closed')
  }

  async #call<T>(
    purpose: Purpose,
    doing: string,
    action: (client: RedisClient) => Promise<T>,
    faultOf: (error: unknown, doing: string, why: string) => Error,
  ): Promise<T> {
    this.checkOpen()
    const client = this.#client(purpose)
    await untilReady(client, this.limits)
    this.checkOpen()
    const unusable = whyUnusable(client)
    if (unusable !== null) throw new StoreUnavailable(`${doing}: ${unusable}`)
    const limit = deadline(this.#callMs(purpose))
    try {
      return await Promise.race([action(client), limit.passed])
    } catch (error) {
      if (isTimeout(error) && !this.#closed) reconnect(client)
      const login = loginFault(error)
      if (login !== null) refusedLogin(client, login)
      const refusal = refusalIn(error)
      if (refusal !== null) this.writes.refused(refusal)
      throw await withForeignKeys(error, faultOf(error, doing, whyLost(client)), client, this.keys)
    } finally {
      limit.cancel()
    }
  }

  #client(purpose: Purpose): RedisClient {
    const known = this.#clients.get(purpose)
    if (known !== undefined) return known
    const client = connect(this.#target, this.limits, this.#commandMs(purpose))
    this.#clients.set(purpose, client)
    return client
  }

  #callMs(purpose: Purpose): number {
    return purpose === 'read-much' ? this.limits.readMuchMs : this.#commandMs(purpose) * CALL_COMMANDS_MAX
  }

  #commandMs(purpose: Purpose): number {
    return purpose === 'restore' ? this.limits.restoreMs : this.limits.commandMs
  }
}

function deadline(delayMs: number): { readonly passed: Promise<never>; readonly cancel: () => void } {
  let cancel = (): void => {}
  const passed = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Command timed out')), delayMs)
    cancel = () => clearTimeout(timer)
  })
  return { passed, cancel }
}
