// What every route that writes does: reads the conditions and the common parts of the request, has the command carried out, and
// sends what has become of it.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { malformed } from '../../channels/outcome.ts'
import type { Conditions, Request } from '../../control/control.ts'
import { sendRefusal, writeParts } from './change.ts'
import { readConditions } from './entity-tag.ts'
import { writeRequest } from './write-request.ts'

/** How a write is to be carried out, beside what it is about. */
export interface WriteOptions extends Conditions {
  readonly force: boolean
}

/** Carries a write out and sends its outcome. */
export async function handleWrite<O>(
  request: FastifyRequest,
  reply: FastifyReply,
  carryOut: (asked: Request, options: WriteOptions) => Promise<O>,
  send: (outcome: O) => FastifyReply | Promise<FastifyReply>,
): Promise<FastifyReply> {
  const condition = readConditions(request)
  if (condition.outcome === 'refused') return sendRefusal(request, reply, condition)
  if (condition.revisions !== null && !isConditional(request)) {
    const message = 'has no meaning here: there is no document to compare with; leave it out'
    return sendRefusal(request, reply, malformed('If-Match', message))
  }
  const { reason, force, dryRun } = writeParts(request)
  const outcome = await carryOut(writeRequest(request, reason), {
    dryRun,
    force,
    expectedRevisions: condition.revisions,
  })
  return send(outcome)
}

/** Routes that compare revisions declare 412. */
function isConditional({ routeOptions }: FastifyRequest): boolean {
  const { response } = routeOptions.schema ?? {}
  return response !== null && typeof response === 'object' && '412' in response
}
