// Tokens, and who the caller is.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { authorOf } from '../../rollouts/people.ts'
import { knownState, type Control } from '../../control/control.ts'
import { readerOf } from '../../control/core/transaction.ts'
import { roles } from '../../control/identity.ts'
import { createToken } from '../../control/create-token.ts'
import { compareTokens, listTokens, presentToken, tokenKey } from '../../control/tokens.ts'
import { revokeToken } from '../../control/revoke-token.ts'
import type { Document } from '../../store/port.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendStale, sendUnfinished } from './change.ts'
import { sendDocument } from './entity-tag.ts'
import { sendList, type Lists } from './list-page.ts'
import { sendProblem } from './problem.ts'
import { OptionalReasonBody, PageQuery, TokenBody } from './request-schemas.ts'
import { Nullable, ref } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'
import { sendDeleted, sendWritten } from './write-response.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const Created = Type.Intersect([ref('Token'), Type.Object({ token: Type.String({ description: 'Shown this once.' }) })])
const Identity = Type.Object({
  actor: Type.String(),
  person: Type.String({ description: 'Who counts where different people must approve or sign off.' }),
  role: Type.Union(roles.map((role) => Type.Literal(role))),
  channels: Nullable(Type.Array(Type.String())),
})

const config = { role: 'admin', wholeServer: true } as const

export function tokenRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    whoAmIRoute(app)
    listTokensRoute(app, lists)
    getTokenRoute(app, control)
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
    handler: async (request) => {
      const caller = callerOf(request)
      return { ...caller, person: authorOf(caller) }
    },
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
      response: writeAnswers({ 200: ref('Token'), 201: Created }),
    },
    handler: (request, reply) =>
      handleWrite(
        request,
        reply,
        (asked, { dryRun }) => createToken(control, { ...asked, reason: null }, request.body, dryRun),
        (outcome) => {
          switch (outcome.outcome) {
            case 'created': {
              const { token, secret } = outcome
              void reply.header('Cache-Control', 'no-store')
              const body = request.write.isDryRun ? token : { ...token, token: secret }
              return sendWritten(control, request, reply, { status: 201, revision: token.revision, body })
            }
            case 'made-before': {
              const detail = `an earlier try has made the token ${outcome.id}; its text was only in that answer. Revoke it and make another`
              return sendProblem(request, reply, 'secret_lost', { detail, id: outcome.id })
            }
            case 'refused':
              return sendRefusal(request, reply, outcome)
            case 'not-served-yet':
            case 'contended':
            case 'key-reused':
              return sendUnfinished(request, reply, outcome)
          }
        },
      ),
  })
}

function getTokenRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/tokens/:id',
    config,
    schema: {
      operationId: 'getToken',
      summary: 'Read a token',
      description: 'What it may do, and until when. What is secret of it is not stored.',
      tags: ['tokens'],
      params: Type.Object({ id: Type.String() }),
      response: answers({ 200: ref('Token'), 304: Type.Null() }, 404, 409),
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const document = readerOf(knownState(control)).readable(tokenKey(id))
      if (document === undefined) return sendProblem(request, reply, 'unknown_token', unknownToken(id))
      return sendDocument(reply, document.revision, presentToken(document))
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
      response: writeAnswers({ 200: ref('DryRun'), 204: Type.Null() }, 404, 412),
    },
    handler: (request, reply) => {
      const { id } = request.params
      return handleWrite(
        request,
        reply,
        (asked, options) => revokeToken(control, asked, id, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'revoked':
              return sendDeleted(control, request, reply)
            case 'stale':
              return sendStale(request, reply, `token ${id}`, shownToken(outcome.current))
            case 'unknown-token':
              return sendProblem(request, reply, 'unknown_token', unknownToken(id))
            case 'not-served-yet':
            case 'contended':
            case 'key-reused':
              return sendUnfinished(request, reply, outcome)
          }
        },
      )
    },
  })
}

function unknownToken(id: string): string {
  return `there is no token ${id}; it may be revoked already`
}

function shownToken(current: Document | null): { revision: number; document: object } | null {
  return current === null ? null : { revision: current.revision, document: presentToken(current) }
}
