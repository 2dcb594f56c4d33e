// The block list of versions.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { blockedVersionOf, type BlockedVersion } from '../../channels/blocked-version.ts'
import { compareVersions } from '../../channels/version.ts'
import { blockVersion, listBlockedVersions, unblockVersion } from '../../control/block-version.ts'
import type { Control } from '../../control/control.ts'
import type { Document } from '../../store/port.ts'
import { answers, page } from './answers.ts'
import { sendRefusal, sendStale, sendUnfinished, writeParts } from './change.ts'
import { entityTag, readIfMatch } from './if-match.ts'
import { sendProblem } from './problem.ts'
import { afterVersion, sendList, type Lists } from './list-page.ts'
import { PageQuery, ReasonBody } from './request-schemas.ts'
import { ref } from './schemas.ts'
import { writeRequest, writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const VersionParams = Type.Object({
  version: Type.String({ description: 'The version, percent-encoded where it has a `+`.' }),
})
const Blocked = Type.Object({
  version: Type.String(),
  reason: Type.String(),
  by: Type.String(),
  at: Type.String(),
  servedBy: Type.Array(Type.String(), {
    description: 'Channels that tell agents this version now; they are not moved.',
  }),
  dryRun: Type.Optional(Type.Boolean()),
})
const DryRunOnly = Type.Object({ dryRun: Type.Literal(true), version: Type.String() })

const versionOf = ({ version }: BlockedVersion): string => version

const config = { role: 'admin', wholeServer: true } as const

export function blockedVersionRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    listBlockedVersionsRoute(app, lists)
    blockVersionRoute(app, control)
    unblockVersionRoute(app, control)
  }
}

function listBlockedVersionsRoute(app: App, lists: Lists): void {
  const { control } = lists
  app.route({
    method: 'GET',
    url: '/blocked-versions',
    config: { role: 'viewer' },
    schema: {
      operationId: 'listBlockedVersions',
      summary: 'List blocked versions',
      description: 'Every version that must not be served again, lowest first.',
      tags: ['blocked versions'],
      querystring: PageQuery,
      response: answers({ 200: page(ref('BlockedVersion')) }),
    },
    handler: (request, reply) =>
      sendList(lists, request, reply, {
        after: (name, count) => afterVersion(listBlockedVersions(control), versionOf, compareVersions, name, count),
        nameOf: versionOf,
        present: (blocked) => blocked,
      }),
  })
}

function blockVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/blocked-versions/:version',
    config,
    schema: {
      operationId: 'blockVersion',
      summary: 'Block a version',
      description: 'No channel can be moved to it any more. Channels that serve it stay there; the answer names them.',
      tags: ['blocked versions'],
      params: VersionParams,
      ...writing,
      body: ReasonBody,
      response: answers({ 200: Blocked }, 409, 412, 413, 415),
    },
    handler: async (request, reply) => {
      const { reason, dryRun } = writeParts(request)
      const { version } = request.params
      const ifMatch = readIfMatch(request.headers['if-match'])
      if (ifMatch.outcome === 'refused') return sendRefusal(request, reply, ifMatch)
      const asked = writeRequest(request, reason)
      const outcome = await blockVersion(control, asked, version, { dryRun, expectedRevisions: ifMatch.revisions })
      switch (outcome.outcome) {
        case 'blocked': {
          const { blocked, servedBy, revision } = outcome
          if (!dryRun) void reply.header('ETag', entityTag(revision))
          return reply.send({ ...blocked, servedBy, ...(dryRun ? { dryRun } : {}) })
        }
        case 'stale':
          return sendStale(request, reply, `blocked version ${version}`, shownBlocked(outcome.current))
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

function unblockVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/blocked-versions/:version',
    config,
    schema: {
      operationId: 'unblockVersion',
      summary: 'Unblock a version',
      description: 'Channels can be moved to it again.',
      tags: ['blocked versions'],
      params: VersionParams,
      ...writing,
      body: ReasonBody,
      response: answers({ 200: DryRunOnly, 204: Type.Null() }, 404, 409, 412, 413, 415),
    },
    handler: async (request, reply): Promise<unknown> => {
      const { reason, dryRun } = writeParts(request)
      const { version } = request.params
      const ifMatch = readIfMatch(request.headers['if-match'])
      if (ifMatch.outcome === 'refused') return sendRefusal(request, reply, ifMatch)
      const asked = writeRequest(request, reason)
      const outcome = await unblockVersion(control, asked, version, { dryRun, expectedRevisions: ifMatch.revisions })
      switch (outcome.outcome) {
        case 'unblocked':
          return dryRun ? { dryRun, version } : reply.code(204).send()
        case 'not-blocked':
          return sendProblem(request, reply, 'not_blocked', `${version} is not on the block list`)
        case 'no-packages': {
          const detail = `${version} is a control-plane release; it leaves the list when POST …/releases/${version}/artifacts has found its agent packages`
          return sendProblem(request, reply, 'no_packages', detail)
        }
        case 'stale':
          return sendStale(request, reply, `blocked version ${version}`, shownBlocked(outcome.current))
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

function shownBlocked(current: Document | null): { revision: number; document: object } | null {
  return current === null ? null : { revision: current.revision, document: blockedVersionOf(current) }
}
