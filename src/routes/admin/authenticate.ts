// Authentication and authorization of the admin API: bearer tokens, roles per route, channel scopes.
import bearerAuth from '@fastify/bearer-auth'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { covers, coversAll, roleReaches, type Identity, type Role } from '../../control/identity.ts'
import { identify } from '../../control/tokens.ts'
import { secretsFor } from '../../control/embargoes.ts'
import type { Control } from '../../control/control.ts'
import { markExpired } from './access-trace.ts'
import { sendProblem } from './problem.ts'
import { COUNTED_MAX, limitFailures, limitRequests, type CountRequest } from './rate-limits.ts'

/** Dry runs of one caller in a minute: far more than people and their tools try, and no load to speak of. */
const DRY_RUNS_MAX = 600
/**
 * The same while something is hidden from the caller: what a dry run says back is masked where it is a secret, so each tells whether a
 * guess was right. Operators who try their changes need no more, and numbers of fixes cannot be tried through in a day.
 */
const DRY_RUNS_UNDER_EMBARGO_MAX = 60

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling; set on every route that needs a token. */
    identity: Identity | null
  }
  interface FastifyContextConfig {
    /** The role a route needs; a route without one is public. */
    role?: Role
    /** The role that a dry run of the route needs, where that is lower: of whoever may see what it changes. */
    dryRunRole?: Role
    /** Whether a route is about the whole server, so that a token limited to channels may not call it. */
    wholeServer?: boolean
  }
}

/** The caller of a route that needs a token. */
export function callerOf(request: FastifyRequest): Identity {
  if (request.identity === null) throw new Error('a route without a role asked who is calling')
  return request.identity
}

/** Adds the hooks to every route of this scope. */
export async function authenticate(app: FastifyInstance, control: Control, adminToken: string): Promise<void> {
  app.decorateRequest('identity', null)
  await app.register(rateLimit, { global: false, cache: COUNTED_MAX })
  const countFailure = limitFailures(app, 'before you try another token')
  const countDryRun = limitDryRuns(app, control)
  const expired = new WeakMap<FastifyRequest, string>()
  const undecided = new WeakSet<FastifyRequest>()
  await app.register(bearerAuth, {
    addHook: false,
    // RFC 9110: the scheme's letters may be of either case.
    specCompliance: 'rfc6749',
    keys: new Set<string>(),
    verifyErrorLogLevel: 'debug',
    auth: (text, request) => {
      const found = identify(control, adminToken, text)
      if (found.outcome === 'expired') {
        expired.set(request, found.at)
        markExpired(request)
      }
      if (found.outcome === 'not-loaded') undecided.add(request)
      if (found.outcome === 'identified') request.identity = found.identity
      return found.outcome === 'identified'
    },
  })
  // preParsing: nothing of a body is read for a stranger, and the rate limit has been counted before.
  app.addHook('preParsing', async (request, reply) => {
    const { role: ownRole, dryRunRole, wholeServer } = request.routeOptions.config
    if (ownRole === undefined) return
    const { isDryRun } = request.write
    const failure = await verify(app, request, reply)
    // Neither the caller's mistake nor a guess: it must not count as a failed attempt, and the same token is right later.
    if (undecided.has(request)) {
      const detail = 'no tokens are loaded yet; try again, or ask another replica'
      return sendProblem(request, reply, 'store_unavailable', detail)
    }
    if (failure !== null) {
      const refused = await countFailure(request, reply)
      if (refused !== null) return refused
      void reply.header('WWW-Authenticate', 'Bearer realm="bellwether"')
      return sendProblem(request, reply, 'unauthenticated', explain(request, expired.get(request)))
    }
    const identity = callerOf(request)
    // What a dry run says back is masked where it is a secret, so guesses would be answered; a real write leaves its trace.
    const mayTry = isDryRun && dryRunRole !== undefined && secretsFor(control.replica.state, identity) === null
    const role = mayTry ? dryRunRole : ownRole
    if (!roleReaches(identity.role, role)) {
      const detail = `this needs role ${role}; the token ${identity.actor} has role ${identity.role}`
      return sendProblem(request, reply, 'role_too_low', { detail, needs: role })
    }
    if (wholeServer === true && !coversAll(identity)) return refuseScope(request, reply, identity, '*')
    return isDryRun ? ((await countDryRun(request, reply)) ?? undefined) : undefined
  })
  app.addHook('preHandler', refuseBeyondScope)
}

/** Refuses a caller whose token is limited to channels, where a part of the request is about all of them; null for others. */
export function refuseLimited(request: FastifyRequest, reply: FastifyReply): FastifyReply | null {
  const identity = callerOf(request)
  return coversAll(identity) ? null : refuseScope(request, reply, identity, '*')
}

/** Counts dry runs of each caller, and logs those while something is hidden from them: a guess must leave a trace. */
function limitDryRuns(app: FastifyInstance, control: Control): CountRequest {
  const keyOf = (request: FastifyRequest): string => callerOf(request).actor
  const limited = (max: number, when: string): CountRequest =>
    limitRequests(app, { max, why: `with more dry runs than ${max} a minute${when}`, keyOf })
  const count = limited(DRY_RUNS_MAX, '')
  const countUnderEmbargo = limited(DRY_RUNS_UNDER_EMBARGO_MAX, ' while there is an embargo')
  return async (request, reply) => {
    const { actor } = callerOf(request)
    if (secretsFor(control.replica.state, callerOf(request)) === null) return count(request, reply)
    const refused = await countUnderEmbargo(request, reply)
    // As many lines as the limit lets through.
    const { method, routeOptions } = request
    if (refused === null) request.log.info({ actor, method, route: routeOptions.url }, 'dry run under an embargo')
    return refused
  }
}

/** Refuses what the role and the scope of the caller do not cover, by what the request is about. */
async function refuseBeyondScope(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const { identity } = request
  if (identity === null) return undefined
  // Both were checked by the route's schema, so they are objects; which members they have is asked here.
  const name = (request.params as { name?: unknown }).name ?? (request.body as { name?: unknown } | null)?.name
  const channel = request.routeOptions.config.wholeServer !== true && typeof name === 'string' ? name : null
  if (channel !== null && !covers(identity, channel)) return refuseScope(request, reply, identity, channel)
  const force = (request.body as { force?: unknown } | null | undefined)?.force === true
  if (!force || identity.role === 'admin') return undefined
  const detail = `force needs role admin; the token ${identity.actor} has role ${identity.role}`
  return sendProblem(request, reply, 'role_too_low', { detail, needs: 'admin' })
}

function verify(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<Error | null> {
  return new Promise((resolve) => {
    app.verifyBearerAuth?.(request, reply, (error) => resolve(error ?? null))
  })
}

function explain(request: FastifyRequest, expiredAt: string | undefined): string {
  if (expiredAt !== undefined) return `the token expired at ${expiredAt}; ask an admin for another one`
  return request.headers.authorization === undefined
    ? 'send a token: Authorization: Bearer bw_…'
    : 'the token is unknown or was revoked; send Authorization: Bearer bw_…'
}

function refuseScope(request: FastifyRequest, reply: FastifyReply, identity: Identity, missing: string): FastifyReply {
  const limited = (identity.channels ?? []).join(', ')
  const needed = missing === '*' ? 'a token for all channels (scope *)' : `a token whose scope covers ${missing}`
  const detail = `this needs ${needed}; the token ${identity.actor} is limited to ${limited}`
  return sendProblem(request, reply, 'out_of_scope', { detail, missingScope: missing })
}
