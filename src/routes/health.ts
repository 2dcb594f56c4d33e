// Liveness and readiness on both planes: for load balancers on the poll plane, with all that operators ask on the control plane.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Control } from '../control/control.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import type { Lifecycle } from '../serve/lifecycle.ts'
import { HEALTH_PATH, READY_PATH } from '../serve/poll.ts'

const text = (description: string) => ({ description, content: { 'text/plain': { schema: { type: 'string' } } } })

export function healthRoutes(app: FastifyInstance): void {
  app.route({
    method: 'GET',
    url: HEALTH_PATH,
    schema: {
      operationId: 'getHealth',
      summary: 'Is the process alive?',
      description: 'Always `ok`, for as long as the process lives.',
      tags: ['health'],
      response: { 200: text('Alive.') },
    },
    handler: (_request, reply) => sendText(reply, 'ok'),
  })
}

/** Readiness on the poll plane, which is public: one word, and nothing of why. */
export function pollReadinessRoutes(app: FastifyInstance, holder: SnapshotHolder, lifecycle: Lifecycle): void {
  app.route({
    method: 'GET',
    url: READY_PATH,
    schema: {
      operationId: 'getPollReadiness',
      summary: 'Should polls be sent to this process?',
      description: '200 `ok` while it has channels to serve and does not drain.',
      response: { 200: text('Ready.'), 503: text('Nothing to serve yet, or the process is about to end.') },
    },
    handler: (_request, reply) =>
      isReady(holder, lifecycle) ? sendText(reply, 'ok') : sendText(reply.code(503), 'not ready'),
  })
}

function isReady(holder: SnapshotHolder, lifecycle: Lifecycle): boolean {
  return holder.current !== null && lifecycle.isServing
}

function sendText(reply: FastifyReply, body: string): FastifyReply {
  return reply
    .header('Cache-Control', 'no-store')
    .header('X-Content-Type-Options', 'nosniff')
    .type('text/plain; charset=utf-8')
    .send(body)
}

// Plain JSON Schema: the poll plane has these routes too, and it answers before TypeBox would be loaded.
const readiness = {
  type: 'object',
  required: [
    ...['ready', 'draining', 'replica', 'status', 'problem', 'epoch', 'seq', 'channels', 'snapshotAgeS', 'staleS'],
    'warnings',
  ],
  properties: {
    ready: { type: 'boolean', description: 'Whether load balancers should send requests here.' },
    draining: {
      type: 'boolean',
      description: 'Whether the process is about to end. Until then it answers polls and carries out writes as before.',
    },
    replica: { type: 'string', description: 'What this replica is called in `GET /admin/v1/replicas`.' },
    status: { type: 'string', description: 'What the replica is doing: `following` is all well.' },
    problem: { type: ['string', 'null'] },
    epoch: { type: ['string', 'null'], description: 'The history that the served changes are of.' },
    seq: { type: ['integer', 'null'], description: 'The journal entry up to which changes are served.' },
    channels: { type: 'integer' },
    snapshotAgeS: { type: ['number', 'null'] },
    staleS: {
      type: 'number',
      description: 'For how long what is served was not known to be the newest; 0 while the store is followed.',
    },
    warnings: {
      type: 'array',
      description:
        'What is wrong although all works: settings by which the store could lose what it was given (or `settings_unchecked`), `refuses_writes`, `memory_nearly_full`, `clock_unconfirmed`, `unreadable_document`, `unreadable_entry`, `pin_held`, `duplicate_replica_id`, `last_known_good_unsaved` or `open_files_limited`. No token is asked for, so of documents only channels are named.',
      items: {
        type: 'object',
        required: ['code', 'message'],
        properties: { code: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
} as const

export function readinessRoutes(
  app: FastifyInstance,
  control: Control,
  holder: SnapshotHolder,
  lifecycle: Lifecycle,
): void {
  const { replica, replicaId, clock, warnings } = control
  app.route({
    method: 'GET',
    url: READY_PATH,
    schema: {
      operationId: 'getReadiness',
      summary: 'Can this replica answer polls?',
      description:
        '200 where it has channels to serve and does not drain, even while its store is down; `status` and `problem` tell how it is.',
      tags: ['health'],
      response: {
        200: { description: 'Ready.', content: { 'application/json': { schema: readiness } } },
        503: {
          description: 'Nothing to serve yet, or draining.',
          content: { 'application/json': { schema: readiness } },
        },
      },
    },
    handler: (_request, reply) => {
      const snapshot = holder.current
      const ready = isReady(holder, lifecycle)
      return reply
        .code(ready ? 200 : 503)
        .header('Cache-Control', 'no-store')
        .send({
          ready,
          draining: !lifecycle.isServing,
          replica: replicaId,
          status: replica.status,
          problem: replica.problem,
          epoch: snapshot?.epoch ?? null,
          seq: snapshot?.seq ?? null,
          channels: snapshot?.size ?? 0,
          snapshotAgeS: snapshot === null ? null : Math.max(0, clock.now() - snapshot.at) / 1_000,
          staleS: replica.staleMs / 1_000,
          warnings: clock.doubt === null ? warnings() : [...warnings(), clock.doubt],
        })
    },
  })
}
