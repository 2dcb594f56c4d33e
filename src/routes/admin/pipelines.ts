// Pipelines: which stages a release goes through, and by which rules.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { knownState, type Control } from '../../control/control.ts'
import { deletePipeline, listPipelines, pipelineRecord, putPipeline, unknownPipeline } from '../../control/pipelines.ts'
import { answers, page } from './answers.ts'
import { sendRefusal, writeParts } from './change.ts'
import { entityTag, readIfMatch } from './if-match.ts'
import { sendList, type Lists } from './list-page.ts'
import { OptionalReasonBody, PageQuery } from './request-schemas.ts'
import { presentPipeline, sendPipelineOutcome, sendRolloutRefusal } from './rollout-outcomes.ts'
import { PIPELINE_BODY_BYTES_MAX, PipelineBody, PipelineParams } from './rollout-requests.ts'
import { ref } from './schemas.ts'
import { writeRequest, writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const reading = { role: 'viewer', wholeServer: true } as const
const changing = { role: 'admin', wholeServer: true } as const
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
      description: 'Every pipeline by name.',
      tags,
      querystring: PageQuery,
      response: answers({ 200: page(ref('Pipeline')) }),
    },
    handler: (request, reply) => {
      const state = knownState(control)
      return sendList(lists, request, reply, {
        after: (name, count) =>
          listPipelines(state)
            .filter((one) => one.name > name)
            .slice(0, count),
        nameOf: ({ name }) => name,
        present({ name }) {
          const record = pipelineRecord(state, name)
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
      description: 'Its rules, and which rollouts go by others.',
      tags,
      params: PipelineParams,
      response: answers({ 200: ref('Pipeline') }, 404),
    },
    handler: async (request, reply) => {
      const record = pipelineRecord(knownState(control), request.params.pipeline)
      if (record === null) return sendRolloutRefusal(request, reply, unknownPipeline(request.params.pipeline))
      void reply.header('ETag', entityTag(record.revision))
      return presentPipeline(record)
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
      response: answers({ 200: ref('Pipeline') }, 409, 412, 413, 415),
    },
    handler: async (request, reply) => {
      const { reason, dryRun } = writeParts(request)
      const ifMatch = readIfMatch(request.headers['if-match'])
      if (ifMatch.outcome === 'refused') return sendRefusal(request, reply, ifMatch)
      const { reason: _, ...rules } = request.body
      const draft = { ...rules, name: request.params.pipeline }
      const conditions = { dryRun, expectedRevisions: ifMatch.revisions }
      const outcome = await putPipeline(control, writeRequest(request, reason), draft, conditions)
      return sendPipelineOutcome(control, request, reply, outcome, dryRun)
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
      response: answers(
        { 200: Type.Object({ dryRun: Type.Literal(true) }), 204: Type.Null() },
        404,
        409,
        412,
        413,
        415,
      ),
    },
    handler: async (request, reply) => {
      const { reason, dryRun } = writeParts(request)
      const ifMatch = readIfMatch(request.headers['if-match'])
      if (ifMatch.outcome === 'refused') return sendRefusal(request, reply, ifMatch)
      const conditions = { dryRun, expectedRevisions: ifMatch.revisions }
      const asked = writeRequest(request, reason)
      const outcome = await deletePipeline(control, asked, request.params.pipeline, conditions)
      return sendPipelineOutcome(control, request, reply, outcome, dryRun)
    },
  })
}
