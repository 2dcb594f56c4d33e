// Limits on requests of one kind: what is over them is answered 429, with the time to wait.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendProblem } from './problem.ts'

/** Failed tokens or signatures from one address before it has to wait; a valid one is never made to. */
const FAILURES_MAX = 20
const WINDOW_MS = 60_000
/** Whoever is counted at the same time; the longest quiet one is forgotten. */
export const COUNTED_MAX = 10_000

export interface RateLimit {
  readonly max: number
  /** What the caller has to wait for, after "wait 7 s". */
  readonly why: string
  /** Whose requests are counted together; those of one address unless given. */
  readonly keyOf?: (request: FastifyRequest) => string
}

/** Counts a request; answers 429 and gives that answer where it is one too many. */
export type CountRequest = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | null>

/** Of requests a minute. @fastify/rate-limit must be registered. */
export function limitRequests(app: FastifyInstance, { max, why, keyOf }: RateLimit): CountRequest {
  const keys = keyOf === undefined ? {} : { keyGenerator: keyOf }
  const count = app.createRateLimit({ max, timeWindow: WINDOW_MS, ...keys })
  return async (request, reply) => {
    const counted = await count(request)
    if (counted.isAllowed || !counted.isExceeded) return null
    const { ttlInSeconds } = counted
    void reply.header('Retry-After', String(ttlInSeconds))
    return sendProblem(request, reply, 'rate_limited', `wait ${ttlInSeconds} s ${why}`)
  }
}

/** Counts failed attempts to prove who is asking. */
export function limitFailures(app: FastifyInstance, why: string): CountRequest {
  return limitRequests(app, { max: FAILURES_MAX, why })
}
