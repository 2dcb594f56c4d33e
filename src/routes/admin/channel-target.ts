// What operators do to a channel's target: set its version, pin, roll back, make critical, halt, and undo these.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Control } from '../../control/control.ts'
import { refuseLimited } from './authenticate.ts'
import { changeAnswers, sendChange } from './change.ts'
import {
  ChannelParams,
  CriticalBody,
  ForceableReasonBody,
  PinBody,
  ReasonBody,
  RollbackBody,
  VersionBody,
} from './request-schemas.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const config = { role: 'operator', dryRunRole: 'viewer' } as const
const urgent = { ...config, isUrgent: true } as const

const shared = { tags: ['target'], params: ChannelParams, ...writing }

export function channelTargetRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    setVersionRoute(app, control)
    pinChannelRoute(app, control)
    unpinChannelRoute(app, control)
    rollBackChannelRoute(app, control)
    setCriticalRoute(app, control)
    haltChannelRoute(app, control)
    resumeChannelRoute(app, control)
  }
}

function setVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/channels/:name/version',
    config,
    schema: {
      ...shared,
      operationId: 'setVersion',
      summary: 'Set the version',
      description:
        'Moves the source; `null` tells agents to stay where they are. A pin or a halt still decides while it lasts, and `warnings` say so; `unpin` takes the pin away in the same entry.',
      body: VersionBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { ...request.body, kind: 'version' } }),
  })
}

function pinChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/channels/:name/pin',
    config: urgent,
    schema: {
      ...shared,
      operationId: 'pinChannel',
      summary: 'Pin to a version',
      description:
        'Overrides the source until the pin is taken away, or until its time is over and no guard forbids that.',
      body: PinBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { ...request.body, kind: 'pin' } }),
  })
}

function unpinChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/channels/:name/pin',
    config: urgent,
    schema: {
      ...shared,
      operationId: 'unpinChannel',
      summary: 'Take the pin away',
      description:
        'The source decides again; guarded like any change of what is served. After a rollback it is refused while the source is a version that the rollback left.',
      body: ForceableReasonBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { kind: 'unpin' } }),
  })
}

function rollBackChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/channels/:name/rollback',
    config: urgent,
    schema: {
      ...shared,
      operationId: 'rollBackChannel',
      summary: 'Roll back',
      description:
        'Pins to what was served before: the version before this one, or the one named by version or revision. The pin remembers what it leaves; `block` puts that on the block list in the same entry.',
      body: RollbackBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) => {
      const { to, critical, block } = request.body
      if (block === true) {
        const refused = refuseLimited(request, reply)
        if (refused !== null) return refused
      }
      const change = {
        kind: 'rollback-to' as const,
        ...(to === undefined ? {} : { to }),
        ...(critical === undefined ? {} : { critical }),
        ...(block === undefined ? {} : { block }),
      }
      return sendChange(control, request, reply, { name: request.params.name, change })
    },
  })
}

function setCriticalRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/channels/:name/critical',
    config,
    schema: {
      ...shared,
      operationId: 'setCritical',
      summary: 'Set the urgency',
      description: 'Whether agents update at once, outside their maintenance window; on the pin where there is one.',
      body: CriticalBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { ...request.body, kind: 'critical' } }),
  })
}

function haltChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/channels/:name/halt',
    config: urgent,
    schema: {
      ...shared,
      operationId: 'haltChannel',
      summary: 'Halt',
      description: 'Tells agents to stay where they are, whatever source and pin say.',
      body: ReasonBody,
      response: changeAnswers(200, 404),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { kind: 'halt' } }),
  })
}

function resumeChannelRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/channels/:name/halt',
    config: urgent,
    schema: {
      ...shared,
      operationId: 'resumeChannel',
      summary: 'Resume',
      description:
        'Ends the halt; guarded like any change of what is served, against the version agents had before it.',
      body: ForceableReasonBody,
      response: changeAnswers(200, 404, 422),
    },
    handler: (request, reply) =>
      sendChange(control, request, reply, { name: request.params.name, change: { kind: 'resume' } }),
  })
}
