// The answer to a write that succeeds, whatever it writes: what was made, what a dry run would make, or that it was so already.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { channelNameOf, channelOf } from '../../channels/channel.ts'
import { cohortsAt, targetAt } from '../../channels/target.ts'
import { knownState, type Control } from '../../control/control.ts'
import { isIndexKey } from '../../control/core/views.ts'
import { visibleChange } from '../../control/visible-documents.ts'
import type { Document } from '../../store/port.ts'
import { callerOf } from './authenticate.ts'
import { weakTag } from './entity-tag.ts'

export interface Written {
  /** 200 unless given; a dry run is always answered 200. */
  readonly status?: 200 | 201
  /** Of the document that is answered; null where the answer is none. */
  readonly revision: number | null
  readonly body: object
}

/** Sends what a request has written. */
export function sendWritten(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  { status = 200, revision, body }: Written,
): FastifyReply {
  const { isDryRun, isUnchanged } = request.write
  const unchanged = isUnchanged ? { unchanged: true } : {}
  if (isDryRun) return reply.send({ ...body, ...unchanged, dryRun: true, wouldChange: wouldChange(control, request) })
  if (revision !== null) void reply.header('ETag', weakTag(revision))
  return reply.code(isUnchanged ? 200 : status).send({ ...body, ...unchanged })
}

/** Sends that what a request names is deleted. */
export function sendDeleted(control: Control, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return request.write.isDryRun
    ? reply.send({ dryRun: true, wouldChange: wouldChange(control, request) })
    : reply.code(204).send()
}

/** The documents of the caller's that a dry run would change; none where it is so already. */
function wouldChange(control: Control, request: FastifyRequest): readonly object[] {
  const { changes = [] } = request.write.preview ?? {}
  const identity = callerOf(request)
  const seen = changes.filter(
    (change) => !isIndexKey(change.key) && visibleChange(control.replica.state, identity, change) !== null,
  )
  return seen.map(({ key, before, after }) => ({
    key,
    change: before === null ? 'created' : after === null ? 'deleted' : 'updated',
    revision: after?.revision ?? null,
    ...(channelNameOf(key) === null ? {} : { from: newestServed(control, before), to: newestServed(control, after) }),
  }))
}

/** The version that agents of a channel are told; during a ramp, what those are told that it has reached. */
function newestServed(control: Control, document: Document | null): string | null {
  if (document === null || document.unreadable !== undefined) return null
  const { isBlocked } = knownState(control)
  const now = control.clock.expiryTime()
  const channel = channelOf(document)
  return (cohortsAt(channel, isBlocked, now)?.early ?? targetAt(channel, isBlocked, now)).version
}
