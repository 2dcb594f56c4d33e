// The control plane: the listener that operators use. Its plugins and routes, in the order in which they apply.
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import { NAME_LENGTH_MAX } from '../channels/name.ts'
import { VERSION_LENGTH_MAX } from '../channels/version.ts'
import type { Control } from '../control/control.ts'
import { applyGithubEvent } from '../control/github-event.ts'
import { PageReaders } from '../control/page-readers.ts'
import type { ReplicaFacts } from '../control/replicas.ts'
import { boundUnreadAnswers } from './unread-answers.ts'
import type { Lifecycle } from '../serve/lifecycle.ts'
import { traceRefusedAccess } from '../routes/admin/access-trace.ts'
import { authenticate } from '../routes/admin/authenticate.ts'
import { limitBodies } from '../routes/admin/body-room.ts'
import { blockedVersionRoutes } from '../routes/admin/blocked-versions.ts'
import { channelHistoryRoutes } from '../routes/admin/channel-history.ts'
import { channelShapes } from '../routes/admin/channel-shapes.ts'
import { channelTargetRoutes } from '../routes/admin/channel-target.ts'
import { channelRoutes } from '../routes/admin/channels.ts'
import { tagDocuments } from '../routes/admin/entity-tag.ts'
import { githubWebhookRoutes, type GithubWebhookOptions } from '../routes/admin/github-webhook.ts'
import { hideEmbargoed } from '../routes/admin/hide-embargoed.ts'
import { journalStreamRoutes } from '../routes/admin/journal-stream.ts'
import { journalRoutes } from '../routes/admin/journal.ts'
import { BODY_BYTES_MAX, readBodies } from '../routes/admin/json-body.ts'
import { mirrorRoutes } from '../routes/admin/mirror.ts'
import { peopleRoutes } from '../routes/admin/people.ts'
import { pipelineRoutes } from '../routes/admin/pipelines.ts'
import { sendError, sendProblem } from '../routes/admin/problem.ts'
import { releaseStepRoutes } from '../routes/admin/release-steps.ts'
import { releaseRoutes } from '../routes/admin/releases.ts'
import { rolloutShapes } from '../routes/admin/rollout-shapes.ts'
import { rolloutRoutes } from '../routes/admin/rollouts.ts'
import { sharedSchemas } from '../routes/admin/schemas.ts'
import { replicaRoutes } from '../routes/admin/replicas.ts'
import { storeRoutes } from '../routes/admin/store.ts'
import { tokenRoutes } from '../routes/admin/tokens.ts'
import { refuseUnsafeText } from '../routes/admin/refuse-unsafe-text.ts'
import { refuseUnreadable } from '../routes/admin/unreadable.ts'
import { answerWrites } from '../routes/admin/write-request.ts'
import { limitConnectionsPerAddress } from '../serve/address-limit.ts'
import { crowdedFrom, OpenConnections } from '../serve/open-connections.ts'
import { healthRoutes, readinessRoutes } from '../routes/health.ts'
import { metricsRoutes } from '../routes/metrics.ts'
import { docsPages } from './docs-pages.ts'
import { endAfterAnswer } from './last-answer.ts'
import { openApiInfo } from './openapi.ts'

const ADMIN_PREFIX = '/admin/v1'
const REQUEST_TIMEOUT_MS = 30_000
/** Where file descriptors set no lower limit (boot/connection-limits.ts). */
const CONNECTIONS_MAX = 2_000
/** A loop this late is not working any more; until then operators are served, flood or not. */
const EVENT_LOOP_DELAY_MAX_MS = 5_000
/** Percent-encoded, every character of a name or version may take three. */
const PARAM_LENGTH_MAX = 3 * Math.max(NAME_LENGTH_MAX, VERSION_LENGTH_MAX)

export interface ControlPlaneOptions {
  readonly control: Control
  readonly facts: ReplicaFacts
  readonly lifecycle: Lifecycle
  readonly registry: Registry
  readonly adminToken: string
  readonly github: GithubWebhookOptions
  readonly logger: FastifyBaseLogger
  /** CONNECTIONS_MAX unless given. */
  readonly connectionsMax?: number
  /** Connections from one address; 0, and unless given, for any number. */
  readonly connectionsPerAddressMax?: number
}

/** Builds the control plane; it is not listening yet. */
export async function buildControlPlane(options: ControlPlaneOptions): Promise<FastifyInstance> {
  const { control, facts, lifecycle, registry, adminToken, github, logger } = options
  const { holder } = facts
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // A change under way is answered before its connection ends, or its operator could not know that it was made.
    forceCloseConnections: 'idle',
    // The same for one that comes in while the server closes: Fastify's own 503 has no `code`, so it says nothing of the change.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    // An id from outside could be anything, and it ends up in the journal.
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply)
    },
  })
  limitConnections(app, options)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, 'not_found', `nothing answers ${request.method} here; see ${ADMIN_PREFIX}/docs`),
  )
  for (const schema of [...channelShapes, ...sharedSchemas, ...rolloutShapes]) app.addSchema(schema)
  // What is sent is put together member by member (presentChannel and the like), and the tests hold it against the
  // schemas; compiled serializers would cost memory and start-up time to do no more than that.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  // Over plain HTTP the header means nothing (RFC 6797, 7.2), and a proxy that passed it on would decide for its whole host.
  await app.register(helmet, { contentSecurityPolicy: false, strictTransportSecurity: false })
  await app.register(swagger, openApiInfo)

  endAfterAnswer(app, lifecycle)
  traceRefusedAccess(app, registry, control.clock)
  healthRoutes(app)
  readinessRoutes(app, control, holder, lifecycle)
  metricsRoutes(app, registry)
  await app.register(
    async (admin) => {
      // Again: an answer that fails in a hook is given to the scope above.
      admin.setErrorHandler(sendError)
      // Only here: health and metrics tell how an overloaded server is. It looks as rarely as it allows delay: an interval
      // in which the loop did not turn is an overload, and a busy machine stands still for a second now and then.
      await admin.register(underPressure, {
        maxEventLoopDelay: EVENT_LOOP_DELAY_MAX_MS,
        sampleInterval: EVENT_LOOP_DELAY_MAX_MS,
      })
      docsPages(admin, ADMIN_PREFIX, () => app.swagger())
      openApiDocument(admin)
      // By its signature, not by a token.
      await admin.register(
        githubWebhookRoutes(control, github, (request, event) => applyGithubEvent(control, request, event)),
      )
      await admin.register(async (guarded) => {
        readBodies(guarded)
        await authenticate(guarded, control, adminToken)
        limitBodies(guarded)
        refuseUnsafeText(guarded)
        answerWrites(guarded, control)
        hideEmbargoed(guarded, control)
        tagDocuments(guarded)
        await guardedRoutes(guarded, options)
      })
    },
    { prefix: ADMIN_PREFIX },
  )
  return app
}

/** The document, kept as bytes: anybody may ask for it, as often as they like. */
function openApiDocument(app: FastifyInstance): void {
  let document: Buffer | null = null
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    document ??= Buffer.from(JSON.stringify(app.swagger()))
    return reply.type('application/json; charset=utf-8').send(document)
  })
}

/** Idle connections do not keep operators out: where there are many, each new one ends the one that is idle for longest. */
function limitConnections(app: FastifyInstance, options: ControlPlaneOptions): void {
  const { server } = app
  const { connectionsMax = CONNECTIONS_MAX, connectionsPerAddressMax = 0 } = options
  const open = new OpenConnections()
  server.maxConnections = connectionsMax
  server.on('connection', (socket) => {
    if (open.size >= crowdedFrom(connectionsMax)) open.endIdle()
    open.add(socket)
  })
  // A full listener drops connections before it gives them out: the next one finds room.
  server.on('drop', () => open.endIdle())
  boundUnreadAnswers(app, open)
  if (connectionsPerAddressMax > 0) limitConnectionsPerAddress(server, connectionsPerAddressMax, () => {})
}

/** Every route that needs a token. */
async function guardedRoutes(guarded: FastifyInstance, options: ControlPlaneOptions): Promise<void> {
  const { control, facts, github } = options
  // Where several count, the number of a pull request alone does not say which it is.
  const [repository = null, ...others] = github.repositories ?? []
  // Two lines: whoever looks at a list does not wait for those who search the journal.
  const readers = new PageReaders()
  const lists = { control, readers: new PageReaders() }
  await guarded.register(channelRoutes(lists))
  await guarded.register(mirrorRoutes(control))
  await guarded.register(channelTargetRoutes(control))
  await guarded.register(channelHistoryRoutes(control, readers))
  await guarded.register(journalRoutes(control, readers))
  await guarded.register(journalStreamRoutes(control))
  await guarded.register(blockedVersionRoutes(lists))
  await guarded.register(releaseRoutes(lists, others.length === 0 ? repository : null))
  await guarded.register(releaseStepRoutes(control))
  await guarded.register(pipelineRoutes(lists))
  await guarded.register(rolloutRoutes(lists))
  await guarded.register(tokenRoutes(lists))
  await guarded.register(peopleRoutes(control))
  await guarded.register(replicaRoutes(lists, facts))
  await guarded.register(storeRoutes(control))
}
