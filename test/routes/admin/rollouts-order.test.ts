// What rollouts mean to each other: a newer release overtakes an older one, nothing goes backwards, a request says which one
// it means, and two that come at the same time are carried out once.
import t from 'tap'
import { at, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { cloud, codesOf, startRollouts, type RolloutSession } from '../../fixtures/rollout-session.ts'

const reason = 'because'

function stage(name: string, more: Fields = {}): Fields {
  return { name, channels: [name], ...more }
}

async function statesOf(session: RolloutSession, ...days: readonly number[]): Promise<readonly unknown[]> {
  return Promise.all(days.map(async (day) => at(await session.rollout(day), 'state')))
}

t.test('a newer release supersedes the older ones that it overtakes, and the answer says which', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { soakMinutes: 10 }), stage('all')])
  for (const day of [1, 2, 3]) await session.register(day)
  t.equal((await session.step('promote', {}, 1)).status, 200)
  const dry = await session.call('POST', '/rollouts/cloud/promote?dryRun=true', { release: cloud(2), stage: 'canary' })
  t.hasStrict(dry.body, { superseded: [cloud(1)], dryRun: true })
  const promoted = await session.step('promote', {}, 2)
  t.hasStrict(promoted.body, { superseded: [cloud(1)], moves: [{ channel: 'canary', from: cloud(1), to: cloud(2) }] })
  t.hasStrict(await session.rollout(1), { state: 'superseded', supersededBy: cloud(2) })
  t.strictSame(await statesOf(session, 2, 3), ['running', 'running'], 'one that has not begun overtakes nobody')
  await session.pass(10)
  t.equal(at(await session.stage(2, 0), 'state'), 'done')
  t.equal((await session.step('promote', {}, 3)).status, 200)
  t.equal(at(await session.rollout(2), 'state'), 'running', 'one that is done there may go on')
  t.equal((await session.step('promote', { stage: 'all' }, 2)).status, 200)
  t.strictSame([await session.told('canary'), await session.told('all')], [cloud(3), cloud(2)])
  t.equal(at(await session.rollout(2), 'state'), 'done')
  for (const verb of ['promote', 'approve', 'pause', 'rebase']) {
    const over = await session.step(verb, verb === 'pause' ? { reason } : {}, 1)
    t.match(at(over.body, 'code'), verb === 'promote' ? 'held_back' : 'rollout_over')
    t.match(at(over.body, 'detail'), new RegExp(`superseded (?:by ${cloud(2)}|since 2026)`))
  }
})

t.test('rules of another shape do not end a rollout that is ahead of the newer one', async (t) => {
  const session = await startRollouts(t)
  const ramp = stage('internal', { rampPercent: [10], rampMinutes: 60 })
  await session.pipeline([stage('canary', { auto: true }), ramp])
  await session.register(1)
  await session.look()
  t.equal((await session.step('promote', { stage: 'internal' }, 1)).status, 200)
  await session.pipeline([stage('dev', { auto: true }), stage('canary', { auto: true }), ramp])
  await session.register(2)
  await session.look()
  t.strictSame([await session.told('dev'), await session.told('canary')], [cloud(2), cloud(2)])
  t.strictSame(await statesOf(session, 1, 2), ['running', 'running'])
  t.strictSame(codesOf(await session.stage(2, 2)), ['ramp'])
  await session.pass(61)
  t.strictSame(await statesOf(session, 1, 2), ['done', 'running'])
  t.equal((await session.step('promote', { stage: 'internal' }, 2)).status, 200)
})

t.test('a ramp that nobody takes further says how to end it, and that frees its channel', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all', { channels: ['c', 'd'], rampPercent: [10], rampMinutes: 60, soakMinutes: 60 })])
  await session.register(1)
  t.equal((await session.step('promote', {}, 1)).status, 200)
  await session.done('PUT', channelPath('c', '/pin'), { version: cloud(0), reason })
  await session.pass(61)
  await session.register(2)
  t.equal((await session.step('promote', {}, 2)).status, 200)
  t.strictSame(await statesOf(session, 1, 2), ['superseded', 'running'])
  await session.done('DELETE', channelPath('c', '/pin'), { reason })
  const held = await session.step('promote', { stage: 'all' }, 2)
  t.match(at(held.body, 'blockers'), [
    { code: 'ramp', message: /whose rollout is over; set it .* PUT …\/channels\/c\/version/ },
  ])
  await session.done('PUT', channelPath('c', '/version'), { version: cloud(0), reason, force: true })
  t.equal((await session.step('promote', { stage: 'all' }, 2)).status, 200)
  t.equal((await session.cohortsAt('c', cloud(2))).length, 10)
})

t.test('a release that is registered after a newer one has gone ahead is superseded from the start', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { auto: true }), stage('all')])
  await session.register(2)
  await session.look()
  const reply = await session.register(1)
  t.hasStrict(at(reply.body, 'rollouts'), [{ pipeline: 'cloud', state: 'superseded', supersededBy: cloud(2) }])
  await session.look()
  t.equal(await session.told('canary'), cloud(2))
})

t.test('a channel that is at something newer, or on the ramp of another release, holds the stage back', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all', { rampPercent: [10] })])
  await session.register(1)
  t.equal((await session.step('promote', {}, 1)).status, 200)
  await session.register(2)
  t.match((await session.step('promote', {}, 2)).body, {
    blockers: [{ code: 'ramp', message: `channel all is at 10 % of ${cloud(1)}; let that finish, or roll it back` }],
  })
  await session.pass(30)
  t.equal((await session.step('promote', {}, 2)).status, 200)
  await session.pass(30)
  await session.done('PUT', channelPath('all', '/version'), { version: cloud(9), reason })
  await session.register(3)
  t.strictSame(codesOf((await session.step('promote', {}, 3)).body), ['newer'])
})

t.test(
  'where several rollouts could be meant, the request must say which: which_rollout, unknown_rollout',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('canary'), stage('all')])
    const unknownPipeline = await session.call('POST', '/rollouts/nowhere/promote', { stage: 'canary' })
    t.equal(at(unknownPipeline.body, 'code'), 'unknown_pipeline')
    const none = await session.step('promote')
    t.equal(at(none.body, 'code'), 'unknown_rollout')
    for (const day of [1, 2]) await session.register(day)
    for (const [verb, body] of [
      ['promote', {}],
      ['promote', { stage: 'canary' }],
      ['approve', {}],
      ['pause', { reason }],
      ['rebase', {}],
    ] as const) {
      const reply = await session.step(verb, body)
      t.equal(reply.status, 409, verb)
      t.equal(at(reply.body, 'code'), 'which_rollout')
      t.ok(String(at(reply.body, 'detail')).includes(`${cloud(2)}, ${cloud(1)}`), 'it names them')
    }
    t.equal((await session.step('promote', {}, 1)).status, 200)
    const meant = await session.step('promote', { stage: 'all' })
    t.equal(at(meant.body, 'release'), cloud(1), 'only one has come to that stage')
    const missing = await session.step('promote', {}, 9)
    t.equal(missing.status, 404)
    t.equal(at(missing.body, 'code'), 'unknown_rollout')
    t.equal((await session.call('POST', '/rollouts/cloud/pause', { release: `v${cloud(2)}`, reason })).status, 200)
  },
)

t.test('two promotions of a stage at the same time commit once, and so do four with one key', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a', { soakMinutes: 5 }), stage('b')])
  await session.register(1)
  const { bob, eve } = await session.people('bob', 'eve')
  const promote = (who: { token: string }) => session.step('promote', { stage: 'a' }, 1, who)
  const both = await Promise.all([promote(bob), promote(eve)])
  t.strictSame(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 422],
  )
  const late = both.find(({ status }) => status === 422)
  t.match(late?.body, { blockers: [{ code: 'promoted', message: 'the stage was promoted already' }] })
  await session.pass(5)
  const keyed = { headers: { 'idempotency-key': 'k' } }
  const same = await Promise.all([1, 2, 3, 4].map(() => session.step('promote', { stage: 'b' }, 1, keyed)))
  t.strictSame(new Set(same.map(({ status }) => status)), new Set([200]))
  t.equal(same.filter(({ headers }) => headers['idempotency-replayed'] === undefined).length, 1)
  const kinds = (await session.journal()).map(({ kind }) => kind)
  t.equal(kinds.filter((kind) => kind === 'rollout.promote').length, 2)
})

t.test('a promotion that is sent twice promotes one stage, not two: the stage is always named', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a'), stage('b'), stage('c')])
  await session.register(1)
  const unnamed = await session.call('POST', '/rollouts/cloud/promote', {})
  t.match(unnamed, { status: 400, body: { code: 'invalid_request', errors: [{ field: 'stage' }] } })
  const both = await Promise.all([1, 2].map(() => session.step('promote', { stage: 'a' })))
  t.strictSame(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 422],
  )
  t.strictSame([await session.told('a'), await session.told('b')], [cloud(1), cloud(0)])
})

t.test(
  'a key that was used for one rollout does nothing to another, and says so: idempotency_key_reused',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('a')])
    await session.pipeline([stage('b')], {}, 'other')
    for (const day of [1, 2]) await session.register(day)
    const keyed = { headers: { 'idempotency-key': 'k' } }
    t.equal((await session.step('pause', { reason }, 1, keyed)).status, 200)
    const release = cloud(1)
    for (const [pipeline, body] of [
      ['other', { release, reason }],
      ['cloud', { release: cloud(2), reason }],
    ] as const) {
      const reply = await session.call('POST', `/rollouts/${pipeline}/pause`, body, keyed)
      t.equal(reply.status, 422, `another rollout, of ${pipeline}: ${String(at(reply.body, 'pipeline'))} was answered`)
      t.equal(at(reply.body, 'code'), 'idempotency_key_reused')
    }
    t.equal(at(await session.done('GET', `/rollouts/other/${release}`), 'paused'), null)
  },
)

t.test('If-Match on every step names the rollout as it was read: stale_write', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('a'), stage('b')])
  await session.register(1)
  t.equal((await session.step('promote')).status, 200)
  const before = await session.digest()
  for (const [verb, body] of [
    ['promote', {}],
    ['approve', {}],
    ['pause', { reason }],
    ['rebase', {}],
    ['rollback', { reason }],
    ['resume', { reason }],
    ['unpin', { reason }],
  ] as const) {
    const stale = await session.step(verb, body, 1, { headers: { 'if-match': '"1"' } })
    t.equal(stale.status, 412, verb)
    t.hasStrict(stale.body, { code: 'stale_write', current: { release: cloud(1), revision: 2 } })
    t.equal(stale.headers.etag, 'W/"2"')
  }
  t.equal(await session.digest(), before)
  t.equal((await session.step('promote', {}, 1, { headers: { 'if-match': '"2"' } })).status, 200)
})

t.test('a dry run of a promotion shows every move, and writes nothing', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['a', 'b'], rampPercent: [10] }])
  await session.register(1)
  await session.done('PUT', channelPath('b', '/halt'), { reason })
  const before = await session.digest()
  const dry = await session.call('POST', '/rollouts/cloud/promote?dryRun=true', { stage: 'all', reason })
  t.equal(dry.headers.etag, undefined)
  t.equal(await session.digest(), before)
  const real = await session.step('promote', { reason })
  t.strictSame(at(dry.body, 'moves'), at(real.body, 'moves'))
  t.hasStrict(dry.body, { revision: 2, moves: [{ channel: 'a' }], untouched: [{ channel: 'b' }], dryRun: true })
})

t.test(
  'a rollout that was superseded begins again once the newer one is rolled back; others exist: rollout_exists',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('canary', { auto: true, soakMinutes: 5, approvals: 1 }), stage('all')])
    const { bob } = await session.people('bob')
    const approve = (day: number) => session.step('approve', { stage: 'canary' }, day, bob)
    await session.register(1)
    await approve(1)
    await session.look()
    await session.register(2)
    await approve(2)
    await session.look()
    t.strictSame(await statesOf(session, 1, 2), ['superseded', 'running'])
    const begin = (day: number, query = '') =>
      session.call('POST', `/rollouts/cloud${query}`, { release: cloud(day), reason })
    const exists = await begin(2)
    t.equal(exists.status, 409)
    t.equal(at(exists.body, 'code'), 'rollout_exists')
    t.equal(at((await begin(9)).body, 'code'), 'unknown_release')
    t.equal((await session.step('rollback', { reason }, 2)).status, 200)
    t.equal(await session.told('canary'), cloud(1))
    t.equal((await session.step('unpin', { reason })).status, 200)
    const dry = await begin(1, '?dryRun=true')
    t.equal(dry.status, 200)
    const again = await begin(1)
    t.equal(again.status, 201)
    t.match(again.body, { state: 'running', stages: [{ state: 'ready', approvals: [{ by: /^bob\// }] }] })
    await session.look()
    t.hasStrict(await session.stage(1, 0), { state: 'soaking', moved: [{ channel: 'canary', before: cloud(0) }] })
    await session.pass(5)
    t.equal((await session.step('promote')).status, 200)
    t.equal(await session.told('all'), cloud(1))
  },
)
