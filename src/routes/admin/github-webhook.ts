// GitHub's webhook: deliveries prove themselves by a signature of their bytes, not by a token. Register it outside the
// scope that authenticates; it brings its own body parser, validator and error handler.
import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Ajv } from 'ajv'
import type { FastifyBodyParser, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Type } from 'typebox'
import { malformed } from '../../channels/outcome.ts'
import type { Control, Request } from '../../control/control.ts'
import type { ApplyGithubEvent, GithubOutcome, PersonWarning } from '../../control/github-outcome.ts'
import { readGithubEvent, type GithubRules } from '../../rollouts/github-event.ts'
import { StoreOutcomeUnknown } from '../../store/port.ts'
import { writeAnswers } from './answers.ts'
import { limitWebhookBodies } from './body-room.ts'
import { sendRefusal, sendUnfinished } from './change.ts'
import { sendError, sendProblem } from './problem.ts'
import { COUNTED_MAX, limitFailures } from './rate-limits.ts'
import { sendRolloutRefusal } from './rollout-outcomes.ts'
import { answerWrites } from './write-request.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

export interface GithubWebhookOptions extends GithubRules {
  /** What GitHub signs deliveries with; null where no webhook is set up. */
  readonly secret: string | null
}

/**
 * The largest delivery. GitHub sends up to 25 MB, but a label or a tag takes some 30 KB; what is larger is a push of
 * thousands of commits, which means nothing here. A stranger's body has to be held in memory to find its signature wrong.
 */
const WEBHOOK_BODY_BYTES_MAX = 1_024 * 1_024

/** A UUID from GitHub; the name of an event has at most half as many characters. */
const HEADER_LENGTH_MAX = 64
const DELIVERY = /^[A-Za-z0-9-]{1,64}$/
/** One way to write each signature: the id of the request is made from it. */
const SIGNATURE = /^sha256=([0-9a-f]{64})$/
const SIGNATURE_LENGTH = 'sha256='.length + 64

const DeliveryHeaders = Type.Object({
  'x-hub-signature-256': Type.Optional(
    Type.String({
      maxLength: SIGNATURE_LENGTH,
      description: '`sha256=` and the HMAC-SHA256 of the body, made with the secret of the webhook; 64 hex digits.',
    }),
  ),
  'x-github-event': Type.Optional(
    Type.String({ maxLength: HEADER_LENGTH_MAX, description: 'What has happened: `pull_request`, `push`, `ping` …' }),
  ),
  'x-github-delivery': Type.Optional(
    Type.String({ maxLength: HEADER_LENGTH_MAX, description: 'What GitHub calls the delivery; the journal shows it.' }),
  ),
})
const Payload = Type.Object({}, { additionalProperties: true, description: 'The payload, as GitHub documents it.' })
const Warnings = Type.Optional(
  Type.Array(
    Type.Object({
      code: Type.Union([Type.Literal('unknown_person'), Type.Literal('own_change')]),
      message: Type.String(),
    }),
    {
      description:
        'Why what was written down does not count: the login is mapped to no person, or the change is theirs.',
    },
  ),
)
const Applied = Type.Object({
  outcome: Type.Literal('applied'),
  releases: Type.Array(Type.String(), { description: 'The versions of the releases that were changed.' }),
  warnings: Warnings,
})
const Unapplied = Type.Object({
  outcome: Type.Union([Type.Literal('ignored'), Type.Literal('kept')], {
    description: '`kept`: no release has the change of the label yet; it counts for those that come.',
  }),
  why: Type.String(),
  warnings: Warnings,
  keptUntil: Type.Optional(
    Type.String({ format: 'date-time', description: 'Where it is kept: for releases that are registered until then.' }),
  ),
})

export function githubWebhookRoutes(
  control: Control,
  options: GithubWebhookOptions,
  apply: ApplyGithubEvent,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.setErrorHandler(sendDeliveryError)
    // Fastify's own validator would compile the meta schema, which costs 2 MB.
    const ajv = new Ajv({ meta: false, validateSchema: false })
    app.setValidatorCompiler(({ schema }) => ajv.compile(schema as object)) // All schemas here are objects.
    await acceptSigned(app, options.secret)
    answerWrites(app, control)
    receiveGithubWebhookRoute(app, options, apply)
  }
}

/** Lets only signed bodies through to the routes of this scope; nothing of a body is parsed before its signature is proven. */
async function acceptSigned(app: App, secret: string | null): Promise<void> {
  await app.register(rateLimit, { global: false, cache: COUNTED_MAX })
  const countFailure = limitFailures(app, 'before you try another signature')
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: WEBHOOK_BODY_BYTES_MAX },
    (_request, bytes, done) => done(null, bytes),
  )
  const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const refused = await countFailure(request, reply)
    if (refused !== null) return refused
    const detail = 'X-Hub-Signature-256 must be the signature of this body; give GitHub the secret configured here'
    return sendProblem(request, reply, 'bad_signature', detail)
  }
  app.addHook('onRequest', async (request, reply) => {
    if (secret === null) {
      return sendProblem(request, reply, 'webhook_off', 'no secret is configured here, so no delivery can be trusted')
    }
    // What cannot be a signature needs no body to be found wrong, so none is read.
    return signatureOf(request) === null ? refuse(request, reply) : undefined
  })
  limitWebhookBodies(app)
  app.addHook('preValidation', async (request, reply) => {
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const isTrusted = secret !== null && isSigned(secret, bytes, signatureOf(request))
    return isTrusted ? readPayload(request, reply, bytes, parseJson) : refuse(request, reply)
  })
}

/** The 64 hex digits that a delivery is signed with; null where the header has not that form, or comes twice. */
function signatureOf({ headers }: FastifyRequest): string | null {
  const header = headers['x-hub-signature-256']
  return typeof header === 'string' ? (SIGNATURE.exec(header)?.[1] ?? null) : null
}

function isSigned(secret: string, bytes: Buffer, given: string | null): boolean {
  if (given === null) return false
  return timingSafeEqual(createHmac('sha256', secret).update(bytes).digest(), Buffer.from(given, 'hex'))
}

/** Reads strict UTF-8 and strict JSON, as json-body.ts does for the routes that need a token. */
async function readPayload(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: Buffer,
  parseJson: FastifyBodyParser<string>,
): Promise<FastifyReply | undefined> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return sendProblem(request, reply, 'invalid_utf8', 'the body is not valid UTF-8; send JSON encoded as UTF-8')
  }
  try {
    request.body = await new Promise<unknown>((resolve, reject) => {
      void parseJson(request, text, (error, value) => (error === null ? resolve(value) : reject(error)))
    })
    return undefined
  } catch (error) {
    // The parser fails only with errors of Fastify, whose messages are for the caller.
    return sendProblem(request, reply, 'invalid_json', `the body is not JSON: ${(error as Error).message}`)
  }
}

function receiveGithubWebhookRoute(app: App, rules: GithubRules, apply: ApplyGithubEvent): void {
  app.route({
    method: 'POST',
    url: '/webhooks/github',
    schema: {
      operationId: 'receiveGithubWebhook',
      summary: 'Receive a GitHub event',
      description:
        'Called by GitHub, with a signature instead of a token. A pull request that gets or loses the label of verified changes signs off that change, or takes it back, also in releases that are registered within seven days; a pushed tag of the Cloud form registers its release, and is refused where that is registered with another commit. Everything else is ignored, and so is whatever is about another repository than those of `BELLWETHER_GITHUB_REPOSITORIES`. The same body is carried out once, however often it is delivered.',
      tags: ['webhooks'],
      headers: DeliveryHeaders,
      body: Payload,
      response: declaredAnswers(),
    },
    handler: async (request, reply) => {
      const event = request.headers['x-github-event']
      if (event === undefined) return sendRefusal(request, reply, malformed('X-GitHub-Event', 'is missing'))
      const read = readGithubEvent(event, request.body, rules)
      if ('outcome' in read) return sendRefusal(request, reply, read)
      if (read.kind === 'ignored') return sendIgnored(reply, read.why)
      const outcome = await apply(deliveryRequest(request, read.by), read)
      switch (outcome.outcome) {
        case 'applied':
          return reply.send({ outcome: 'applied', releases: outcome.releases, ...warningsIn(outcome) })
        case 'kept':
          return reply
            .code(202)
            .send({ outcome: 'kept', why: outcome.why, keptUntil: outcome.keptUntil, ...warningsIn(outcome) })
        case 'nothing':
          return sendIgnored(reply, outcome.why)
        case 'refused':
          return sendEitherRefusal(request, reply, outcome)
        case 'not-served-yet':
        case 'contended':
        case 'key-reused':
          return sendUnfinished(request, reply, outcome)
      }
    },
  })
}

/**
 * The request as the use case takes it. Its id comes from the signature, so from the body: the id of a delivery is not
 * signed, and whoever has seen one could send it again under another.
 */
function deliveryRequest(request: FastifyRequest, by: string): Request {
  // A single header to Node; the signature has passed isSigned.
  const { 'x-github-delivery': delivery } = request.headers as Record<string, string>
  return {
    actor: `${by}/github`,
    reason: DELIVERY.test(delivery ?? '') ? `GitHub delivery ${delivery}` : 'GitHub delivery',
    requestId: `github-${signatureOf(request)}`,
    mayBeRetry: true,
    onCommitted: ({ seq }, repeated) => (request.written = { seq, repeated }),
  }
}

function sendEitherRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Extract<GithubOutcome, { outcome: 'refused' }>,
): FastifyReply {
  switch (refusal.why) {
    case 'malformed':
    case 'guard':
    case 'state':
      return sendRefusal(request, reply, refusal)
    case 'rollout':
    case 'held-back':
    case 'guards':
      return sendRolloutRefusal(request, reply, refusal)
  }
}

function warningsIn({ warnings = [] }: { readonly warnings?: readonly PersonWarning[] }): object {
  return warnings.length === 0 ? {} : { warnings }
}

function sendIgnored(reply: FastifyReply, why: string): FastifyReply {
  return reply.code(202).send({ outcome: 'ignored', why })
}

/** What whoever reads the webhook's deliveries on GitHub has to do, where the words for other clients would mislead. */
function sendDeliveryError(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // One that is made has words of its own there.
  if (thrown instanceof StoreOutcomeUnknown && request.written === null) {
    request.log.warn({ err: thrown, code: 'write_outcome_unknown' }, 'the store is unavailable')
    const detail =
      'the store did not answer: the change may be made or not. Redeliver it on GitHub until it is answered; it is carried out once'
    return sendProblem(request, reply, 'write_outcome_unknown', detail)
  }
  switch (thrown.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const detail = 'choose the content type application/json in the settings of the webhook on GitHub'
      return sendProblem(request, reply, 'unsupported_media_type', detail)
    }
    case 'FST_ERR_CTP_BODY_TOO_LARGE': {
      const detail = `a delivery may have ${WEBHOOK_BODY_BYTES_MAX} bytes (1 MB); no label and no tag needs more`
      return sendProblem(request, reply, 'body_too_large', detail)
    }
    default:
      return sendError(thrown, request, reply)
  }
}

/** The common descriptions of these statuses speak of tokens, and of bodies of 64 KB. */
function declaredAnswers(): Record<number, unknown> {
  const declared = writeAnswers({ 200: Applied, 202: Unapplied }, 404)
  const descriptions = {
    202: 'Signed, but there was nothing to do, or not yet.',
    401: 'The signature is missing or wrong.',
    404: 'No webhook is set up.',
    413: 'The body is over 1 MB.',
  }
  for (const [status, description] of Object.entries(descriptions)) {
    declared[Number(status)] = { ...(declared[Number(status)] as object), description } // answers() makes objects.
  }
  return declared
}
