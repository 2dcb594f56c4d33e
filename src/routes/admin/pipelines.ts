// Pipelines: which stages a release goes through, and by which rules.
import { unknownPipeline } from '../../rollouts/outcome.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { knownState, type Control } from '../../control/control.ts'
import { deletePipeline } from '../../control/delete-pipeline.ts'
import { listPipelines, readPipeline } from '../../control/pipelines.ts'
import { pipelineFor } from '../../control/scoped-rollouts.ts'
import { putPipeline } from '../../control/put-pipeline.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendDocument } from './entity-tag.ts'
import { OptionalReasonBody, PageQuery } from './request-schemas.ts'
import { sendList, type Lists } from './list-page.ts'
import { presentPipeline, sendPipelineOutcome, sendRolloutRefusal } from './rollout-outcomes.ts'
import { PIPELINE_BODY_BYTES_MAX, PipelineBody, PipelineParams } from './rollout-requests.ts'
import { ref } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const reading = { role: 'viewer' } as const
const changing = { role: 'admin', dryRunRole: 'viewer', wholeServer: true } as const
const tags = ['pipelines']

export function pipelineRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    listPipelinesRoute(app, lists)
    getPipelineRoute(app, control)
    putPipelineRoute(app, control)
    deletePipelineRoute(app, control)
  }
}

function listPipelinesRoute(app: App, lists: Lists): void {
  const { control } = lists
  app.route({
    method: 'GET',
    url: '/pipelines',
    config: reading,
    schema: {
      operationId: 'listPipelines',
      summary: 'List pipelines',
      description:
        'Every pipeline by name. A token that is limited to channels reads those that move channels of its own: of their stages those that do, and of these its own channels.',
      tags,
      querystring: PageQuery,
      response: answers({ 200: page(ref('Pipeline')) }),
    },
    handler: (request, reply) => {
      const state = knownState(control)
      const identity = callerOf(request)
      return sendList(lists, request, reply, {
        after: (name, count) =>
          listPipelines(state)
            .filter((one) => one.name > name && pipelineFor(identity, one) !== null)
            .slice(0, count),
        nameOf: ({ name }) => name,
        present({ name }) {
          const record = readPipeline(state, identity, name)
          return record === null ? null : presentPipeline(record)
        },
      })
    },
  })
}

function getPipelineRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/pipelines/:pipeline',
    config: reading,
    schema: {
      operationId: 'getPipeline',
      summary: 'Read a pipeline',
      description: 'Its rules, and which rollouts go by others; cut to the scope of the token, as in the list.',
      tags,
      params: PipelineParams,
      response: answers({ 200: ref('Pipeline'), 304: Type.Null() }, 404),
    },
    handler: async (request, reply) => {
      const record = readPipeline(knownState(control), callerOf(request), request.params.pipeline)
      if (record === null) return sendRolloutRefusal(request, reply, unknownPipeline(request.params.pipeline))
      return sendDocument(reply, record.revision, presentPipeline(record))
    },
  })
}

function putPipelineRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/pipelines/:pipeline',
    config: changing,
    bodyLimit: PIPELINE_BODY_BYTES_MAX,
    schema: {
      operationId: 'putPipeline',
      summary: 'Make or edit a pipeline',
      description:
        'The whole document. Rollouts under way keep the rules that they began with, until an operator re-bases them; `otherRules` names them.',
      tags,
      params: PipelineParams,
      ...writing,
      body: PipelineBody,
      response: writeAnswers({ 200: ref('Pipeline') }, 412),
    },
    handler: (request, reply) => {
      const { reason: _, ...rules } = request.body
      const draft = { ...rules, name: request.params.pipeline }
      return handleWrite(
        request,
        reply,
        (asked, options) => putPipeline(control, asked, draft, options),
        (outcome) => sendPipelineOutcome(control, request, reply, outcome),
      )
    },
  })
}

function deletePipelineRoute(app: App, control: Control): void {
  app.route({
    method: 'DELETE',
    url: '/pipelines/:pipeline',
    config: changing,
    schema: {
      operationId: 'deletePipeline',
      summary: 'Delete a pipeline',
      description: 'Only while nothing is under way in it. What its rollouts have done stays.',
      tags,
      params: PipelineParams,
      ...writing,
      body: OptionalReasonBody,
      response: writeAnswers({ 200: ref('DryRun'), 204: Type.Null() }, 404, 412),
    },
    handler: (request, reply) =>
      handleWrite(
        request,
        reply,
        (asked, options) => deletePipeline(control, asked, request.params.pipeline, options),
        (outcome) => sendPipelineOutcome(control, request, reply, outcome),
      ),
  })
}
