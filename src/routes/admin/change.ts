// What all routes that change a channel share: the request's common parts, and an answer for every outcome.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { JsonObject } from '../../store/port.ts'
import type { Refusal, Warning } from '../../channels/outcome.ts'
import { changeChannel, type ChannelOutcome, type ChannelRequest } from '../../control/change-channel.ts'
import type { ChannelRecord } from '../../control/channel-view.ts'
import type { Contended, Control, KeyReused, NotServedYet } from '../../control/control.ts'
import { writeAnswers } from './answers.ts'
import { readConditions, weakTag } from './entity-tag.ts'
import { sendProblem } from './problem.ts'
import { ref } from './schemas.ts'
import { writeRequest } from './write-request.ts'
import { sendDeleted, sendWritten } from './write-response.ts'

/** The parts of a write that every route has; the schemas have checked them where they are there. */
interface WriteParts {
  readonly body?: unknown
  readonly query: unknown
}

/** What a channel's write answers: the channel as it is, or would be, or a problem. */
export function changeAnswers(status: 200 | 201 | 204, ...bad: readonly number[]): Record<number, unknown> {
  const done = { 200: { 200: ref('ChannelChange') }, 201: { 200: ref('ChannelChange'), 201: ref('ChannelChange') } }
  const good = status === 204 ? { 200: ref('DryRun'), 204: Type.Null() } : done[status]
  return writeAnswers(good, ...bad, 412)
}

/** A channel as the API shows it. */
export function presentChannel({ channel, revision, effective, upstream, warnings }: ChannelRecord): JsonObject {
  const { name, ramp = null, allowBuildMetadata = false, ...rest } = channel
  // Channel and Target are made of strings, booleans, nulls and objects of them.
  return { name, revision, ...rest, allowBuildMetadata, ramp, effective, upstream, warnings } as unknown as JsonObject
}

/** The reason, `force` and `dryRun` of a write, whatever its route. */
export function writeParts(request: WriteParts): { reason: string | null; force: boolean; dryRun: boolean } {
  // Checked by the route's schemas: these members are of these types wherever they are present.
  const body = (request.body ?? {}) as { reason?: string; force?: boolean }
  const query = request.query as { dryRun?: boolean }
  const reason = body.reason?.trim() ?? ''
  return { reason: reason === '' ? null : reason, force: body.force ?? false, dryRun: query.dryRun ?? false }
}

interface ChangeToSend {
  readonly name: string
  readonly change: ChannelRequest['change']
  /** The status of the answer where it was made; 200 unless given. */
  readonly created?: 200 | 201
}

/** Carries out a change of a channel and sends its outcome. */
export async function sendChange(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  { name, change, created = 200 }: ChangeToSend,
): Promise<FastifyReply> {
  const condition = readConditions(request)
  if (condition.outcome === 'refused') return sendRefusal(request, reply, condition)
  const parts = writeParts(request)
  const outcome = await changeChannel(control, {
    name,
    change,
    ...parts,
    ...writeRequest(request, parts.reason),
    expectedRevisions: condition.revisions,
  })
  return sendOutcome(control, request, reply, { name, outcome, created })
}

/** Sends what the rules refused, with the field or the guard that it is about. */
export function sendRefusal(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  switch (refusal.why) {
    case 'malformed': {
      const { field, message } = refusal
      return sendProblem(request, reply, 'invalid_request', {
        detail: `${field} ${message}`,
        errors: [{ field, message }],
      })
    }
    case 'guard': {
      const { guard, served, message, verdicts, field } = refusal
      const errors = field === null ? {} : { errors: [{ field, message }] }
      const now = served === null ? 'nothing is served now' : `${served} is served now`
      return sendProblem(request, reply, 'guard_refused', {
        detail: `${message} (${now})`,
        guard,
        served,
        verdicts,
        ...errors,
      })
    }
    case 'state':
      return sendProblem(request, reply, refusal.problem, refusal.message)
  }
}

/** Sends that If-Match names another document than `current`, the one that is there now. */
export function sendStale(
  request: FastifyRequest,
  reply: FastifyReply,
  what: string,
  current: { readonly revision: number; readonly document: object } | null,
): FastifyReply {
  if (current !== null) void reply.header('ETag', weakTag(current.revision))
  const detail =
    current === null
      ? `${what} does not exist (any more)`
      : `${what} is at revision ${current.revision}; look at \`current\` and decide again`
  return sendProblem(request, reply, 'stale_write', {
    detail,
    guard: 'stale-write',
    current: current?.document ?? null,
  })
}

/** Sends that a change could not be finished here, though nothing is wrong with it. */
export function sendUnfinished(
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: Contended | KeyReused | NotServedYet,
): FastifyReply {
  if (outcome.outcome === 'contended') {
    return sendProblem(request, reply, 'contended', 'nothing was written; read the document again and try again')
  }
  if (outcome.outcome === 'key-reused') {
    const detail = 'nothing more was written: this Idempotency-Key was sent with another request; choose another'
    return sendProblem(request, reply, 'idempotency_key_reused', detail)
  }
  const detail = `the change is durable as journal entry ${outcome.seq}, but this replica does not serve it yet; do not repeat it`
  return sendProblem(request, reply, 'not_served_yet', { detail, seq: outcome.seq })
}

/** The warnings of a write as a member of its answer, which is not there where there are none. */
export function warningsOf({ warnings }: { readonly warnings: readonly Warning[] }): {
  readonly warnings?: readonly Warning[]
} {
  return warnings.length === 0 ? {} : { warnings }
}

interface Sent {
  readonly name: string
  readonly outcome: ChannelOutcome
  readonly created: 200 | 201
}

function sendOutcome(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  { name, outcome, created }: Sent,
): FastifyReply {
  switch (outcome.outcome) {
    case 'changed': {
      const { record, verdicts, blocked } = outcome
      // What a forced change overrules is for whoever tries it first.
      const judged = request.write.isDryRun ? { verdicts } : {}
      const body = { ...presentChannel(record), ...judged, ...(blocked === undefined ? {} : { blocked }) }
      return sendWritten(control, request, reply, { status: created, revision: record.revision, body })
    }
    case 'deleted':
      return sendDeleted(control, request, reply)
    case 'unknown-channel':
      return sendProblem(request, reply, 'unknown_channel', `there is no channel ${name}; create it first`)
    case 'stale': {
      const { current } = outcome
      const shown = current === null ? null : { revision: current.revision, document: presentChannel(current) }
      return sendStale(request, reply, `channel ${name}`, shown)
    }
    case 'refused':
      return sendRefusal(request, reply, outcome)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return sendUnfinished(request, reply, outcome)
  }
}
