// The poll plane's HTTP face: one route for every poll, RFD 109 paths and webapi paths alike. What the answer is, serve/ knows.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { badRequest, methodNotAllowed, type Answer } from '../serve/answers.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import { answerPoll, matchesEntityTag } from '../serve/poll.ts'
import type { PollCounts } from '../serve/poll-counts.ts'

/** Where the router finds the poll route: it is given this path for every poll (app/poll-plane.ts), never an agent's. */
export const POLL_ROUTE = '/'

const text = (description: string) => ({ description, content: { 'text/plain': { schema: { type: 'string' } } } })

export function pollRoutes(app: FastifyInstance, holder: SnapshotHolder, counts: PollCounts): void {
  // Not async: a poll has nothing to wait for.
  app.addHook('onRequest', (request, reply, done) => {
    const refusal = refusalOf(request.raw)
    if (refusal === null) done()
    else send(request, reply, refusal, counts)
  })
  app.route({
    method: ['GET', 'HEAD'],
    url: POLL_ROUTE,
    schema: {
      operationId: 'poll',
      summary: 'Ask for the target of a channel',
      description: 'GET /v1/{channel}/version and /critical, and the webapi form of both.',
      response: {
        200: text('A version, `none`, `yes` or `no`, without a newline.'),
        404: text('No such channel, or a channel without a version.'),
        503: text('Nothing to serve yet.'),
      },
    },
    handler(request, reply) {
      send(request, reply, answerPoll(holder.current, request.originalUrl), counts)
    },
  })
}

/** The answer that a request gets whatever its path is, null where the path decides. */
function refusalOf({ method, rawHeaders, httpVersion, httpVersionMajor }: IncomingMessage): Answer | null {
  if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed
  // Node's parser also reads `HTTP/2.0`, which it does not speak.
  if (httpVersionMajor > 1) return badRequest
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length
  // RFC 9112 §3.2; Node's own refusal, which the poll plane turns off, has no body, and it lets a second one pass.
  return hosts > 1 || (hosts === 0 && httpVersion === '1.1') ? badRequest : null
}

/** Writes a rendered answer past Fastify's reply: its bytes are ready, and nothing may add to them. */
function send(request: FastifyRequest, reply: FastifyReply, answer: Answer, counts: PollCounts): void {
  reply.hijack()
  const { raw } = reply
  const condition = request.raw.headers['if-none-match']
  if (condition !== undefined && answer.etag !== null && matchesEntityTag(condition, answer.etag)) {
    counts.http[304] += 1
    raw.writeHead(304, answer.notModifiedHeaders as string[]) // Node's types ask for a mutable list; it only reads it.
    raw.end()
    return
  }
  counts.http[answer.status] += 1
  raw.writeHead(answer.status, answer.headers as string[]) // The same.
  raw.end(answer.body)
}
