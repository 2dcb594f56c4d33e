// GitHub's webhook over HTTP: which deliveries are believed, what is made of them, and how often one is carried out.
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { createHmac, randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openApiInfo } from '../../../src/app/openapi.ts'
import type { Control, Request } from '../../../src/control/control.ts'
import type { ApplyGithubEvent, GithubOutcome } from '../../../src/control/github-outcome.ts'
import { githubWebhookRoutes } from '../../../src/routes/admin/github-webhook.ts'
import { sendError } from '../../../src/routes/admin/problem.ts'
import { sharedSchemas } from '../../../src/routes/admin/schemas.ts'
import { StoreOutcomeUnknown, StoreUnavailable, type JournalEntry } from '../../../src/store/port.ts'
import { Contract } from '../../fixtures/admin-contract.ts'
import { at } from '../../fixtures/admin-json.ts'

const SECRET = "It's a Secret to Everybody"
const LABEL = 'verified'
const URL = '/admin/v1/webhooks/github'
const DELIVERY = '72d3162e-cc78-11e3-81ab-4c9367dc0958'
const COMMIT = 'aabbccddeeff00112233445566778899aabbccdd'
const VERSION = '15.0.0-cloud.20230712T123633.aabbcc'
const BODY_BYTES_MAX = 1_048_576

const labeled = JSON.stringify({
  action: 'labeled',
  pull_request: {
    number: 2,
    html_url: 'https://github.com/Codertocat/Hello-World/pull/2',
    updated_at: '2019-05-15T15:20:35Z',
  },
  label: { name: LABEL },
  sender: { login: 'mona-lisa' },
})
const pushed = JSON.stringify({
  ref: `refs/tags/v${VERSION}`,
  after: COMMIT,
  deleted: false,
  head_commit: { id: COMMIT, timestamp: '2023-07-12T12:36:33Z' },
  pusher: { name: 'Codertocat' },
})
const applied: GithubOutcome = { outcome: 'applied', releases: [VERSION] }

interface Delivery {
  readonly body?: string | Buffer
  readonly event?: string | null
  readonly delivery?: string | null
  /** The header X-Hub-Signature-256; null for none, undefined for the right one. */
  readonly signature?: string | readonly string[] | null
  readonly type?: string
  readonly from?: string
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, unknown>>
}

interface Webhook {
  readonly app: FastifyInstance
  readonly requests: Request[]
  readonly events: Parameters<ApplyGithubEvent>[1][]
  /** Delivers as GitHub does, rightly signed unless told otherwise; an answer outside the contract fails the test. */
  deliver(delivery?: Delivery): Promise<Answer>
}

function signatureOf(body: string | Buffer, secret: string = SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

/** Starts an app that has only the webhook; `answer` is what becomes of an event. */
async function startWebhook(
  t: Test,
  secret: string | null = SECRET,
  answer: (request: Request) => GithubOutcome = () => applied,
): Promise<Webhook> {
  const app = Fastify({ genReqId: () => randomUUID(), bodyLimit: 65_536 })
  t.teardown(() => app.close())
  app.setErrorHandler(sendError)
  for (const schema of sharedSchemas) app.addSchema(schema)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  await app.register(swagger, openApiInfo)
  const requests: Request[] = []
  const events: Webhook['events'] = []
  const control = { replicaId: 'this-one' } as Control // Only a request that waits for other replicas reads more of it.
  const apply: ApplyGithubEvent = async (request, event) => {
    requests.push(request)
    events.push(event)
    return answer(request)
  }
  await app.register(githubWebhookRoutes(control, { secret, verifiedLabel: LABEL, repositories: null }, apply), {
    prefix: '/admin/v1',
  })
  await app.ready()
  const contract = new Contract(app.swagger())
  return {
    app,
    requests,
    events,
    async deliver({ body = labeled, event = 'pull_request', delivery = DELIVERY, signature, type, from } = {}) {
      const headers: Record<string, string | string[]> = { 'content-type': type ?? 'application/json' }
      if (event !== null) headers['x-github-event'] = event
      if (delivery !== null) headers['x-github-delivery'] = delivery
      const signed = signature === undefined ? signatureOf(body) : signature
      if (signed !== null) headers['x-hub-signature-256'] = typeof signed === 'string' ? signed : [...signed]
      const options: InjectOptions = { method: 'POST', url: URL, headers, payload: body }
      const response = await app.inject(from === undefined ? options : { ...options, remoteAddress: from })
      contract.check('POST', URL, response)
      return { status: response.statusCode, headers: response.headers, body: JSON.parse(response.body) as unknown }
    },
  }
}

/** An entry as onCommitted is told of it; the route reads its seq only. */
function entryOf(seq: number): JournalEntry {
  return { seq } as JournalEntry
}

t.test('a signed label of verified is applied, by the login that set it, under the name of its delivery', async (t) => {
  const { deliver, requests, events } = await startWebhook(t)
  const answer = await deliver()
  t.equal(answer.status, 200)
  t.strictSame(answer.body, { outcome: 'applied', releases: [VERSION] })
  t.strictSame(events, [
    {
      kind: 'label',
      isVerified: true,
      pullRequest: { host: 'github.com', repository: 'codertocat/hello-world', number: 2 },
      url: 'https://github.com/Codertocat/Hello-World/pull/2',
      by: 'mona-lisa',
      at: '2019-05-15T15:20:35.000Z',
    },
  ])
  t.hasStrict(requests, [
    {
      actor: 'mona-lisa/github',
      reason: `GitHub delivery ${DELIVERY}`,
      requestId: `github-${signatureOf(labeled).slice('sha256='.length)}`,
      mayBeRetry: true,
    },
  ])
})

t.test('a signed tag of a release is applied', async (t) => {
  const { deliver, requests, events } = await startWebhook(t)
  t.equal((await deliver({ body: pushed, event: 'push' })).status, 200)
  t.hasStrict(events, [{ kind: 'release', version: VERSION, commit: COMMIT, repository: null, by: 'Codertocat' }])
  t.equal(requests[0]?.actor, 'Codertocat/github')
})

t.test("the signature of GitHub's own example is the one that is computed here", async (t) => {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  const wanted = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
  const { deliver } = await startWebhook(t)
  t.equal(at((await deliver({ body: 'Hello, World!', signature: wanted })).body, 'code'), 'invalid_json')
})

t.test('without the right signature nothing is done: bad_signature', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  const right = signatureOf(labeled)
  const hex = right.slice('sha256='.length)
  const sha1 = createHmac('sha1', SECRET).update(labeled).digest('hex')
  const wrong: readonly (string | readonly string[] | null)[] = [
    null,
    '',
    'sha256=',
    hex,
    `sha256=${'0'.repeat(64)}`,
    `sha256=${hex.slice(0, -1)}`,
    `sha256=${hex}0`,
    `sha256=${hex}${hex}`,
    `sha256=${'z'.repeat(64)}`,
    `SHA256=${hex}`,
    // Another way to write a signature would be another request to whatever remembers which were carried out.
    `sha256=${hex.toUpperCase()}`,
    `sha1=${sha1}`,
    `sha1=${hex}`,
    `sha256=${sha1}`,
    [right, right],
    [right, `sha256=${'0'.repeat(64)}`],
    signatureOf(labeled, 'another secret'),
    signatureOf(labeled, ''),
    signatureOf(labeled, `${SECRET} `),
    signatureOf(''),
    `sha256=${'0'.repeat(8_000)}`,
  ]
  for (const [index, signature] of wrong.entries()) {
    const answer = await deliver({ signature, from: `10.0.0.${index}` })
    t.equal(answer.status, 401, String(signature).slice(0, 100))
    t.equal(at(answer.body, 'code'), 'bad_signature')
    t.match(at(answer.body, 'detail'), /X-Hub-Signature-256/)
  }
  t.strictSame(requests, [])
})

t.test('a body that differs by one byte from the one that was signed is bad_signature', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  const signature = signatureOf(labeled)
  const changed = [labeled.replace('"number":2', '"number":3'), `${labeled}\n`, ` ${labeled}`, labeled.slice(0, -1), '']
  for (const [index, body] of changed.entries()) {
    const answer = await deliver({ body, signature, from: `10.0.0.${index}` })
    t.equal(at(answer.body, 'code'), 'bad_signature', body.slice(0, 30))
  }
  t.strictSame(requests, [])
})

t.test('nothing of a body is parsed, and no header looked at, before its signature is proven', async (t) => {
  const { deliver } = await startWebhook(t)
  const bodies = ['{"broken', '', 'null', '{"__proto__":{"a":1}}', Buffer.from([0x22, 0xff, 0x22])]
  for (const [index, body] of bodies.entries()) {
    const answer = await deliver({ body, signature: signatureOf(body, 'wrong'), from: `10.0.0.${index}` })
    t.equal(at(answer.body, 'code'), 'bad_signature')
  }
  t.equal(at((await deliver({ event: 'e'.repeat(1_000), signature: null })).body, 'code'), 'bad_signature')
  t.equal(at((await deliver({ event: null, signature: null })).body, 'code'), 'bad_signature')
})

t.test('an address with too many wrong signatures has to wait, other addresses and right ones do not', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  for (let failure = 1; failure <= 20; failure += 1) {
    t.equal(at((await deliver({ signature: null })).body, 'code'), 'bad_signature', `failure ${failure}`)
  }
  const limited = await deliver({ signature: null })
  t.equal(limited.status, 429)
  t.equal(at(limited.body, 'code'), 'rate_limited')
  t.match(limited.headers['retry-after'], /^[1-9]\d?$/)
  t.match(at(limited.body, 'detail'), /wait \d+ s/)
  t.equal(at((await deliver({ signature: null, from: '10.0.0.1' })).body, 'code'), 'bad_signature')
  t.equal((await deliver()).status, 200, 'GitHub is believed from the same address')
  t.equal(at((await deliver({ signature: null })).body, 'code'), 'rate_limited')
  t.equal(requests.length, 1)
})

t.test(
  'a delivery that is sent again is the same request, under another delivery id and from elsewhere too',
  async (t) => {
    const seen = new Set<string | null>()
    const { deliver, requests, app } = await startWebhook(t, SECRET, ({ requestId, onCommitted }) => {
      onCommitted(entryOf(7), seen.has(requestId))
      seen.add(requestId)
      return applied
    })
    const first = await deliver()
    t.equal(first.headers['idempotency-replayed'], undefined)
    t.equal(first.headers['bellwether-seq'], '7')
    for (const delivery of [DELIVERY, randomUUID(), null, 'not a delivery']) {
      const again = await deliver({ delivery, from: '10.0.0.1' })
      t.equal(again.status, 200)
      t.strictSame(again.body, first.body)
      t.equal(again.headers['idempotency-replayed'], 'true')
    }
    t.equal(new Set(requests.map(({ requestId }) => requestId)).size, 1)
    // A key of the caller's own is not signed either.
    const headers = {
      'content-type': 'application/json',
      'x-github-event': 'pull_request',
      'x-hub-signature-256': signatureOf(labeled),
      'idempotency-key': 'mine',
    }
    const keyed = await app.inject({ method: 'POST', url: URL, headers, payload: labeled })
    t.equal(keyed.headers['idempotency-replayed'], 'true')
    await deliver({ body: labeled.replace('15:20:35', '15:20:36') })
    t.equal(new Set(requests.map(({ requestId }) => requestId)).size, 2, 'another body is another request')
  },
)

t.test('only what GitHub could call a delivery gets into the reason', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  for (const delivery of ['a b', 'a\u00e9', 'a;b', '', null]) t.equal((await deliver({ delivery })).status, 200)
  t.ok(requests.every(({ reason }) => reason === 'GitHub delivery'))
  await deliver({ delivery: 'A-1' })
  t.equal(requests.at(-1)?.reason, 'GitHub delivery A-1')
  const long = await deliver({ delivery: 'a'.repeat(65) })
  t.equal(at(long.body, 'code'), 'invalid_request')
})

t.test('what means nothing here is ignored, and the answer says why', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  for (const [event, body, why] of [
    ['ping', '{"zen":"Keep it logically awesome.","hook_id":1}', /^ping$/],
    ['issues', '{}', /"issues"/],
    ['create', pushed, /push event/],
    ['pull_request', labeled.replace('"labeled"', '"opened"'), /"opened"/],
    ['pull_request', labeled.replace(`"${LABEL}"`, '"bug"'), /"bug"/],
    ['push', pushed.replace('refs/tags/', 'refs/heads/'), /no tag/],
  ] as const) {
    const answer = await deliver({ event, body })
    t.equal(answer.status, 202, event)
    t.equal(at(answer.body, 'outcome'), 'ignored')
    t.match(at(answer.body, 'why'), why)
  }
  t.strictSame(requests, [])
})

t.test('an event that changes nothing is ignored, and the answer says why', async (t) => {
  const { deliver } = await startWebhook(t, SECRET, () => ({ outcome: 'nothing', why: 'no release has that change' }))
  const answer = await deliver()
  t.equal(answer.status, 202)
  t.strictSame(answer.body, { outcome: 'ignored', why: 'no release has that change' })
})

t.test('a label that no release has yet is accepted, and the answer says until when it is kept', async (t) => {
  const keptUntil = '2026-03-08T00:00:00.000Z'
  const { deliver } = await startWebhook(t, SECRET, () => ({ outcome: 'kept', why: 'no release has it', keptUntil }))
  const answer = await deliver()
  t.equal(answer.status, 202)
  t.strictSame(answer.body, { outcome: 'kept', why: 'no release has it', keptUntil })
})

t.test('what the rules refuse and what could not be finished are the problems that they are elsewhere', async (t) => {
  const guard = { guard: 'blocked-version', field: null, served: null, message: 'it is blocked', verdicts: [] } as const
  const outcomes: readonly (readonly [GithubOutcome, number, string])[] = [
    [{ outcome: 'refused', why: 'malformed', field: 'ref', message: 'is wrong' }, 400, 'invalid_request'],
    [{ outcome: 'refused', why: 'guard', ...guard }, 422, 'guard_refused'],
    [{ outcome: 'refused', why: 'state', problem: 'no_target', message: 'there is none' }, 409, 'no_target'],
    [
      { outcome: 'refused', why: 'rollout', problem: 'release_exists', message: 'it is registered' },
      409,
      'release_exists',
    ],
    [{ outcome: 'contended' }, 409, 'contended'],
    [{ outcome: 'key-reused' }, 422, 'idempotency_key_reused'],
    [{ outcome: 'not-served-yet', seq: 7 }, 503, 'not_served_yet'],
  ]
  for (const [outcome, status, code] of outcomes) {
    const { deliver } = await startWebhook(t, SECRET, () => outcome)
    const answer = await deliver()
    t.equal(answer.status, status, code)
    t.equal(at(answer.body, 'code'), code)
  }
})

t.test('a store that fails is told as everywhere, and what to do is said in words for GitHub', async (t) => {
  const unknown = await startWebhook(t, SECRET, () => {
    throw new StoreOutcomeUnknown('no answer')
  })
  const answer = await unknown.deliver()
  t.equal(answer.status, 503)
  t.equal(at(answer.body, 'code'), 'write_outcome_unknown')
  t.match(at(answer.body, 'detail'), /Redeliver/)
  t.notMatch(at(answer.body, 'detail'), /Idempotency-Key/)
  const down = await startWebhook(t, SECRET, () => {
    throw new StoreUnavailable('down')
  })
  t.equal(at((await down.deliver()).body, 'code'), 'store_unavailable')
  const broken = await startWebhook(t, SECRET, () => {
    throw new Error('a secret of the inside')
  })
  const fault = await broken.deliver()
  t.equal(at(fault.body, 'code'), 'internal_error')
  t.notMatch(JSON.stringify(fault.body), /secret of the inside/)
})

t.test('a signed payload without what its event must have is invalid_request, and names the member', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  for (const [event, body, field] of [
    ['pull_request', '{}', 'action'],
    ['pull_request', labeled.replace('"number":2', '"number":"2"'), 'pull_request/number'],
    ['pull_request', labeled.replace('mona-lisa', 'mona lisa'), 'sender/login'],
    ['push', labeled, 'ref'],
    ['push', pushed.replaceAll(COMMIT, 'f'.repeat(40)), 'head_commit/id'],
    ['pull_request', '[]', ''],
    ['pull_request', 'null', ''],
    ['ping', '"ping"', ''],
  ] as const) {
    const answer = await deliver({ event, body })
    t.equal(answer.status, 400, body.slice(0, 30))
    t.equal(at(answer.body, 'code'), 'invalid_request')
    t.equal(at(answer.body, 'errors', 0, 'field'), field)
  }
  t.equal(at((await deliver({ event: null })).body, 'errors', 0, 'field'), 'X-GitHub-Event')
  t.equal(at((await deliver({ event: 'e'.repeat(65) })).body, 'errors', 0, 'field'), 'x-github-event')
  t.strictSame(requests, [])
})

t.test('a signed body that is not strict UTF-8 or not strict JSON is invalid_utf8 or invalid_json', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  const latin = Buffer.from(labeled.replace('mona-lisa', 'mon\u00e4'), 'latin1')
  const utf16 = Buffer.from(labeled, 'utf16le')
  for (const body of [latin, Buffer.from([0xff]), Buffer.concat([Buffer.from(labeled), Buffer.from([0xc3])])]) {
    const answer = await deliver({ body })
    t.equal(answer.status, 400)
    t.equal(at(answer.body, 'code'), 'invalid_utf8')
  }
  const poisoned = [
    labeled.replace('{', '{"__proto__":{"isAdmin":true},'),
    labeled.replace('{', '{"constructor":{"prototype":{"isAdmin":true}},'),
  ]
  for (const body of ['', ' ', '{"broken', `${labeled}${labeled}`, "{'a':1}", '{"a":1,}', utf16, ...poisoned]) {
    const answer = await deliver({ body })
    t.equal(answer.status, 400, String(body).slice(0, 40))
    t.equal(at(answer.body, 'code'), 'invalid_json')
  }
  t.strictSame(requests, [])
})

t.test("GitHub's form encoding and every other type are refused, and the answer says what to choose", async (t) => {
  const { deliver, requests } = await startWebhook(t)
  const form = `payload=${encodeURIComponent(labeled)}`
  for (const type of [
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/xml',
    'application/problem+json',
  ]) {
    const answer = await deliver({ body: form, type })
    t.equal(answer.status, 415, type)
    t.equal(at(answer.body, 'code'), 'unsupported_media_type')
    t.match(at(answer.body, 'detail'), /choose the content type application\/json/)
  }
  t.equal((await deliver({ type: 'application/json; charset=utf-8' })).status, 200)
  t.equal(requests.length, 1)
})

t.test('a delivery may have 1 MB, however small the bodies of other routes must be, and not a byte more', async (t) => {
  const { deliver, requests } = await startWebhook(t)
  t.equal((await deliver({ body: labeled.padEnd(BODY_BYTES_MAX) })).status, 200)
  const large = await deliver({ body: labeled.padEnd(BODY_BYTES_MAX + 1) })
  t.equal(large.status, 413)
  t.equal(at(large.body, 'code'), 'body_too_large')
  t.match(at(large.body, 'detail'), /1048576 bytes/)
  t.equal(requests.length, 1)
})

t.test('without a secret every delivery is webhook_off, whatever it is and however it is signed', async (t) => {
  const { deliver, requests } = await startWebhook(t, null)
  for (const delivery of [
    {},
    { signature: null },
    { signature: signatureOf(labeled, '') },
    { signature: signatureOf(labeled, 'null') },
    { type: 'application/x-www-form-urlencoded' },
    { body: labeled.padEnd(BODY_BYTES_MAX + 1) },
  ]) {
    const answer = await deliver(delivery)
    t.equal(answer.status, 404)
    t.equal(at(answer.body, 'code'), 'webhook_off')
  }
  t.strictSame(requests, [])
})

t.test('the OpenAPI document shows the webhook as a public operation with its three headers', async (t) => {
  const { app } = await startWebhook(t)
  const operation = at(app.swagger(), 'paths', URL, 'post')
  t.hasStrict(operation, { operationId: 'receiveGithubWebhook', tags: ['webhooks'], security: [] })
  const parameters = at(operation, 'parameters')
  const headers = Array.isArray(parameters) ? parameters.map((parameter) => String(at(parameter, 'name'))) : []
  t.strictSame(headers.toSorted(), ['x-github-delivery', 'x-github-event', 'x-hub-signature-256'])
  t.match(at(operation, 'responses', '413', 'description'), /1 MB/)
})
