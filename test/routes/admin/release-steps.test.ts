// What is done to a release on its way: its packages found, its changes signed off, itself withdrawn; and that a release
// without packages reaches no channel, whatever is asked for.
import t, { type Test } from 'tap'
import type { Change, Store } from '../../../src/store/port.ts'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { channelPath, type Method } from '../../fixtures/admin-session.ts'
import { cloud, startRollouts } from '../../fixtures/rollout-session.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'
import { startUpstream } from '../../fixtures/upstream-server.ts'

const reason = 'because'
const change = { id: '12', title: 'Faster joins', author: 'ada' }

function path(day: number, rest = ''): string {
  return `/releases/${cloud(day)}${rest}`
}

/** A server of packages: every path is one but those of `missing`, and /moved leads elsewhere. */
async function packageServer(t: Test) {
  const server = await startUpstream(t)
  const missing = new Set(['/missing'])
  server.serve('', ({ url = '' }, response) => {
    const status = missing.has(url) ? 404 : url === '/moved' ? 302 : 200
    response.writeHead(status, status === 302 ? { location: '/agent.tgz' } : {}).end()
  })
  const url = (name: string) => `http://127.0.0.1:${server.port}/${name}`
  return { url, missing, requests: server.requests }
}

async function start(t: Test) {
  const packages = await packageServer(t)
  const session = await startRollouts(t, { packagesAllow: ['127.0.0.1'] })
  await session.pipeline([{ name: 'canary', channels: ['canary'], auto: true }], { requirePackages: true })
  return { session, packages }
}

t.test('a release whose packages are found may reach agents; without any it is held back', async (t) => {
  const { session, packages } = await start(t)
  await session.register(1)
  await session.look()
  t.equal(await session.told('canary'), cloud(0))
  t.match(at(await session.stage(1, 0), 'blockers'), [{ code: 'packages', message: /POST …\/artifacts/ }])
  const url = packages.url('agent.tgz')
  const added = await session.call('POST', path(1, '/artifacts'), { kind: 'full', packages: [url, url], reason })
  t.equal(added.status, 200)
  t.strictSame(at(added.body, 'packages'), [{ url, foundAt: '2026-03-01T00:00:00.000Z' }])
  await session.look()
  t.equal(await session.told('canary'), cloud(1))
  t.equal(at(await session.rollout(1), 'state'), 'done')
  const full = await session.register(2, { packages: [url] })
  t.equal(at(full.body, 'packages', 0, 'url'), url)
  await session.look()
  t.equal(await session.told('canary'), cloud(2))
})

t.test('a package that is missing or moved is packages_missing, names each, and nothing is changed', async (t) => {
  const { session, packages } = await start(t)
  await session.register(1, { kind: 'control-plane' })
  const before = await session.digest()
  const urls = ['agent.tgz', 'missing', 'moved'].map(packages.url)
  const elsewhere = 'http://192.0.2.1/agent.tgz'
  const artifacts = await session.call('POST', path(1, '/artifacts'), { kind: 'full', packages: [...urls, elsewhere] })
  t.equal(artifacts.status, 422)
  t.hasStrict(artifacts.body, { code: 'packages_missing' })
  t.match(at(artifacts.body, 'errors'), [
    { field: packages.url('missing'), message: 'is answered 404' },
    { field: packages.url('moved'), message: /302, a redirect/ },
    { field: elsewhere, message: /BELLWETHER_PACKAGES_ALLOW/ },
  ])
  t.match(at(artifacts.body, 'detail'), /nothing was changed/)
  const registered = await session.register(2, { packages: urls })
  t.equal(at(registered.body, 'code'), 'packages_missing')
  const dry = await session.call('POST', path(1, '/artifacts?dryRun=true'), { kind: 'full', packages: urls })
  t.equal(at(dry.body, 'code'), 'packages_missing')
  t.equal(await session.digest(), before)
  const none = await session.call('POST', path(1, '/artifacts'), { kind: 'full', packages: [] })
  t.equal(at(none.body, 'errors', 0, 'field'), 'packages')
  const unknown = await session.call('POST', path(9, '/artifacts'), { kind: 'full', packages: urls })
  t.equal(at(unknown.body, 'code'), 'unknown_release')
})

t.test('what was made is answered to a retry, although its packages are gone by now', async (t) => {
  const { session, packages } = await start(t)
  const body = { packages: [packages.url('agent.tgz')] }
  const key = (text: string) => ({ headers: { 'idempotency-key': text } })
  const full = { kind: 'full', packages: [packages.url('other.tgz')] }
  t.equal((await session.register(1, body, key('register'))).status, 201)
  t.equal((await session.call('POST', path(1, '/artifacts'), full, key('artifacts'))).status, 200)
  packages.missing.add('/agent.tgz').add('/other.tgz')
  const registered = await session.register(1, body, key('register'))
  t.equal(registered.status, 201)
  t.equal(registered.headers['idempotency-replayed'], 'true')
  const added = await session.call('POST', path(1, '/artifacts'), full, key('artifacts'))
  t.equal(added.status, 200)
  t.equal(added.headers['idempotency-replayed'], 'true')
})

t.test('no call makes a control-plane release the target of a channel before its packages were found', async (t) => {
  const { session, packages } = await start(t)
  const version = cloud(1)
  for (const name of ['plain', 'pinned', 'halted', 'served']) await session.channel(name, cloud(0))
  await session.done('PUT', channelPath('pinned', '/pin'), { version: cloud(0), reason })
  await session.done('PUT', channelPath('halted', '/halt'), { reason })
  await session.done('PUT', channelPath('served', '/version'), { version })
  await session.done('PUT', channelPath('served', '/version'), { version: cloud(0), reason, force: true })
  await session.register(1, { kind: 'control-plane' })
  const before = await session.digest()
  const source = { kind: 'static', version }
  const calls: readonly (readonly [Method, string, object])[] = [
    ['POST', '/channels', { name: 'new', source }],
    ['PATCH', channelPath('plain'), { source }],
    ['PUT', channelPath('plain', '/version'), { version: `v${version}` }],
    ['PUT', channelPath('plain', '/version'), { version, force: true, reason }],
    ['PUT', channelPath('plain', '/pin'), { version, reason }],
    ['PUT', channelPath('pinned', '/version'), { version }],
    ['PUT', channelPath('pinned', '/pin'), { version, reason }],
    ['PUT', channelPath('halted', '/version'), { version }],
    ['PUT', channelPath('halted', '/pin'), { version, reason }],
    ['POST', channelPath('served', '/rollback'), { reason, to: version }],
    ['POST', channelPath('served', '/rollback'), { reason, to: 2 }],
    ['POST', channelPath('served', '/rollback'), { reason, force: true, to: version }],
    ['POST', '/rollouts/cloud', { release: version }],
    ['POST', '/rollouts/cloud/promote', { release: version, stage: 'canary' }],
  ]
  for (const [method, url, body] of calls) {
    const reply = await session.call(method, url, body)
    t.ok([404, 409, 422].includes(reply.status), `${method} ${url} ${JSON.stringify(reply.body)}`)
  }
  t.equal(await session.digest(), before)
  const unblocked = await session.call('DELETE', `/blocked-versions/${version}`, { reason })
  t.equal(unblocked.status, 409)
  t.equal(at(unblocked.body, 'code'), 'no_packages')
  await session.done('POST', path(1, '/artifacts'), { kind: 'full', packages: [packages.url('agent.tgz')] })
  t.strictSame(itemsOf(await session.done('GET', '/blocked-versions')), [])
  await session.done('PUT', channelPath('plain', '/version'), { version })
  await session.look()
  t.equal(await session.told('canary'), version)
})

t.test('a version that channels serve is not registered without packages: version_served', async (t) => {
  const { session } = await start(t)
  await session.channel('served', cloud(1))
  const before = await session.digest()
  const reply = await session.register(1, { kind: 'control-plane' })
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'version_served')
  t.match(at(reply.body, 'detail'), /served tell agents/)
  t.equal(await session.digest(), before)
  t.equal((await session.register(1)).status, 201, 'as a full one it is')
})

t.test(
  'an operator who has blocked the version, too, takes it off the list after the packages are found',
  async (t) => {
    const { session, packages } = await start(t)
    await session.register(1, { kind: 'control-plane' })
    await session.done('PUT', `/blocked-versions/${cloud(1)}`, { reason: 'it burns' })
    t.equal(at((await session.call('DELETE', `/blocked-versions/${cloud(1)}`, { reason })).body, 'code'), 'no_packages')
    await session.done('POST', path(1, '/artifacts'), { kind: 'full', packages: [packages.url('agent.tgz')] })
    await session.look()
    t.match(at(await session.stage(1, 0), 'blockers', 0), { code: 'blocked', message: /take it off the list/ })
    await session.done('DELETE', `/blocked-versions/${cloud(1)}`, { reason })
    await session.look()
    t.equal(await session.told('canary'), cloud(1))
  },
)

t.test('a version that is unblocked while its control-plane release is registered stays on the list', async (t) => {
  let meanwhile = async (): Promise<void> => {}
  const commit = async (store: Store, change: Change) => {
    if (change.kind === 'release.register') await meanwhile()
    return store.commit(change)
  }
  const session = await startRollouts(t, {
    wrapStore: (store) => wrapped(store, { commit: (change) => commit(store, change) }),
  })
  await session.done('PUT', `/blocked-versions/${cloud(1)}`, { reason })
  meanwhile = async () => {
    meanwhile = async () => {}
    await session.done('DELETE', `/blocked-versions/${cloud(1)}`, { reason })
  }
  t.equal((await session.register(1, { kind: 'control-plane' })).status, 201)
  const channel = { name: 'new', source: { kind: 'static', version: cloud(1) } }
  t.equal((await session.call('POST', '/channels', channel)).status, 422, 'it has no packages')
})

t.test('a change is signed off, that is taken back, or nobody has to: unknown_change, not_verified', async (t) => {
  const session = await startRollouts(t)
  const { bob, eve } = await session.people('bob', 'eve')
  await session.register(1, { changes: [change, { ...change, id: '#13' }] })
  const verify = (id: string) => path(1, `/changes/${encodeURIComponent(id)}/verify`)
  const signed = await session.call('POST', verify('#13'), { reason: 'seen' }, bob)
  t.match(signed.body, { revision: 2, changes: [{ signedOff: null }, { signedOff: { by: /^bob\// } }] })
  t.hasStrict(await session.lastEntry(), { kind: 'release.verify', reason: 'seen' })
  const again = await session.call('POST', verify('#13'), undefined, eve)
  t.match(at(again.body, 'changes', 1, 'signedOff', 'by'), /^bob\//, 'the first word counts')
  t.strictSame(at(await session.done('DELETE', verify('#13'), undefined, eve), 'changes', 1, 'signedOff'), null)
  const notVerified = await session.call('DELETE', verify('12'))
  t.equal(notVerified.status, 409)
  t.equal(at(notVerified.body, 'code'), 'not_verified')
  for (const [method, url] of [
    ['POST', verify('99')],
    ['DELETE', verify('99')],
    ['POST', path(1, '/changes/99/withdraw')],
  ] as const) {
    const unknown = await session.call(method, url, { reason })
    t.equal(unknown.status, 404)
    t.equal(at(unknown.body, 'code'), 'unknown_change')
  }
  const bare = await session.call('POST', path(1, '/changes/12/withdraw'), { reason: ' ' })
  t.equal(at(bare.body, 'errors', 0, 'field'), 'reason')
  const withdrawn = await session.done('POST', path(1, '/changes/12/withdraw'), { reason: 'reverted' }, bob)
  t.match(at(withdrawn, 'changes', 0), { withdrawn: { reason: 'reverted', by: /^bob\// } })
})

t.test('every step of a release honours If-Match and dryRun', async (t) => {
  const { session, packages } = await start(t)
  await session.register(1, {
    changes: [change, { ...change, id: '13' }],
    security: { embargoed: true, fixes: ['CVE-2026-0001'] },
  })
  await session.signOff(1, '12')
  const bob = { token: await session.token('admin', null, null, 'bob') }
  const before = await session.digest()
  const artifacts = { kind: 'full', packages: [packages.url('agent.tgz')] }
  for (const [method, rest, body] of [
    ['POST', '/artifacts', artifacts],
    ['POST', '/changes/13/verify', { reason }],
    ['DELETE', '/changes/12/verify', { reason }],
    ['POST', '/changes/12/withdraw', { reason }],
    ['POST', '/withdraw', { reason }],
    ['POST', '/embargo/lift', { reason }],
    ['PATCH', '', { notesUrl: 'https://notes.example/1' }],
  ] as const) {
    const stale = await session.call(method, path(1, rest), body, { ...bob, headers: { 'if-match': '"1"' } })
    t.equal(stale.status, 412, rest)
    t.hasStrict(stale.body, { code: 'stale_write', current: { revision: 2 } })
    const dry = await session.call(method, path(1, `${rest}?dryRun=true`), body, {
      ...bob,
      headers: { 'if-match': '"2"' },
    })
    t.hasStrict(dry.body, { dryRun: true, revision: 3 }, rest)
  }
  t.equal(await session.digest(), before)
})

t.test(
  'a withdrawn release is blocked, its rollouts end, and the answer names who serves it, to cohorts only too',
  async (t) => {
    const session = await startRollouts(t)
    const ramp = { name: 'ramp', channels: ['slow'], rampPercent: [10] }
    await session.pipeline([{ name: 'canary', channels: ['canary'] }, ramp, { name: 'all', channels: ['rest'] }])
    await session.register(1)
    for (const stage of ['canary', 'ramp']) t.equal((await session.step('promote', { stage })).status, 200)
    t.equal(await session.told('slow'), cloud(0), 'agents without a cohort are the last')
    const bare = await session.call('POST', path(1, '/withdraw'), { reason: ' ' })
    t.equal(at(bare.body, 'errors', 0, 'field'), 'reason')
    const withdrawn = await session.call('POST', path(1, '/withdraw'), { reason: 'it burns' })
    t.equal(withdrawn.status, 200)
    t.hasStrict(withdrawn.body, {
      withdrawn: { reason: 'it burns', by: 'admin' },
      servedBy: ['canary', 'slow'],
      rollouts: [{ pipeline: 'cloud', state: 'withdrawn' }],
    })
    const { subjects } = await session.lastEntry()
    t.strictSame(
      subjects,
      ['release', 'blocked-version', 'rollout/cloud'].map((kind) => `${kind}/${cloud(1)}`),
    )
    t.equal((await session.cohortsAt('slow', cloud(1))).length, 10, 'no agent is moved')
    t.hasStrict(itemsOf(await session.done('GET', '/blocked-versions')), [{ version: cloud(1), reason: 'it burns' }])
    const pinned = await session.call('PUT', channelPath('rest', '/pin'), { version: cloud(1), reason })
    t.equal(at(pinned.body, 'guard'), 'blocked-version')
    for (const [rest, body] of [
      ['/withdraw', { reason }],
      ['/changes/12/verify', {}],
    ] as const) {
      const over = await session.call('POST', path(1, rest), body)
      t.equal(over.status, 409)
      t.equal(at(over.body, 'code'), 'release_over')
    }
    for (const over of [
      await session.step('promote', { stage: 'all' }, 1),
      await session.step('approve', { stage: 'all' }, 1, await session.people('bob').then(({ bob }) => bob)),
      await session.call('PATCH', path(1), { notesUrl: 'https://notes.example/' }),
      await session.call('POST', path(1, '/artifacts'), { kind: 'full', packages: ['http://127.0.0.1:1/a.deb'] }),
    ]) {
      t.equal(over.status, 409)
      t.equal(at(over.body, 'code'), 'release_over')
    }
    const back = await session.step('rollback', { reason }, 1)
    t.hasStrict(back.body, { state: 'rolled back', moves: [{ channel: 'canary' }, { channel: 'slow' }] })
    t.strictSame(at(await session.done('GET', path(1)), 'servedBy'), [])
  },
)

t.test('a withdrawn release begins no rollout any more', async (t) => {
  const session = await startRollouts(t)
  await session.register(1)
  await session.done('POST', path(1, '/withdraw'), { reason })
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  const begun = await session.call('POST', '/rollouts/cloud', { release: cloud(1) })
  t.equal(begun.status, 409, 'nothing could ever end it')
  t.equal(at(begun.body, 'code'), 'release_over')
  t.equal((await session.call('DELETE', '/pipelines/cloud')).status, 204)
})
