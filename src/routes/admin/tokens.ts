// Tokens, and who the caller is.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Control } from '../../control/control.ts'
import { roles } from '../../control/identity.ts'
import { compareTokens, createToken, listTokens, presentToken, revokeToken } from '../../control/tokens.ts'
import type { Document } from '../../store/port.ts'
import { answers, page } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendStale, sendUnfinished, writeParts } from './change.ts'
import { readIfMatch } from './if-match.ts'
import { sendList, type Lists } from './list-page.ts'
import { sendProblem } from './problem.ts'
import { OptionalReasonBody, PageQuery, TokenBody } from './request-schemas.ts'
import { Nullable, ref } from './schemas.ts'
import { writeRequest, writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const Created = Type.Intersect([ref('Token'), Type.Object({ token: Type.String({ description: 'Shown this once.' }) })])
const WouldCreate = Type.Object({ dryRun: Type.Literal(true), wouldCreate: ref('Token') })
const WouldRevoke = Type.Object({ dryRun: Type.Literal(true), id: Type.String() })
const Identity = Type.Object({
  actor: Type.String(),
  role: Type.Union(roles.map((role) => Type.Literal(role))),
  channels: Nullable(Type.Array(Type.String())),
})

const config = { role: 'admin', wholeServer: true } as const

export function tokenRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    whoAmIRoute(app)
    listTokensRoute(app, lists)
    createTokenRoute(app, control)
    revokeTokenRoute(app, control)
  }
}

function whoAmIRoute(app: App): void {
  app.route({
    method: 'GET',
    url: '/whoami',
    config: { role: 'viewer' },
    schema: {
      operationId: 'whoAmI',
      summary: 'Who am I?',
      description: 'Whose token this is, its role, and the channels it is limited to.',
      tags: ['tokens'],
      response: answers({ 200: Identity }),
    },
    handler: async (request) => callerOf(request),
  })
}

function listTokensRoute(app: App, lists: Lists): void {
  const { control } = lists
  app.route({
    method: 'GET',
    url: '/tokens',
    config,
    schema: {
      operationId: 'listTokens',
      summary: 'List tokens',
      description: 'Every token that was not revoked, by name. What is secret of them is not stored.',
      tags: ['tokens'],
      querystring: PageQuery,
      response: answers({ 200: page(ref('Token')) }),
    },
    handler: (request, reply) =>
      sendList(lists, request, reply, {
        after: (cursor, count) => {
          // A name has no slash.
          const [name = '', id = ''] = cursor.split('/')
          const after = listTokens(control).filter((token) => compareTokens(token, { name, id }) > 0)
          return after.slice(0, count)
        },
        nameOf: ({ name, id }) => `${name}/${id}`,
        present: (token) => token,
      }),
  })
}

function createTokenRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/tokens',
    config,
    schema: {
      operationId: 'createToken',
      summary: 'Make a token',
      description: 'The token itself is in this answer and can never be read again.',
      tags: ['tokens'],
      ...writing,
      body: TokenBody,
      response: answers({ 200: WouldCreate, 201: Created }, 409, 413, 415),
    },
    handler: async (request, reply): Promise<unknown> => {
      const { dryRun } = writeParts(request)
      const asked = writeRequest(request, null)
      const outcome = await createToken(control, asked, request.body, dryRun)
      switch (outcome.outcome) {
        case 'created':
          if (dryRun) return { dryRun, wouldCreate: outcome.token }
          void reply.header('Cache-Control', 'no-store')
          return reply.code(201).send({ ...outcome.token, token: outcome.secret })
        case 'made-before': {
          const detail = `an earlier try has made the token ${outcome.id}; its text was only in that answer. Revoke it and make another`
          return sendProblem(request, reply, 'secret_lost', detail, { id: outcome.id })
        }
        case 'refused':
          return sendRefusal(request, reply, outcome)
        case 'not-served-yet':
        case 'contended':
        case 'key-reused':
          return sendUnfinished(request, reply, outcome)
      }
    },
  })
}

function revokeTokenRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/tokens/:id',
    config,
    schema: {
      operationId: 'revokeToken',
      summary: 'Revoke a token',
      description: 'It is worth nothing from the answer on.',
      tags: ['tokens'],
      params: Type.Object({ id: Type.String() }),
      ...writing,
      body: OptionalReasonBody,
      response: answers({ 200: WouldRevoke, 204: Type.Null() }, 404, 409, 412, 413, 415),
    },
    handler: async (request, reply): Promise<unknown> => {
      const { reason, dryRun } = writeParts(request)
      const { id } = request.params
      const ifMatch = readIfMatch(request.headers['if-match'])
      if (ifMatch.outcome === 'refused') return sendRefusal(request, reply, ifMatch)
      const asked = writeRequest(request, reason)
      const outcome = await revokeToken(control, asked, id, { dryRun, expectedRevisions: ifMatch.revisions })
      switch (outcome.outcome) {
        case 'revoked':
          return dryRun ? { dryRun, id } : reply.code(204).send()
        case 'stale':
          return sendStale(request, reply, `token ${id}`, shownToken(outcome.current))
        case 'unknown-token':
          return sendProblem(request, reply, 'unknown_token', `there is no token ${id}; it may be revoked already`)
        case 'not-served-yet':
        case 'contended':
        case 'key-reused':
          return sendUnfinished(request, reply, outcome)
      }
    },
  })
}

function shownToken(current: Document | null): { revision: number; document: object } | null {
  return current === null ? null : { revision: current.revision, document: presentToken(current) }
}
