// Releases: what was cut, and what is known of it.
import { unknownPipeline, unknownRelease } from '../../rollouts/outcome.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { servedBy, servedByOf, servedByVersion } from '../../control/served-by.ts'
import type { ReleaseRecord } from '../../control/release-result.ts'
import { knownState, type Control } from '../../control/control.ts'
import { pipelineRecord } from '../../control/pipelines.ts'
import { releaseCompatibility } from '../../control/release-compatibility.ts'
import { editRelease } from '../../control/edit-release.ts'
import { listReleases, releaseRecord } from '../../control/releases.ts'
import { registerRelease } from '../../control/register-release.ts'
import { rolloutsOf } from '../../control/find-rollout.ts'
import { compareReleases, makeCloudVersion } from '../../rollouts/cloud-version.ts'
import { graceMistake } from '../../rollouts/pipeline-draft.ts'
import { answers, page, writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal } from './change.ts'
import { sendDocument } from './entity-tag.ts'
import { afterVersion, sendList, type Lists } from './list-page.ts'
import { PageQuery } from './request-schemas.ts'
import { presentRelease, sendReleaseOutcome, sendRolloutRefusal } from './rollout-outcomes.ts'
import {
  CompatibilityQuery,
  EditReleaseBody,
  NextVersionQuery,
  RegisterBody,
  ReleaseParams,
} from './rollout-requests.ts'
import { Moment, Nullable, ref, Version } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

const reading = { role: 'viewer', wholeServer: true } as const
const tags = ['releases']

/** `repository` is where changes of releases are that name none; null where that could be several. */
export function releaseRoutes(lists: Lists, repository: string | null): FastifyPluginAsyncTypebox {
  const { control } = lists
  return async (app) => {
    nextVersionRoute(app, control)
    listReleasesRoute(app, lists)
    getReleaseRoute(app, control)
    compatibilityRoute(app, control)
    registerReleaseRoute(app, control, repository)
    editReleaseRoute(app, control)
  }
}

function nextVersionRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/releases/next-version',
    config: reading,
    schema: {
      operationId: 'nextVersion',
      summary: 'Make a Cloud version',
      description: 'The version of a release that is cut now from this commit: `MAJOR.0.0-cloud.<time>.<commit>`.',
      tags,
      querystring: NextVersionQuery,
      response: answers({ 200: Type.Object({ version: Version, cutAt: Moment }) }),
    },
    handler: async (request, reply) => {
      const now = control.clock.now()
      const made = makeCloudVersion(request.query.major, now, request.query.commit)
      if (made.outcome === 'refused') return sendRefusal(request, reply, made)
      return { version: made.value, cutAt: new Date(now - (now % 1_000)).toISOString() }
    },
  })
}

function listReleasesRoute(app: App, lists: Lists): void {
  const { control } = lists
  app.route({
    method: 'GET',
    url: '/releases',
    config: reading,
    schema: {
      operationId: 'listReleases',
      summary: 'List releases',
      description: 'Every release, the newest first.',
      tags,
      querystring: PageQuery,
      response: answers({ 200: page(ref('Release')) }),
    },
    handler: (request, reply) => {
      const state = knownState(control)
      const nameOf = ({ release }: ReleaseRecord): string => release.version
      // Read for all releases of a page at once, when its turn has come.
      let served: ReadonlyMap<string, readonly string[]> = new Map()
      return sendList(lists, request, reply, {
        after(name, count) {
          const found = afterVersion(
            listReleases(state),
            { versionOf: nameOf, compare: (a, b) => compareReleases(b, a) },
            name,
            count,
          )
          served = servedByVersion(state, new Set(found?.map(nameOf)))
          return found
        },
        nameOf,
        present(record) {
          const version = nameOf(record)
          const rollouts = rolloutsOf(state, version)
          return presentRelease(control, callerOf(request), record, {
            ...servedByOf(served.get(version) ?? []),
            rollouts,
          })
        },
      })
    },
  })
}

function getReleaseRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/releases/:version',
    config: reading,
    schema: {
      operationId: 'getRelease',
      summary: 'Read a release',
      description: 'The release, where it is served, and how its rollouts stand.',
      tags,
      params: ReleaseParams,
      response: answers({ 200: ref('Release'), 304: Type.Null() }, 404),
    },
    handler: async (request, reply) => {
      const state = knownState(control)
      const { version } = request.params
      const record = releaseRecord(state, version)
      if (record === null) return sendRolloutRefusal(request, reply, unknownRelease(version))
      const served = servedBy(state, record.release.version)
      const more = { ...servedByOf(served), rollouts: rolloutsOf(state, record.release.version) }
      return sendDocument(reply, record.revision, presentRelease(control, callerOf(request), record, more))
    },
  })
}

function compatibilityRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/releases/:version/compatibility',
    config: reading,
    schema: {
      operationId: 'getReleaseCompatibility',
      summary: 'Ask which agents a release would leave behind',
      description:
        'For every stage of every pipeline that takes the release: the lowest version that its channels served within the grace period, and those that are below what the release works with (RFD 134).',
      tags,
      params: ReleaseParams,
      querystring: CompatibilityQuery,
      response: answers(
        {
          200: Type.Object({
            version: Version,
            minAgentVersion: Nullable(Version),
            compatible: Type.Boolean(),
            stages: Type.Array(
              Type.Object({
                pipeline: Type.String(),
                stage: Type.String(),
                oldest: Nullable(Version),
                tooOld: Type.Array(Type.Object({ channel: Type.String(), version: Version })),
                unknown: Type.Array(Type.Object({ channel: Type.String(), before: Moment }), {
                  description:
                    'Channels of which it is not known what they served within the grace period before this moment: the journal does not tell any more, or is still being read after a start, or it was more than is kept of a channel.',
                }),
              }),
            ),
          }),
        },
        404,
      ),
    },
    handler: async (request, reply) => {
      const { version } = request.params
      const { pipeline = null, grace = null } = request.query
      const record = releaseRecord(knownState(control), version)
      if (record === null) return sendRolloutRefusal(request, reply, unknownRelease(version))
      if (pipeline !== null && pipelineRecord(knownState(control), pipeline) === null) {
        return sendRolloutRefusal(request, reply, unknownPipeline(pipeline))
      }
      const mistake = grace === null ? null : graceMistake(grace)
      if (mistake !== null) return sendRefusal(request, reply, mistake)
      const isGone = (): boolean => reply.raw.destroyed
      const found = await releaseCompatibility(control, record.release, { pipeline, grace }, isGone)
      return found ?? reply.hijack()
    },
  })
}

function registerReleaseRoute(app: App, control: Control, repository: string | null): void {
  app.route({
    method: 'POST',
    url: '/releases',
    config: { role: 'operator', dryRunRole: 'viewer', wholeServer: true },
    schema: {
      operationId: 'registerRelease',
      summary: 'Register a release',
      description:
        'A full release begins a rollout in every pipeline that takes it, in the same commit. A control-plane release has no agent packages yet: its version is on the block list until it has.',
      tags,
      ...writing,
      body: RegisterBody,
      response: writeAnswers({ 200: ref('Release'), 201: ref('Release') }),
    },
    handler: (request, reply) => {
      const { reason: _, ...asked } = request.body
      const draft = { repository, ...asked }
      return handleWrite(
        request,
        reply,
        (command, { dryRun }) => registerRelease(control, command, draft, dryRun),
        (outcome) => sendReleaseOutcome(control, request, reply, outcome),
      )
    },
  })
}

function editReleaseRoute(app: App, control: Control): void {
  app.route({
    method: 'PATCH',
    url: '/releases/:version',
    config: { role: 'operator', dryRunRole: 'viewer', wholeServer: true },
    schema: {
      operationId: 'editRelease',
      summary: 'Tell more of a release',
      description:
        'What it brings, what it works with, which fixes it has. Sign-offs of changes that stay are kept; an embargo cannot be taken back.',
      tags,
      params: ReleaseParams,
      ...writing,
      body: EditReleaseBody,
      response: writeAnswers({ 200: ref('Release') }, 404, 412),
    },
    handler: (request, reply) => {
      const { reason: _, ...edit } = request.body
      const { version } = request.params
      return handleWrite(
        request,
        reply,
        (asked, options) => editRelease(control, asked, { version, edit }, options),
        (outcome) => sendReleaseOutcome(control, request, reply, outcome),
      )
    },
  })
}
