// The store's own matters: what an operator decides where it has gone back.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { knownState, type Control } from '../../control/control.ts'
import { repairDocument } from '../../control/repair.ts'
import { decideRegressed, type Decision } from '../../control/regressed-store.ts'
import { listUnreadable } from '../../control/store-checks.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { sendUnfinished, writeParts } from './change.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { sendProblem } from './problem.ts'
import { PAGE_LIMIT_DEFAULT, PageQuery, RepairBody, StoreDecisionBody } from './request-schemas.ts'
import { ref, writeMarks } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'
import { sendWritten } from './write-response.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const Position = Type.Object({ epoch: Type.String(), seq: Type.Integer(), mark: Type.String() })

const Decided = Type.Union([
  Type.Object({
    epoch: Type.String(),
    seq: Type.Integer({ description: 'Where the new epoch begins; above all that either history had.' }),
    following: Type.Boolean({ description: 'Whether this replica follows it already.' }),
  }),
  Type.Object({
    dryRun: Type.Literal(true),
    wouldChange: Type.Array(ref('WouldChange')),
    known: Position,
    found: Position,
  }),
])

const Repaired = Type.Object({
  key: Type.String(),
  from: Type.Union([Type.Literal('journal'), Type.Literal('nothing')], {
    description:
      '`journal`: its last readable version was written back; `nothing`: there was none, and it was deleted.',
  }),
  ...writeMarks,
})

const meanings: Readonly<Record<Decision, { readonly summary: string; readonly description: string }>> = {
  restore: {
    summary: 'Restore the store',
    description:
      'Writes the state of this replica over a store that has gone back, or that a write has left half done. Every replica follows it from then on. Refused where another replica knows more, unless forced.',
  },
  accept: {
    summary: 'Accept the store',
    description:
      'Takes a store that has gone back as it is. Every replica follows it from then on; what only the replicas knew is given up. A damaged store cannot be accepted.',
  },
}

export function storeRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    decisionRoute(app, control, 'restore')
    decisionRoute(app, control, 'accept')
    repairRoute(app, control)
    unreadableRoute(app, control)
  }
}

function unreadableRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/store/unreadable',
    config: { role: 'admin', wholeServer: true },
    schema: {
      operationId: 'listUnreadableDocuments',
      summary: 'List documents that cannot be read',
      description:
        'Every document that this replica cannot act on, and what is wrong with it. `/readyz` names the channels among them, and counts the others by their kinds.',
      tags: ['replicas'],
      querystring: PageQuery,
      response: answers({ 200: page(Type.Object({ key: Type.String(), detail: Type.String() })) }),
    },
    handler: async (request, reply) => {
      const { cursor, limit = PAGE_LIMIT_DEFAULT } = request.query
      const after = cursor === undefined ? '' : readCursor('name', cursor)
      if (after === null) {
        const errors = [
          { field: 'cursor', message: 'is not a cursor of this list; give the `next` of the page before' },
        ]
        return sendProblem(request, reply, 'invalid_request', { detail: `cursor ${errors[0]?.message}`, errors })
      }
      const found = listUnreadable(knownState(control), after, limit)
      const items = found.slice(0, limit)
      const last = found.length > limit ? items.at(-1) : undefined
      return reply.send({ items, next: last === undefined ? null : writeCursor('name', last.key) })
    },
  })
}

function repairRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/store/repair',
    config: { role: 'admin', wholeServer: true },
    schema: {
      ...writing,
      operationId: 'repairDocument',
      summary: 'Repair a document',
      description:
        'Writes the last version of a document that can be read back over one that cannot (see `GET /store/unreadable`). Where the journal has none, `force` deletes the document. Channels can also be repaired by setting a version.',
      tags: ['replicas'],
      body: RepairBody,
      response: writeAnswers({ 200: Repaired }),
    },
    handler: async (request, reply) => {
      if (writeParts(request).reason === null) return reasonMissing(request, reply)
      const { key } = request.body
      return handleWrite(
        request,
        reply,
        (asked, options) => repairDocument(control, asked, key, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'repaired': {
              const { from } = outcome
              return sendWritten(control, request, reply, { revision: null, body: { key, from } })
            }
            case 'readable':
              return sendProblem(request, reply, 'document_readable', `there is nothing to repair at ${key}`)
            case 'contended':
            case 'key-reused':
            case 'not-served-yet':
              return sendUnfinished(request, reply, outcome)
          }
        },
      )
    },
  })
}

function reasonMissing(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const errors = [{ field: 'reason', message: 'is missing; say why' }]
  return sendProblem(request, reply, 'invalid_request', { detail: 'reason is missing; say why', errors })
}

function decisionRoute(app: App, control: Control, decision: Decision): void {
  app.route({
    method: 'POST',
    url: `/store/${decision}`,
    config: { role: 'admin', wholeServer: true },
    schema: {
      ...writing,
      operationId: `${decision}Store`,
      ...meanings[decision],
      tags: ['replicas'],
      body: StoreDecisionBody,
      response: writeAnswers({ 200: Decided }),
    },
    handler: async (request, reply) => {
      if (writeParts(request).reason === null) return reasonMissing(request, reply)
      return handleWrite(
        request,
        reply,
        (asked, options) => decideRegressed(control, asked, decision, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'decided': {
              const { epoch, seq } = outcome.position
              return reply.send({ epoch, seq, following: outcome.following })
            }
            case 'would':
              return sendWritten(control, request, reply, {
                revision: null,
                body: { known: outcome.known, found: outcome.found },
              })
            case 'not-regressed':
              return sendProblem(request, reply, 'not_regressed', `there is nothing to decide: ${outcome.status}`)
            case 'damaged':
              return sendProblem(request, reply, 'store_damaged', `${outcome.problem}; it cannot be accepted as it is`)
            case 'behind': {
              const ahead = outcome.ahead.join(', ')
              const detail = `${ahead} knows later changes than this replica; restore there, or force this one's state`
              return sendProblem(request, reply, 'replica_behind', { detail, ahead: outcome.ahead })
            }
            case 'moved-on':
              return sendProblem(
                request,
                reply,
                'contended',
                'the store has changed meanwhile; look at it and decide again',
              )
            case 'key-reused':
            case 'not-served-yet':
              return sendUnfinished(request, reply, outcome)
          }
        },
      )
    },
  })
}
