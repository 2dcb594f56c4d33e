// Problem documents (RFC 9457): the one form of every refusal and failure of the control plane.
import { UnreadableDocument } from '../../control/core/unreadable-document.ts'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { statusOf, titleOf, type ErrorCode } from '../../errors.ts'
import {
  CommitTooLarge,
  JournalTrimmed,
  NewerFormat,
  StoreDamaged,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
} from '../../store/port.ts'
import { fieldErrors, type FieldError } from './field-errors.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** What a client may do after a 503 of the control plane, in seconds. */
const RETRY_AFTER_S = 5

/** What to do, where Fastify's own message says only what is wrong. */
const advice: { readonly [code in ErrorCode]?: string } = {
  unsupported_media_type: 'send the body as JSON, with Content-Type: application/json',
  overloaded: 'the server is behind with its work, or too much arrives at once; nothing was done, try again later',
}

/** What happened and what to do, and never what only the log may know; and members beside the standard ones. */
export interface ProblemDetail {
  readonly detail: string
  readonly errors?: readonly FieldError[]
  readonly [member: string]: unknown
}

/** The code of the problem that was sent for each request. */
const sentCodes = new WeakMap<FastifyRequest, ErrorCode>()

/** The code of the problem that a request was answered with; undefined for none. */
export function sentProblem(request: FastifyRequest): ErrorCode | undefined {
  return sentCodes.get(request)
}

/** Sends a problem document; a text is the `detail` of one without other members. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  code: ErrorCode,
  told: string | ProblemDetail,
): FastifyReply {
  const { detail, ...members }: ProblemDetail = typeof told === 'string' ? { detail: told } : told
  const status = statusOf(code)
  sentCodes.set(request, code)
  // What is stored already must not be sent again, not by a client that repeats by itself either.
  if (status === 503 && code !== 'not_served_yet') void reply.header('Retry-After', String(RETRY_AFTER_S))
  const problem = { ...problemOf(code, detail, request.id), ...members }
  // Sent as text: a response schema would have to name every member that any problem may have, or lose it.
  return reply.code(status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem)
}

/** Whether the client has ended the connection before all of its request had arrived. */
function isGivenUp({ raw }: FastifyRequest): boolean {
  return raw.errored !== null && raw.errored !== undefined && !raw.complete
}

/** The members that every problem document has. */
export function problemOf(code: ErrorCode, detail: string, requestId: string): object {
  return { type: `urn:bellwether:error:${code}`, title: titleOf(code), status: statusOf(code), detail, code, requestId }
}

/** Requests whose problem document could not be sent. */
const failed = new WeakSet<FastifyRequest>()

/**
 * Answers whatever was thrown: what Fastify found wrong with a request, a store that is down, or a fault of ours. Called
 * again for a request, its answer has failed on the way out; it is sent past all hooks then. Fastify calls an error handler
 * once per scope, so it must be the handler of at least two.
 */
export function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (failed.has(request)) return sendPastHooks(thrown, request, reply)
  failed.add(request)
  if (isGivenUp(request)) {
    request.log.debug({ err: thrown }, 'the client went away before its request had arrived')
    return sendProblem(request, reply, 'invalid_request', 'the request did not arrive whole; send it again')
  }
  const committed = committedFault(thrown, request)
  if (committed !== null) {
    return sendProblem(request, reply, 'write_outcome_unknown', committed)
  }
  const fault = storeFault(thrown, idempotencyKeyOf(request), request.headers['idempotency-key'] !== undefined)
  if (fault !== null) {
    request.log.warn({ err: thrown, code: fault.code }, 'the store is unavailable')
    return sendProblem(request, reply, fault.code, fault.detail)
  }
  if (thrown instanceof UnreadableDocument) return sendProblem(request, reply, 'document_unreadable', thrown.message)
  if (thrown instanceof CommitTooLarge) {
    const detail = `${thrown.message}. Nothing was changed. Do it in several steps, or shorten what is in the documents: descriptions and reasons of channels, changes and packages of releases, stages and gates of pipelines`
    return sendProblem(request, reply, 'change_too_large', detail)
  }
  const error = isOfFramework(thrown) ? thrown : null
  if (error?.validation !== undefined) {
    const errors = fieldErrors(error.validation, error.validationContext ?? 'body')
    const detail = errors.map(({ field, message }) => (field === '' ? message : `${field} ${message}`)).join('; ')
    return sendProblem(request, reply, 'invalid_request', { detail, errors })
  }
  const code = error === null ? 'internal_error' : codeOf(error)
  if (error !== null && code !== 'internal_error') {
    const limit = request.routeOptions.bodyLimit
    const detail = code === 'body_too_large' ? `send at most ${limit} bytes (${limit / 1_024} KB)` : advice[code]
    return sendProblem(request, reply, code, detail ?? error.message)
  }
  request.log.error({ err: thrown }, 'a request failed')
  return sendProblem(request, reply, 'internal_error', internalDetail(request))
}

/** What is said of a change that is made although its answer failed; null where the request has made none. */
function committedFault(
  thrown: unknown,
  request: FastifyRequest,
): { readonly detail: string; readonly seq: number } | null {
  // Where no route writes, there is no such member.
  const seq = request.written?.seq
  if (seq === undefined) return null
  request.log.error({ err: thrown, seq }, 'a request failed after its change was committed')
  const retry = `Send the same request again with the header Idempotency-Key: ${idempotencyKeyOf(request)} to get its answer`
  return {
    detail: `the change is made, as journal entry ${seq}, but its answer failed. ${retry}; it is carried out once`,
    seq,
  }
}

/** The last resort: the same words without any header or hook of a route, one of which has failed. */
function sendPastHooks(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const committed = committedFault(thrown, request)
  if (committed === null) request.log.error({ err: thrown }, 'an answer failed')
  const code = committed === null ? 'internal_error' : 'write_outcome_unknown'
  const problem = problemOf(code, committed?.detail ?? internalDetail(request), request.id)
  const { raw } = reply.hijack()
  if (raw.headersSent || raw.destroyed) {
    raw.destroy()
    return reply
  }
  const body = JSON.stringify({ ...problem, ...(committed === null ? {} : { seq: committed.seq }) })
  raw.writeHead(statusOf(code), {
    'Content-Type': PROBLEM_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  raw.end(body)
  return reply
}

function internalDetail(request: FastifyRequest): string {
  return `the log has more under the request id ${request.id}`
}

function idempotencyKeyOf(request: FastifyRequest): string {
  const key = request.headers['idempotency-key']
  return typeof key === 'string' ? key : request.id
}

/** What a fault of the store means to whoever asked; null where it is none. */
function storeFault(
  thrown: unknown,
  idempotencyKey: string,
  isRetry: boolean,
): { readonly code: ErrorCode; readonly detail: string } | null {
  const still = `${isRetry ? 'this try has changed nothing' : 'nothing was changed'}; polls are still answered`
  if (thrown instanceof StoreOutcomeUnknown) {
    const detail = `the store has not answered, or not to the end: the change may be made or not. Send the same request again with the header Idempotency-Key: ${idempotencyKey} until you get an answer; it is carried out once`
    return { code: 'write_outcome_unknown', detail }
  }
  if (thrown instanceof StoreRegressed) {
    const detail = `${still}. An admin decides: POST store/restore or store/accept (see docs/runbooks/store-regressed.md)`
    return { code: 'store_regressed', detail }
  }
  if (thrown instanceof NewerFormat) return { code: 'newer_format', detail: `${still}. Update this replica` }
  if (thrown instanceof JournalTrimmed) {
    return {
      code: 'journal_trimmed',
      detail: `${thrown.message}; read the channels anew and follow from the newest entry`,
    }
  }
  if (thrown instanceof StoreDamaged && thrown.found !== null) {
    const detail = `${still}. The store is damaged; an admin can restore it: POST store/restore (see docs/runbooks/store-damaged.md)`
    return { code: 'store_unavailable', detail }
  }
  if (thrown instanceof StoreUnavailable && thrown.reason !== null) {
    const detail = `${still}. The store refuses: ${thrown.reason}. Try again when it does not any more (see /readyz and docs/redis.md)`
    return { code: 'store_unavailable', detail }
  }
  if (thrown instanceof StoreUnavailable || thrown instanceof StoreDamaged) {
    return { code: 'store_unavailable', detail: `${still}. Try again when the store is back (see /readyz)` }
  }
  return null
}

/** Any other error may have a status too, and a message that is not for everybody. */
function isOfFramework(thrown: unknown): thrown is FastifyError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  return code.startsWith('FST_') || code.startsWith('BELLWETHER_')
}

function codeOf({ code, statusCode = 500 }: FastifyError): ErrorCode {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return 'body_too_large'
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return 'unsupported_media_type'
    case 'BELLWETHER_INVALID_JSON':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return 'invalid_json'
    case 'BELLWETHER_INVALID_UTF8':
      return 'invalid_utf8'
    case 'FST_UNDER_PRESSURE':
    case 'BELLWETHER_NO_BODY_ROOM':
      return 'overloaded'
    default:
      return statusCode >= 400 && statusCode < 500 ? 'invalid_request' : 'internal_error'
  }
}
