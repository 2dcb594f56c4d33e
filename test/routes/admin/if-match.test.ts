// If-Match on every write: the right revision, an old one, lists, `*`, and what is no such field.
import t from 'tap'
import { readIfMatch } from '../../../src/routes/admin/entity-tag.ts'
import { at } from '../../fixtures/admin-json.ts'
import { idOf } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

function ifMatch(value: string): { headers: Record<string, string> } {
  return { headers: { 'if-match': value } }
}

t.test('the field is read as RFC 9110 writes it', async (t) => {
  const read = (field: string | undefined): unknown => {
    const outcome = readIfMatch(field)
    return outcome.outcome === 'read' ? outcome.revisions : outcome.outcome
  }
  t.equal(read(undefined), null)
  t.equal(read(' * '), 'any')
  t.strictSame(read('"7"'), [7])
  t.strictSame(read('"7" , "12"'), [7, 12])
  t.strictSame(read('"007"'), [7])
  t.strictSame(read('W/"7"'), [7], 'proxies weaken tags')
  t.strictSame(read('"7", W/"8"'), [7, 8])
  t.strictSame(read('"7.0123456789abcdef"'), [7], 'the tag of a document that was read')
  for (const bad of [
    '',
    '7',
    'w/"7"',
    '"7."',
    '"7.x"',
    '"x"',
    '""',
    '"7',
    '*, "7"',
    '"7",',
    '"-1"',
    '"1e3"',
    '"1234567890123456"',
  ])
    t.equal(read(bad), 'refused', bad)
})

t.test(
  'a write with the current revision is carried out; with another one it is stale_write and tells the current',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud')
    const set = (version: string, field: string) => session.call('PUT', `${CLOUD}/version`, { version }, ifMatch(field))
    t.equal((await set('15.1.5', '"1"')).status, 200)
    const stale = await set('15.1.6', '"1"')
    t.equal(stale.status, 412)
    t.hasStrict(stale.body, { code: 'stale_write', guard: 'stale-write' })
    t.strictSame(at(stale.body, 'current'), await session.done('GET', CLOUD))
    t.equal(stale.headers['etag'], 'W/"2"')
    t.equal((await set('15.1.6', '"1", "2"')).status, 200)
    t.equal((await set('15.1.7', '*')).status, 200)
    t.equal((await set('15.1.8', '"0"')).status, 412)
    t.equal((await set('15.1.8', '"99"')).status, 412)
    for (const field of ['4', '"four"', '', 'x'.repeat(1_000)]) {
      const reply = await set('15.1.8', field)
      t.equal(reply.status, 400, field.slice(0, 10))
      t.hasStrict(reply.body, { code: 'invalid_request' })
      t.equal(at(reply.body, 'errors', 0, 'field'), 'If-Match')
      t.ok(String(at(reply.body, 'detail')).length < 200)
    }
    t.equal((await session.journal()).length, 4)
  },
)

t.test('every write of a channel honours it, dry or not, and writes nothing when it is stale', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.3')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.4' })
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.4', reason })
  const before = await session.digest()
  for (const [method, path, body] of [
    ['POST', '/channels', { name: 'new' }],
    ['POST', '/channels', { name: 'stable/cloud' }],
    ['PATCH', CLOUD, { description: 'x' }],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5' }],
    ['PUT', `${CLOUD}/pin`, { version: '15.1.2', reason }],
    ['DELETE', `${CLOUD}/pin`, { reason }],
    ['POST', `${CLOUD}/rollback`, { reason }],
    ['PUT', `${CLOUD}/critical`, { critical: true, reason }],
    ['PUT', `${CLOUD}/halt`, { reason }],
    ['DELETE', `${CLOUD}/halt`, { reason }],
    ['DELETE', CLOUD, undefined],
  ] as const) {
    for (const query of ['', '?dryRun=true']) {
      t.equal((await session.call(method, path + query, body, ifMatch('"3"'))).status, 412, `${method} ${path}${query}`)
      t.equal((await session.call(method, path + query, body, ifMatch('3'))).status, 400, `${method} ${path}${query}`)
    }
  }
  t.equal(await session.digest(), before)
  t.equal((await session.call('POST', '/channels', { name: 'new' }, ifMatch('*'))).status, 412, 'there is none')
  t.equal((await session.call('DELETE', CLOUD, undefined, ifMatch('"4"'))).status, 204)
  t.equal((await session.call('PATCH', CLOUD, { description: '' }, ifMatch('"4"'))).status, 412, 'gone meanwhile')
  t.equal((await session.call('PATCH', CLOUD, { description: '' }, ifMatch('*'))).status, 404)
})

t.test('blocked versions and tokens honour it too', async (t) => {
  const session = await startAdmin(t)
  const path = '/blocked-versions/15.1.4'
  t.equal((await session.call('PUT', path, { reason }, ifMatch('*'))).status, 412)
  const made = await session.call('PUT', path, { reason })
  t.equal(made.headers['etag'], 'W/"1"')
  t.equal(
    (await session.call('PUT', path, { reason: 'other' }, ifMatch(String(made.headers['etag'])))).headers['etag'],
    'W/"2"',
  )
  const before = await session.digest()
  for (const method of ['PUT', 'DELETE'] as const) {
    for (const query of ['', '?dryRun=true']) {
      const stale = await session.call(method, path + query, { reason }, ifMatch('"1"'))
      t.equal(stale.status, 412)
      t.hasStrict(stale.body, { code: 'stale_write', current: { version: '15.1.4', reason: 'other' } })
      t.equal((await session.call(method, path + query, { reason }, ifMatch('2'))).status, 400)
    }
  }
  const id = idOf(await session.token('viewer'))
  const staleToken = await session.call('DELETE', `/tokens/${id}`, undefined, ifMatch('"2"'))
  t.equal(staleToken.status, 412)
  t.hasStrict(at(staleToken.body, 'current'), { id, name: 'viewer' })
  t.notMatch(JSON.stringify(staleToken.body), /hash/)
  t.equal((await session.call('DELETE', `/tokens/${id}`, undefined, ifMatch('1'))).status, 400)
  t.equal((await session.call('DELETE', `/tokens/${id}`, undefined, ifMatch('W/"1"'))).status, 204)
  t.equal((await session.call('DELETE', path, { reason }, ifMatch('"2"'))).status, 204)
  t.not(await session.digest(), before)
})
