// What is done to a release on its way: its packages named, its changes signed off, its embargo lifted, itself withdrawn.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { ReleaseOutcome } from '../../control/release-result.ts'
import type { Conditions, Control, Request } from '../../control/control.ts'
import type { Role } from '../../control/identity.ts'
import { addPackages } from '../../control/add-packages.ts'
import { judgeChange, liftEmbargo } from '../../control/edit-release.ts'
import { withdrawRelease } from '../../control/withdraw-release.ts'
import type { ChangeVerdict } from '../../rollouts/release-draft.ts'
import { writeAnswers } from './answers.ts'
import { OptionalReasonBody, ReasonBody } from './request-schemas.ts'
import { sendReleaseOutcome } from './rollout-outcomes.ts'
import { ArtifactsBody, ReleaseChangeParams, ReleaseParams } from './rollout-requests.ts'
import { ref } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const as = (role: Role) => ({ role, dryRunRole: 'viewer' as const, wholeServer: true })
const shared = { tags: ['releases'], ...writing }
const answered = writeAnswers({ 200: ref('Release') }, 404, 412)

export function releaseStepRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    artifactsRoute(app, control)
    changeRoute(
      app,
      control,
      { method: 'POST', verdict: 'verify' },
      {
        operationId: 'verifyChange',
        summary: 'Sign a change off',
        description: 'Somebody has seen it work. Stages with `requireSignOff` wait until every significant change is.',
      },
    )
    changeRoute(
      app,
      control,
      { method: 'DELETE', verdict: 'unverify' },
      {
        operationId: 'unverifyChange',
        summary: 'Take a sign-off back',
        description: 'Stages with `requireSignOff` that were not promoted yet are held back again.',
      },
    )
    withdrawChangeRoute(app, control)
    withdrawReleaseRoute(app, control)
    liftEmbargoRoute(app, control)
  }
}

function artifactsRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/releases/:version/artifacts',
    config: as('operator'),
    schema: {
      ...shared,
      operationId: 'addArtifacts',
      summary: 'Say where the packages are',
      description:
        'Makes the release full once every package was found (HEAD, 200): it leaves the block list and begins its rollouts.',
      params: ReleaseParams,
      body: ArtifactsBody,
      response: writeAnswers({ 200: ref('Release') }, 404, 412),
    },
    handler: (request, reply) =>
      send(control, request, reply, (asked, conditions) =>
        addPackages(control, asked, { ...request.params, ...packagesIn(request.body) }, conditions),
      ),
  })
}

function packagesIn({ packages, replace = false }: Static<typeof ArtifactsBody>) {
  return { urls: packages, areAll: replace }
}

function changeRoute(
  app: App,
  control: Control,
  { method, verdict }: { readonly method: 'POST' | 'DELETE'; readonly verdict: ChangeVerdict },
  words: { readonly operationId: string; readonly summary: string; readonly description: string },
): void {
  app.route({
    method,
    url: '/releases/:version/changes/:id/verify',
    config: as('operator'),
    schema: { ...shared, ...words, params: ReleaseChangeParams, body: OptionalReasonBody, response: answered },
    handler: (request, reply) =>
      send(control, request, reply, (asked, conditions) =>
        judgeChange(control, asked, { ...request.params, verdict }, conditions),
      ),
  })
}

function withdrawChangeRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/releases/:version/changes/:id/withdraw',
    config: as('operator'),
    schema: {
      ...shared,
      operationId: 'withdrawChange',
      summary: 'Withdraw a change',
      description: 'It is not in the release any more, or needs no sign-off: nobody waits for it.',
      params: ReleaseChangeParams,
      body: ReasonBody,
      response: answered,
    },
    handler: (request, reply) =>
      send(control, request, reply, (asked, conditions) =>
        judgeChange(control, asked, { ...request.params, verdict: 'withdraw' }, conditions),
      ),
  })
}

function withdrawReleaseRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/releases/:version/withdraw',
    config: as('operator'),
    schema: {
      ...shared,
      operationId: 'withdrawRelease',
      summary: 'Withdraw a release',
      description:
        'Blocks its version and ends its rollouts. Channels that serve it are not moved; `servedBy` names them, and a rollback takes it back.',
      params: ReleaseParams,
      body: ReasonBody,
      response: answered,
    },
    handler: (request, reply) =>
      send(control, request, reply, (asked, conditions) =>
        withdrawRelease(control, asked, request.params.version, conditions),
      ),
  })
}

function liftEmbargoRoute(app: App, control: Control): void {
  app.route({
    method: 'POST',
    url: '/releases/:version/embargo/lift',
    config: as('admin'),
    schema: {
      ...shared,
      operationId: 'liftEmbargo',
      summary: 'Lift an embargo',
      description: 'From now on everybody reads its fixes and changes. It cannot be taken back.',
      params: ReleaseParams,
      body: ReasonBody,
      response: answered,
    },
    handler: (request, reply) =>
      send(control, request, reply, (asked, conditions) =>
        liftEmbargo(control, asked, request.params.version, conditions),
      ),
  })
}

function send(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  change: (asked: Request, conditions: Conditions) => Promise<ReleaseOutcome>,
): Promise<FastifyReply> {
  return handleWrite(request, reply, change, (outcome) => sendReleaseOutcome(control, request, reply, outcome))
}
