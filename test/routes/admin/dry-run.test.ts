// dryRun on every write: it says what the real request would, and writes nothing at all.
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import type { AdminOptions } from '../../fixtures/planes.ts'
import { at, type Fields } from '../../fixtures/admin-json.ts'
import { prepareForRoutes, writeRoutes } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin, type Method } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

t.test(
  'a dry run of every write answers what the write would, names what it would change, and writes nothing',
  async (t) => {
    const session = await startAdmin(t)
    const id = await prepareForRoutes(session)
    const before = await session.digest()
    const commits = async (): Promise<unknown> =>
      String((await session.inject({ url: '/metrics' })).body).match(/^bellwether_changes_total\{outcome="commit".*$/gm)
    const committed = await commits()
    for (const { id: operation, method, path, body } of writeRoutes) {
      const reply = await session.call(method, `${path.replace('{id}', id)}?dryRun=true`, body)
      t.equal(reply.status, 200, operation)
      t.equal(at(reply.body, 'dryRun'), true, operation)
      const changes = at(reply.body, 'wouldChange')
      t.ok(Array.isArray(changes) && changes.length > 0, `${operation} would change something`)
      t.equal(reply.headers['etag'], undefined, `${operation}: what is not written has no tag`)
      t.equal(await session.digest(), before, operation)
    }
    t.strictSame(await commits(), committed)
    const tried = /^bellwether_changes_total\{outcome="dry_run",kind="channel.pin"\} 1$/m
    t.match((await session.inject({ url: '/metrics' })).body, tried, 'it is counted')
  },
)

t.test('a dry run of a write that is refused is the same problem, and writes nothing', async (t) => {
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
    ['POST', '/store/accept', { reason }],
  ]
  for (const [method, path, body] of refused) {
    const dry = await session.call(method, `${path}?dryRun=true`, body)
    const real = await session.call(method, path, body)
    t.ok(real.status >= 400, `${method} ${path}`)
    t.equal(dry.status, real.status, `${method} ${path}`)
    const { requestId: _dry, ...said } = dry.body as Fields
    const { requestId: _real, ...meant } = real.body as Fields
    t.strictSame(said, meant, `${method} ${path}`)
  }
  t.equal(await session.digest(), before)
})

t.test('what a dry run shows is what the real change then makes', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.3')
  const steps: readonly (readonly [Method, string, object, string, string])[] = [
    ['PUT', '/version', { version: '15.1.4', critical: true, reason }, '15.1.3', '15.1.4'],
    ['PUT', '/pin', { version: '15.1.2', reason, until: '2026-03-02T00:00:00Z' }, '15.1.4', '15.1.2'],
    ['PUT', '/version', { version: '17.0.0', force: true, reason }, '15.1.2', '15.1.2'],
    ['POST', '/rollback', { reason, to: 1 }, '15.1.2', '15.1.3'],
    ['PUT', '/critical', { critical: true, reason }, '15.1.3', '15.1.3'],
    ['DELETE', '/pin', { reason, force: true }, '15.1.3', '17.0.0'],
    ['PATCH', '', { description: 'x', ceiling: '17.0.0' }, '17.0.0', '17.0.0'],
  ]
  for (const [index, [method, rest, body, from, to]] of steps.entries()) {
    const dry = await session.done(method, `${CLOUD}${rest}?dryRun=true`, body)
    const { dryRun, wouldChange, verdicts: _, ...shown } = dry as Fields
    t.equal(dryRun, true)
    const change = { key: 'channel/stable/cloud', change: 'updated', revision: index + 2, from, to }
    t.strictSame(wouldChange, [change], `${method} ${rest}`)
    t.strictSame(shown, await session.done(method, CLOUD + rest, body), `${method} ${rest}`)
  }
  const gone = await session.done('DELETE', `${CLOUD}?dryRun=true`)
  const change = { key: 'channel/stable/cloud', change: 'deleted', revision: null, from: '17.0.0', to: null }
  t.strictSame(gone, { dryRun: true, wouldChange: [change] })
})

t.test('a dry run of what is so already says that it is unchanged', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.3')
  const dry = await session.done('PUT', `${CLOUD}/version?dryRun=true`, { version: '15.1.3' })
  t.match(dry, { dryRun: true, unchanged: true, wouldChange: [], revision: 1 })
})

t.test('viewers try whatever they may see, and make no other server be asked', async (t) => {
  let asked = 0
  const session = await startAdmin(t)
  const outside = session.planes.deps.outside as { checkPackages: unknown }
  outside.checkPackages = async (urls: readonly string[]) => {
    asked += 1
    return urls.map((url) => ({ url, problem: null }))
  }
  const id = await prepareForRoutes(session)
  const viewer = await session.token('viewer')
  const whileSecret = await session.call(
    'PUT',
    `${CLOUD}/halt?dryRun=true`,
    { reason: 'CVE-2026-0001?' },
    { token: viewer },
  )
  t.hasStrict(whileSecret.body, { code: 'role_too_low' }, 'no guess at an embargoed fix is answered')
  await session.done('POST', '/releases/15.4.0/embargo/lift', { reason })
  asked = 0
  const before = await session.digest()
  for (const { id: operation, method, path, body } of writeRoutes) {
    const isSecret = /Token|Store|repair/.test(operation)
    const reply = await session.call(method, `${path.replace('{id}', id)}?dryRun=true`, body, { token: viewer })
    // Lifted already.
    t.equal(reply.status, isSecret ? 403 : operation === 'liftEmbargo' ? 409 : 200, operation)
    const real = await session.call(method, path.replace('{id}', id), body, { token: viewer })
    t.equal(real.status, 403, operation)
  }
  t.equal(asked, 0)
  const limited = await session.token('viewer', ['beta'])
  t.equal((await session.call('PUT', `${CLOUD}/halt?dryRun=true`, { reason }, { token: limited })).status, 403)
  t.not(await session.digest(), before, 'a token was made, and nothing else')
})

t.test('more dry runs than 600 a minute are rate_limited; the writes themselves are not', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const viewer = await session.token('viewer')
  const statuses = new Set<number>()
  for (let n = 0; n < 602; n += 1) {
    const reply = await session.call('PUT', `${CLOUD}/halt?dryRun=true`, { reason }, { token: viewer })
    if (n >= 600) t.hasStrict(reply.body, { status: 429, code: 'rate_limited' })
    else statuses.add(reply.status)
  }
  t.strictSame([...statuses], [200])
  t.equal((await session.call('PUT', `${CLOUD}/halt?dryRun=true`, { reason })).status, 200, 'each caller by itself')
  t.equal((await session.call('PUT', `${CLOUD}/halt`, { reason })).status, 200)
})

t.test(
  'while a fix is embargoed a caller has 60 dry runs a minute, each in the log; admins have as many as ever',
  async (t) => {
    const lines: unknown[] = []
    const write = (chunk: Buffer, _encoding: string, done: () => void): void => {
      const line: unknown = JSON.parse(chunk.toString())
      if (at(line, 'msg') === 'dry run under an embargo') lines.push(line)
      done()
    }
    const session = await startAdmin(t, { controlLog: pino({ level: 'info' }, new Writable({ write })) })
    await session.channel('stable/cloud')
    const operator = { token: await session.token('operator', null, null, 'otto') }
    const dryRun = (more: AdminOptions = {}) =>
      session.call('PUT', `${CLOUD}/halt?dryRun=true`, { reason: 'a guess' }, more)
    t.equal((await dryRun(operator)).status, 200)
    t.strictSame(lines, [], 'nothing is hidden yet')
    const security = { embargoed: true, fixes: ['CVE-2026-0001'] }
    await session.done('POST', '/releases', { version: '15.4.0', commit: 'aabbcc', kind: 'full', security })
    for (let n = 0; n < 60; n += 1) t.equal((await dryRun(operator)).status, 200)
    const refused = await dryRun(operator)
    t.match(refused.body, { status: 429, code: 'rate_limited', detail: /60 a minute while there is an embargo/ })
    t.equal(lines.length, 60)
    t.match(lines[0], { level: 30, actor: /^otto\//, method: 'PUT', route: '/admin/v1/channels/:name/halt' })
    t.notMatch(JSON.stringify(lines), /a guess/)
    for (let n = 0; n < 61; n += 1) await dryRun()
    t.equal((await dryRun()).status, 200)
    t.equal(lines.length, 60)
  },
)

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
