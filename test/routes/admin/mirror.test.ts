// Forward channels through the admin API: made, edited, mirrored; and what operators may not do with them.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const X = channelPath('edge/x')
const reason = 'because'
const forward = (url: string) => ({ kind: 'forward', url })

t.test('a channel is made with an upstream, and edited to another one or none', async (t) => {
  const session = await startAdmin(t)
  const made = await session.done('POST', '/channels', { name: 'edge/x', source: forward('https://a.example/v1/x/') })
  t.hasStrict(made, {
    source: {
      kind: 'forward',
      url: 'https://a.example/v1/x',
      version: null,
      critical: false,
      criticalUntil: null,
      answeredAt: null,
      problem: null,
    },
    upstream: { lastAnswerAt: null, ageS: null },
    effective: { version: null, critical: false, because: 'unanswered', detail: null },
  })
  const other = await session.done('PATCH', X, { source: forward('https://b.example/v1/x') })
  t.equal(at(other, 'source', 'url'), 'https://b.example/v1/x')
  const own = await session.done('PATCH', X, { source: { kind: 'static', version: '15.1.4' } })
  t.strictSame(at(own, 'source'), { kind: 'static', version: '15.1.4', critical: false, criticalUntil: null })
  t.equal(at(own, 'upstream'), null)
  const again = await session.done('PATCH', X, { source: forward('https://b.example/v1/x') })
  t.hasStrict(again, { effective: { version: '15.1.4', because: 'source' } })
  const kept = await session.done('PATCH', X, { source: { kind: 'static' } })
  t.equal(at(kept, 'source', 'version'), '15.1.4', 'the last good answer stays')
})

t.test('what an upstream may not be is refused, with its field', async (t) => {
  const session = await startAdmin(t)
  await session.channel('edge/x')
  const wrong: readonly (readonly [source: object, field: string, message: RegExp])[] = [
    [{ kind: 'forward' }, 'source/url', /is missing/],
    [forward('ftp://a.example/v1/x'), 'source/url', /must begin with https/],
    [forward('https://u:hunter2@a.example/v1/x'), 'source/url', /must not have a user/],
    [forward('http://127.0.0.1/v1/x'), 'source/url', /internal address/],
    [forward('http://[::ffff:10.0.0.1]/v1/x'), 'source/url', /internal address/],
    [{ ...forward('https://a.example/v1/x'), version: '15.1.4' }, 'source/version', /no meaning for a forward/],
    [{ ...forward('https://a.example/v1/x'), critical: true }, 'source/critical', /no meaning for a forward/],
    [{ kind: 'static', url: 'https://a.example/v1/x' }, 'source/url', /no meaning for a static/],
  ]
  for (const [source, field, message] of wrong) {
    for (const [method, path, body] of [
      ['PATCH', X, { source }],
      ['POST', '/channels', { name: 'edge/new', source }],
    ] as const) {
      const reply = await session.call(method, path, body)
      t.equal(reply.status, 400, JSON.stringify(source))
      t.equal(at(reply.body, 'errors', 0, 'field'), field)
      t.match(at(reply.body, 'errors', 0, 'message'), message)
      t.notMatch(JSON.stringify(reply.body), 'hunter2')
    }
  }
})

t.test('operators do not move what an upstream moves: follows_upstream; they pin, halt and roll back', async (t) => {
  const session = await startAdmin(t)
  await session.channel('edge/x', '15.1.3')
  await session.done('PUT', `${X}/version`, { version: '15.1.4' })
  await session.done('PATCH', X, { source: forward('https://a.example/v1/x') })
  for (const [path, body] of [
    ['version', { version: '15.1.5' }],
    ['critical', { critical: true, reason }],
  ] as const) {
    const reply = await session.call('PUT', `${X}/${path}`, body)
    t.equal(reply.status, 409)
    t.equal(at(reply.body, 'code'), 'follows_upstream')
    t.match(at(reply.body, 'detail'), /pin it, or make its source static first/)
  }
  const back = await session.done('POST', `${X}/rollback`, { reason })
  t.hasStrict(back, { effective: { version: '15.1.3', because: 'pin' } })
  t.equal(at(await session.done('PUT', `${X}/critical`, { critical: true, reason }), 'effective', 'critical'), true)
  t.equal(at(await session.done('PUT', `${X}/halt`, { reason }), 'effective', 'because'), 'halt')
})

t.test('a list of channels of another server is mirrored in one commit', async (t) => {
  const session = await startAdmin(t)
  const channels = ['stable/cloud', 'stable/edge', 'default']
  const body = { url: 'https://origin.example', channels, reason }
  t.equal(itemsOf(await session.done('POST', '/mirror?dryRun=true', body)).length, 3)
  t.equal((await session.journal()).length, 0)
  const reply = await session.call('POST', '/mirror', body)
  t.strictSame(
    itemsOf(reply.body),
    channels.map((name) => ({ name, url: `https://origin.example/v1/${name}`, outcome: 'created' })),
  )
  t.match(await session.lastEntry(), { seq: 1, kind: 'channel.mirror', reason })
  const more = await session.done('POST', '/mirror', { url: 'https://origin.example', channels: ['default', 'other'] })
  t.strictSame(
    itemsOf(more).map((item) => at(item, 'outcome')),
    ['exists', 'created'],
  )
  const none = await session.call('POST', '/mirror', { url: 'https://origin.example', channels: ['other'] })
  t.equal(none.status, 200)
  t.equal((await session.journal()).length, 2, 'where all are there nothing is written')
})

t.test('a mirror beside default warns once of all channels that it makes', async (t) => {
  const session = await startAdmin(t)
  await session.channel('default', '15.4.2')
  const body = { url: 'https://origin.example', channels: ['a', 'b'], reason }
  const message = /^until now webapi agents of these 2 channels were served 15\.4\.2/
  t.match(at(await session.done('POST', '/mirror', body), 'warnings'), [{ code: 'default_replaced', message }])
  t.equal(at(await session.done('POST', '/mirror', body), 'warnings'), undefined, 'they are there already')
})

t.test('all of a list or none of it', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const reply = await session.call('POST', '/mirror', { url: 'https://a.example', channels: ['new', 'stable/cloud'] })
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'channel_exists')
  t.equal((await session.call('GET', channelPath('new'))).status, 404)
})

t.test('a mirror that cannot be is refused, with its field', async (t) => {
  const session = await startAdmin(t, { upstreamAllow: ['a.example'] })
  const wrong: readonly (readonly [body: object, field: RegExp])[] = [
    [{ url: 'a.example', channels: ['x'] }, /^url$/],
    [{ url: 'https://b.example', channels: ['x'] }, /^url$/],
    [{ url: 'https://a.example', channels: [] }, /^channels$/],
    [{ url: 'https://a.example', channels: ['x', 'x'] }, /^channels\/1$/],
    [{ url: 'https://a.example', channels: ['Not A Name'] }, /^(?:url|channels\/0)$/],
    [{ url: 'https://a.example', channels: Array.from({ length: 1_001 }, (_, n) => `x/${n}`) }, /^channels$/],
    [{ channels: ['x'] }, /^url$/],
  ]
  for (const [body, field] of wrong) {
    const reply = await session.call('POST', '/mirror', body)
    t.equal(reply.status, 400)
    t.match(at(reply.body, 'errors', 0, 'field'), field)
  }
  t.equal((await session.journal()).length, 0)
})

t.test('a token mirrors only what is in its scope', async (t) => {
  const session = await startAdmin(t)
  const token = await session.token('operator', ['edge/*'])
  const body = (channels: readonly string[]) => ({ url: 'https://a.example', channels })
  t.equal((await session.call('POST', '/mirror', body(['edge/x']), { token })).status, 200)
  const reply = await session.call('POST', '/mirror', body(['edge/y', 'stable/cloud']), { token })
  t.equal(reply.status, 403)
  t.hasStrict(reply.body, { code: 'out_of_scope', missingScope: 'stable/cloud' })
})

t.test('a mirror that is sent again with its key is made once', async (t) => {
  const session = await startAdmin(t)
  const body = { url: 'https://a.example', channels: ['x', 'y'] }
  const headers = { 'idempotency-key': 'mirror-once' }
  const first = await session.call('POST', '/mirror', body, { headers })
  const again = await session.call('POST', '/mirror', body, { headers })
  t.strictSame(again.body, first.body)
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.equal((await session.journal()).length, 1)
})
