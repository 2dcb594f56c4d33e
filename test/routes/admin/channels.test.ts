// The documents of channels: list, read, create, edit, delete.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { bearer, channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')

t.test('a created channel is answered whole, with its revision as ETag, and agents get it', async (t) => {
  const session = await startAdmin(t)
  const reply = await session.call('POST', '/channels', {
    name: 'stable/cloud',
    description: 'for all',
    source: { kind: 'static', version: 'v15.1.4', critical: true, criticalUntil: '2026-03-02T01:00:00+01:00' },
    floor: '15.0.0',
    ceiling: 'v15.9.9',
    reason: ' the first ',
  })
  t.equal(reply.status, 201)
  t.equal(reply.headers['etag'], 'W/"1"')
  t.strictSame(reply.body, {
    name: 'stable/cloud',
    revision: 1,
    description: 'for all',
    source: { kind: 'static', version: '15.1.4', critical: true, criticalUntil: '2026-03-02T00:00:00.000Z' },
    ramp: null,
    pin: null,
    halt: null,
    floor: '15.0.0',
    ceiling: '15.9.9',
    allowBuildMetadata: false,
    lastServed: '15.1.4',
    updatedAt: '2026-03-01T00:00:00.000Z',
    updatedBy: 'admin',
    effective: { version: '15.1.4', critical: true, because: 'source', detail: null },
    upstream: null,
    warnings: [],
  })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  t.equal(await session.planes.asAgent('/v1/stable/cloud/critical'), 'yes')
  const entry = await session.lastEntry()
  t.hasStrict(entry, {
    seq: 1,
    actor: 'admin',
    kind: 'channel.create',
    reason: 'the first',
    subjects: ['channel/stable/cloud'],
    at: '2026-03-01T00:00:00.000Z',
  })
  t.equal(entry.changes[0]?.before, null)
  t.equal(at(entry.changes[0]?.after?.body, 'description'), 'for all')
  t.match(entry.requestId, /^admin [0-9a-f-]{36}$/, 'a key belongs to who asks')
  t.not(at(entry.changes[0]?.after?.body, 'effective'), null, 'what is effective is not stored')
})

t.test('a channel without a version is there and tells agents to stay', async (t) => {
  const session = await startAdmin(t)
  const body = await session.done('POST', '/channels', { name: 'stable/cloud' })
  t.strictSame(at(body, 'effective'), { version: null, critical: false, because: 'source', detail: null })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '404 channel stable/cloud has no target version')
})

t.test(
  'a new channel beside default warns whose version its webapi agents had, the retry and the dry run too',
  async (t) => {
    const session = await startAdmin(t)
    t.strictSame(at(await session.done('POST', '/channels', { name: 'early' }), 'warnings'), [])
    const made = await session.done('POST', '/channels', { name: 'default' })
    t.strictSame(at(made, 'warnings'), [], 'default is nobody else')
    t.strictSame(
      at(await session.done('POST', '/channels', { name: 'quiet' }), 'warnings'),
      [],
      'default serves nothing',
    )
    await session.done('PUT', '/channels/default/version', { version: '15.4.2' })
    const warnings = [
      {
        code: 'default_replaced',
        message:
          'until now webapi agents of channel stable/cloud were served 15.4.2, the version of the channel default; they follow the new one from now on',
      },
    ]
    const body = { name: 'stable/cloud', source: { kind: 'static', version: '15.1.4' } }
    t.strictSame(at(await session.done('POST', '/channels?dryRun=true', body), 'warnings'), warnings)
    const headers = { 'idempotency-key': 'once' }
    const first = await session.call('POST', '/channels', body, { headers })
    t.equal(first.status, 201)
    t.strictSame(at(first.body, 'warnings'), warnings)
    t.strictSame(at(first.body, 'lastServed'), '15.1.4', 'a lower minor than default is no downgrade of its own')
    const again = await session.call('POST', '/channels', body, { headers })
    t.strictSame([again.headers['idempotency-replayed'], at(again.body, 'warnings')], ['true', warnings])
    t.strictSame(at(await session.done('GET', CLOUD), 'warnings'), [])
    t.strictSame(at(await session.done('PATCH', CLOUD, { description: 'x' }), 'warnings'), [])
  },
)

t.test('what a channel has from default is shown until it serves a version of its own', async (t) => {
  const session = await startAdmin(t)
  await session.channel('default', '15.4.2')
  const source = { kind: 'forward', url: 'https://up.example/v1/stable/cloud' }
  const body = { name: 'stable/cloud', source, force: true, reason: 'as v13' }
  t.hasStrict(await session.done('POST', '/channels', body), { lastServed: '15.4.2', lastServedFrom: 'default' })
  t.equal((await session.call('PATCH', CLOUD, { source: { kind: 'static', version: '13.0.0' } })).status, 422)
  await session.done('PATCH', CLOUD, { source: { kind: 'static', version: '15.0.9' } })
  const own = await session.done('GET', CLOUD)
  t.strictSame([at(own, 'lastServed'), at(own, 'lastServedFrom')], ['15.0.9', undefined])
})

t.test('a channel that exists is not created again: channel_exists', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const before = await session.digest()
  const reply = await session.call('POST', '/channels', { name: 'stable/cloud' })
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'channel_exists')
  t.equal(await session.digest(), before)
})

t.test('names outside the grammar are refused with the field and the rule', async (t) => {
  const session = await startAdmin(t)
  const bad = [
    ...['', '/', 'a/', '/a', 'a//b', 'A', 'a b', '-a', 'a/version', 'version', 'critical', 'a/report', 'webapi/a'],
    ...['a/cohort/b', 'a/b/c/d/e/f/g', '../a', 'a/..', '.', 'ä', 'a\0b', 'a\n', '\ud800', `a/${'b'.repeat(64)}`],
    ...['install.sh', '__proto__', 'a%2fb'],
  ]
  for (const name of bad) {
    const reply = await session.call('POST', '/channels', { name })
    t.equal(reply.status, 400, JSON.stringify(name))
    t.equal(at(reply.body, 'errors', 0, 'field'), 'name')
  }
  t.equal((await session.journal()).length, 0)
  for (const name of [
    'constructor',
    'tostring',
    'a.b_c-d',
    '0',
    `${'a'.repeat(63)}/${'b'.repeat(63)}`,
    'a/b/c/d/e/f',
  ]) {
    t.equal((await session.call('POST', '/channels', { name })).status, 201, name)
    t.equal(at(await session.done('GET', channelPath(name)), 'name'), name)
  }
})

t.test('a channel is read by its percent-encoded name, whichever letters are encoded', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  for (const path of ['stable%2Fcloud', 'stable%2fcloud', '%73table%2Fcloud']) {
    const reply = await session.call('GET', `/channels/${path}`)
    t.equal(reply.status, 200, path)
    t.match(reply.headers['etag'], /^"1\.[0-9a-f]{16}"$/)
    t.equal(at(reply.body, 'name'), 'stable/cloud')
  }
  for (const path of [
    'stable%252Fcloud',
    'stable',
    'Stable%2Fcloud',
    'stable%2Fcloud%2F',
    '%00',
    'stable%2Fcloud%20',
  ]) {
    const reply = await session.call('GET', `/channels/${path}`)
    t.equal(reply.status, 404, path)
    t.equal(at(reply.body, 'code'), 'unknown_channel')
  }
  t.equal(at((await session.call('GET', '/channels/stable/cloud')).body, 'code'), 'not_found')
})

t.test('HEAD answers as GET does, without a body, and only to a token', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const url = `/admin/v1${CLOUD}`
  const reply = await session.inject({ method: 'HEAD', url, headers: bearer() })
  t.equal(reply.status, 200)
  t.match(reply.headers['etag'], /^"1\.[0-9a-f]{16}"$/)
  t.equal(reply.body, '')
  t.equal((await session.inject({ method: 'HEAD', url })).status, 401)
})

t.test('an edit changes what it names and leaves the rest', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const edited = await session.call('PATCH', CLOUD, { description: 'x', floor: '15.0.0', reason: 'tidy' })
  t.equal(edited.status, 200)
  t.equal(edited.headers['etag'], 'W/"2"')
  t.hasStrict(edited.body, { revision: 2, description: 'x', floor: '15.0.0', ceiling: null })
  t.equal(at(edited.body, 'source', 'version'), '15.1.4')
  t.hasStrict(await session.lastEntry(), { kind: 'channel.edit', reason: 'tidy', actor: 'admin' })
  const cleared = await session.done('PATCH', CLOUD, { floor: null, ceiling: '16.0.0' })
  t.hasStrict(cleared, { description: 'x', floor: null, ceiling: '16.0.0' })
  const moved = await session.done('PATCH', CLOUD, { source: { kind: 'static', version: '15.1.5', critical: true } })
  t.strictSame(at(moved, 'effective'), { version: '15.1.5', critical: true, because: 'source', detail: null })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.5')
})

t.test('limits that what is served is outside of are refused, and so are limits that cross', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  for (const [body, guard] of [
    [{ floor: '15.2.0' }, 'floor'],
    [{ ceiling: '15.1.3' }, 'ceiling'],
  ] as const) {
    const reply = await session.call('PATCH', CLOUD, body)
    t.equal(reply.status, 422)
    t.hasStrict(reply.body, { code: 'guard_refused', guard, served: '15.1.4' })
  }
  const crossed = await session.call('PATCH', CLOUD, { floor: '15.1.4', ceiling: '15.1.3' })
  t.equal(crossed.status, 400)
  t.equal(at(crossed.body, 'errors', 0, 'field'), 'floor')
  for (const field of ['floor', 'ceiling']) {
    const reply = await session.call('PATCH', CLOUD, { [field]: '15.1' })
    t.equal(reply.status, 400)
    t.equal(at(reply.body, 'errors', 0, 'field'), field)
  }
  t.equal((await session.journal()).length, 1)
})

t.test('a deleted channel is gone for operators and agents, and a new one goes on with its revisions', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const reply = await session.call('DELETE', CLOUD, { reason: 'unused' })
  t.equal(reply.status, 204)
  t.equal(reply.body, '')
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '404 unknown channel')
  t.equal((await session.call('GET', CLOUD)).status, 404)
  const entry = await session.lastEntry()
  t.hasStrict(entry, { kind: 'channel.delete', reason: 'unused', actor: 'admin' })
  t.equal(entry.changes[0]?.after, null)
  t.equal(entry.changes[0]?.before?.revision, 1)
  t.equal((await session.call('DELETE', CLOUD)).status, 404, 'unknown_channel')
  const again = await session.call('POST', '/channels', { name: 'stable/cloud' })
  t.equal(again.headers['etag'], 'W/"2"', 'nobody who holds "1" can write by mistake')
})

t.test('a deletion needs no body and no reason', async (t) => {
  const session = await startAdmin(t)
  for (const [index, body] of [undefined, {}, { reason: ' ' }].entries()) {
    await session.channel(`a${index}`)
    t.equal((await session.call('DELETE', `/channels/a${index}`, body)).status, 204)
    t.equal((await session.lastEntry()).reason, null)
  }
})

t.test('an unknown channel is unknown_channel on every route about one', async (t) => {
  const session = await startAdmin(t)
  const reason = 'because'
  const calls = [
    ['GET', '', undefined],
    ['PATCH', '', { description: '' }],
    ['DELETE', '', undefined],
    ['PUT', '/version', { version: '1.0.0' }],
    ['PUT', '/pin', { version: '1.0.0', reason }],
    ['DELETE', '/pin', { reason }],
    ['POST', '/rollback', { reason }],
    ['PUT', '/critical', { critical: true, reason }],
    ['PUT', '/halt', { reason }],
    ['DELETE', '/halt', { reason }],
    ['GET', '/compatibility', undefined],
    ['GET', '/history', undefined],
  ] as const
  for (const name of ['nobody', 'Not A Name', '', 'x'.repeat(300)]) {
    for (const [method, rest, body] of calls) {
      const reply = await session.call(method, channelPath(name, rest), body)
      t.equal(reply.status, 404, `${method} ${name.slice(0, 20)} ${rest}`)
      t.equal(at(reply.body, 'code'), 'unknown_channel')
    }
  }
  t.equal((await session.journal()).length, 0)
})

t.test('the list pages through every channel once, in the order of their names', async (t) => {
  const session = await startAdmin(t)
  const names = Array.from({ length: 23 }, (_, index) => `a${(index * 7) % 23}/x`)
  for (const name of names) await session.channel(name)
  for (const limit of [1, 7, 22, 23, 500]) {
    const seen: unknown[] = []
    let query = `?limit=${limit}`
    for (;;) {
      const page = await session.done('GET', `/channels${query}`)
      t.ok(itemsOf(page).length <= limit)
      seen.push(...itemsOf(page).map((item) => at(item, 'name')))
      const next = at(page, 'next')
      if (typeof next !== 'string') break
      query = `?limit=${limit}&cursor=${encodeURIComponent(next)}`
    }
    t.strictSame(seen, names.toSorted(), `limit ${limit}`)
  }
  const all = await session.done('GET', '/channels')
  t.strictSame(at(itemsOf(all)[0], 'effective', 'version'), '15.1.4')
})

t.test('a page goes on where it was, though channels come and go meanwhile', async (t) => {
  const session = await startAdmin(t)
  for (const name of ['a', 'b', 'c', 'd']) await session.channel(name)
  const first = await session.done('GET', '/channels?limit=2')
  await session.done('DELETE', '/channels/b')
  await session.channel('bb')
  await session.channel('a0')
  const second = await session.done('GET', `/channels?limit=5&cursor=${String(at(first, 'next'))}`)
  t.strictSame(
    itemsOf(second).map((item) => at(item, 'name')),
    ['bb', 'c', 'd'],
  )
})
