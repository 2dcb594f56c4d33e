// The block list of versions.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { blockedVersionKey, blockedVersionOf, type BlockedVersion } from '../../channels/blocked-version.ts'
import { blockVersion } from '../../control/block-version.ts'
import { listBlockedVersions } from '../../control/blocked-versions.ts'
import { unblockVersion } from '../../control/unblock-version.ts'
import { knownState, type Control } from '../../control/control.ts'
import { covers } from '../../control/identity.ts'
import { readerOf } from '../../control/core/transaction.ts'
import { servedBy, servedByOf } from '../../control/served-by.ts'
import { malformed } from '../../channels/outcome.ts'
import { orderVersions, parseVersion } from '../../channels/version.ts'
import type { Document } from '../../store/port.ts'
import { isBlockedSeen } from '../../control/visible-documents.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendStale, sendUnfinished } from './change.ts'
import { sendDocument } from './entity-tag.ts'
import { sendProblem } from './problem.ts'
import { afterVersion, sendList, type Lists } from './list-page.ts'
import { PageQuery, ReasonBody } from './request-schemas.ts'
import { servedByIn } from './rollout-outcomes.ts'
import { ref } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'
import { sendDeleted, sendWritten } from './write-response.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const VersionParams = Type.Object({
  version: Type.String({ description: 'The version, percent-encoded where it has a `+`.' }),
})
const versionOf = ({ version }: BlockedVersion): string => version

const config = { role: 'admin', dryRunRole: 'viewer', wholeServer: true } as const

export function blockedVersionRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    listBlockedVersionsRoute(app, lists)
    getBlockedVersionRoute(app, control)
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
      description:
        'Every version that must not be served again, lowest first. What is on the list for a release is for tokens that may read releases.',
      tags: ['blocked versions'],
      querystring: PageQuery,
      response: answers({ 200: page(ref('BlockedVersion')) }),
    },
    handler: (request, reply) =>
      sendList(lists, request, reply, {
        after: (name, count) =>
          afterVersion(
            listBlockedVersions(knownState(control), callerOf(request)),
            { versionOf, compare: orderVersions },
            name,
            count,
          ),
        nameOf: versionOf,
        present: (blocked) => blocked,
      }),
  })
}

function blockVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/blocked-versions/:version',
    config: { ...config, isUrgent: true },
    schema: {
      operationId: 'blockVersion',
      summary: 'Block a version',
      description: 'No channel can be moved to it any more. Channels that serve it stay there; the answer names them.',
      tags: ['blocked versions'],
      params: VersionParams,
      ...writing,
      body: ReasonBody,
      response: writeAnswers({ 200: ref('BlockedVersion') }, 412),
    },
    handler: (request, reply) => {
      const { version } = request.params
      return handleWrite(
        request,
        reply,
        (asked, options) => blockVersion(control, asked, version, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'blocked': {
              const { blocked, revision } = outcome
              const body = { ...blocked, revision, ...servedByIn(outcome) }
              return sendWritten(control, request, reply, { revision, body })
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
      )
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
      response: writeAnswers({ 200: ref('DryRun'), 204: Type.Null() }, 404, 412),
    },
    handler: (request, reply) => {
      const { version } = request.params
      return handleWrite(
        request,
        reply,
        (asked, options) => unblockVersion(control, asked, version, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'unblocked':
              return sendDeleted(control, request, reply)
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
      )
    },
  })
}

function getBlockedVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/blocked-versions/:version',
    config: { role: 'viewer' },
    schema: {
      operationId: 'getBlockedVersion',
      summary: 'Read a blocked version',
      description: 'Why a version must not be served again, and where agents are told it still.',
      tags: ['blocked versions'],
      params: VersionParams,
      response: answers({ 200: ref('BlockedVersion'), 304: Type.Null() }, 404, 409),
    },
    handler: async (request, reply) => {
      const parsed = parseVersion(request.params.version)
      if (parsed.outcome === 'unparsed') return sendRefusal(request, reply, malformed('version', parsed.message))
      const version = parsed.value
      const state = knownState(control)
      const identity = callerOf(request)
      const key = blockedVersionKey(version)
      const stored = state.stored(key)
      const isSeen = stored !== undefined && isBlockedSeen(state, identity, stored)
      const document = isSeen ? readerOf(state).readable(key) : undefined
      if (document === undefined) {
        return sendProblem(request, reply, 'not_blocked', `${version} is not on the block list`)
      }
      const { revision } = document
      return sendDocument(reply, revision, {
        ...blockedVersionOf(document),
        revision,
        ...servedByOf(servedBy(state, version).filter((channel) => covers(identity, channel))),
      })
    },
  })
}

function shownBlocked(current: Document | null): { revision: number; document: object } | null {
  if (current === null) return null
  const { revision } = current
  return { revision, document: { ...blockedVersionOf(current), revision } }
}
