// What every write has in common: who asks and under which id, and what its answer says of the entry that it has made.
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { stringify } from 'safe-stable-stringify'
import { Type } from 'typebox'
import type { Control, Preview, Request } from '../../control/control.ts'
import { waitForReplicas, type AppliedBy } from '../../control/replicas.ts'
import { callerOf } from './authenticate.ts'
import { WriteQuery } from './request-schemas.ts'

/** What has become of a write so far. */
export interface WriteState {
  isDryRun: boolean
  /** What a dry run would change. */
  preview: Preview | null
  isUnchanged: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The entry that this write has made, or that an earlier try of it had; null for none. */
    written: { readonly seq: number; readonly repeated: boolean } | null
    write: WriteState
    /** Whether an earlier try of this write had found nothing to change. */
    isReplayed: boolean
  }
}

/** Characters of an Idempotency-Key: a UUID, or whatever a client calls its request. */
const IDEMPOTENCY_KEY_LENGTH_MAX = 128

/** Only where the request names a key it may be a retry; without one it has an id of its own. */
const WriteHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: IDEMPOTENCY_KEY_LENGTH_MAX,
      pattern: '^[\\x21-\\x7e]+$',
      description:
        'Makes it safe to send the request again: it is carried out once, and the answer to a repetition has `Idempotency-Replayed: true`. After `write_outcome_unknown`, give the `requestId` of that answer.',
    }),
  ),
})

/** What the schema of every write begins with. */
export const writing = { querystring: WriteQuery, headers: WriteHeaders }

/** The request as the use cases take it. */
export function writeRequest(request: FastifyRequest, reason: string | null): Request {
  // Checked by the route's schema.
  const key = request.headers['idempotency-key'] as string | undefined
  const { actor, person } = callerOf(request)
  return {
    actor,
    ...(person === undefined ? {} : { person }),
    reason,
    requestId: key ?? request.id,
    requestHash: hashOf(request),
    mayBeRetry: key !== undefined,
    // Whoever may only look must not make this server talk to others.
    mayAskOthers: callerOf(request).role !== 'viewer',
    onCommitted: ({ seq }, repeated) => (request.written = { seq, repeated }),
    onPreviewed: (preview) => (request.write.preview = preview),
    onUnchanged: (repeated) => {
      request.write.isUnchanged = true
      request.isReplayed = repeated
    },
  }
}

/** The same for two requests that ask for the same, however their members are ordered; `wait` and `dryRun` are no part of that. */
function hashOf({ method, routeOptions, params, query, body }: FastifyRequest): string {
  const { wait: _wait, dryRun: _dryRun, ...asked } = query as Record<string, unknown> // An object, as every querystring that Fastify parses.
  const text = stringify([method, routeOptions.url, params, asked, body ?? null]) ?? ''
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Adds to the answers of writes which entry they made, and waits for the other replicas where that is asked for. Nothing here
 * may fail: the write is done, whatever the others say.
 */
export function answerWrites(app: FastifyInstance, control: Control): void {
  // Once: where an answer could not be sent, another one of the same request follows.
  const awaited = new WeakSet<FastifyRequest>()
  app.decorateRequest('written', null)
  app.decorateRequest('isReplayed', false)
  // Each request has its own, made before anything else looks at it.
  app.decorateRequest('write', null as never)
  app.addHook('onRequest', async (request) => {
    const { dryRun } = request.query as { dryRun?: unknown } // An object, not validated yet.
    request.write = { isDryRun: dryRun === 'true' || dryRun === true, preview: null, isUnchanged: false }
  })
  app.addHook('onSend', async (request, reply) => {
    const { written } = request
    if (written?.repeated === true || request.isReplayed) void reply.header('Idempotency-Replayed', 'true')
    if (written === null) return
    void reply.header('Bellwether-Seq', String(written.seq))
    if ((request.query as { wait?: string }).wait !== 'replicas' || awaited.has(request)) return
    awaited.add(request)
    await awaitReplicas(control, written.seq, request, reply)
  })
}

async function awaitReplicas(
  control: Control,
  seq: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  let by: AppliedBy | null = null
  try {
    by = await waitForReplicas(control, seq)
  } catch (error) {
    request.log.error({ err: error }, 'the other replicas could not be asked')
  }
  void reply.header('Bellwether-Applied-By', by === null ? control.replicaId : by.applied.join(','))
  const missing = by === null ? ['unknown'] : [...by.missing, ...(by.hasUnreadable ? ['unknown'] : [])]
  if (missing.length > 0) void reply.header('Bellwether-Not-Applied-By', missing.join(','))
}
