// Releases over the API: their versions made, themselves registered, edited and listed, and which agents they would leave
// behind. What is done to them afterwards is in release-steps.test.ts.
import t from 'tap'
import { at, itemsOf, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { cloud, commitOf, listAt, MINUTE_MS, startRollouts } from '../../fixtures/rollout-session.ts'

const reason = 'because'
const DAY_MS = 24 * HOUR_MS
const change = { id: '#12', title: 'Faster joins', author: 'ada', url: 'https://git.example/pull/12' }

function key(text: string) {
  return { headers: { 'idempotency-key': text } }
}

function path(day: number, rest = ''): string {
  return `/releases/${cloud(day)}${rest}`
}

t.test('the next version is made from a major, the time, and as much of the commit as semver needs', async (t) => {
  const session = await startRollouts(t)
  await session.planes.clock.advance(1_999)
  const next = async (query: string) => session.call('GET', `/releases/next-version?${query}`)
  const made = await next('major=15&commit=aabbcc')
  t.strictSame(made.body, { version: '15.0.0-cloud.20260301T000001.aabbcc', cutAt: '2026-03-01T00:00:01.000Z' })
  const whole = `00000000a${'1'.repeat(31)}`
  for (const [commit, ending] of [
    ['aabbccddeeff00112233445566778899aabbccdd', 'aabbccd'],
    [whole, '00000000a'],
    ['123456', '123456'],
  ] as const) {
    t.equal(at((await next(`major=16&commit=${commit}`)).body, 'version'), `16.0.0-cloud.20260301T000001.${ending}`)
  }
  const zero = await next('major=15&commit=0123456')
  t.equal(zero.status, 400)
  t.equal(at(zero.body, 'errors', 0, 'field'), 'commit')
  t.match(at(zero.body, 'detail'), /only digits and begins with a zero.*give more of the commit/)
  for (const [query, field] of [
    ['major=15', 'commit'],
    ['major=15&commit=AABBCC', 'commit'],
    ['major=15&commit=aabb', 'commit'],
    ['major=x&commit=aabbcc', 'major'],
    ['major=-1&commit=aabbcc', 'major'],
    ['major=1.5&commit=aabbcc', 'major'],
  ] as const) {
    const refused = await next(query)
    t.equal(refused.status, 400, query)
    t.equal(at(refused.body, 'errors', 0, 'field'), field, query)
  }
})

t.test('a full release begins its rollouts in the same commit, and is read back as it was answered', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  await session.pipeline([{ name: 'all', channels: ['other'] }], { versions: '16.x' }, 'next')
  const more = { changes: [change], minAgentVersion: 'v14.0.0', notesUrl: 'https://notes.example/', reason: ' first ' }
  const reply = await session.register(1, { version: `v${cloud(1)}`, ...more })
  t.equal(reply.status, 201)
  t.equal(reply.headers.etag, 'W/"1"')
  t.hasStrict(reply.body, {
    version: cloud(1),
    revision: 1,
    commit: commitOf(1),
    cutAt: '2026-02-01T00:00:00.000Z',
    cutBy: 'admin',
    kind: 'full',
    changes: [{ ...change, significant: true, signedOff: null, withdrawn: null, labelAt: null }],
    minAgentVersion: '14.0.0',
    security: null,
    packages: [],
    withdrawn: null,
    bad: null,
    servedBy: [],
    rollouts: [{ pipeline: 'cloud', state: 'running', supersededBy: null }],
  })
  t.strictSame(await session.done('GET', path(1)), reply.body)
  const entry = await session.lastEntry()
  t.hasStrict(entry, { kind: 'release.register', reason: 'first', actor: 'admin' })
  t.strictSame(entry.subjects, [`release/${cloud(1)}`, `rollout/cloud/${cloud(1)}`, 'rollout-index/under-way'])
  const twice = await session.register(1)
  t.equal(twice.status, 409)
  t.equal(at(twice.body, 'code'), 'release_exists')
})

t.test(
  'a control-plane release begins no rollout, and its version is on the block list from its commit on',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([{ name: 'canary', channels: ['canary'] }])
    const reply = await session.register(1, { kind: 'control-plane' })
    t.hasStrict(reply.body, { kind: 'control-plane', rollouts: [] })
    t.strictSame((await session.lastEntry()).subjects, [`release/${cloud(1)}`, `blocked-version/${cloud(1)}`])
    const blocked = await session.done('GET', '/blocked-versions')
    t.hasStrict(itemsOf(blocked), [{ version: cloud(1), because: 'no packages' }])
    t.equal((await session.call('GET', `/rollouts/cloud/${cloud(1)}`)).status, 404)
    const begun = await session.call('POST', '/rollouts/cloud', { release: cloud(1) })
    t.equal(at(begun.body, 'code'), 'no_packages')
  },
)

t.test('a release that a newer one has overtaken says so as it is registered, and by which', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  await session.pipeline([{ name: 'all', channels: ['other'] }], {}, 'next')
  const newest = await session.register(3)
  t.equal(at(newest.body, 'warnings'), undefined)
  await session.step('promote', { stage: 'canary' }, 3)
  const message = `${cloud(2)} goes to no channel of the pipeline cloud: the newer ${cloud(3)} is ahead of it there`
  const tried = await session.call('POST', '/releases?dryRun=true', {
    ...{ version: cloud(2), commit: commitOf(2), kind: 'full', changes: [] },
  })
  t.strictSame(at(tried.body, 'warnings'), [{ code: 'superseded', message }])
  const late = await session.register(2)
  t.equal(late.status, 201)
  t.strictSame(at(late.body, 'warnings'), [{ code: 'superseded', message }])
  t.match(at(late.body, 'rollouts'), [
    { pipeline: 'cloud', state: 'superseded', supersededBy: cloud(3) },
    { pipeline: 'next', state: 'running', supersededBy: null },
  ])
})

t.test('a release that is dated in the future is refused, and overtakes nothing', async (t) => {
  const session = await startRollouts(t)
  const ahead = '15.0.0-cloud.20990101T000000.abc001'
  const refused = await session.register(1, { version: ahead })
  t.equal(refused.status, 400)
  t.match(at(refused.body, 'errors'), [{ field: 'version', message: /more than 10 minutes after the time here/ }])
  const semver = await session.register(1, { version: '15.2.0', cutAt: '2099-01-01T00:00:00Z' })
  t.match(at(semver.body, 'errors'), [{ field: 'cutAt' }])
  t.strictSame(itemsOf(await session.done('GET', '/releases')), [])
})

t.test('an embargo holds what was registered before its lift, whenever that is said to be cut', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  const security = { embargoed: true, fixes: ['SEC-2026-1'] }
  await session.register(1, { version: '15.2.0', commit: 'abc001', security })
  const now = session.planes.clock.now()
  const cutAt = new Date(now + 5 * 60_000).toISOString()
  await session.register(1, { version: '15.2.1', cutAt })
  await session.register(1, { version: '15.2.2', cutAt, security: { fixes: security.fixes } })
  await session.planes.clock.advance(60_000)
  await session.done('POST', '/releases/15.2.0/embargo/lift', { reason: 'disclosed' })
  await session.planes.clock.advance(60_000)
  await session.register(1, { version: '15.2.3', cutAt })
  // What serves a Cloud release is newer besides.
  const isHeld = async (version: string): Promise<boolean> => {
    const blockers = at(await session.done('GET', `/rollouts/cloud/${version}`), 'stages', 0, 'blockers')
    return JSON.stringify(blockers).includes('"embargo"')
  }
  t.ok(await isHeld('15.2.1'))
  t.notOk(await isHeld('15.2.2'), 'with the fix')
  t.notOk(await isHeld('15.2.3'), 'registered after the lift')
})

t.test('every mistake in a registration is named by its field, and nothing is written', async (t) => {
  const session = await startRollouts(t)
  const before = await session.digest()
  const mistakes: readonly (readonly [Fields, string])[] = [
    [{ version: '15.1' }, 'version'],
    [{ commit: 'xyz' }, 'commit'],
    [{ commit: commitOf(2) }, 'commit'],
    [{ cutAt: '2026-02-01T00:00:01Z' }, 'cutAt'],
    [{ cutAt: 'yesterday' }, 'cutAt'],
    ...['', ' ', '@alice', 'acme/alice', 'al\u0456ce', 'a'.repeat(101)].map((cutBy) => [{ cutBy }, 'cutBy'] as const),
    [{ cutBy: null }, 'cutBy'],
    [{ kind: 'half' }, 'kind'],
    [{ kind: 'control-plane', packages: ['https://packages.example/a'] }, 'packages'],
    [{ changes: [change, change] }, 'changes/1/id'],
    [{ changes: [{ ...change, url: 'javascript:alert(1)' }] }, 'changes/0/url'],
    [{ changes: [{ ...change, id: 'a/b' }] }, 'changes/0/id'],
    [{ changes: [{ ...change, title: '' }] }, 'changes/0/title'],
    [{ changes: [{ ...change, id: 'CVE-2026-1' }], security: { fixes: ['cve-2026-1'] } }, 'changes/0/id'],
    [{ minAgentVersion: '14' }, 'minAgentVersion'],
    [{ notesUrl: 'notes' }, 'notesUrl'],
    [{ security: { fixes: [] } }, 'security/fixes'],
    [{ security: { fixes: ['CVE-2026-1', 'CVE-2026-1'] } }, 'security/fixes/1'],
    // These would hide every word, version and moment that they are part of.
    [{ security: { fixes: ['CVE-2026-1', '20260201'] } }, 'security/fixes/1'],
    [{ security: { fixes: ['cloud'] } }, 'security/fixes/0'],
    [{ color: 'red' }, 'color'],
  ]
  for (const [more, field] of mistakes) {
    for (const query of ['', '?dryRun=true']) {
      const body = { version: cloud(1), commit: commitOf(1), kind: 'full', ...more }
      const reply = await session.call('POST', `/releases${query}`, body)
      t.equal(reply.status, 400, JSON.stringify(more))
      t.ok(
        listAt(reply.body, 'errors').some((error) => at(error, 'field') === field),
        JSON.stringify(reply.body),
      )
    }
  }
  t.equal(await session.digest(), before)
})

t.test('whoever cut a release that a machine registers may not approve it either: not_approver', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['all'], approvals: 1 }])
  const { ci, alice, bob } = await session.people('ci', 'alice', 'bob')
  const spaced = { token: await session.token('operator', null, null, 'Alice ') }
  const spelled = ['alice', ' ALICE ', 'Alice', 'alice/github']
  for (const [index, cutBy] of spelled.entries()) {
    const day = index + 1
    const reply = await session.register(day, { cutBy }, ci)
    t.equal(reply.status, 201)
    t.equal(at(reply.body, 'cutBy'), cutBy.trim())
    t.match(at(reply.body, 'registeredBy'), /^ci\//)
    for (const barred of [alice, spaced, ci]) {
      const refused = await session.step('approve', {}, day, barred)
      t.equal(refused.status, 409)
      t.equal(at(refused.body, 'code'), 'not_approver', cutBy)
    }
    t.equal((await session.step('approve', {}, day, bob)).status, 200)
  }
  const own = await session.register(9, {}, ci)
  t.equal(at(own.body, 'cutBy'), at(own.body, 'registeredBy'), 'unless told')
  t.equal((await session.step('approve', {}, 9, alice)).status, 200)
  const later = await session.call('PATCH', path(9), { cutBy: 'bob' })
  t.equal(at(later.body, 'errors', 0, 'field'), 'cutBy', 'it is said once')
})

t.test('a dry run shows what would be, the rollouts too, and writes nothing', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  const body = { version: cloud(1), commit: commitOf(1), kind: 'full' }
  const before = await session.digest()
  const dry = await session.call('POST', '/releases?dryRun=true', body)
  t.equal(dry.status, 200)
  t.equal(dry.headers.etag, undefined)
  t.equal(await session.digest(), before)
  t.equal((await session.call('GET', path(1))).status, 404)
  const wouldChange = [
    { key: `release/${cloud(1)}`, change: 'created', revision: 1 },
    { key: `rollout/cloud/${cloud(1)}`, change: 'created', revision: 1 },
  ]
  const made = (await session.done('POST', '/releases', body)) as object
  t.strictSame(dry.body, { ...made, dryRun: true, wouldChange })
  const edited = await session.done('PATCH', `${path(1)}?dryRun=true`, { changes: [change] })
  t.hasStrict(edited, { revision: 2, changes: [{ id: '#12' }], dryRun: true })
  t.equal(at(await session.done('GET', path(1)), 'changes'), null)
})

t.test(
  'an edit keeps the sign-offs of changes that stay, honours If-Match, and tells what is there: stale_write',
  async (t) => {
    const session = await startRollouts(t)
    await session.register(1, { changes: [change, { ...change, id: '13', url: null }] })
    await session.signOff(1, '#12')
    const edited = { changes: [change, { ...change, id: '14', url: null }], reason: '13 was taken out' }
    const match = (tag: string) => ({ headers: { 'if-match': tag } })
    const stale = await session.call('PATCH', path(1), edited, match('"1"'))
    t.equal(stale.status, 412)
    t.hasStrict(stale.body, { code: 'stale_write', current: { version: cloud(1), revision: 2 } })
    t.equal(stale.headers.etag, 'W/"2"')
    const reply = await session.call('PATCH', path(1), edited, match('"2"'))
    t.equal(reply.headers.etag, 'W/"3"')
    t.match(reply.body, {
      changes: [
        { id: '#12', signedOff: { by: /^signer\// } },
        { id: '14', signedOff: null },
      ],
    })
    t.strictSame(at(await session.done('PATCH', path(1), { changes: [], reason }), 'changes'), [])
    const unknown = await session.call('PATCH', path(9), {})
    t.equal(at(unknown.body, 'code'), 'unknown_release')
  },
)

t.test(
  'a registration that is sent again is made once; its key belongs to it alone: idempotency_key_reused',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([{ name: 'canary', channels: ['canary'] }])
    const first = await session.register(1, {}, key('k'))
    const entries = (await session.journal()).length
    const again = await session.register(1, {}, key('k'))
    t.equal(again.status, 201)
    t.strictSame(again.body, first.body)
    t.equal(again.headers['idempotency-replayed'], 'true')
    for (const other of [await session.register(2, {}, key('k')), await session.call('PATCH', path(1), {}, key('k'))])
      t.equal(at(other.body, 'code'), 'idempotency_key_reused')
    t.equal((await session.journal()).length, entries)
  },
)

t.test('releases are listed the newest first, page by page, whatever their majors', async (t) => {
  const session = await startRollouts(t)
  for (const day of [3, 1, 5, 2]) await session.register(day)
  const old = cloud(4).replace('15.', '14.')
  await session.done('POST', '/releases', { version: old, commit: commitOf(4), kind: 'full' })
  const seen: unknown[] = []
  let query = '?limit=2'
  for (let pages = 0; pages < 9; pages += 1) {
    const page = await session.done('GET', `/releases${query}`)
    seen.push(...itemsOf(page).map((item) => at(item, 'version')))
    if (at(page, 'next') === null) break
    query = `?limit=2&cursor=${String(at(page, 'next'))}`
  }
  t.strictSame(seen, [cloud(5), old, cloud(3), cloud(2), cloud(1)])
  for (const cursor of ['x', 'bmFtZTp4']) {
    const reply = await session.call('GET', `/releases?cursor=${cursor}`)
    t.equal(reply.status, 400)
    t.equal(at(reply.body, 'errors', 0, 'field'), 'cursor')
  }
})

t.test(
  'compatibility names the channels that have served too old a version, until the grace period is over',
  async (t) => {
    const session = await startRollouts(t)
    await session.channel('halted', cloud(0))
    await session.channel('pinned', cloud(2))
    await session.pipeline([
      { name: 'canary', channels: ['canary'] },
      { name: 'all', channels: ['halted', 'pinned'] },
    ])
    await session.register(5, { minAgentVersion: cloud(3) })
    await session.planes.clock.advance(MINUTE_MS)
    for (const name of ['canary', 'halted', 'pinned'])
      await session.done('PUT', channelPath(name, '/version'), { version: cloud(3), reason })
    await session.done('PUT', channelPath('halted', '/halt'), { reason })
    await session.done('PUT', channelPath('pinned', '/pin'), { version: cloud(1), reason })
    const ask = async (query = ''): Promise<unknown> => {
      const found = await session.done('GET', path(5, `/compatibility${query}`))
      // Channels are named as their journals were read.
      const sorted = (stage: unknown) =>
        listAt(stage, 'tooOld').toSorted((a, b) => (String(at(a, 'channel')) < String(at(b, 'channel')) ? -1 : 1))
      const stages = listAt(found, 'stages').map((stage) => ({ ...(stage as Fields), tooOld: sorted(stage) }))
      return { ...(found as Fields), stages }
    }
    const tooOld = (channel: string, ...days: readonly number[]) =>
      days.map((day) => ({ channel, version: cloud(day) }))
    t.strictSame(await ask(), {
      version: cloud(5),
      minAgentVersion: cloud(3),
      compatible: false,
      stages: [
        { pipeline: 'cloud', stage: 'canary', oldest: cloud(0), tooOld: tooOld('canary', 0), unknown: [] },
        {
          pipeline: 'cloud',
          stage: 'all',
          oldest: cloud(0),
          tooOld: [...tooOld('halted', 0), ...tooOld('pinned', 1, 2)],
          unknown: [],
        },
      ],
    })
    await session.planes.clock.advance(14 * DAY_MS + MINUTE_MS)
    t.hasStrict(await ask(), { compatible: false, stages: [{ tooOld: [] }, { tooOld: tooOld('pinned', 1) }] })
    t.hasStrict(await ask('?grace=P30D'), { stages: [{ tooOld: tooOld('canary', 0) }, {}] })
    await session.done('DELETE', channelPath('pinned', '/pin'), { reason })
    await session.planes.clock.advance(14 * DAY_MS + 1)
    t.equal(at(await ask(), 'compatible'), true)
    const wrong = await session.call('GET', path(5, '/compatibility?grace=soon'))
    t.equal(at(wrong.body, 'errors', 0, 'field'), 'grace')
    t.equal(at((await session.call('GET', path(9, '/compatibility'))).body, 'code'), 'unknown_release')
  },
)

t.test('nothing is called compatible with a pipeline that is not there: unknown_pipeline', async (t) => {
  const session = await startRollouts(t)
  await session.register(1, { minAgentVersion: cloud(1) })
  const reply = await session.call('GET', path(1, '/compatibility?pipeline=none'))
  t.equal(reply.status, 404, JSON.stringify(reply.body))
  t.equal(at(reply.body, 'code'), 'unknown_pipeline')
})

t.test('a version with its v names the same release everywhere', async (t) => {
  const session = await startRollouts(t)
  await session.register(1)
  await session.pipeline([{ name: 'canary', channels: ['canary'] }])
  for (const rest of ['', '/compatibility'])
    t.equal((await session.call('GET', `/releases/v${cloud(1)}${rest}`)).status, 200, `GET ${rest}`)
  t.equal((await session.call('PATCH', `/releases/v${cloud(1)}`, {})).status, 200)
  t.equal((await session.call('POST', '/rollouts/cloud', { release: `v${cloud(1)}` })).status, 201)
  t.equal((await session.call('GET', `/rollouts/cloud/v${cloud(1)}`)).status, 200)
})
