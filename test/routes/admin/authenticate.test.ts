// Who may do what: tokens, roles, scopes, force, and what failed attempts cost.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { adminRoutes, prepareForRoutes, writeRoutes, idOf } from '../../fixtures/admin-routes.ts'
import { bearer, channelPath, startAdmin } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { ADMIN_TOKEN } from '../../fixtures/planes.ts'
import { unavailableStore } from '../../../src/store/unavailable-store.ts'
import { makeTokenText } from '../../../src/control/tokens.ts'
import { roleReaches, roles } from '../../../src/control/identity.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'
/** Failed attempts before an address has to wait. */
const FAILURES_ALLOWED = 20

t.test('every guarded route of the OpenAPI document is in the list that these tests go through', async (t) => {
  const session = await startAdmin(t)
  const guarded = session.contract.operations.filter(({ isPublic }) => !isPublic)
  t.strictSame(guarded.map(({ id }) => id).toSorted(), adminRoutes.map(({ id }) => id).toSorted())
  for (const { id, method, path } of guarded) {
    const route = adminRoutes.find((candidate) => candidate.id === id)
    t.equal(route?.method, method, id)
    const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`)
    t.match(`/admin/v1${route?.path.split('?', 1)[0] ?? ''}`, pattern)
  }
  const open = session.contract.operations.filter(({ isPublic }) => isPublic)
  t.strictSame(open.map(({ path }) => path).toSorted(), [
    '/admin/v1/webhooks/github',
    '/healthz',
    '/metrics',
    '/readyz',
  ])
})

t.test(
  'while nothing is loaded no stored token is called wrong: store_unavailable, and no failed attempt',
  async (t) => {
    const session = await startAdmin(t, { wrapStore: () => unavailableStore('down') })
    const token = makeTokenText('0123456789ab')
    for (let tries = 0; tries < FAILURES_ALLOWED * 2; tries += 1) {
      const reply = await session.call('GET', '/whoami', undefined, { token })
      t.match(reply, { status: 503, body: { code: 'store_unavailable' } })
    }
    const wrong = await session.call('GET', '/whoami', undefined, { token: 'no token of this server' })
    t.match(wrong, { status: 401, body: { code: 'unauthenticated' } }, 'what is no stored token is wrong at any time')
    t.equal((await session.call('GET', '/whoami')).status, 200, 'the first token needs no store')
  },
)

t.test(
  'without a valid token every route is unauthenticated, reads nothing of the body, and does nothing',
  async (t) => {
    const session = await startAdmin(t)
    const id = await prepareForRoutes(session)
    const viewer = await session.token('viewer')
    const before = await session.digest()
    const wrong = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      ADMIN_TOKEN,
      `Basic ${ADMIN_TOKEN}`,
      `Bearer ${ADMIN_TOKEN}x`,
      `Bearer ${ADMIN_TOKEN.slice(0, -1)}`,
      `Bearer bw_${'a'.repeat(12)}_${'A'.repeat(43)}`,
      `Bearer bw_${idOf(viewer)}_${'A'.repeat(43)}`,
      `Bearer ${viewer.slice(0, -1)}`,
      `Bearer ${viewer}${viewer}`,
      'Bearer \u00ff\u00fe',
      `Bearer ${'x'.repeat(10_000)}`,
    ]
    let address = 0
    for (const [index, { method, path, id: operation }] of adminRoutes.entries()) {
      const authorization = wrong[index % wrong.length]
      for (const value of [authorization, wrong[(index + 7) % wrong.length]]) {
        address += 1
        const reply = await session.inject({
          method,
          url: `/admin/v1${path.replace('{id}', id)}`,
          headers: { 'content-type': 'application/json', ...(value === undefined ? {} : { authorization: value }) },
          payload: method === 'GET' ? '' : '{"broken',
          remoteAddress: `10.0.0.${address}`,
        })
        t.equal(reply.status, 401, `${operation} ${String(value).slice(0, 40)}`)
        t.equal(at(reply.body, 'code'), 'unauthenticated')
        t.match(reply.headers['www-authenticate'], /^Bearer/)
        if (method === 'GET' && operation !== 'streamJournal') {
          const head = await session.inject({
            method: 'HEAD',
            url: `/admin/v1${path}`,
            remoteAddress: `10.0.1.${address}`,
          })
          t.equal(head.status, 401, `HEAD ${operation}`)
        }
      }
    }
    t.equal(await session.digest(), before)
  },
)

t.test('each role may do what it and the lower ones may, and nothing else: role_too_low', async (t) => {
  const session = await startAdmin(t)
  const revocable = await prepareForRoutes(session)
  const tokens = {
    viewer: await session.token('viewer'),
    operator: await session.token('operator'),
    admin: ADMIN_TOKEN,
  }
  const before = await session.digest()
  for (const { id, method, path, body, role: needed, undecided } of adminRoutes) {
    for (const role of roles) {
      const url = path.replace('{id}', revocable) + (method === 'GET' ? '' : '?dryRun=true')
      const reply = await session.call(method, url, body, { token: tokens[role] })
      const label = `${role} ${id}`
      // A release is under an embargo here: nobody but those who may do it tries it (dry-run.test.ts has the rest).
      if (roleReaches(role, needed)) {
        const allowed = undecided === true ? 409 : 200
        t.equal(reply.status, id === 'streamJournal' ? 400 : allowed, label)
      } else t.equal(reply.status, 403, label)
      if (roleReaches(role, needed)) continue
      // With a body that is not even JSON: the answer comes first.
      const bad = { token: tokens[role], headers: { 'content-type': 'application/json' } }
      const real = await session.call(method, path.replace('{id}', revocable), method === 'GET' ? undefined : '{', bad)
      t.equal(real.status, 403, label)
      t.hasStrict(real.body, { code: 'role_too_low', needs: needed })
      t.match(at(real.body, 'detail'), new RegExp(`needs role ${needed}.*has role ${role}`))
    }
  }
  t.equal(await session.digest(), before)
})

t.test('force needs role admin, on every route that takes it, dry or not', async (t) => {
  const session = await startAdmin(t)
  await prepareForRoutes(session)
  const operator = await session.token('operator')
  const scopedAdmin = await session.token('admin', ['stable/*'])
  const before = await session.digest()
  for (const { id, method, path, body, scope, forceable } of writeRoutes) {
    if (forceable !== true) continue
    const admin = scope === 'whole server' ? ADMIN_TOKEN : scopedAdmin
    for (const query of ['', '?dryRun=true']) {
      const reply = await session.call(method, path + query, { ...body, force: true }, { token: operator })
      t.equal(reply.status, 403, id)
      t.hasStrict(reply.body, { code: 'role_too_low', needs: 'admin' })
    }
    const dry = `${path}?dryRun=true`
    t.equal((await session.call(method, dry, { ...body, force: false }, { token: operator })).status, 200)
    t.equal((await session.call(method, dry, { ...body, force: true }, { token: admin })).status, 200)
  }
  t.equal(await session.digest(), before)
})

t.test('a token limited to channels changes and reads only those: out_of_scope', async (t) => {
  const session = await startAdmin(t)
  const revocable = await prepareForRoutes(session)
  const inside = [
    await session.token('admin', ['stable/*']),
    await session.token('admin', ['x', 'stable/cloud', 'stable/new']),
  ]
  const outside = [
    await session.token('admin', ['stable']),
    await session.token('admin', ['stable/cloud/*', 'stable/clou', 'cloud', 'stable/new/*']),
  ]
  const before = await session.digest()
  for (const { id, method, path, body, scope } of adminRoutes) {
    const url = path.replace('{id}', revocable) + (method === 'GET' ? '' : '?dryRun=true')
    for (const token of inside) {
      const reply = await session.call(method, url, body, { token })
      if (scope === 'whole server') {
        t.equal(reply.status, 403, id)
        t.hasStrict(reply.body, { code: 'out_of_scope', missingScope: '*' })
      } else t.equal(reply.status, scope === 'stages' ? 404 : id === 'streamJournal' ? 400 : 200, id)
    }
    for (const token of outside) {
      const reply = await session.call(method, url, body, { token })
      if (scope === 'list' || scope === 'stages') {
        t.equal(reply.status, scope === 'stages' ? 404 : id === 'streamJournal' ? 400 : 200, id)
        continue
      }
      t.equal(reply.status, 403, id)
      const missing =
        scope === 'whole server'
          ? '*'
          : ['createChannel', 'mirrorChannels'].includes(id)
            ? 'stable/new'
            : 'stable/cloud'
      t.hasStrict(reply.body, { code: 'out_of_scope', missingScope: missing })
      t.match(at(reply.body, 'detail'), missing === '*' ? /all channels/ : new RegExp(`covers ${missing}`))
      t.equal((await session.call(method, path.replace('{id}', revocable), body, { token })).status, 403, id)
    }
  }
  t.equal(await session.digest(), before)
})

t.test('whether a channel outside the scope exists is not told', async (t) => {
  const session = await startAdmin(t)
  await session.channel('secret')
  const token = await session.token('viewer', ['mine/*'])
  for (const rest of ['', '/history', '/compatibility']) {
    const there = await session.call('GET', `/channels/secret${rest}`, undefined, { token })
    const absent = await session.call('GET', `/channels/absent${rest}`, undefined, { token })
    t.equal(there.status, 403)
    t.equal(absent.status, 403)
  }
  t.equal((await session.call('GET', '/channels/mine%2Fx', undefined, { token })).status, 404)
})

t.test('lists show a limited token its channels only, over all pages', async (t) => {
  const session = await startAdmin(t)
  for (const name of ['a', 'b/1', 'b/2', 'b/2/3', 'bb', 'c']) await session.channel(name)
  const token = await session.token('viewer', ['b/*', 'c'])
  const seen: unknown[] = []
  let query = '?limit=1'
  for (;;) {
    const page = await session.done('GET', `/channels${query}`, undefined, { token })
    seen.push(...itemsOf(page).map((item) => at(item, 'name')))
    if (at(page, 'next') === null) break
    query = `?limit=1&cursor=${String(at(page, 'next'))}`
  }
  t.strictSame(seen, ['b/1', 'b/2', 'b/2/3', 'c'])
})

t.test('a token whose scope is * is for the whole server, as the refusals of limited tokens say', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const token = await session.token('admin', ['*'])
  for (const path of ['/tokens', '/channels', CLOUD])
    t.equal((await session.call('GET', path, undefined, { token })).status, 200, path)
  t.equal((await session.call('PUT', '/blocked-versions/1.0.0', { reason }, { token })).status, 200)
  const journal = await session.done('GET', '/journal', undefined, { token })
  t.ok(itemsOf(journal).some((entry) => at(entry, 'kind') === 'token.create'))
})

t.test('an expired token is refused from its moment on, and the answer says when that was', async (t) => {
  const session = await startAdmin(t)
  const token = await session.token('viewer', null, '2026-03-01T02:00:00+01:00')
  await session.planes.clock.advance(HOUR_MS - 1)
  t.equal((await session.call('GET', '/whoami', undefined, { token })).status, 200)
  await session.planes.clock.advance(1)
  const reply = await session.call('GET', '/whoami', undefined, { token })
  t.equal(reply.status, 401)
  t.match(at(reply.body, 'detail'), /expired at 2026-03-01T01:00:00\.000Z/)
  t.equal((await session.call('GET', '/whoami', undefined, { token: `${token.slice(0, -1)}!` })).status, 401)
})

t.test('a revoked token is worth nothing from the answer on', async (t) => {
  const session = await startAdmin(t)
  for (let round = 0; round < 5; round += 1) {
    const token = await session.token('admin')
    t.equal((await session.call('GET', '/whoami', undefined, { token })).status, 200)
    t.equal((await session.call('DELETE', `/tokens/${idOf(token)}`, undefined, { token })).status, 204, 'even its own')
    const reply = await session.call('GET', '/whoami', undefined, { token })
    t.equal(reply.status, 401)
    t.match(at(reply.body, 'detail'), /unknown or was revoked/)
  }
})

t.test('an address with many failed attempts has to wait: rate_limited; a valid token never has to', async (t) => {
  const session = await startAdmin(t)
  const viewer = await session.token('viewer')
  const attempt = (remoteAddress: string, authorization?: string) =>
    session.inject({
      url: '/admin/v1/whoami',
      remoteAddress,
      headers: { 'x-forwarded-for': '1.2.3.4', ...(authorization === undefined ? {} : { authorization }) },
    })
  const statuses: number[] = []
  for (let tries = 0; tries < 25; tries += 1) {
    statuses.push((await attempt('10.1.1.1', `Bearer guess-${tries}`)).status)
    t.equal((await attempt('10.1.1.1', bearer(viewer).authorization)).status, 200)
    t.equal((await attempt('10.1.1.1', bearer().authorization)).status, 200)
  }
  t.strictSame(statuses, [...Array<number>(20).fill(401), ...Array<number>(5).fill(429)])
  const limited = await attempt('10.1.1.1')
  t.equal(limited.status, 429)
  t.equal(at(limited.body, 'code'), 'rate_limited')
  t.ok(Number(limited.headers['retry-after']) > 0 && Number(limited.headers['retry-after']) <= 60)
  t.equal((await attempt('10.1.1.2')).status, 401, 'another address is not to blame')
})

t.test('what needs no token asks for none, and what is nowhere is not_found', async (t) => {
  const session = await startAdmin(t)
  for (const url of ['/healthz', '/readyz', '/metrics', '/admin/v1/openapi.json', '/admin/v1/docs', '/admin/v1/docs/'])
    t.ok((await session.inject({ url })).status < 400, url)
  for (const url of [
    '/',
    '/admin',
    '/admin/v1',
    '/admin/v2/channels',
    '/v1/stable/cloud/version',
    '/admin/v1/nothing',
  ]) {
    const reply = await session.inject({ url })
    t.equal(reply.status, 404, url)
    t.equal(at(reply.body, 'code'), 'not_found')
  }
})

t.test('nothing of the control plane answers on the poll port', async (t) => {
  const session = await startAdmin(t)
  for (const url of ['/admin/v1/channels', '/metrics', '/admin/v1/openapi.json', '/admin/v1/docs', '/admin/v1/whoami'])
    t.equal((await session.planes.poll.inject({ url, headers: bearer() })).statusCode, 404, url)
})
