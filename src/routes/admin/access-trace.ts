// Failed and refused access leaves a trace: a line in the log, so many a minute, and a metric that counts all of it by reason. It is
// taken from the problem that was sent, so no route can forget it. No secret and nothing of a path is in it.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../../lib/clock.ts'
import type { ErrorCode } from '../../errors.ts'
import { sentProblem } from './problem.ts'

export type AccessReason =
  | 'missing_token'
  | 'unknown_token'
  | 'expired_token'
  | 'insufficient_role'
  | 'out_of_scope'
  | 'invalid_signature'
  | 'rate_limited'

const REASONS: Readonly<{ [code in ErrorCode]?: AccessReason }> = {
  role_too_low: 'insufficient_role',
  out_of_scope: 'out_of_scope',
  bad_signature: 'invalid_signature',
  rate_limited: 'rate_limited',
}

/** Lines in a minute for one reason and caller: a script that tries all day must not bury the others. */
const CALLER_LINES_MAX = 5
/** Lines in a minute for all: a disk holds months of them. */
const LINES_MAX = 60
const WINDOW_MS = 60_000

/** A token's id is no secret; who has a revoked or mistyped one is found by it. */
const TOKEN_ID = /^bearer +bw_([a-z0-9]{12})_/i

/** Requests whose token has expired. */
const expired = new WeakSet<FastifyRequest>()

/** Says that the token of a request would have been right before. */
export function markExpired(request: FastifyRequest): void {
  expired.add(request)
}

/** Adds the hook to every route of the control plane. */
export function traceRefusedAccess(app: FastifyInstance, registry: Registry, clock: Pick<Clock, 'now'>): void {
  const counter = new Counter({
    name: 'bellwether_access_refused_total',
    help: 'Requests to the control plane that were refused for who has sent them, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  })
  const lines = new LineLimit(clock)
  app.addHook('onResponse', async (request) => {
    const reason = reasonOf(request)
    if (reason === null) return
    counter.inc({ reason })
    const { ip, method, routeOptions } = request
    const actor = request.identity?.actor
    const suppressed = lines.take(`${reason} ${actor ?? ip}`)
    if (suppressed === null) return
    const tokenId = TOKEN_ID.exec(request.headers.authorization ?? '')?.[1]
    request.log.info(
      {
        ...{ reason, address: ip, method, route: routeOptions.url },
        ...(actor === undefined ? {} : { actor }),
        ...(actor === undefined && tokenId !== undefined ? { tokenId } : {}),
        ...(suppressed === 0 ? {} : { suppressed }),
      },
      'access refused',
    )
  })
}

function reasonOf(request: FastifyRequest): AccessReason | null {
  const code = sentProblem(request)
  if (code === undefined) return null
  if (code !== 'unauthenticated') return REASONS[code] ?? null
  if (expired.has(request)) return 'expired_token'
  return request.headers.authorization === undefined ? 'missing_token' : 'unknown_token'
}

/** Counts lines in windows of a minute. */
class LineLimit {
  readonly #clock: Pick<Clock, 'now'>
  readonly #lines = new Map<string, number>()
  #windowStart = 0
  #total = 0
  #suppressed = 0

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** How many lines were left out since the last one; null where this one is left out, too. */
  take(key: string): number | null {
    const now = this.#clock.now()
    // A clock that was set back begins a window as well, or nothing would be logged until it has come back.
    if (now >= this.#windowStart + WINDOW_MS || now < this.#windowStart) {
      this.#windowStart = now
      this.#total = 0
      this.#lines.clear()
    }
    const written = this.#lines.get(key) ?? 0
    if (this.#total >= LINES_MAX || written >= CALLER_LINES_MAX) {
      this.#suppressed += 1
      return null
    }
    this.#lines.set(key, written + 1)
    this.#total += 1
    const suppressed = this.#suppressed
    this.#suppressed = 0
    return suppressed
  }
}
