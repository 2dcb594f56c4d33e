// The documents of channels: list, read, create, edit, delete.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { CHANNEL_KIND, channelKey, channelNameOf } from '../../channels/channel.ts'
import { channelRecord } from '../../control/channel-view.ts'
import { knownState, type Control } from '../../control/control.ts'
import { readerOf } from '../../control/core/transaction.ts'
import { covers, type Identity } from '../../control/identity.ts'
import { answers, page } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { changeAnswers, presentChannel, sendChange } from './change.ts'
import { sendDocument } from './entity-tag.ts'
import { firstAfter, sendList, type Lists } from './list-page.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import { sendProblem } from './problem.ts'
import { ChannelParams, CreateBody, EditBody, DeleteBody, PageQuery } from './request-schemas.ts'
import { ref } from './schemas.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

export function channelRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    listChannelsRoute(app, lists)
    getChannelRoute(app, control)
    createChannelRoute(app, control)
    editChannelRoute(app, control)
    deleteChannelRoute(app, control)
  }
}

function listChannelsRoute(app: App, lists: Lists): void {
  const { control } = lists
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
    handler: (request, reply) => {
      const state = knownState(control)
      const identity = callerOf(request)
      const expiryTime = control.clock.expiryTime()
      return sendList(lists, request, reply, {
        after: (name, count) => firstAfter(namesFor(state, identity), name, count),
        nameOf: (name) => name,
        present(name) {
          const record = channelRecord(control, state, name, expiryTime)
          return record === null ? null : presentChannel(record)
        },
      })
    },
  })
}

/** The channels that a caller may see, in no promised order. */
function* namesFor(state: ReplicaState, identity: Identity): Generator<string> {
  for (const { key } of state.documentsOf(CHANNEL_KIND)) {
    const name = channelNameOf(key)
    if (name !== null && covers(identity, name)) yield name
  }
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
        'Creates a channel, with its source and limits. Without a version it tells agents to stay where they are. A version is guarded against what `default` serves; what an upstream answers first is not. `warnings` says which version webapi agents of this name were served by `default` until now.',
      tags: ['channels'],
      ...writing,
      body: CreateBody,
      response: changeAnswers(201, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, {
        name: request.body.name,
        change: { ...request.body, kind: 'create' },
        created: 201,
      }),
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
      sendChange(control, request, reply, { name: request.params.name, change: { ...request.body, kind: 'edit' } }),
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
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { kind: 'delete' } }),
  })
}
