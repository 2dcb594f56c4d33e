// Tokens through the API: made once, listed without what is secret, revoked; and who the caller is.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { idOf } from '../../fixtures/admin-routes.ts'
import { startAdmin } from '../../fixtures/admin-session.ts'
import { ADMIN_TOKEN } from '../../fixtures/planes.ts'

t.test('a token is answered once, and only what is not secret of it is listed and journaled', async (t) => {
  const session = await startAdmin(t)
  const reply = await session.call('POST', '/tokens', {
    name: 'ci-deploy',
    role: 'operator',
    channels: ['stable/*', 'beta'],
    expiresAt: '2026-04-01T00:00:00+00:00',
  })
  t.equal(reply.status, 201)
  t.equal(reply.headers['cache-control'], 'no-store')
  const secret = String(at(reply.body, 'token'))
  t.match(secret, /^bw_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/)
  const id = idOf(secret)
  const shown = {
    id,
    name: 'ci-deploy',
    role: 'operator',
    channels: ['stable/*', 'beta'],
    createdAt: '2026-03-01T00:00:00.000Z',
    createdBy: 'admin',
    expiresAt: '2026-04-01T00:00:00.000Z',
  }
  const viewed = { ...shown, person: 'ci-deploy', revision: 1 }
  t.strictSame(reply.body, { ...viewed, token: secret })
  t.equal(reply.headers['etag'], 'W/"1"')
  t.strictSame(itemsOf(await session.done('GET', '/tokens')), [viewed])
  t.strictSame(await session.done('GET', `/tokens/${id}`), viewed)
  const entry = itemsOf(await session.done('GET', '/journal'))[0]
  t.hasStrict(entry, { kind: 'token.create', actor: 'admin', subjects: [`token/${id}`], reason: null })
  t.strictSame(at(entry, 'changes', 0, 'after', 'body'), { ...shown, hash: '(hidden)' })
  await session.done('DELETE', `/tokens/${id}`, { reason: 'leaked' })
  const revoked = itemsOf(await session.done('GET', '/journal'))[0]
  t.hasStrict(revoked, { kind: 'token.revoke', reason: 'leaked' })
  t.equal(at(revoked, 'changes', 0, 'before', 'body', 'hash'), '(hidden)')
  t.strictSame(itemsOf(await session.done('GET', '/tokens')), [])
})

t.test('what is stored of a token is a hash, and neither it nor the secret is in any answer', async (t) => {
  const session = await startAdmin(t)
  const secret = await session.token('viewer')
  const stored = (await session.journal())[0]?.changes[0]?.after?.body
  const hash = String(at(stored, 'hash'))
  t.match(hash, /^[0-9a-f]{64}$/)
  t.notMatch(JSON.stringify(await session.journal()), secret.slice(16))
  for (const path of [
    '/tokens',
    '/journal',
    '/journal?kind=token.create',
    `/journal?subject=token/${idOf(secret)}`,
    '/whoami',
  ]) {
    const text = JSON.stringify(await session.done('GET', path))
    t.notOk(text.includes(hash) || text.includes(secret.slice(16)), path)
  }
  const metrics = String((await session.inject({ url: '/metrics' })).body)
  t.notOk(metrics.includes(hash) || metrics.includes(secret.slice(16)))
})

t.test('tokens are listed by name, expired ones too', async (t) => {
  const session = await startAdmin(t)
  for (const name of ['carol', 'ann', 'Bob']) await session.token('viewer', null, '2026-03-01T00:00:01Z', name)
  await session.planes.clock.advance(5_000)
  const names = itemsOf(await session.done('GET', '/tokens')).map((token) => at(token, 'name'))
  t.strictSame(names, ['Bob', 'ann', 'carol'])
})

t.test('an unknown token cannot be revoked: unknown_token', async (t) => {
  const session = await startAdmin(t)
  const id = idOf(await session.token('viewer'))
  t.equal((await session.call('DELETE', `/tokens/${id}`)).status, 204)
  for (const gone of [id, 'admin', 'x', '..%2Fchannel%2Fa', '%00', '']) {
    const reply = await session.call('DELETE', `/tokens/${gone}`)
    t.equal(reply.status, 404, gone)
    t.equal(at(reply.body, 'code'), 'unknown_token')
  }
})

t.test('no token can be made that would pass for the first token or the server in the journal', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a', '1.0.0')
  for (const name of ['admin', 'bellwether']) {
    const token = await session.token('admin', null, null, name)
    await session.done('PUT', '/channels/a/halt', { reason: `by ${name}` }, { token })
    t.equal((await session.lastEntry()).actor, `${name}/${idOf(token)}`)
    const channel = await session.done('GET', '/channels/a')
    t.equal(at(channel, 'halt', 'by'), `${name}/${idOf(token)}`)
  }
  for (const name of ['', ' admin', 'admin/abc', 'a\nb', 'a\0', 'ä', 'x'.repeat(65), '\u202eadmin', '/', '-']) {
    const reply = await session.call('POST', '/tokens', { name, role: 'viewer' })
    t.equal(reply.status, 400, JSON.stringify(name))
    t.equal(at(reply.body, 'errors', 0, 'field'), 'name')
  }
})

t.test('roles, scopes and ends that cannot be are refused with their field', async (t) => {
  const session = await startAdmin(t)
  const before = await session.digest()
  for (const [draft, field] of [
    [{ role: 'root' }, 'role'],
    [{ role: ['admin'] }, 'role'],
    [{ role: 'viewer', channels: [] }, 'channels'],
    [{ role: 'viewer', channels: 'stable/*' }, 'channels'],
    [{ role: 'viewer', channels: ['stable/*', 'a*'] }, 'channels/1'],
    [{ role: 'viewer', channels: ['**'] }, 'channels/0'],
    [{ role: 'viewer', channels: ['*/cloud'] }, 'channels/0'],
    [{ role: 'viewer', channels: [''] }, 'channels/0'],
    [{ role: 'viewer', channels: Array<string>(51).fill('a') }, 'channels'],
    [{ role: 'viewer', expiresAt: '2026-03-01T00:00:00Z' }, 'expiresAt'],
    [{ role: 'viewer', expiresAt: 'never' }, 'expiresAt'],
    [{ role: 'viewer', expiresAt: 1_900_000_000 }, 'expiresAt'],
    [{ role: 'viewer', id: 'aaaaaaaaaaaa' }, 'id'],
    [{ role: 'viewer', hash: 'x' }, 'hash'],
    [{ role: 'viewer', token: 'bw_x' }, 'token'],
  ] as const) {
    const reply = await session.call('POST', '/tokens', { name: 'a', ...draft })
    t.equal(reply.status, 400, JSON.stringify(draft).slice(0, 60))
    t.equal(at(reply.body, 'errors', 0, 'field'), field)
  }
  t.equal(await session.digest(), before)
})

t.test('a dry run shows the token that would be made, and no secret', async (t) => {
  const session = await startAdmin(t)
  const body = await session.done('POST', '/tokens?dryRun=true', { name: 'a', role: 'admin' })
  t.match(body, {
    dryRun: true,
    name: 'a',
    role: 'admin',
    wouldChange: [{ key: /^token\//, change: 'created', revision: 1 }],
  })
  t.notMatch(JSON.stringify(body), /bw_|hash/)
  t.strictSame(itemsOf(await session.done('GET', '/tokens')), [])
})

t.test('whoami tells a caller its name, role and scope', async (t) => {
  const session = await startAdmin(t)
  t.strictSame(await session.done('GET', '/whoami'), {
    actor: 'admin',
    person: 'admin',
    role: 'admin',
    channels: null,
  })
  const token = await session.token('operator', ['stable/*'], null, 'ann')
  t.strictSame(await session.done('GET', '/whoami', undefined, { token }), {
    actor: `ann/${idOf(token)}`,
    person: 'ann',
    role: 'operator',
    channels: ['stable/*'],
  })
  t.equal((await session.call('GET', '/whoami', undefined, { token: ADMIN_TOKEN })).status, 200)
})
