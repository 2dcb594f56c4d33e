// Pipelines over the API: made, edited, deleted, every mistake named, and no rollout ever changed behind its back.
import t from 'tap'
import { at, itemsOf, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { gateSecrets } from '../../fixtures/gate-secret-files.ts'
import { cloud, codesOf, listAt, startRollouts } from '../../fixtures/rollout-session.ts'

const reason = 'because'
const JSON_TYPE = { 'content-type': 'application/json' }
const PIPELINE = '/pipelines/cloud'
const gate = { name: 'errors', url: 'http://127.0.0.1:9090', query: 'errors', op: '<', threshold: 0.5 } as const
const window = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'Europe/Berlin' } as const

/** A stage of one channel with this name. */
function stage(name: string, more: Fields = {}): Fields {
  return { name, channels: [name], ...more }
}

t.test('a pipeline is made with its gaps filled, read, listed and edited as a whole document', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['127.0.0.1'] })
  const stages = [stage('canary', { auto: true, gates: [gate] }), stage('all', { promoteWindow: window })]
  const made = await session.call('PUT', PIPELINE, { description: 'the cloud', stages, reason: 'first' })
  t.equal(made.status, 200)
  t.equal(made.headers.etag, 'W/"1"')
  const rules = {
    auto: false,
    soakMinutes: 0,
    requireSignOff: false,
    approvals: 0,
    gates: [],
    rampPercent: [],
    rampMinutes: 30,
    promoteWindow: null,
    plainPath: 'last',
  }
  t.strictSame(made.body, {
    name: 'cloud',
    revision: 1,
    description: 'the cloud',
    versions: null,
    grace: 'P14D',
    requirePackages: true,
    stages: [
      { ...rules, ...stage('canary', { auto: true }), gates: [{ ...gate, everySeconds: 60, failures: 3 }] },
      { ...rules, ...stage('all', { promoteWindow: window }) },
    ],
    updatedAt: '2026-03-01T00:00:00.000Z',
    updatedBy: 'admin',
    otherRules: [],
  })
  t.hasStrict(await session.lastEntry(), { kind: 'pipeline.put', subjects: ['pipeline/cloud'], reason: 'first' })
  const read = await session.call('GET', PIPELINE)
  t.strictSame(read.body, made.body)
  t.match(read.headers.etag, /^"1\.[0-9a-f]{16}"$/)
  await session.done('PUT', '/pipelines/a', { stages: [stage('a')] })
  const edited = await session.done('PUT', PIPELINE, { versions: '>=15.0.0-0', grace: 'P7D', stages: [stage('all')] })
  t.hasStrict(edited, { revision: 2, description: '', versions: '>=15.0.0-0', grace: 'P7D', stages: [{ name: 'all' }] })
  const list = await session.done('GET', '/pipelines')
  t.strictSame(
    itemsOf(list).map((item) => at(item, 'name')),
    ['a', 'cloud'],
  )
})

t.test('a dry run writes nothing, and If-Match and Idempotency-Key are honoured', async (t) => {
  const session = await startRollouts(t)
  const body = { stages: [stage('all')] }
  const match = (tag: string) => ({ headers: { 'if-match': tag } })
  const empty = await session.digest()
  t.hasStrict(await session.done('PUT', `${PIPELINE}?dryRun=true`, body), { revision: 1, dryRun: true })
  t.equal((await session.call('PUT', PIPELINE, body, match('*'))).status, 412, 'there is none')
  t.equal(await session.digest(), empty)
  const key = { headers: { 'idempotency-key': 'k' } }
  const made = await session.call('PUT', PIPELINE, body, key)
  const again = await session.call('PUT', PIPELINE, body, key)
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.strictSame(again.body, made.body)
  const before = await session.digest()
  for (const [method, query, stale] of [
    ['PUT', '', '"2"'],
    ['PUT', '?dryRun=true', '"2"'],
    ['DELETE', '', '"2"'],
  ] as const) {
    const reply = await session.call(method, PIPELINE + query, method === 'PUT' ? body : undefined, match(stale))
    t.equal(reply.status, 412)
    t.hasStrict(reply.body, { code: 'stale_write', current: { name: 'cloud', revision: 1 } })
  }
  t.strictSame(await session.done('DELETE', `${PIPELINE}?dryRun=true`), {
    dryRun: true,
    wouldChange: [{ key: 'pipeline/cloud', change: 'deleted', revision: null }],
  })
  t.equal(await session.digest(), before)
  t.equal((await session.call('DELETE', PIPELINE, { reason }, match('"1"'))).status, 204)
  for (const [method, body2] of [
    ['GET', undefined],
    ['DELETE', undefined],
  ] as const) {
    const unknown = await session.call(method, PIPELINE, body2)
    t.equal(unknown.status, 404)
    t.equal(at(unknown.body, 'code'), 'unknown_pipeline')
  }
  const rollouts = await session.call('GET', '/rollouts/cloud')
  t.equal(at(rollouts.body, 'code'), 'unknown_pipeline')
})

t.test('every mistake is named by its field, and nothing is written', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['127.0.0.1:9090'] })
  const before = await session.digest()
  const gates = (...drafts: readonly Fields[]) => ({ stages: [stage('a', { gates: drafts })] })
  const windows = (more: Fields) => ({ stages: [stage('a', { promoteWindow: { ...window, ...more } })] })
  const mistakes: readonly (readonly [Fields, string])[] = [
    [{ stages: [] }, 'stages'],
    [{}, 'stages'],
    [{ stages: [stage('Canary')] }, 'stages/0/name'],
    [{ stages: [stage('a'), { ...stage('b'), name: 'a' }] }, 'stages/1/name'],
    [{ stages: [stage('a', { channels: [] })] }, 'stages/0/channels'],
    [{ stages: [stage('a', { channels: ['ok', 'Bad Name'] })] }, 'stages/0/channels/1'],
    [{ stages: [stage('a'), stage('b', { channels: ['a'] })] }, 'stages/1/channels/0'],
    [{ stages: [stage('a', { rampPercent: [10, 10] })] }, 'stages/0/rampPercent/1'],
    [{ stages: [stage('a', { rampPercent: [50, 10] })] }, 'stages/0/rampPercent/1'],
    [{ stages: [stage('a', { rampPercent: [100] })] }, 'stages/0/rampPercent/0'],
    [{ stages: [stage('a', { soakMinutes: -1 })] }, 'stages/0/soakMinutes'],
    [{ stages: [stage('a', { approvals: 11 })] }, 'stages/0/approvals'],
    [{ stages: [stage('a', { plainPath: 'middle' })] }, 'stages/0/plainPath'],
    [{ stages: [stage('a', { colour: 'red' })] }, 'stages/0/colour'],
    [windows({ from: '9:00' }), 'stages/0/promoteWindow/from'],
    [windows({ to: '24:00' }), 'stages/0/promoteWindow/to'],
    [windows({ to: '09:00' }), 'stages/0/promoteWindow/to'],
    [windows({ timeZone: 'Mars/Olympus' }), 'stages/0/promoteWindow/timeZone'],
    [windows({ days: [] }), 'stages/0/promoteWindow/days'],
    [windows({ days: ['monday'] }), 'stages/0/promoteWindow/days/0'],
    [gates(gate, gate), 'stages/0/gates/1/name'],
    [gates({ ...gate, op: '=' }), 'stages/0/gates/0/op'],
    [gates({ ...gate, everySeconds: 1 }), 'stages/0/gates/0/everySeconds'],
    [gates({ ...gate, failures: 0 }), 'stages/0/gates/0/failures'],
    [gates({ ...gate, url: 'not a url' }), 'stages/0/gates/0/url'],
    [gates({ ...gate, url: 'ftp://127.0.0.1:9090' }), 'stages/0/gates/0/url'],
    [gates({ ...gate, url: 'http://user:secret@127.0.0.1:9090' }), 'stages/0/gates/0/url'],
    [{ stages: [stage('a')], versions: 'newest' }, 'versions'],
    [{ stages: [stage('a')], grace: 'soon' }, 'grace'],
    [{ stages: [stage('a')], grace: 'P91D' }, 'grace'],
    [{ stages: Array.from({ length: 21 }, (_, index) => stage(`s${index}`)) }, 'stages'],
  ]
  for (const [body, field] of mistakes) {
    const reply = await session.call('PUT', PIPELINE, body)
    t.equal(reply.status, 400, `${field} ${JSON.stringify(body).slice(0, 100)}`)
    const fields = listAt(reply.body, 'errors').map((error) => at(error, 'field'))
    t.ok(
      fields.some((name) => name === field),
      `${JSON.stringify(fields)} names ${field}`,
    )
  }
  const badName = await session.call('PUT', '/pipelines/Cloud%20One', { stages: [stage('a')] })
  t.equal(at(badName.body, 'errors', 0, 'field'), 'name')
  t.equal(await session.digest(), before)
})

t.test(
  'a gate on a host that is not on the allow-list is refused, and the answer says which setting names them',
  async (t) => {
    const session = await startRollouts(t, { gatesAllow: ['127.0.0.1:9090', '*.metrics.example'] })
    const put = (url: string) => session.call('PUT', PIPELINE, { stages: [stage('a', { gates: [{ ...gate, url }] })] })
    for (const url of ['http://127.0.0.1:9091', 'http://localhost:9090', 'https://metrics.example']) {
      const reply = await put(url)
      t.equal(reply.status, 400, url)
      t.equal(at(reply.body, 'errors', 0, 'field'), 'stages/0/gates/0/url')
      t.match(at(reply.body, 'detail'), /BELLWETHER_GATES_ALLOW/)
    }
    for (const url of ['http://127.0.0.1:9090/prefix', 'https://a.metrics.example'])
      t.equal((await put(url)).status, 200)
  },
)

t.test('a channel belongs to one pipeline only: channel_in_pipeline', async (t) => {
  const session = await startRollouts(t)
  await session.done('PUT', PIPELINE, { stages: [stage('a'), stage('b')] })
  const taken = await session.call('PUT', '/pipelines/other', { stages: [stage('c'), stage('b')] })
  t.equal(taken.status, 409)
  t.equal(at(taken.body, 'code'), 'channel_in_pipeline')
  t.match(at(taken.body, 'detail'), /channel b is in the pipeline cloud/)
  await session.done('PUT', PIPELINE, { stages: [stage('a')] })
  t.equal((await session.call('PUT', '/pipelines/other', { stages: [stage('b')] })).status, 200)
  const both = await Promise.all(
    ['x', 'y'].map((name) => session.call('PUT', `/pipelines/${name}`, { stages: [stage('wanted')] })),
  )
  t.strictSame(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 409],
    'also where both ask at once',
  )
})

t.test('a rollout that is done does not move a channel that another pipeline has by now', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { channels: ['a', 'b'] })])
  await session.done('PUT', channelPath('b', '/pin'), { version: cloud(0), reason: 'an incident' })
  await session.register(1)
  t.equal((await session.step('promote', {}, 1)).status, 200)
  t.equal(at(await session.rollout(1), 'state'), 'done')
  await session.pipeline([stage('canary', { channels: ['a'] })])
  await session.pipeline([stage('edge', { channels: ['b'], approvals: 2 })], {}, 'edge')
  await session.done('DELETE', channelPath('b', '/pin'), { reason: 'it is over' })
  const late = await session.step('promote', { stage: 'canary' }, 1)
  t.match(at(late.body, 'blockers'), [{ code: 'channels', message: /b is in the pipeline edge$/ }])
  t.equal(await session.told('b'), cloud(0))
})

t.test('a pipeline of 900 channels fits into its body of 256 KB; more of either is refused', async (t) => {
  const session = await startRollouts(t)
  const name = (index: number) => `fleet/${'x'.repeat(58)}/${'y'.repeat(57)}/${index}`
  const stages = (channels: number) =>
    [0, 1].map((half) => ({
      name: `s${half}`,
      channels: Array.from({ length: channels / 2 }, (_, index) => name(half * 1_000 + index)),
    }))
  const padded = (bytes: number) => JSON.stringify({ stages: stages(900) }).padEnd(bytes)
  const full = await session.call('PUT', PIPELINE, padded(256 * 1024), { headers: JSON_TYPE })
  t.equal(full.status, 200)
  t.equal(listAt(full.body, 'stages', 1, 'channels').length, 450)
  const many = await session.call('PUT', PIPELINE, { stages: stages(902) })
  t.equal(many.status, 400)
  t.match(at(many.body, 'detail'), /at most 900/)
  const large = await session.call('PUT', PIPELINE, padded(256 * 1024 + 1), { headers: JSON_TYPE })
  t.equal(large.status, 413)
  t.equal(at(large.body, 'code'), 'body_too_large')
  t.match(at(large.body, 'detail'), /262,?144|256 KB/, 'it says how large this body may be')
  t.equal(at(await session.done('GET', PIPELINE), 'revision'), 1)
})

t.test(
  'a pipeline with a rollout under way is not deleted: pipeline_in_use; what has ended stays to be read',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('a')])
    await session.register(1)
    const used = await session.call('DELETE', PIPELINE)
    t.equal(used.status, 409)
    t.equal(at(used.body, 'code'), 'pipeline_in_use')
    t.ok(String(at(used.body, 'detail')).includes(cloud(1)), 'it names the release')
    t.equal((await session.step('promote')).status, 200)
    t.equal((await session.call('DELETE', PIPELINE, { reason })).status, 204)
    t.equal(at(await session.rollout(1), 'state'), 'done')
    t.equal(itemsOf(await session.done('GET', '/rollouts/cloud')).length, 1)
  },
)

t.test('a rollout keeps the rules that it began with, until it is re-based', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a'), stage('b')])
  await session.register(1)
  t.equal((await session.step('promote')).status, 200)
  await session.pipeline([stage('a', { soakMinutes: 60 }), stage('b', { approvals: 2 }), stage('c')])
  t.strictSame(at(await session.done('GET', PIPELINE), 'otherRules'), [cloud(1)])
  const before = await session.rollout(1)
  t.hasStrict(before, { pipelineRevision: 1, stages: [{ state: 'done' }, { state: 'ready', rules: { approvals: 0 } }] })
  t.equal(listAt(before, 'stages').length, 2)
  const dry = await session.call('POST', '/rollouts/cloud/rebase?dryRun=true', {})
  t.hasStrict(dry.body, { pipelineRevision: 2, dryRun: true })
  t.strictSame(await session.rollout(1), before)
  const rebased = await session.step('rebase', { reason })
  t.hasStrict(rebased.body, {
    pipelineRevision: 2,
    stages: [{ name: 'a', state: 'done' }, { name: 'b', state: 'waiting' }, { name: 'c' }],
  })
  t.strictSame(codesOf(await session.stage(1, 1)), ['approvals'])
  t.strictSame(at(await session.done('GET', PIPELINE), 'otherRules'), [])
  t.hasStrict(await session.lastEntry(), { kind: 'rollout.rebase', reason })
})

t.test('what was promoted must still be there: not_rebased; a pipeline that is gone is unknown_pipeline', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a'), stage('b'), stage('c')])
  await session.register(1)
  for (const name of ['a', 'b']) t.equal((await session.step('promote', { stage: name })).status, 200)
  for (const stages of [[stage('b'), stage('a')], [stage('a')], [stage('new'), stage('a'), stage('b')]]) {
    await session.pipeline(stages)
    const reply = await session.step('rebase')
    t.equal(reply.status, 409)
    t.equal(at(reply.body, 'code'), 'not_rebased')
    t.match(at(reply.body, 'detail'), /no stage is skipped/)
  }
  await session.pipeline([stage('a'), stage('b'), stage('d'), stage('c')])
  t.equal((await session.step('rebase')).status, 200)
  t.equal((await session.step('promote', { stage: 'c' }, 1)).status, 422, 'd comes before c now')
})

t.test('a placeholder that does not exist is refused with those that do', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['127.0.0.1:9090'] })
  const put = (query: string) =>
    session.call('PUT', PIPELINE, { stages: [stage('a', { gates: [{ ...gate, query }] })] })
  const reply = await put('errors{version="{version}"}')
  t.match(reply, { status: 400, body: { code: 'invalid_request' } })
  t.match(at(reply.body, 'errors', 0), {
    field: 'stages/0/gates/0/query',
    message: /^has the placeholder \{version\}, which does not exist; there are \{release\}, \{previous\}, \{stage\}/,
  })
  t.equal(
    (await put('errors{version="{release}",stage="{stage}",job=~"a{2,3}"} / errors{version="{previous}"}')).status,
    200,
  )
})

t.test(
  'a gate names its secret, which must be there and for its host; nobody is shown more than the name',
  async (t) => {
    const secrets = await gateSecrets(t, {
      mimir: `hosts: 127.0.0.1:9090\nbearer: top-s3cret`,
      other: 'hosts: a.example\nbearer: top-s3cret',
    })
    const session = await startRollouts(t, { gatesAllow: ['127.0.0.1:9090', 'a.example'], gateSecrets: secrets })
    const put = (more: Fields) =>
      session.call('PUT', PIPELINE, { stages: [stage('a', { gates: [{ ...gate, ...more }] })] })
    const made = await put({ secret: 'mimir', initialDelayMinutes: 5 })
    t.match(made, { status: 200, body: { stages: [{ gates: [{ secret: 'mimir', initialDelayMinutes: 5 }] }] } })
    const { body } = await session.call('GET', PIPELINE)
    t.match(body, { stages: [{ gates: [{ secret: 'mimir', initialDelayMinutes: 5 }] }] })
    const again = await session.call('PUT', PIPELINE, { stages: at(body, 'stages') })
    t.hasStrict(at(again.body, 'revision'), at(made.body, 'revision'), 'what is read can be put back')
    for (const [more, message] of [
      [{ secret: 'top-s3cret' }, /^is not known/],
      [{ secret: 'other' }, /^is not for 127\.0\.0\.1:9090; /],
      [{ secret: 'mimir', url: 'https://a.example' }, /^is not for a\.example; /],
      [{ secret: 'other', url: 'http://a.example' }, /^is not sent over http:/],
      [{ secret: '../mimir' }, /pattern/],
      [{ secret: '/etc/passwd' }, /pattern/],
      [{ secret: null }, /string/],
    ] as const) {
      const reply = await put(more)
      t.match(reply, {
        status: 400,
        body: { code: 'invalid_request', errors: [{ field: 'stages/0/gates/0/secret', message }] },
      })
      t.notMatch(JSON.stringify(reply.body), 'top-s3cret')
    }
    t.notMatch(JSON.stringify(await session.done('GET', '/journal')), 'top-s3cret')
    const without = await startRollouts(t, { gatesAllow: ['127.0.0.1:9090'] })
    const reply = await without.call('PUT', PIPELINE, {
      stages: [stage('a', { gates: [{ ...gate, secret: 'mimir' }] })],
    })
    t.match(at(reply.body, 'errors', 0, 'message'), /BELLWETHER_GATE_SECRETS_DIR is not set$/)
  },
)
