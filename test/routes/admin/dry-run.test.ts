// dryRun on every write: it says what the real request would, and writes nothing at all.
import t from 'tap'
import { at, isObject } from '../../fixtures/admin-json.ts'
import { prepareForRoutes, writeRoutes } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin, type Method } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

t.test('a dry run of every write says that it would be done, and writes nothing', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const before = await session.digest()
  const metrics = await session.inject({ url: '/metrics' })
  for (const { id: operation, method, path, body } of writeRoutes) {
    const reply = await session.call(method, `${path.replace('{id}', id)}?dryRun=true`, body)
    t.equal(reply.status, 200, operation)
    t.equal(at(reply.body, 'dryRun'), true, operation)
    t.equal(reply.headers['etag'], undefined, `${operation}: what is not written has no tag`)
    if (isObject(reply.body) && 'allowed' in reply.body) t.equal(reply.body['allowed'], true, operation)
    t.equal(await session.digest(), before, operation)
  }
  const commits = /^bellwether_changes_total\{outcome="commit".*$/gm
  t.strictSame(
    String((await session.inject({ url: '/metrics' })).body).match(commits),
    String(metrics.body).match(commits),
  )
})

t.test('a dry run of every write that is refused says so in the same words, and writes nothing', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const before = await session.digest()
  const refused: readonly (readonly [Method, string, object])[] = [
    ['POST', '/channels', { name: 'stable/cloud' }],
    ['POST', '/channels', { name: 'Bad Name' }],
    ['PATCH', CLOUD, { floor: '16.0.0' }],
    ['PATCH', '/channels/nobody', { description: '' }],
    ['PUT', `${CLOUD}/version`, { version: '18.0.0' }],
    ['PUT', `${CLOUD}/version`, { version: '18.0.0', force: true }],
    ['PUT', `${CLOUD}/pin`, { version: '14.0.0', reason }],
    ['DELETE', `${CLOUD}/pin`, { reason }],
    ['POST', `${CLOUD}/rollback`, { reason }],
    ['POST', `${CLOUD}/rollback`, { reason, to: '1.0.0' }],
    ['PUT', `${CLOUD}/critical`, { critical: true, reason: ' ' }],
    ['DELETE', `${CLOUD}/halt`, { reason }],
    ['DELETE', '/channels/nobody', {}],
    ['PUT', '/blocked-versions/1.2', { reason }],
    ['PUT', '/blocked-versions/1.2.3', { reason: ' ' }],
    ['DELETE', '/blocked-versions/1.2.3', { reason }],
    ['POST', '/tokens', { name: 'a', role: 'viewer', expiresAt: '2020-01-01T00:00:00Z' }],
    ['POST', '/tokens', { name: 'a', role: 'viewer', channels: ['A'] }],
    ['DELETE', '/tokens/abc', {}],
  ]
  for (const [method, path, body] of refused) {
    const dry = await session.call(method, `${path}?dryRun=true`, body)
    const real = await session.call(method, path, body)
    const label = `${method} ${path}`
    t.ok(real.status >= 400, label)
    if (dry.status === 200) {
      t.equal(at(dry.body, 'allowed'), false, label)
      t.equal(at(dry.body, 'refusal', 'code'), at(real.body, 'code'), label)
      t.ok(String(at(real.body, 'detail')).includes(String(at(dry.body, 'refusal', 'detail'))), label)
    } else {
      t.equal(dry.status, real.status, label)
      t.equal(at(dry.body, 'detail'), at(real.body, 'detail'), label)
    }
  }
  t.equal(await session.digest(), before)
})

t.test('what a dry run shows is what the real change then makes', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.3')
  const steps: readonly (readonly [Method, string, object])[] = [
    ['PUT', '/version', { version: '15.1.4', critical: true, reason }],
    ['PUT', '/pin', { version: '15.1.2', reason, until: '2026-03-02T00:00:00Z' }],
    ['PUT', '/version', { version: '17.0.0', force: true, reason }],
    ['POST', '/rollback', { reason, to: 1 }],
    ['PUT', '/critical', { critical: true, reason }],
    ['PUT', '/halt', { reason }],
    ['DELETE', '/halt', { reason }],
    ['DELETE', '/pin', { reason, force: true }],
    ['PATCH', '', { description: 'x', ceiling: '17.0.0' }],
  ]
  for (const [method, rest, body] of steps) {
    const dry = await session.done(method, `${CLOUD}${rest}?dryRun=true`, body)
    t.strictSame(at(dry, 'before'), await session.done('GET', CLOUD))
    t.strictSame(at(dry, 'after'), await session.done(method, CLOUD + rest, body), `${method} ${rest}`)
  }
  const gone = await session.done('DELETE', `${CLOUD}?dryRun=true`)
  t.strictSame(at(gone, 'after'), null)
  t.equal(at(gone, 'allowed'), true)
})

t.test('what a forced change overrules is in its verdicts', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const dry = await session.done('PUT', `${CLOUD}/version?dryRun=true`, { version: '17.0.0', force: true, reason })
  const verdicts = at(dry, 'verdicts')
  const forced = Array.isArray(verdicts) ? verdicts.filter((verdict) => at(verdict, 'verdict') === 'forced') : []
  t.strictSame(
    forced.map((verdict) => at(verdict, 'guard')),
    ['major-jump'],
  )
})

t.test('dryRun is true, false or not there; anything else is refused and nothing is done', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  for (const query of [
    '?dryRun',
    '?dryRun=',
    '?dryRun=1',
    '?dryRun=yes',
    '?dryRun=TRUE',
    '?dryrun=true',
    '?dry_run=true',
  ]) {
    t.equal((await session.call('PUT', `${CLOUD}/version${query}`, { version: '15.1.5' })).status, 400, query)
  }
  for (const query of ['?dryRun=true&dryRun=false', '?dryRun=true&x=1', '?dryRun=false&dryRun=true', '?dryRun[]=true'])
    t.equal((await session.call('DELETE', `${CLOUD}${query}`)).status, 400, query)
  t.equal((await session.journal()).length, 1)
  t.equal((await session.call('DELETE', `${CLOUD}?dryRun=false`)).status, 204)
})
