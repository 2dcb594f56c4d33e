// Rollouts: how far releases have come, and what operators do to them.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { editRollout } from '../../control/edit-rollout.ts'
import { promoteStage } from '../../control/promote-stage.ts'
import { startRollout } from '../../control/start-rollout.ts'
import { knownState, type Conditions, type Control, type Request } from '../../control/control.ts'
import { endRollback } from '../../control/end-rollback.ts'
import { rollBack } from '../../control/roll-back.ts'
import { rolloutRecord } from '../../control/rollout-record.ts'
import { readerOf } from '../../control/core/transaction.ts'
import { documentsNewestFirst, isKnownPipeline, type RolloutChoice } from '../../control/find-rollout.ts'
import { readRollout } from '../../control/rollout-record.ts'
import { rolloutFor, rolloutRecordFor } from '../../control/scoped-rollouts.ts'
import type { RolloutOutcome } from '../../control/rollout-result.ts'
import { refuse, unknownPipeline } from '../../rollouts/outcome.ts'
import { compareReleases } from '../../rollouts/cloud-version.ts'
import { rolloutOf } from '../../rollouts/rollout.ts'
import type { Document } from '../../store/port.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendDocument } from './entity-tag.ts'
import { afterVersion, sendList, type List, type Lists } from './list-page.ts'
import { ROLLOUTS_PAGE_LIMIT_DEFAULT, RolloutsPageQuery } from './request-schemas.ts'
import { presentRollout, sendRolloutOutcome, sendRolloutRefusal } from './rollout-outcomes.ts'
import {
  AfterBody,
  ApproveBody,
  PauseBody,
  PipelineParams,
  PromoteBody,
  RebaseBody,
  RollbackAllBody,
  RolloutParams,
  StartBody,
} from './rollout-requests.ts'
import { ref } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const reading = { role: 'viewer' } as const
const tags = ['rollouts']

export function rolloutRoutes(lists: Lists): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    listRolloutsRoute(app, lists)
    getRolloutRoute(app, control)
    startRoute(app, control)
    stepRoutes(app, control)
  }
}

function listRolloutsRoute(app: App, lists: Lists): void {
  const { control } = lists
  app.route({
    method: 'GET',
    url: '/rollouts/:pipeline',
    config: reading,
    schema: {
      operationId: 'listRollouts',
      summary: 'List the rollouts of a pipeline',
      description:
        'The newest release first, each with how its stages stand and what holds them back. A token that is limited to channels reads the stages of its own channels; `out_of_scope` among the blockers stands for what is not about those.',
      tags,
      params: PipelineParams,
      querystring: RolloutsPageQuery,
      response: answers({ 200: page(ref('Rollout')) }, 404),
    },
    handler: async (request, reply) => {
      const { pipeline } = request.params
      const state = knownState(control)
      const identity = callerOf(request)
      if (!isKnownPipeline(state, identity, pipeline))
        return sendRolloutRefusal(request, reply, unknownPipeline(pipeline))
      const nameOf = (document: Document): string => rolloutOf(document).release
      const isSeen = (document: Document): boolean => rolloutFor(identity, rolloutOf(document)) !== null
      const list: List<Document> = {
        after: (name, count) =>
          afterVersion(
            documentsNewestFirst(state, pipeline).filter(isSeen),
            { versionOf: nameOf, compare: (a, b) => compareReleases(b, a) },
            name,
            count,
          ),
        nameOf,
        async present(document) {
          // A turn for the polls before each: one can have 880 channels. It is judged by the channels of then.
          await nextTurn()
          const current = state.document(document.key) ?? document
          const seen = rolloutRecordFor(identity, await rolloutRecord(control, readerOf(state), current))
          return seen === null ? null : presentRollout(seen)
        },
      }
      return sendList(lists, request, reply, { ...list, limitDefault: ROLLOUTS_PAGE_LIMIT_DEFAULT })
    },
  })
}

function getRolloutRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/rollouts/:pipeline/:version',
    config: reading,
    schema: {
      operationId: 'getRollout',
      summary: 'Read a rollout',
      description: 'How its stages stand, what holds them back in words, and the last values of their gates.',
      tags,
      params: RolloutParams,
      response: answers({ 200: ref('Rollout'), 304: Type.Null() }, 404),
    },
    handler: async (request, reply) => {
      const { pipeline, version } = request.params
      const found = await readRollout(control, pipeline, version)
      const record = found === null ? null : rolloutRecordFor(callerOf(request), found)
      if (record === null) {
        const message = `release ${version} has no rollout in the pipeline ${pipeline}`
        return sendRolloutRefusal(request, reply, refuse('unknown_rollout', message))
      }
      return sendDocument(reply, record.revision, presentRollout(record))
    },
  })
}

function startRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/rollouts/:pipeline',
    config: { role: 'operator', dryRunRole: 'viewer', wholeServer: true },
    schema: {
      operationId: 'startRollout',
      summary: 'Begin a rollout',
      description:
        'For a release that was registered before the pipeline took it, or whose rollout was superseded by one that was rolled back.',
      tags,
      params: PipelineParams,
      ...writing,
      body: StartBody,
      response: writeAnswers({ 200: ref('RolloutChange'), 201: ref('RolloutChange') }, 404),
    },
    handler: (request, reply) =>
      send(control, request, reply, (asked, _choice, conditions) =>
        startRollout(control, asked, { ...request.params, release: request.body.release }, conditions),
      ),
  })
}

function stepRoutes(app: App, control: Control): void {
  stepRoute(app, control, 'promote', {
    body: PromoteBody,
    operationId: 'promoteStage',
    summary: 'Promote a stage',
    description:
      'Moves all channels of the stage in one commit, or says everything that holds it back. Pinned and halted channels are left where they are; once they are free, promoting the stage again takes them along.',
    change: (asked, choice, conditions, { stage = '', critical = false, force = false }) =>
      promoteStage(control, asked, { ...choice, stage, critical, force }, conditions),
  })
  stepRoute(app, control, 'approve', {
    body: ApproveBody,
    operationId: 'approveStage',
    summary: 'Approve a stage',
    description: 'One of the people whom the stage waits for; whoever cut the release may not.',
    change: (asked, choice, conditions, { stage = '', edition = null }) =>
      editRollout(control, asked, { ...choice, kind: 'approve', stage, edition }, conditions),
  })
  stepRoute(app, control, 'pause', {
    body: PauseBody,
    operationId: 'pauseRollout',
    summary: 'Pause a rollout',
    description: 'Agents keep what they were told; nothing goes further until it is resumed.',
    change: (asked, choice, conditions) => editRollout(control, asked, { ...choice, kind: 'pause' }, conditions),
  })
  stepRoute(app, control, 'resume', {
    body: AfterBody,
    operationId: 'resumeRollout',
    summary: 'Resume a rollout',
    description:
      'After a pause: the step or the soaking under way begins anew. After a rollback: its pins are taken away in one commit, and the release goes on where it was, if what must hold of a release holds of it now; approvals and the window are not asked again. `untouched` names channels that the rollback in another pipeline pins still.',
    change: (asked, choice, conditions, { force = false }) =>
      endRollback(control, asked, { ...choice, how: 'resume', force }, conditions),
  })
  stepRoute(app, control, 'unpin', {
    body: AfterBody,
    operationId: 'unpinRollout',
    summary: 'End the pins of a rollback',
    description:
      'In one commit every channel that the rollback has pinned stays at that version, as its source: what agents are told does not change, and the next release can be promoted.',
    change: (asked, choice, conditions, { force = false }) =>
      endRollback(control, asked, { ...choice, how: 'unpin', force }, conditions),
  })
  stepRoute(app, control, 'rebase', {
    body: RebaseBody,
    operationId: 'rebaseRollout',
    summary: 'Take the rules of now',
    description:
      'The rollout goes by the rules that its pipeline has now. Stages that were promoted must still be there.',
    change: (asked, choice, conditions) => editRollout(control, asked, { ...choice, kind: 'rebase' }, conditions),
  })
  stepRoute(app, control, 'rollback', {
    body: RollbackAllBody,
    operationId: 'rollBackRollout',
    summary: 'Take a release back',
    description:
      'Pins every channel that the release has reached back to the last good one, in one commit, past gates and approvals, and marks the release bad. `to` is an older version that is known here. `servedBy` names the channels that other pipelines, or hands, have moved to it: they tell it still. `?dryRun=true` shows which channel would go from what to what.',
    change: (asked, choice, conditions, { to = null, critical = false, force = false }) =>
      rollBack(control, asked, { ...choice, to, critical, force }, conditions),
  })
}

/** What the bodies of these routes have; each schema says which of it. */
interface StepBody {
  readonly release?: string
  readonly stage?: string
  readonly edition?: number
  readonly to?: string
  readonly critical?: boolean
  readonly force?: boolean
}

interface StepRoute {
  readonly body: TSchema
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly change: (
    asked: Request,
    choice: RolloutChoice,
    conditions: Conditions,
    body: StepBody,
  ) => Promise<RolloutOutcome>
}

/** What stops a release, or takes it back. */
const URGENT: ReadonlySet<string> = new Set(['pause', 'rollback'])

function stepRoute(app: App, control: Control, verb: string, route: StepRoute): void {
  const { change, body, ...words } = route
  app.route({
    method: 'POST',
    url: `/rollouts/:pipeline/${verb}`,
    config: { role: 'operator', dryRunRole: 'viewer', wholeServer: true, isUrgent: URGENT.has(verb) },
    schema: {
      ...words,
      tags,
      params: PipelineParams,
      ...writing,
      body,
      response: writeAnswers({ 200: ref('RolloutChange') }, 404, 412),
    },
    handler: (request, reply) =>
      // Checked by the schema: it is one of the bodies above.
      send(control, request, reply, (asked, choice, conditions) =>
        change(asked, choice, conditions, request.body as StepBody),
      ),
  })
}

function send(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  change: (asked: Request, choice: RolloutChoice, conditions: Conditions) => Promise<RolloutOutcome>,
): Promise<FastifyReply> {
  // Checked by the route's schemas.
  const { pipeline } = request.params as { pipeline: string }
  const { release = null } = request.body as StepBody
  return handleWrite(
    request,
    reply,
    (asked, conditions) => change(asked, { pipeline, release }, conditions),
    (outcome) => sendRolloutOutcome(control, request, reply, outcome),
  )
}
