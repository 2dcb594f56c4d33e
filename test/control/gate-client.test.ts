// Asking a gate's Prometheus, over real sockets: what passes, what fails and how bad it is, and what becomes of a server that
// says anything else.
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { GATE_BODY_BYTES_MAX, GateClient } from '../../src/control/gate-client.ts'
import { GATE_SERIES_MAX } from '../../src/control/prometheus-answer.ts'
import { gateMistake, type GateAccess } from '../../src/control/gate-access.ts'
import type { GateSecrets } from '../../src/control/gate-secrets.ts'
import type { Gate, GateOp } from '../../src/rollouts/pipeline.ts'
import { freePort } from '../fixtures/fault-ports.ts'
import { gateSecrets } from '../fixtures/gate-secret-files.ts'
import { answering, startUpstream, type Answer } from '../fixtures/upstream-server.ts'

const TIMEOUT_MS = 300
const BELOW_FIVE = { query: 'errors', op: '<', threshold: 5 } as const

function accessTo(allowed: readonly string[], secrets: GateSecrets | null = null): GateAccess {
  return { hosts: new AllowedHosts(allowed, 'BELLWETHER_GATES_ALLOW'), secrets }
}

function clientFor(t: Test, allowed: readonly string[] = ['127.0.0.1'], timeoutMs?: number): GateClient {
  const client = new GateClient(accessTo(allowed), timeoutMs)
  t.teardown(() => client.close())
  return client
}

/** What a gate finds at a server that answers so. */
async function found(t: Test, answer: Answer, rule: Omit<Gate, 'name' | 'url' | 'everySeconds' | 'failures'>) {
  const server = await startUpstream(t)
  server.serve(answer, answer)
  return clientFor(t).evaluate({ ...rule, url: `http://127.0.0.1:${server.port}` })
}

function json(body: unknown, status = 200): Answer {
  return answering(status, JSON.stringify(body), { 'content-type': 'application/json' })
}

/** Prometheus' answer with one series for each value, told apart by `zone`. */
function vector(...values: readonly unknown[]): Answer {
  const result = values.map((value, at) => ({
    metric: { __name__: 'errors', zone: String.fromCharCode(97 + at) },
    value: [1_700_000_000.123, value],
  }))
  return json({ status: 'success', data: { resultType: 'vector', result } })
}

function data(resultType: unknown, result: unknown): Answer {
  return json({ status: 'success', data: { resultType, result } })
}

t.test('all series must be on the right side; the value is the worst of them', async (t) => {
  const cases: readonly (readonly [op: GateOp, threshold: number, values: string[], verdict: string, value: number])[] =
    [
      ['<', 5, ['1', '4.5', '-7'], 'passed', 4.5],
      ['<', 5, ['1', '5', '4'], 'failed', 5],
      ['<=', 5, ['1', '5'], 'passed', 5],
      ['<=', 5, ['6', '5.0001', '-9'], 'failed', 6],
      ['>', 0.99, ['1', '0.995'], 'passed', 0.995],
      ['>', 0.99, ['0.99'], 'failed', 0.99],
      ['>=', 0.99, ['0.99'], 'passed', 0.99],
      ['>=', 0.99, ['1', '0.5', '0.7'], 'failed', 0.5],
      ['==', 3, ['3', '3.0', '3e0'], 'passed', 3],
      ['==', 3, ['3', '2', '5', '4'], 'failed', 5],
      ['!=', 0, ['9', '-1', '2'], 'passed', -1],
      ['!=', 0, ['9', '0', '-1'], 'failed', 0],
    ]
  for (const [op, threshold, values, verdict, value] of cases) {
    const reading = await found(t, vector(...values), { query: 'errors', op, threshold })
    t.match(reading, { verdict, value }, `${values.join(', ')} ${op} ${threshold}`)
    t.equal(reading.detail === null, verdict === 'passed')
  }
})

t.test('a failed gate says how many series fail, and which is the worst', async (t) => {
  t.same(await found(t, vector('12.5'), BELOW_FIVE), { value: 12.5, verdict: 'failed', detail: '12.5 is not < 5' })
  t.equal(
    (await found(t, vector('1', '7', '12.5'), BELOW_FIVE)).detail,
    'the value is not < 5 in 2 of 3 series; the worst is 12.5, of errors{zone="c"}',
  )
})

t.test('a scalar is taken as one series', async (t) => {
  t.match(await found(t, data('scalar', [1, '4']), BELOW_FIVE), { value: 4, verdict: 'passed' })
  t.match(await found(t, data('scalar', [1, '6']), BELOW_FIVE), { value: 6, verdict: 'failed' })
  t.match(await found(t, data('scalar', [1, 'NaN']), BELOW_FIVE), { value: null, verdict: 'no data' })
})

t.test('infinite numbers are compared, and are no value that could be stored', async (t) => {
  t.same(await found(t, vector('+Inf'), BELOW_FIVE), { value: null, verdict: 'failed', detail: '+Inf is not < 5' })
  t.same(await found(t, vector('-Inf'), BELOW_FIVE), { value: null, verdict: 'passed', detail: null })
  t.match(await found(t, vector('-Inf', '3'), BELOW_FIVE), { value: 3, verdict: 'passed' })
  const above = { query: 'x', op: '>', threshold: 0 } as const
  t.match(await found(t, vector('1', '-Inf'), above), { value: null, verdict: 'failed', detail: /the worst is -Inf/ })
  const equal = { query: 'x', op: '==', threshold: 0 } as const
  t.match(await found(t, vector('+Inf', '-Inf'), equal), { value: null, verdict: 'failed' })
  t.match(await found(t, vector('1e999'), BELOW_FIVE), { value: null, verdict: 'failed' }, 'beyond what numbers can be')
})

t.test('without a series, or with one that is not a number, there is no data', async (t) => {
  t.same(await found(t, vector(), BELOW_FIVE), {
    value: null,
    verdict: 'no data',
    detail: 'the query gives no series',
  })
  t.match(await found(t, vector('1', 'NaN', '2'), BELOW_FIVE), {
    value: null,
    verdict: 'no data',
    detail: /NaN, which is no number, in 1 of 3 series/,
  })
  t.match(await found(t, vector('NaN', '6'), BELOW_FIVE), { value: 6, verdict: 'failed' }, 'what fails is said first')
  t.match(await found(t, vector('NaN'), { query: 'x', op: '!=', threshold: 0 }), { verdict: 'no data' })
})

t.test('what is not exactly an answer of Prometheus is an error in words', async (t) => {
  const success = { status: 'success' }
  const series = (count: number): Answer => vector(...Array.from({ length: count }, () => '1'))
  const faults: Readonly<Record<string, readonly [Answer, words: RegExp]>> = {
    nothing: [answering(200, ''), /the answer is not Prometheus' JSON/],
    'a page': [answering(200, '<!doctype html><title>Sign in</title>'), /is not Prometheus' JSON/],
    'half of it': [answering(200, '{"status":"success","data":{'), /is not Prometheus' JSON/],
    'a list': [json([]), /is not Prometheus' JSON/],
    null: [json(null), /is not Prometheus' JSON/],
    'no status': [json({ data: { resultType: 'vector', result: [] } }), /is not Prometheus' JSON/],
    'no data': [json(success), /is not Prometheus' JSON/],
    'data that is text': [json({ ...success, data: 'vector' }), /is not Prometheus' JSON/],
    'a matrix': [data('matrix', [{ metric: {}, values: [[1, '1']] }]), /of the type "matrix"/],
    'a string': [data('string', [1, '1']), /of the type "string"/],
    'no type': [data(undefined, []), /of the type none/],
    'a type that is no text': [data({ vector: true }, []), /of the type {"vector":true}/],
    'no list': [data('vector', { 0: { value: [1, '1'] } }), /no list of series/],
    'a scalar in the form of a series': [data('scalar', { value: [1, '1'] }), /not a number/],
    'a series that is null': [data('vector', [null]), /not a number/],
    'a histogram': [data('vector', [{ metric: {}, histogram: [1, { count: '3', sum: '1' }] }]), /may be a histogram/],
    'one of two without a value': [
      data('vector', [
        { metric: {}, value: [1, '1'] },
        { metric: {}, value: [1] },
      ]),
      /not a number/,
    ],
    'too many series': [series(GATE_SERIES_MAX + 1), /has 1001 series, more than 1000/],
  }
  for (const value of [
    '',
    ' ',
    '1 ',
    '0x10',
    '1_000',
    'Infinity',
    'nan',
    '1,5',
    '.',
    '1e',
    '١',
    1,
    null,
    true,
    ['1'],
  ]) {
    t.match(await found(t, vector(value), BELOW_FIVE), { value: null, verdict: 'error' }, JSON.stringify(value))
  }
  for (const [name, [answer, detail]] of Object.entries(faults)) {
    t.match(await found(t, answer, BELOW_FIVE), { value: null, verdict: 'error', detail }, name)
  }
  t.match(await found(t, series(GATE_SERIES_MAX), BELOW_FIVE), { verdict: 'passed' }, 'as many as may be')
  t.match(await found(t, data('vector', [{ value: [1, '1'] }]), BELOW_FIVE), { verdict: 'passed' }, 'without labels')
})

t.test('an answer that says that it is not the whole one is an error, whatever its values', async (t) => {
  const down = 'remote read: connection refused'
  const cases: readonly (readonly [more: object, words: string])[] = [
    [{ warnings: [down] }, down],
    [{ warnings: ['store a is away', 'store b is away'] }, 'store a is away; store b is away'],
    [{ warnings: ['PromQL info: metric might not be a counter', down] }, down],
    [{ warnings: ['PromQL warning: encountered a mix'] }, 'PromQL warning: encountered a mix'],
    [{ warnings: [''] }, ''],
    [{ warnings: [{ text: 'x' }, null] }, '{"text":"x"}; null'],
    [{ warnings: 'store a is away' }, 'store a is away'],
    [{ warnings: { 0: 'x' } }, '{"0":"x"}'],
    [{ isPartial: true }, 'the server marks it as partial (isPartial)'],
    [{ isPartial: 'true' }, 'the server marks it as partial (isPartial)'],
    [{ warnings: [down], isPartial: true }, `${down}; the server marks it as partial (isPartial)`],
  ]
  for (const [more, words] of cases) {
    for (const result of [[], [{ metric: {}, value: [1, '1'] }], [{ metric: {}, value: [1, '9'] }]]) {
      const answer = json({ status: 'success', data: { resultType: 'vector', result }, ...more })
      const expected = { value: null, verdict: 'error', detail: `partial answer: ${words}` }
      t.same(await found(t, answer, BELOW_FIVE), expected, JSON.stringify(more))
    }
  }
  const whole = [
    { warnings: [] },
    { warnings: null },
    { isPartial: false },
    { isPartial: null },
    { infos: ['PromQL info: x'] },
  ]
  for (const more of [...whole, { warnings: ['PromQL info: metric might not be a counter'] }]) {
    const data = { resultType: 'vector', result: [{ metric: {}, value: [1, '1'] }] }
    t.match(
      await found(t, json({ status: 'success', data, ...more }), BELOW_FIVE),
      { verdict: 'passed' },
      JSON.stringify(more),
    )
  }
  const long = json({
    status: 'success',
    data: { resultType: 'vector', result: [] },
    warnings: ['a\nb', 'x'.repeat(9_000)],
  })
  const { detail } = await found(t, long, BELOW_FIVE)
  t.match(detail, /^partial answer: a\\nb; x+$/)
  t.ok((detail ?? '').length < 400)
})

t.test('another status than 200 is an error, whatever its body', async (t) => {
  const good = { status: 'success', data: { resultType: 'scalar', result: [1, '1'] } }
  for (const status of [201, 204, 206, 400, 401, 404, 500, 503]) {
    const reading = await found(t, json(good, status), BELOW_FIVE)
    t.same(reading, { value: null, verdict: 'error', detail: `the query is answered ${status}` })
  }
})

t.test("Prometheus' own words are told, cut, with what could forge a line escaped", async (t) => {
  const error = { status: 'error', errorType: 'bad_data', error: '1:5: parse error' }
  t.equal((await found(t, json(error, 400), BELOW_FIVE)).detail, 'the query is answered 400: 1:5: parse error')
  t.equal((await found(t, json(error), BELOW_FIVE)).detail, 'the query is answered 200: 1:5: parse error')
  const long = await found(t, json({ ...error, error: `${'x'.repeat(299)}😀${'y'.repeat(9_000)}` }, 422), BELOW_FIVE)
  t.equal(long.detail, `the query is answered 422: ${'x'.repeat(299)}`)
  const forged = await found(t, json({ ...error, error: 'a\r\nb\u001B[2J\u202Ec' }, 400), BELOW_FIVE)
  t.equal(forged.detail, 'the query is answered 400: a\\r\\nb\\u001b[2J\\u202ec')
  for (const nothing of ['', undefined, null, { text: 'x' }]) {
    const reading = await found(t, json({ ...error, error: nothing }, 400), BELOW_FIVE)
    t.match(reading, { verdict: 'error', detail: 'the query is answered 400: an error without words' })
  }
})

t.test('a redirect is not followed', async (t) => {
  const other = await startUpstream(t)
  for (const status of [301, 302, 307, 308]) {
    const answer = answering(status, '', { location: `http://127.0.0.1:${other.port}/api/v1/query?query=errors` })
    const detail = `the query is answered ${status}, a redirect, which is not followed`
    t.same(await found(t, answer, BELOW_FIVE), { value: null, verdict: 'error', detail })
  }
  t.strictSame(other.requests, [])
})

t.test('an error with a large page is told by its status', async (t) => {
  const page = answering(502, ' '.repeat(GATE_BODY_BYTES_MAX + 1))
  const detail = 'the query is answered 502'
  t.same(await found(t, page, BELOW_FIVE), { value: null, verdict: 'error', detail })
})

t.test('a body that is too long, encoded or cut off is an error', async (t) => {
  const long = answering(200, ' '.repeat(GATE_BODY_BYTES_MAX + 1))
  t.match(await found(t, long, BELOW_FIVE), { verdict: 'error', detail: /more than 1048576 bytes/ })
  const endless: Answer = (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(' '.repeat(100_000)));
    }
    response.on('drain', more)
    more()
  }
  t.match(await found(t, endless, BELOW_FIVE), { verdict: 'error', detail: /more than 1048576 bytes/ })
  const packed: Answer = (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}'))
  }
  t.match(await found(t, packed, BELOW_FIVE), { verdict: 'error', detail: /or encoded/ })
  const cutOff: Answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"status":', () => response.destroy())
  }
  t.match(await found(t, cutOff, BELOW_FIVE), { verdict: 'error', detail: /^the query could not be asked: / })
  const noHttp: Answer = (request) => void request.socket.end('12.5')
  t.match(await found(t, noHttp, BELOW_FIVE), { verdict: 'error', detail: /^the query could not be asked: / })
  const hungUp: Answer = (request) => void request.socket.destroy()
  t.match(await found(t, hungUp, BELOW_FIVE), { verdict: 'error', detail: /^the query could not be asked: / })
})

t.test('whoever does not answer to the end in time is timed out', async (t) => {
  const server = await startUpstream(t)
  const client = clientFor(t, ['127.0.0.1'], TIMEOUT_MS)
  const slow: Answer = (_request, response) => void response.write('{"status":')
  for (const answer of [() => {}, slow] satisfies readonly Answer[]) {
    server.serve(answer, answer)
    const reading = await client.evaluate({ ...BELOW_FIVE, url: `http://127.0.0.1:${server.port}` })
    t.same(reading, { value: null, verdict: 'timed out', detail: 'the query was not answered in 0.3 s' })
  }
})

t.test('nobody there is an error, also where somebody was a moment ago', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`
  t.match(await clientFor(t).evaluate({ ...BELOW_FIVE, url }), { verdict: 'error', detail: /ECONNREFUSED/ })
  const server = await startUpstream(t)
  const answer = vector('1')
  server.serve(answer, answer)
  const client = clientFor(t)
  const gate = { ...BELOW_FIVE, url: `http://127.0.0.1:${server.port}` }
  t.match(await client.evaluate(gate), { verdict: 'passed' })
  server.server.close()
  server.server.closeAllConnections()
  await once(server.server, 'close')
  t.match(await client.evaluate(gate), { verdict: 'error', detail: /ECONNREFUSED/ })
})

t.test('viewers read what a gate says, so it does not say where the name of its server leads', async (t) => {
  const url = `http://localhost:${await freePort()}`
  const { detail } = await clientFor(t, ['localhost']).evaluate({ ...BELOW_FIVE, url })
  t.match(detail, /^the query could not be asked: connect E[A-Z]+/)
  t.notMatch(detail, /127\.0\.0|::1/)
})

t.test('the query is asked as it is, under the path of the URL', async (t) => {
  const server = await startUpstream(t)
  const answer = vector('1')
  server.serve(answer, answer)
  const client = clientFor(t)
  const queries = ['sum(rate(errors{zone=~"a|b"}[5m])) / 2 > 0', 'a&query=b#c?d', 'é +%20', 'lone \uD800', '']
  for (const query of queries) {
    for (const base of ['', '/', '/prometheus', '/prometheus/', '/a/b%2Fc']) {
      const url = `http://127.0.0.1:${server.port}${base}`
      t.match(await client.evaluate({ ...BELOW_FIVE, query, url }), { verdict: 'passed' })
      const asked = new URL(server.requests.at(-1)?.path ?? '', url)
      t.equal(asked.pathname, `${base.replace(/\/$/, '')}/api/v1/query`)
      t.strictSame(
        [...asked.searchParams],
        [
          ['query', query.replace('\uD800', '\uFFFD')],
          ['partial_response', 'false'],
          ['deny_partial_response', '1'],
        ],
      )
    }
  }
})

t.test('a URL that may not be used is refused with a reason, and never asked', async (t) => {
  const server = await startUpstream(t)
  const allowed = [`127.0.0.1:${server.port}`, 'prometheus.example']
  const client = clientFor(t, allowed)
  const messageOf = (url: string): string | undefined => gateMistake(accessTo(allowed), { url })?.message
  const base = `127.0.0.1:${server.port}`
  const cases: readonly (readonly [url: string, why: RegExp])[] = [
    ['', /^is not a URL/],
    [base, /^is not a URL/],
    ['prometheus.example/x', /^is not a URL/],
    ['file:///etc/passwd', /^must begin with https:/],
    [`http://user:password@${base}`, /^must not have a user or password/],
    [`http://${base}/?time=1`, /^must not have a query or a fragment/],
    [`http://${base}/?`, /^must not have a query or a fragment/],
    [`http://${base}/#x`, /^must not have a query or a fragment/],
    ['http://127.0.0.1:1/', /^is on 127\.0\.0\.1, which is not among the hosts that BELLWETHER_GATES_ALLOW names$/],
    ['https://metadata.example/', /^is on metadata\.example, which is not among/],
  ]
  for (const [url, why] of cases) {
    const refusal = messageOf(url)
    t.match(refusal, why, url)
    const reading = await client.evaluate({ ...BELOW_FIVE, url })
    t.same(reading, { value: null, verdict: 'error', detail: `the URL ${refusal}` })
    t.notMatch(reading.detail, /user:password/)
  }
  t.strictSame(server.requests, [])
  t.equal(messageOf(`http://${base}/prometheus/`), undefined)
  t.equal(messageOf('https://prometheus.example'), undefined)
  const closed = gateMistake(accessTo([]), { url: 'https://prometheus.example' })
  t.match(closed?.message, /which is not among the hosts/, 'no list, no host')
})

const TOKEN = 'top-s3cret/token=='

/** A server that has each request's Authorization, and a client with a secret for it. */
async function withSecret(t: Test, answer: Answer, file?: (port: number) => string) {
  const server = await startUpstream(t)
  const sent: (string | undefined)[] = []
  const recording: Answer = (request, response) => {
    sent.push(request.headers.authorization)
    answer(request, response)
  }
  server.serve(recording, recording)
  const hosts = file?.(server.port) ?? `hosts: 127.0.0.1:${server.port}\nbearer: ${TOKEN}\n`
  const client = new GateClient(
    accessTo(['127.0.0.1', 'localhost', '*.example'], await gateSecrets(t, { mimir: hosts })),
  )
  t.teardown(() => client.close())
  return { client, server, sent, gate: { ...BELOW_FIVE, url: `http://127.0.0.1:${server.port}`, secret: 'mimir' } }
}

t.test('a secret is sent to its host as Authorization, and by no gate that does not name it', async (t) => {
  const { client, sent, gate } = await withSecret(t, vector('1'))
  t.match(await client.evaluate(gate), { verdict: 'passed' })
  const { secret: _, ...without } = gate
  t.match(await client.evaluate(without), { verdict: 'passed' })
  t.strictSame(sent, [`Bearer ${TOKEN}`, undefined])
  const basic = await withSecret(t, vector('1'), (port) => `hosts: 127.0.0.1:${port}\nbasic: ann:pass word\n`)
  t.match(await basic.client.evaluate(basic.gate), { verdict: 'passed' })
  t.strictSame(basic.sent, [`Basic ${Buffer.from('ann:pass word').toString('base64')}`])
})

t.test('a secret that is not for the host, not for http, or not there is an error, and nobody is asked', async (t) => {
  const { client, server, sent, gate } = await withSecret(t, vector('1'), () => `hosts: 127.0.0.1:1\nbearer: ${TOKEN}`)
  t.match(await client.evaluate(gate), {
    value: null,
    verdict: 'error',
    detail: new RegExp(`^the secret is not for 127\\.0\\.0\\.1:${server.port}; `),
  })
  const named = { ...gate, url: `http://localhost:${server.port}` }
  t.match(await client.evaluate(named), { verdict: 'error', detail: /^the secret is not sent over http:/ })
  t.match(await client.evaluate({ ...gate, secret: 'other' }), { verdict: 'error', detail: /^the secret is not known/ })
  const bare = clientFor(t)
  t.match(await bare.evaluate(gate), {
    verdict: 'error',
    detail: /^the secret is not known: this server has no secrets/,
  })
  t.strictSame(sent, [])
})

t.test('a secret does not follow a redirect', async (t) => {
  const elsewhere = await withSecret(t, vector('1'))
  for (const status of [301, 302, 303, 307, 308]) {
    const location = `${elsewhere.gate.url}/api/v1/query?query=errors`
    const { client, sent, gate } = await withSecret(t, answering(status, '', { location }))
    t.match(await client.evaluate(gate), { verdict: 'error', detail: /a redirect, which is not followed/ })
    t.strictSame(sent, [`Bearer ${TOKEN}`])
  }
  t.strictSame(elsewhere.sent, [])
})

t.test('a server that repeats the secret does not bring it into words', async (t) => {
  const long = `${'x'.repeat(290)}${TOKEN}`
  const series = { metric: { __name__: 'errors', [TOKEN]: TOKEN }, value: [1, '9'] }
  const answers: readonly Answer[] = [
    json({ status: 'error', error: `invalid token ${TOKEN}` }, 401),
    json({ status: 'error', error: long }, 401),
    json({ status: 'success', data: { resultType: 'vector', result: [] }, warnings: [`Bearer ${TOKEN}`] }),
    json({ status: 'success', data: { resultType: TOKEN, result: [] } }),
    json({ status: 'success', data: { resultType: 'vector', result: [series, series] } }),
  ]
  for (const answer of answers) {
    const { client, sent, gate } = await withSecret(t, answer)
    const { verdict, detail } = await client.evaluate(gate)
    t.match(verdict, /^(?:error|failed)$/)
    t.strictSame(sent, [`Bearer ${TOKEN}`])
    t.notMatch(detail, 'top-s3', detail ?? '')
    t.match(detail, /\[secret|xxx$/)
  }
})
