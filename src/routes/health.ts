// Liveness on both planes, readiness on the control plane.
import type { FastifyInstance } from 'fastify'
import type { Control } from '../control/control.ts'
import type { SnapshotHolder } from '../serve/holder.ts'

const LIVE = 'ok'

export function healthRoutes(app: FastifyInstance): void {
  app.route({
    method: 'GET',
    url: '/healthz',
    schema: {
      operationId: 'getHealth',
      summary: 'Is the process alive?',
      description: 'Always `ok`, for as long as the process lives.',
      tags: ['health'],
      response: { 200: { description: 'Alive.', content: { 'text/plain': { schema: { type: 'string' } } } } },
    },
    handler: (_request, reply) =>
      reply
        .header('Cache-Control', 'no-store')
        .header('X-Content-Type-Options', 'nosniff')
        .type('text/plain; charset=utf-8')
        .send(LIVE),
  })
}

// Plain JSON Schema: the poll plane has these routes too, and it answers before TypeBox would be loaded.
const readiness = {
  type: 'object',
  required: ['ready', 'replica', 'status', 'problem', 'epoch', 'seq', 'channels', 'snapshotAgeS', 'staleS', 'warnings'],
  properties: {
    ready: { type: 'boolean' },
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

export function readinessRoutes(app: FastifyInstance, control: Control, holder: SnapshotHolder): void {
  const { replica, replicaId, clock, warnings } = control
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      operationId: 'getReadiness',
      summary: 'Can this replica answer polls?',
      description:
        '200 where it has channels to serve, even while its store is down; `status` and `problem` tell how it is.',
      tags: ['health'],
      response: {
        200: { description: 'Ready.', content: { 'application/json': { schema: readiness } } },
        503: { description: 'Nothing to serve yet.', content: { 'application/json': { schema: readiness } } },
      },
    },
    handler: (_request, reply) => {
      const snapshot = holder.current
      return reply
        .code(snapshot === null ? 503 : 200)
        .header('Cache-Control', 'no-store')
        .send({
          ready: snapshot !== null,
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
