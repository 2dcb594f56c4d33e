// Conditional requests beside If-Match: GET with If-None-Match, PUT with If-None-Match: *, and writes that change nothing.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { prepareForRoutes } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

function header(name: string, value: string): { headers: Record<string, string> } {
  return { headers: { [name]: value } }
}

t.test('a document is read again only where a byte of it has changed: 304', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const paths = [CLOUD, '/releases/15.2.0', '/pipelines/going', '/rollouts/going/15.2.0', '/blocked-versions/14.0.0']
  for (const path of [...paths, `/tokens/${id}`]) {
    const read = await session.call('GET', path)
    const tag = String(read.headers['etag'])
    t.match(tag, /^"\d+\.[0-9a-f]{16}"$/, path)
    for (const field of [tag, `W/${tag}`, `"1", ${tag}`, '*']) {
      const again = await session.call('GET', path, undefined, header('if-none-match', field))
      t.equal(again.status, 304, `${path} ${field}`)
      t.equal(again.body, '')
      t.equal(again.headers['etag'], tag)
    }
    const other = await session.call('GET', path, undefined, header('if-none-match', tag.replace(/\..*/, '"')))
    t.equal(other.status, 200, 'the revision alone is not the body')
  }
})

t.test('what agents are told changes the tag without a revision: a pin that has ended', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.3', until: '2026-03-01T01:00:00Z', reason })
  const pinned = await session.call('GET', CLOUD)
  session.planes.clock.jump(3_600_000)
  const ended = await session.call('GET', CLOUD, undefined, header('if-none-match', String(pinned.headers['etag'])))
  t.equal(ended.status, 200)
  t.equal(at(ended.body, 'revision'), at(pinned.body, 'revision'))
  t.equal(at(ended.body, 'effective', 'version'), '15.1.4')
})

t.test('the tag of a document that was read is good for If-Match, weakened or not', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  for (const [index, weaken] of ['', 'W/'].entries()) {
    const tag = String((await session.call('GET', CLOUD)).headers['etag'])
    const set = { version: `15.1.${5 + index}` }
    t.equal((await session.call('PUT', `${CLOUD}/version`, set, header('if-match', weaken + tag))).status, 200)
    const stale = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.9' }, header('if-match', weaken + tag))
    t.hasStrict(stale.body, { status: 412, code: 'stale_write' })
  }
})

t.test('If-None-Match: * makes only what is not there', async (t) => {
  const session = await startAdmin(t)
  await session.channel('canary', '15.1.4')
  const none = header('if-none-match', '*')
  for (const [path, body] of [
    ['/pipelines/cloud', { stages: [{ name: 'canary', channels: ['canary'] }] }],
    ['/blocked-versions/15.0.0', { reason }],
  ] as const) {
    t.equal((await session.call('PUT', path, body, none)).status, 200)
    const there = await session.call('PUT', path, { ...body, reason: 'again' }, none)
    t.hasStrict(there.body, { status: 412, code: 'stale_write' }, path)
    t.equal(at(there.body, 'current', 'revision'), 1)
    for (const bad of ['"1"', '']) {
      t.equal((await session.call('PUT', path, body, header('if-none-match', bad))).status, 400, bad)
    }
    const both = { headers: { 'if-none-match': '*', 'if-match': '*' } }
    t.equal((await session.call('PUT', path, body, both)).status, 400)
  }
  t.equal((await session.call('PUT', `${CLOUD}/version`, { version: '15.1.4' }, none)).status, 404, 'it makes nothing')
})

t.test('a write that changes nothing makes no revision and no entry, and says so', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.channel('canary', '15.1.4')
  const stages = [{ name: 'canary', channels: ['canary'] }]
  const release = { version: '15.2.0', commit: 'aabbcc', kind: 'full', changes: [] }
  await session.done('PUT', '/pipelines/cloud', { stages, requirePackages: false })
  await session.done('POST', '/releases', release)
  for (const [method, path, body] of [
    ['PUT', `${CLOUD}/pin`, { version: '15.1.3', reason }],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5' }],
    ['PUT', `${CLOUD}/critical`, { critical: true, reason }],
    ['PUT', `${CLOUD}/halt`, { reason }],
    ['PATCH', CLOUD, { description: 'for everybody' }],
    ['PUT', '/blocked-versions/15.0.0', { reason }],
    ['PUT', '/pipelines/cloud', { stages, requirePackages: false, description: 'new' }],
    ['PATCH', '/releases/15.2.0', { notesUrl: 'https://notes.example/15.2.0' }],
    ['POST', '/rollouts/cloud/pause', { reason }],
  ] as const) {
    const label = `${method} ${path}`
    const made = await session.done(method, path, body)
    t.equal(at(made, 'unchanged'), undefined, label)
    const before = await session.digest()
    session.planes.clock.jump(1_000)
    const again = await session.call(method, path, body)
    t.equal(again.status, 200, label)
    t.equal(at(again.body, 'unchanged'), true, label)
    t.equal(at(again.body, 'revision'), at(made, 'revision'), label)
    t.equal(again.headers['bellwether-seq'], undefined, 'there is no entry')
    t.equal(await session.digest(), before, label)
  }
})

t.test(
  'the key of a write that changed nothing is remembered: sent again later, it still changes nothing',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud', '15.1.4')
    const key = header('idempotency-key', 'k')
    const first = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.4' }, key)
    t.equal(at(first.body, 'unchanged'), true)
    t.equal(first.headers['idempotency-replayed'], undefined)
    await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
    const again = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.4' }, key)
    t.equal(at(again.body, 'unchanged'), true)
    t.equal(again.headers['idempotency-replayed'], 'true')
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.5')
    t.hasStrict((await session.call('PUT', `${CLOUD}/version`, { version: '15.1.6' }, key)).body, {
      status: 422,
      code: 'idempotency_key_reused',
    })
    const token = await session.token('operator')
    const other = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.6' }, { ...key, token })
    t.equal(other.status, 200, 'keys of other callers do not matter')
    session.planes.clock.jump(24 * 3_600_000)
    const later = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.7' }, key)
    t.equal(later.headers['bellwether-seq'], '5', 'after a day the key is forgotten')
  },
)

t.test('If-Match is refused where there is no document to compare with', async (t) => {
  const session = await startAdmin(t)
  for (const [path, body] of [
    ['/tokens', { name: 'a', role: 'viewer' }],
    ['/releases', { version: '15.2.0', commit: 'aabbcc', kind: 'full', changes: [] }],
    ['/store/repair', { key: 'channel/a', reason }],
  ] as const) {
    const reply = await session.call('POST', path, body, header('if-match', '"1"'))
    t.hasStrict(reply.body, { status: 400, code: 'invalid_request' }, path)
    t.equal(at(reply.body, 'errors', 0, 'field'), 'If-Match')
  }
  t.equal((await session.journal()).length, 0)
})

t.test('a 304 says nothing of the length of the document', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const tag = String((await session.call('GET', CLOUD)).headers['etag'])
  const again = await session.call('GET', CLOUD, undefined, header('if-none-match', tag))
  t.equal(again.status, 304)
  t.equal(again.headers['content-length'], undefined)
})
