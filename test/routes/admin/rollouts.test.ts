// Rollouts over the API: begun, driven to canary, held back in words, approved and promoted, with the agents of both planes
// looking on. Gates and ramps are in rollouts-gates.test.ts, what one release means to another in rollouts-order.test.ts.
import t from 'tap'
import { driveRollouts } from '../../../src/control/drive-rollouts.ts'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { at, itemsOf, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { cloud, codesOf, listAt, MINUTE_MS, PASSED, startRollouts } from '../../fixtures/rollout-session.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'
import { silent } from '../../fixtures/silent-log.ts'

const reason = 'because'

/** A stage of one channel with this name. */
function stage(name: string, more: Fields = {}): Fields {
  return { name, channels: [name], ...more }
}

t.test('a registered release lands on canary by itself, and waits there for whoever promotes it further', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 10 }), stage('all')])
  const stop = driveRollouts(session.planes.deps, async () => PASSED, silent)
  await session.register(1)
  t.equal(await session.told('canary'), cloud(0))
  await session.planes.clock.advance(1_000)
  t.equal(await session.told('canary'), cloud(1))
  t.hasStrict(await session.lastEntry(), {
    kind: 'rollout.promote',
    subjects: [`rollout/cloud/${cloud(1)}`, 'channel/canary'],
    reason: 'stage canary is promoted by itself',
  })
  await session.planes.clock.advance(10 * MINUTE_MS - 1)
  t.equal(at(await session.stage(1, 0), 'state'), 'soaking')
  await session.planes.clock.advance(1_000)
  t.hasStrict(await session.rollout(1), { state: 'running', stages: [{ state: 'done' }, { state: 'ready' }] })
  await session.planes.clock.advance(HOUR_MS)
  t.equal(await session.told('all'), cloud(0), 'nobody has promoted it')
  await stop()
})

t.test('a rollout is shown with its stages, the newest release first, page by page', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary'), { name: 'all', channels: ['b', 'c'] }])
  for (const day of [2, 3, 1]) await session.register(day)
  const reply = await session.call('GET', `/rollouts/cloud/${cloud(2)}`)
  t.match(reply.headers.etag, /^"1\.[0-9a-f]{16}"$/)
  t.hasStrict(reply.body, {
    pipeline: 'cloud',
    release: cloud(2),
    revision: 1,
    state: 'running',
    startedBy: 'admin',
    endedAt: null,
    pipelineRevision: 1,
    paused: null,
    supersededBy: null,
    rollback: null,
    stages: [
      { name: 'canary', state: 'ready', blockers: [], percent: 0, channels: ['canary'], moved: [], leftBehind: [] },
      { name: 'all', state: 'waiting', channels: ['b', 'c'], approvals: [], gates: [] },
    ],
  })
  const first = await session.done('GET', '/rollouts/cloud?limit=2')
  const second = await session.done('GET', `/rollouts/cloud?cursor=${String(at(first, 'next'))}`)
  const releases = [...itemsOf(first), ...itemsOf(second)].map((item) => at(item, 'release'))
  t.strictSame(releases, [cloud(3), cloud(2), cloud(1)])
  t.equal(at(second, 'next'), null)
  t.strictSame(itemsOf(first)[1], reply.body)
  t.equal(at((await session.call('GET', '/rollouts/cloud?cursor=x')).body, 'errors', 0, 'field'), 'cursor')
  const unknown = await session.call('GET', `/rollouts/cloud/${cloud(9)}`)
  t.equal(unknown.status, 404)
  t.equal(at(unknown.body, 'code'), 'unknown_rollout')
})

t.test('everything that holds a stage back is named at once, in words: held_back', async (t) => {
  const session = await startRollouts(t)
  await session.channel('follower', null)
  const upstream = { kind: 'forward', url: 'https://origin.example/v1/stable/cloud' }
  await session.done('PATCH', channelPath('follower'), { source: upstream })
  const window = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'UTC' }
  const rules = { requireSignOff: true, approvals: 2, promoteWindow: window }
  const channels = ['all', 'newer', 'low', 'other', 'absent', 'follower']
  await session.channel('newer', cloud(5))
  await session.channel('low', cloud(0))
  await session.done('PATCH', channelPath('low'), { ceiling: cloud(0) })
  await session.channel('other', '15.0.0')
  await session.channel('all', cloud(0))
  await session.channel('canary', cloud(0))
  await session.done('PUT', '/pipelines/cloud', { stages: [stage('canary'), { name: 'all', channels, ...rules }] })
  const changes = ['7', '8', '9'].map((id) => ({ id, title: 'A change', author: 'ada', significant: id !== '9' }))
  await session.register(1, { changes, minAgentVersion: cloud(1) })
  t.equal((await session.step('pause', { reason: 'wait' })).status, 200)
  const reply = await session.step('promote', { stage: 'all' }, 1)
  t.equal(reply.status, 422)
  t.hasStrict(reply.body, { code: 'held_back', stage: 'all' })
  const blockers = listAt(reply.body, 'blockers')
  t.match(blockers, [
    { code: 'paused', message: /paused by admin at .*: wait; resume it first/ },
    { code: 'packages', message: /no package .* POST …\/artifacts/ },
    { code: 'stage-before', message: 'stage canary is not promoted yet' },
    { code: 'sign-off', message: '2 significant changes not signed off: 7, 8' },
    { code: 'approvals', message: '0 of 2 approvals; those who cut or wrote the release do not count' },
    { code: 'window', message: 'mon from 09:00 to 17:00 (UTC)' },
    { code: 'compatibility', message: /but within the grace period .*low has served 15\.0\.0-cloud/ },
    { code: 'newer', message: `channel newer is at ${cloud(5)}, which is newer` },
    { code: 'guard', message: /channel low: .* above the channel's ceiling/ },
    { code: 'newer', message: `channel other is at 15.0.0, and neither that nor ${cloud(1)} is the newer release` },
    { code: 'channels', message: 'there is no channel absent; create it' },
    { code: 'channels', message: 'channel follower follows https://origin.example' },
  ])
  t.equal(blockers.length, 12)
  const said = blockers.map((blocker) => String(at(blocker, 'message'))).join('; ')
  t.equal(at(reply.body, 'detail'), `stage all is held back: ${said}`)
  t.strictSame(codesOf(await session.stage(1, 1)), codesOf(reply.body))
  await session.done('PUT', `/blocked-versions/${cloud(1)}`, { reason })
  t.ok(codesOf(await session.stage(1, 1)).includes('blocked'))
  const dry = await session.call('POST', '/rollouts/cloud/promote?dryRun=true', { release: cloud(1), stage: 'all' })
  t.equal(dry.status, 422)
  const unknown = await session.step('promote', { stage: 'nowhere' }, 1)
  t.equal(unknown.status, 404)
  t.equal(at(unknown.body, 'code'), 'unknown_stage')
})

t.test(
  'a release nobody has named the changes of is not signed off; once they are, every significant one counts',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('all', { requireSignOff: true })])
    await session.register(1, { changes: undefined })
    t.match(at(await session.stage(1, 0), 'blockers'), [{ code: 'sign-off', message: /nobody has said which changes/ }])
    const changes = ['7', '8', '9'].map((id) => ({ id, title: 'A change', author: 'ada', significant: id !== '9' }))
    await session.done('PATCH', `/releases/${cloud(1)}`, { changes })
    await session.signOff(1, '7')
    t.match(at(await session.stage(1, 0), 'blockers'), [{ message: '1 significant change not signed off: 8' }])
    await session.done('POST', `/releases/${cloud(1)}/changes/8/withdraw`, { reason })
    t.equal(at(await session.stage(1, 0), 'state'), 'ready')
    await session.done('DELETE', `/releases/${cloud(1)}/changes/7/verify`)
    t.equal((await session.step('promote')).status, 422)
  },
)

t.test(
  'a stage is approved by so many people, each counted once, and never by who cut the release: not_approver',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('all', { approvals: 2 })])
    const { ci, bob, eve } = await session.people('ci', 'bob', 'eve')
    const [ci2, bob2] = [{ token: await session.token('admin', null, null, 'CI') }, (await session.people('bob')).bob]
    await session.register(1, {}, ci)
    for (const who of [ci, ci2]) {
      const refused = await session.step('approve', {}, null, who)
      t.equal(refused.status, 409)
      t.equal(at(refused.body, 'code'), 'not_approver')
    }
    const first = await session.step('approve', { reason: 'looks good' }, null, bob)
    t.match(first.body, { revision: 2, stages: [{ approvals: [{ by: /^bob\// }] }] })
    t.hasStrict(await session.lastEntry(), { kind: 'rollout.approve', reason: 'looks good' })
    await session.step('approve', {}, null, bob2)
    t.match(at(await session.stage(1, 0), 'blockers'), [{ code: 'approvals', message: /^1 of 2 approvals/ }])
    t.equal((await session.step('promote')).status, 422)
    t.equal((await session.step('approve', {}, null, eve)).status, 200)
    t.equal(at(await session.stage(1, 0), 'state'), 'ready')
    t.equal((await session.step('promote', {}, null, ci)).status, 200, 'who cut it may promote what others approved')
    const over = await session.step('approve', {}, 1, eve)
    t.equal(over.status, 409)
    t.equal(at(over.body, 'code'), 'rollout_over')
  },
)

t.test('an approval does not count once the release is another than what was approved: other_edition', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all', { approvals: 1 })])
  await session.register(1)
  const { bob } = await session.people('bob')
  await session.step('approve', {}, null, bob)
  t.equal(at(await session.stage(1, 0), 'state'), 'ready')
  const release = `/releases/${encodeURIComponent(cloud(1))}`
  await session.done('PATCH', release, { notesUrl: 'https://notes.example/1' })
  t.equal(at(await session.stage(1, 0), 'state'), 'ready', 'the notes are not in it')
  const edited = await session.done('PATCH', release, { changes: [{ id: '9', title: 'more', author: 'ann' }] })
  t.hasStrict(edited, { edition: 2 })
  t.match(at(await session.stage(1, 0), 'blockers'), [
    { code: 'approvals', message: /^0 of 1 approval;.* nor does who approved it before it was edited$/ },
  ])
  t.equal((await session.step('promote')).status, 422)
  const late = await session.step('approve', { edition: 1 }, null, bob)
  t.equal(late.status, 409)
  t.hasStrict(late.body, { code: 'other_edition' })
  const again = await session.step('approve', { edition: 2 }, null, bob)
  t.match(again.body, { stages: [{ state: 'ready', approvals: [{ by: /^bob\//, edition: 2 }] }] })
  t.equal(listAt(again.body, 'stages', 0, 'approvals').length, 1)
  t.equal((await session.step('promote')).status, 200)
})

t.test(
  'an approval that is there already changes nothing, and is answered with the revision that is there',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('all', { approvals: 2 })])
    await session.register(1)
    const { bob } = await session.people('bob')
    await session.step('approve', {}, null, bob)
    const before = await session.digest()
    const again = await session.step('approve', {}, null, bob)
    t.equal(await session.digest(), before)
    t.equal(again.headers.etag, 'W/"2"')
    t.equal(at(again.body, 'revision'), at(await session.rollout(1), 'revision'))
  },
)

t.test(
  'a stage with a window is promoted while it is open, a forgotten one too, and by itself where it is automatic',
  async (t) => {
    const session = await startRollouts(t)
    // It is Sunday, the first of March.
    const window = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'Europe/Berlin' }
    await session.pipeline([
      stage('canary', { auto: true, promoteWindow: window }),
      stage('all', { promoteWindow: window }),
    ])
    await session.register(1)
    await session.look()
    t.match(at(await session.stage(1, 0), 'blockers'), [{ code: 'window', message: /mon from 09:00 to 17:00/ }])
    await session.planes.clock.advance(32 * HOUR_MS - 1)
    await session.look()
    t.equal(await session.told('canary'), cloud(0))
    await session.planes.clock.advance(1)
    await session.look()
    t.equal(await session.told('canary'), cloud(1), 'at 08:00 UTC')
    await session.planes.clock.advance(8 * HOUR_MS)
    t.strictSame(codesOf((await session.step('promote')).body), ['window'])
    await session.planes.clock.advance(-MINUTE_MS)
    t.equal((await session.step('promote')).status, 200)
  },
)

t.test('only a security release is promoted as critical: not_security', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a'), stage('b')])
  await session.register(1)
  const refused = await session.step('promote', { critical: true })
  t.equal(refused.status, 409)
  t.equal(at(refused.body, 'code'), 'not_security')
  await session.done('PATCH', `/releases/${cloud(1)}`, { security: { fixes: ['CVE-2026-0001'] } })
  t.equal((await session.step('promote', { critical: true })).status, 200)
  t.equal(await session.planes.asAgent('/v1/a/critical'), 'yes')
  t.equal(at(await session.stage(1, 0), 'critical'), true)
  t.equal((await session.step('promote')).status, 200)
  t.equal(await session.planes.asAgent('/v1/b/critical'), 'no')
})

t.test(
  'pinned and halted channels are left behind and named; promoting again takes those along that are free',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([{ name: 'all', channels: ['a', 'b', 'c'], soakMinutes: 60 }])
    await session.register(1)
    await session.done('PUT', channelPath('b', '/pin'), { version: cloud(0), reason: 'a debt' })
    await session.done('PUT', channelPath('c', '/halt'), { reason: 'a fire' })
    const promoted = await session.step('promote')
    const left = [
      { channel: 'b', why: `is pinned to ${cloud(0)} by admin: a debt` },
      { channel: 'c', why: 'is halted by admin: a fire' },
    ]
    t.hasStrict(promoted.body, { moves: [{ channel: 'a', from: cloud(0), to: cloud(1) }], untouched: left })
    t.strictSame(at(await session.stage(1, 0), 'leftBehind'), left)
    t.strictSame([await session.told('a'), await session.told('b')], [cloud(1), cloud(0)])
    const nothing = await session.step('promote', { stage: 'all' })
    t.match(at(nothing.body, 'blockers'), [
      { code: 'promoted', message: /nothing is left to promote: b is pinned.*c is/ },
    ])
    await session.done('DELETE', channelPath('b', '/pin'), { reason })
    await session.planes.clock.advance(MINUTE_MS)
    const late = await session.step('promote', { stage: 'all' })
    t.hasStrict(late.body, { moves: [{ channel: 'b' }], untouched: [{ channel: 'c' }], stages: [{ state: 'soaking' }] })
    await session.pass(60)
    t.equal(at(await session.rollout(1), 'state'), 'done')
    await session.done('DELETE', channelPath('c', '/halt'), { reason })
    t.equal((await session.step('promote', { stage: 'all' }, 1)).status, 200, 'after its end, too')
    t.equal(await session.told('c'), cloud(1))
    t.strictSame(at(await session.stage(1, 0), 'leftBehind'), [])
    t.match(at((await session.step('promote', {}, 1)).body, 'blockers'), [
      { message: 'the stage was promoted already' },
    ])
  },
)

t.test(
  'a channel that comes late while its stage soaks is asked whether the release works with its agents',
  async (t) => {
    const session = await startRollouts(t)
    await session.channel('old', '14.0.0')
    const canary = stage('canary', { auto: true, soakMinutes: 60 })
    await session.pipeline([canary])
    await session.register(1, { minAgentVersion: '15.0.0-0' })
    await session.look()
    t.match(await session.stage(1, 0), { state: 'soaking' })
    await session.pipeline([{ ...canary, channels: ['canary', 'old'] }])
    t.equal((await session.step('rebase', {}, 1)).status, 200)
    const late = await session.step('promote', { stage: 'canary' }, 1)
    t.match(at(late.body, 'blockers'), [{ code: 'compatibility', message: /old has served 14\.0\.0$/ }])
    t.equal(await session.told('old'), '14.0.0')
    await session.pass(61)
    t.match(await session.stage(1, 0), { state: 'done' }, 'the end of the soaking asks nothing of that')
  },
)

t.test('a stage of which no channel is free is not promoted', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all')])
  await session.register(1)
  await session.done('PUT', channelPath('all', '/halt'), { reason })
  const reply = await session.step('promote')
  t.match(at(reply.body, 'blockers'), [{ code: 'channels', message: /no channel would move: all is halted/ }])
})

t.test('a step that was committed is answered as done though the store cannot be read any more', async (t) => {
  let isAway = false
  const failing = async <T>(reading: () => Promise<T>): Promise<T> => {
    if (isAway) throw new StoreUnavailable('the test says so')
    return reading()
  }
  const session = await startRollouts(t, {
    gatesAllow: ['gates.example'],
    wrapStore: (store) =>
      wrapped(store, {
        async commit(change) {
          const committed = await store.commit(change)
          isAway = change.kind.startsWith('rollout.')
          return committed
        },
        journal: (query) => failing(() => store.journal(query)),
        journalBegins: () => failing(() => store.journalBegins()),
      }),
  })
  const { coordination } = session.planes.deps
  const noted = coordination.noted.bind(coordination)
  Object.assign(coordination, { noted: (topic: string) => failing(() => noted(topic)) })
  const gate = {
    name: 'up',
    url: 'http://gates.example',
    query: 'up',
    op: '>',
    threshold: 0,
    everySeconds: 60,
    failures: 1,
  }
  await session.pipeline([stage('all', { soakMinutes: 5, gates: [gate] }), stage('rest')])
  await session.register(1, { minAgentVersion: '15.0.0-0' })
  const promoted = await session.step('promote', { stage: 'all' }, 1)
  t.equal(promoted.status, 200, JSON.stringify(promoted.body))
  t.equal(await session.told('all'), cloud(1))
  // What channels have served is asked of no store.
  t.strictSame(codesOf(at(promoted.body, 'stages', 1)), ['stage-before'])
  const paused = await session.call('POST', '/rollouts/cloud/pause', { release: cloud(1), reason })
  t.equal(paused.status, 200, JSON.stringify(paused.body))
  t.equal((await session.call('GET', '/rollouts/cloud')).status, 200)
})
