// GitHub's webhook through the whole control plane: labels sign changes off in the releases that have them, tags register
// releases, and what comes late or twice changes nothing. Which deliveries are believed is in github-webhook.test.ts.
import t, { type Test } from 'tap'
import { at, itemsOf, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath, type Reply } from '../../fixtures/admin-session.ts'
import {
  cloud,
  codesOf,
  commitOf,
  MINUTE_MS,
  startRollouts,
  type RolloutSession,
} from '../../fixtures/rollout-session.ts'
import { labelPayload, signedDelivery, tagPayload, type LabelSample } from '../../fixtures/github-deliveries.ts'
import { answering, startUpstream } from '../../fixtures/upstream-server.ts'

const SECRET = "It's a Secret to Everybody"
const LABEL = 'cloud/verified'
const PULL = 'https://github.com/example/agent/pull/12'
const change = { id: '12', title: 'Faster joins', author: 'ada', url: PULL }
const reason = 'because'

function start(t: Test, repositories: readonly string[] | null = null): Promise<RolloutSession> {
  return startRollouts(t, {
    packagesAllow: ['127.0.0.1'],
    github: { secret: SECRET, verifiedLabel: LABEL, repositories },
  })
}

/** Delivers an event as GitHub does: signed, and under a delivery id of its own. */
function deliver(session: RolloutSession, event: string, payload: Fields, signedBy = SECRET): Promise<Reply> {
  const { headers, body } = signedDelivery(event, payload, signedBy)
  return session.inject({ method: 'POST', url: '/admin/v1/webhooks/github', headers, payload: body })
}

/** The event of a label that was set or taken away at so many minutes past noon. */
function label(action: 'labeled' | 'unlabeled', minute: number, more: LabelSample = {}): Fields {
  return labelPayload(action, `2026-03-01T12:${String(minute).padStart(2, '0')}:00Z`, more)
}

function pushed(day: number, more: Fields = {}, repository = 'example/agent'): Fields {
  return tagPayload(`v${cloud(day)}`, commitOf(day).padEnd(40, '0'), more, repository)
}

/** Maps logins to a person. */
async function map(session: RolloutSession, person: string, ...logins: readonly string[]): Promise<void> {
  await session.done('PUT', '/people', { people: [{ person, logins }] })
}

/** Who has signed the change off; null for nobody. */
async function signedBy(session: RolloutSession, day = 1): Promise<unknown> {
  const signedOff = at(await session.done('GET', `/releases/${cloud(day)}`), 'changes', 0, 'signedOff')
  return signedOff === null ? null : at(signedOff, 'by')
}

t.test('a label signs the change off in every release that has it, and taking it away takes that back', async (t) => {
  const session = await start(t)
  await session.pipeline([{ name: 'all', channels: ['all'], requireSignOff: true }])
  await session.register(1, { changes: [change] })
  await session.register(2, { changes: [{ ...change, id: 'other' }] })
  await session.register(3, { changes: [{ ...change, url: null }], repository: 'Example/Agent' })
  await session.register(4, { changes: [{ ...change, url: 'https://github.com/example/other/pull/12' }] })
  await session.register(5, { changes: [{ ...change, url: null }], repository: 'example/other' })
  t.strictSame(codesOf(await session.stage(1, 0)), ['sign-off'])
  await map(session, 'mona', 'mona-lisa')
  const labeled = await deliver(session, 'pull_request', label('labeled', 1))
  t.equal(labeled.status, 200)
  t.strictSame(labeled.body, { outcome: 'applied', releases: [cloud(3), cloud(2), cloud(1)] })
  const entry = await session.lastEntry()
  t.match(entry, { kind: 'release.verify', actor: 'mona-lisa/github', reason: /^GitHub delivery [-0-9a-f]{36}$/ })
  t.equal(labeled.headers['bellwether-seq'], String(entry.seq))
  for (const day of [1, 2, 3]) t.equal(await signedBy(session, day), 'mona-lisa/github')
  for (const day of [4, 5]) t.equal(await signedBy(session, day), null, 'the same number elsewhere')
  t.equal(at(await session.stage(1, 0), 'state'), 'ready')
  const unlabeled = await deliver(session, 'pull_request', label('unlabeled', 2))
  t.equal(at(unlabeled.body, 'outcome'), 'applied')
  t.equal((await session.lastEntry()).kind, 'release.unverify')
  t.strictSame(codesOf(await session.stage(1, 0)), ['sign-off'])
})

t.test('an event that comes later than a newer one is not heard', async (t) => {
  const session = await start(t)
  await map(session, 'olga', 'mona-lisa')
  await session.register(1, { changes: [change] })
  await deliver(session, 'pull_request', label('labeled', 2))
  const entries = (await session.journal()).length
  const late = await deliver(session, 'pull_request', label('unlabeled', 1))
  t.equal(late.status, 202)
  t.match(late.body, { outcome: 'ignored', why: /one of 2026-03-01T12:02:00\.000Z has come for/ })
  t.equal(await signedBy(session), 'mona-lisa/github')
  t.equal((await session.journal()).length, entries)
  await deliver(session, 'pull_request', label('unlabeled', 3))
  t.equal(await signedBy(session), null)
  const other = await deliver(session, 'pull_request', label('labeled', 9, { number: 123 }))
  t.equal(other.status, 202)
  t.strictSame(other.body, {
    outcome: 'kept',
    why: `no release has the change ${PULL}3`,
    keptUntil: '2026-03-08T12:09:00.000Z',
  })
})

t.test(
  'a delivery that is sent again under another id changes nothing, even after the state has moved on',
  async (t) => {
    const session = await start(t)
    await session.register(1, { changes: [change] })
    const first = await deliver(session, 'pull_request', label('labeled', 1))
    t.equal(first.headers['idempotency-replayed'], undefined)
    await session.done('DELETE', `/releases/${cloud(1)}/changes/12/verify`)
    const before = await session.digest()
    for (let times = 0; times < 3; times += 1) {
      const again = await deliver(session, 'pull_request', label('labeled', 1))
      t.equal(again.status, 200)
      t.strictSame(again.body, first.body)
      t.equal(again.headers['idempotency-replayed'], 'true')
      t.equal(again.headers['bellwether-seq'], first.headers['bellwether-seq'])
    }
    t.equal(await session.digest(), before)
    t.equal(await signedBy(session), null)
  },
)

t.test('a pushed tag registers a release of the control plane alone, which no channel gets', async (t) => {
  const session = await start(t)
  await map(session, 'olga', 'octocat')
  await session.pipeline([{ name: 'canary', channels: ['canary'], auto: true }])
  const reply = await deliver(session, 'push', pushed(1))
  t.equal(reply.status, 200)
  t.strictSame(reply.body, { outcome: 'applied', releases: [cloud(1)] })
  t.hasStrict(await session.done('GET', `/releases/${cloud(1)}`), {
    kind: 'control-plane',
    commit: commitOf(1).padEnd(40, '0'),
    cutBy: 'octocat/github',
    changes: null,
    rollouts: [],
  })
  const set = await session.call('PUT', channelPath('canary', '/version'), { version: cloud(1), reason })
  t.equal(at(set.body, 'guard'), 'blocked-version')
  t.strictSame(itemsOf(await session.done('GET', '/rollouts/cloud')), [])
})

t.test('the same tag twice registers one release, whether it is a replay or another push', async (t) => {
  const session = await start(t)
  const first = await deliver(session, 'push', pushed(1))
  const replay = await deliver(session, 'push', pushed(1))
  t.strictSame(replay.body, first.body)
  t.equal(replay.headers['idempotency-replayed'], 'true')
  const entries = (await session.journal()).length
  const another = await deliver(session, 'push', pushed(1, { pusher: { name: 'mona-lisa' } }))
  t.equal(another.status, 202)
  t.match(another.body, { outcome: 'ignored', why: `release ${cloud(1)} is registered already` })
  const both = await Promise.all([1, 2, 3].map(() => deliver(session, 'push', pushed(2))))
  t.ok(both.every(({ status }) => status === 200))
  t.equal((await session.journal()).length, entries + 1)
})

t.test('who cut a release with a tag may not approve it under a token of that name', async (t) => {
  const session = await start(t)
  const server = await startUpstream(t)
  server.serve('', answering(200, ''))
  await session.pipeline([{ name: 'all', channels: ['all'], approvals: 1 }])
  await map(session, 'octocat', 'octocat')
  await deliver(session, 'push', pushed(1))
  const packages = [`http://127.0.0.1:${server.port}/agent.tgz`]
  await session.done('POST', `/releases/${cloud(1)}/artifacts`, { kind: 'full', packages })
  const { Octocat, bob } = await session.people('Octocat', 'bob')
  const refused = await session.step('approve', {}, null, Octocat)
  t.equal(at(refused.body, 'code'), 'not_approver')
  t.equal((await session.step('approve', {}, null, bob)).status, 200)
  t.equal((await session.step('promote', {}, null, Octocat)).status, 200)
})

t.test(
  'a sign-off by a login that is mapped to nobody does not count until it is, and the answer says so',
  async (t) => {
    const session = await start(t)
    await session.pipeline([{ name: 'all', channels: ['all'], requireSignOff: true }])
    await session.register(1, { changes: [change] })
    const labeled = await deliver(session, 'pull_request', label('labeled', 1))
    t.equal(labeled.status, 200)
    t.match(labeled.body, { warnings: [{ code: 'unknown_person', message: /^mona-lisa is mapped to no person/ }] })
    const [blocker] = at(await session.stage(1, 0), 'blockers') as readonly unknown[]
    t.match(blocker, { code: 'sign-off', message: /do not count: 12 by mona-lisa\/github/ })
    await map(session, 'mona', 'Mona-Lisa')
    t.equal(at(await session.stage(1, 0), 'state'), 'ready', 'nobody has to label it again')
    await map(session, 'admin', 'mona-lisa')
    t.strictSame(codesOf(await session.stage(1, 0)), ['sign-off'], 'the person has listed the change')
    const again = await deliver(session, 'pull_request', label('labeled', 9))
    t.match(again.body, { warnings: [{ code: 'own_change', message: /has written or listed the change/ }] })
  },
)

t.test('a release that a login has tagged is held until an admin says whose login it is: unknown_person', async (t) => {
  const session = await start(t)
  const server = await startUpstream(t)
  server.serve('', answering(200, ''))
  await session.pipeline([{ name: 'all', channels: ['all'], approvals: 1 }])
  const tagged = await deliver(session, 'push', pushed(1))
  t.match(tagged.body, { warnings: [{ code: 'unknown_person', message: /octocat is mapped to no person/ }] })
  const packages = [`http://127.0.0.1:${server.port}/agent.tgz`]
  await session.done('POST', `/releases/${cloud(1)}/artifacts`, { kind: 'full', packages })
  const alice = { token: await session.token('operator', null, null, 'laptop', 'Alice') }
  t.equal((await session.step('approve', {}, null, alice)).status, 200)
  t.strictSame(codesOf(await session.stage(1, 0)), ['unknown_person'])
  t.equal((await session.step('promote')).status, 422)
  await map(session, 'alice', 'octocat')
  t.strictSame(codesOf(await session.stage(1, 0)), ['approvals'], 'alice has cut it')
  await map(session, 'olga', 'octocat')
  t.equal((await session.step('promote')).status, 200)
})

t.test('where repositories are listed, what another one says is ignored and changes nothing', async (t) => {
  const session = await start(t, ['example/agent'])
  await session.register(1, { changes: [change] })
  const before = await session.digest()
  const foreign = { repository: { full_name: 'mallory/agent' } }
  for (const [event, payload] of [
    ['pull_request', label('labeled', 1, { repository: 'mallory/agent' })],
    ['push', pushed(2, foreign)],
    ['ping', { zen: 'Keep it logically awesome.', ...foreign }],
  ] as const) {
    const reply = await deliver(session, event, payload)
    t.equal(reply.status, 202, event)
    const why = 'the repository "mallory/agent" is not among those that BELLWETHER_GITHUB_REPOSITORIES lists'
    t.strictSame(reply.body, { outcome: 'ignored', why })
  }
  const nowhere = { repository: undefined }
  t.equal(at((await deliver(session, 'push', pushed(2, nowhere))).body, 'outcome'), 'ignored', 'of no repository')
  t.equal(await session.digest(), before)
  const ours = { repository: { full_name: 'Example/Agent' } }
  t.equal((await deliver(session, 'pull_request', label('labeled', 1, { repository: 'Example/Agent' }))).status, 200)
  t.equal(await signedBy(session), 'mona-lisa/github')
  t.equal((await deliver(session, 'push', pushed(2, ours))).status, 200)
})

t.test('a wrong signature is bad_signature, and without a secret there is no webhook: webhook_off', async (t) => {
  const session = await start(t)
  const before = await session.digest()
  const wrong = await deliver(session, 'push', pushed(1), 'another secret')
  t.equal(wrong.status, 401)
  t.equal(at(wrong.body, 'code'), 'bad_signature')
  t.equal(await session.digest(), before)
  const off = await startRollouts(t)
  const reply = await deliver(off, 'push', pushed(1))
  t.equal(reply.status, 404)
  t.equal(at(reply.body, 'code'), 'webhook_off')
})

t.test('a label of a withdrawn release signs nothing off', async (t) => {
  const session = await start(t)
  await session.register(1, { changes: [change] })
  await session.done('POST', `/releases/${cloud(1)}/withdraw`, { reason })
  t.equal((await deliver(session, 'pull_request', label('labeled', 1))).status, 202)
  t.equal(await signedBy(session), null)
})

t.test('a change whose id is a number is one of the repository whose tag registered the release', async (t) => {
  const session = await start(t)
  await map(session, 'olga', 'octocat', 'mona-lisa')
  await deliver(session, 'push', pushed(1))
  t.equal(at(await session.done('GET', `/releases/${cloud(1)}`), 'repository'), 'example/agent')
  await session.done('PATCH', `/releases/${cloud(1)}`, { changes: [{ ...change, url: null }] })
  const elsewhere = await deliver(session, 'pull_request', label('labeled', 1, { repository: 'example/web' }))
  t.match(elsewhere.body, { outcome: 'kept', why: /no release has the change .*example\/web\/pull\/12/ })
  t.equal(await signedBy(session), null)
  const ours = await deliver(session, 'pull_request', label('labeled', 1, { repository: 'Example/AGENT' }))
  t.strictSame(ours.body, { outcome: 'applied', releases: [cloud(1)] })
  t.equal(await signedBy(session), 'mona-lisa/github')
})

t.test('where one repository is listed, the numbers of releases are those of its pull requests', async (t) => {
  const session = await start(t, ['example/agent'])
  await session.register(1, { changes: [{ ...change, url: null }] })
  await deliver(session, 'pull_request', label('labeled', 1))
  t.equal(await signedBy(session), 'mona-lisa/github')
  const several = await start(t, ['example/agent', 'example/web'])
  await several.register(1, {
    changes: [
      { ...change, url: null },
      { ...change, id: 'example/web#12', url: null },
    ],
  })
  const unsaid = await deliver(several, 'pull_request', label('labeled', 1))
  t.match(unsaid.body, { outcome: 'kept', why: /has a change 12, but does not say in which repository/ })
  t.equal(await signedBy(several), null)
  await deliver(several, 'pull_request', label('labeled', 1, { repository: 'example/web' }))
  const release = await several.done('GET', `/releases/${cloud(1)}`)
  t.match(at(release, 'changes'), [{ signedOff: null }, { signedOff: { by: 'mona-lisa/github' } }])
})

t.test('of two events of one moment the removal counts, in whatever order they come', async (t) => {
  for (const order of [['labeled', 'unlabeled'] as const, ['unlabeled', 'labeled'] as const]) {
    const session = await start(t)
    await session.register(1, { changes: [change] })
    for (const action of order) await deliver(session, 'pull_request', label(action, 1))
    t.equal(await signedBy(session), null, order.join())
    const late = await start(t)
    for (const action of order) await deliver(late, 'pull_request', label(action, 1))
    await late.register(1, { changes: [change] })
    t.equal(await signedBy(late), null, `${order.join()} before the registration`)
  }
})

t.test(
  'a label that came before its release signs it off, unless it was removed or is older than a week',
  async (t) => {
    const session = await start(t)
    await deliver(session, 'pull_request', label('labeled', 1))
    t.equal((await session.lastEntry()).kind, 'github.label')
    t.equal(
      at((await session.register(1, { changes: [change] })).body, 'changes', 0, 'signedOff', 'by'),
      'mona-lisa/github',
    )
    await deliver(session, 'pull_request', label('labeled', 2, { number: 13 }))
    await deliver(session, 'pull_request', label('unlabeled', 3, { number: 13 }))
    t.equal((await session.lastEntry()).kind, 'github.unlabel')
    const thirteen = { ...change, id: '13', url: 'http://GitHub.com/Example/agent/pull/13/files' }
    await session.register(2, { changes: [thirteen, change] })
    const second = await session.done('GET', `/releases/${cloud(2)}`)
    t.match(at(second, 'changes'), [{ signedOff: null }, { signedOff: { by: 'mona-lisa/github' } }])
    await session.planes.clock.advance(8 * 24 * 60 * MINUTE_MS)
    await session.register(3, { changes: [change] })
    t.equal(await signedBy(session, 3), null)
  },
)

t.test('a label may seem two minutes older than the release; an older one is refused by what it is', async (t) => {
  const session = await start(t)
  const registered = await session.register(1, { changes: [change] })
  const since = Date.parse(String(at(registered.body, 'registeredAt')))
  const dated = (ms: number): Fields => labelPayload('labeled', new Date(since - ms).toISOString())
  const old = await deliver(session, 'pull_request', dated(2 * MINUTE_MS + 1_000))
  t.equal(old.status, 202)
  t.match(old.body, { outcome: 'kept', why: /more than 2 minutes before release .* was registered/ })
  t.equal(await signedBy(session), null)
  t.equal((await deliver(session, 'pull_request', dated(2 * MINUTE_MS))).status, 200)
  t.equal(await signedBy(session), 'mona-lisa/github')
})

t.test('a tag without the name of its pusher is that of the sender', async (t) => {
  const session = await start(t)
  for (const [day, pusher] of [{ email: 'a@example.com' }, { name: '' }, { name: 'a deploy key' }].entries()) {
    const sender = { login: 'mona-lisa', type: 'User' }
    t.equal((await deliver(session, 'push', pushed(day + 1, { pusher, sender }))).status, 200)
    t.equal(at(await session.done('GET', `/releases/${cloud(day + 1)}`), 'cutBy'), 'mona-lisa/github')
  }
})

t.test('a tag of another commit than the registered one is refused: release_exists', async (t) => {
  const session = await start(t)
  await session.register(1, { commit: commitOf(1).padEnd(40, '1') })
  const refused = await deliver(session, 'push', pushed(1))
  t.equal(refused.status, 409)
  t.match(refused.body, {
    code: 'release_exists',
    detail: /is registered with the commit abc0011+, not with abc0010+;/,
  })
})

t.test('a tag that is dated in the future registers nothing', async (t) => {
  const session = await start(t)
  const version = '15.0.0-cloud.20990101T000000.abc001'
  const refused = await deliver(session, 'push', tagPayload(`v${version}`, commitOf(1).padEnd(40, '0')))
  t.equal(refused.status, 400)
  t.match(at(refused.body, 'errors'), [{ field: 'version', message: /cut at 2099-01-01.*more than 10 minutes after/ }])
  t.equal((await session.call('GET', `/releases/${version}`)).status, 404)
})

t.test(
  'kept labels and their index are in the journal for admins of the whole server, and nobody finds others by a search',
  async (t) => {
    const session = await start(t)
    await deliver(session, 'pull_request', label('labeled', 1))
    const read = async (token: string, query = ''): Promise<string> =>
      JSON.stringify(await session.done('GET', `/journal${query}`, undefined, { token }))
    const admin = await session.token('admin')
    const others = [
      await session.token('viewer'),
      await session.token('operator', null, null, 'operator'),
      await session.token('admin', ['canary'], null, 'scoped'),
    ]
    await session.register(1, { changes: [change], security: { embargoed: true, fixes: ['SEC-2026-1'] } })
    // A release and a label in one commit.
    await deliver(session, 'pull_request', label('unlabeled', 2))
    const all = await read(admin)
    for (const text of [PULL, 'github-label/github.com/example/agent#12', 'github-label-index/all']) {
      t.match(all, text)
      for (const token of others) t.notMatch(await read(token), text)
    }
    const subjectOf = (number: number): string =>
      `?limit=1&subject=${encodeURIComponent(`github-label/github.com/example/agent#${number}`)}`
    t.match(await read(admin, subjectOf(12)), 'release.unverify')
    for (const token of others) t.equal(await read(token, subjectOf(12)), await read(token, subjectOf(13)))
  },
)
