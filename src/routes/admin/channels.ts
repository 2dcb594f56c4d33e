// The documents of channels: list, read, create, edit, delete.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { CHANNEL_KIND, channelKey, channelNameOf } from '../../channels/channel.ts'
import { channelRecord } from '../../control/channel-view.ts'
import { knownState, type Control } from '../../control/control.ts'
import { readerOf } from '../../control/core/transaction.ts'
import { covers } from '../../control/identity.ts'
import { answers, page } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { changeAnswers, presentChannel, sendChange } from './change.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { sendDocument } from './entity-tag.ts'
import { sendProblem } from './problem.ts'
import { ChannelParams, CreateBody, EditBody, DeleteBody, PAGE_LIMIT_DEFAULT, PageQuery } from './request-schemas.ts'
import { ref } from './schemas.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

export function channelRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    listChannelsRoute(app, control)
    getChannelRoute(app, control)
    createChannelRoute(app, control)
    editChannelRoute(app, control)
    deleteChannelRoute(app, control)
  }
}

function listChannelsRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/channels',
    config: { role: 'viewer' },
    schema: {
      operationId: 'listChannels',
      summary: 'List channels',
      description: 'Every channel in the scope of the token, by name, with what it tells agents now.',
      tags: ['channels'],
      querystring: PageQuery,
      response: answers({ 200: page(ref('Channel')) }),
    },
    handler: async (request, reply) => {
      const { cursor, limit = PAGE_LIMIT_DEFAULT } = request.query
      const after = cursor === undefined ? '' : readCursor('name', cursor)
      if (after === null) {
        const errors = [
          { field: 'cursor', message: 'is not a cursor of this list; give the `next` of the page before' },
        ]
        return sendProblem(request, reply, 'invalid_request', `cursor ${errors[0]?.message}`, { errors })
      }
      const state = knownState(control)
      const identity = callerOf(request)
      const names: string[] = []
      for (const { key } of state.documentsOf(CHANNEL_KIND)) {
        const name = channelNameOf(key)
        if (name !== null && name > after && covers(identity, name)) names.push(name)
      }
      names.sort()
      const shown = names.slice(0, limit)
      const now = control.clock.expiryTime()
      const items = shown.flatMap((name) => {
        const record = channelRecord(control, state, name, now)
        return record === null ? [] : [presentChannel(record)]
      })
      const last = shown.at(-1)
      return { items, next: names.length > limit && last !== undefined ? writeCursor('name', last) : null }
    },
  })
}

function getChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/channels/:name',
    config: { role: 'viewer' },
    schema: {
      operationId: 'getChannel',
      summary: 'Read a channel',
      description: 'The document of a channel and what it tells agents now.',
      tags: ['channels'],
      params: ChannelParams,
      response: answers({ 200: ref('Channel'), 304: Type.Null() }, 404, 409),
    },
    handler: async (request, reply) => {
      const record = channelRecord(control, knownState(control), request.params.name, control.clock.expiryTime())
      if (record === null) {
        readerOf(knownState(control)).readable(channelKey(request.params.name))
        return sendProblem(request, reply, 'unknown_channel', `there is no channel ${request.params.name}`)
      }
      return sendDocument(reply, record.revision, presentChannel(record))
    },
  })
}

function createChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/channels',
    config: { role: 'operator', dryRunRole: 'viewer' },
    schema: {
      operationId: 'createChannel',
      summary: 'Create a channel',
      description:
        'Creates a channel, with its source and limits. Without a version it tells agents to stay where they are.',
      tags: ['channels'],
      ...writing,
      body: CreateBody,
      response: changeAnswers(201, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, request.body.name, { ...request.body, kind: 'create' }, 201),
  })
}

function editChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'PATCH',
    url: '/channels/:name',
    config: { role: 'operator', dryRunRole: 'viewer' },
    schema: {
      operationId: 'editChannel',
      summary: 'Edit a channel',
      description: 'Changes description, source or limits; what is left out stays.',
      tags: ['channels'],
      params: ChannelParams,
      ...writing,
      body: EditBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, request.params.name, { ...request.body, kind: 'edit' }),
  })
}

function deleteChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/channels/:name',
    config: { role: 'admin', dryRunRole: 'viewer' },
    schema: {
      operationId: 'deleteChannel',
      summary: 'Delete a channel',
      description:
        'Agents of a deleted channel get 404 and stay where they are; on the webapi path they get the channel `default`, where there is one.',
      tags: ['channels'],
      params: ChannelParams,
      ...writing,
      body: DeleteBody,
      response: changeAnswers(204, 404, 422),
    },
    handler: (request, reply) => sendChange(control, request, reply, request.params.name, { kind: 'delete' }),
  })
}
