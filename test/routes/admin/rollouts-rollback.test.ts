// Taking a release back from every stage in one step, and the one step that comes after: unpin, or resume.
import t from 'tap'
import { at, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { cloud, codesOf, startRollouts, type RolloutSession } from '../../fixtures/rollout-session.ts'

const reason = 'it burns'
const GATES = { gatesAllow: ['127.0.0.1'] }
const gate = {
  name: 'errors',
  url: 'http://127.0.0.1:9090',
  query: 'errors',
  op: '<',
  threshold: 1,
  failures: 1,
} as const

function stage(name: string, more: Fields = {}): Fields {
  return { name, channels: [name], ...more }
}

async function promote(session: RolloutSession, day: number, ...stages: readonly string[]): Promise<void> {
  return promoteWith(session, {}, day, ...stages)
}

/** The same where channels are at versions of the other scheme. */
async function promoteOver(session: RolloutSession, day: number, ...stages: readonly string[]): Promise<void> {
  return promoteWith(session, { force: true, reason: 'to the Cloud releases' }, day, ...stages)
}

async function promoteWith(
  session: RolloutSession,
  more: Fields,
  day: number,
  ...stages: readonly string[]
): Promise<void> {
  for (const name of stages) {
    const reply = await session.step('promote', { stage: name, ...more }, day)
    if (reply.status !== 200) throw new Error(JSON.stringify(reply.body))
  }
}

t.test(
  'a dry run shows which channel goes from what to what; the rollback does exactly that, in one commit',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('canary'), { name: 'all', channels: ['a', 'b', 'c'] }, stage('rest')])
    await session.channel('other', cloud(0))
    await session.register(1)
    await promote(session, 1, 'canary')
    await session.register(2)
    await promote(session, 2, 'canary', 'all')
    await session.done('PUT', channelPath('b', '/version'), { version: cloud(3), reason })
    await session.done('PUT', channelPath('c', '/pin'), { version: cloud(0), reason: 'a debt' })
    const before = await session.digest()
    const dry = await session.call('POST', '/rollouts/cloud/rollback?dryRun=true', { reason, critical: true })
    t.equal(await session.digest(), before)
    const moves = [
      { channel: 'canary', from: cloud(2), to: cloud(1) },
      { channel: 'a', from: cloud(2), to: cloud(0) },
    ]
    const untouched = [
      { channel: 'b', why: `is at ${cloud(3)}, not at ${cloud(2)}` },
      { channel: 'c', why: `is pinned to ${cloud(0)} by admin already` },
    ]
    t.hasStrict(dry.body, { release: cloud(2), moves, untouched, dryRun: true })
    const back = await session.step('rollback', { reason, critical: true })
    t.hasStrict(back.body, {
      state: 'rolled back',
      moves,
      untouched,
      rollback: { reason, by: 'admin', channels: moves },
    })
    const entry = await session.lastEntry()
    t.hasStrict(entry, { kind: 'rollout.rollback', reason })
    const subjects = [`rollout/cloud/${cloud(2)}`, 'channel/canary', 'channel/a', `release/${cloud(2)}`]
    t.strictSame(
      subjects.filter((key) => !entry.subjects.includes(key)),
      [],
      'in one commit',
    )
    t.strictSame([await session.told('canary'), await session.told('a')], [cloud(1), cloud(0)])
    t.equal(await session.planes.asAgent('/v1/canary/critical'), 'yes')
    t.hasStrict(await session.done('GET', channelPath('canary')), { pin: { version: cloud(1), reason } })
    t.hasStrict(await session.done('GET', `/releases/${cloud(2)}`), { bad: { reason, by: 'admin' }, servedBy: [] })
    t.match(await session.rollout(2), {
      stages: [{ state: 'rolled back' }, { state: 'rolled back' }, { state: 'waiting' }],
    })
    t.strictSame(codesOf((await session.step('promote', {}, 2)).body).slice(0, 2), ['ended', 'bad'])
    const twice = await session.step('rollback', { reason }, 2)
    t.equal(twice.status, 409)
    t.equal(at(twice.body, 'code'), 'rollout_over')
  },
)

t.test(
  'a rollback is possible from every stage: during a ramp, while soaking, paused, done, superseded or withdrawn',
  async (t) => {
    const ramp = { rampPercent: [30], rampMinutes: 30, soakMinutes: 30 }
    for (const minutes of [0, 30, 60]) {
      const session = await startRollouts(t)
      await session.pipeline([stage('all', ramp)])
      await session.register(1)
      await promote(session, 1, 'all')
      await session.pass(minutes)
      const before = at(await session.stage(1, 0), 'state')
      t.equal(before, { 0: 'promoting', 30: 'soaking', 60: 'done' }[minutes])
      const back = await session.step('rollback', { reason })
      t.hasStrict(back.body, { moves: [{ channel: 'all', from: cloud(1), to: cloud(0) }] }, String(before))
      t.equal((await session.cohortsAt('all', cloud(0))).length, 100, 'every cohort goes back')
      t.equal(await session.told('all'), cloud(0))
      await session.pass(90)
      t.equal((await session.cohortsAt('all', cloud(0))).length, 100, 'and stays there')
    }
    for (const end of ['paused', 'superseded', 'withdrawn'] as const) {
      const session = await startRollouts(t)
      await session.pipeline([{ name: 'all', channels: ['a', 'b'], soakMinutes: 30 }])
      await session.register(1)
      await promote(session, 1, 'all')
      await session.register(2)
      if (end === 'paused') await session.step('pause', { reason }, 1)
      if (end === 'withdrawn') await session.done('POST', `/releases/${cloud(1)}/withdraw`, { reason })
      if (end === 'superseded') {
        await session.done('PUT', channelPath('b', '/halt'), { reason })
        await promote(session, 2, 'all')
      }
      const back = await session.step('rollback', { reason }, 1)
      t.equal(back.status, 200, end)
      const moved = end === 'superseded' ? ['b'] : ['a', 'b']
      t.match(
        await session.rollout(1),
        { rollback: { channels: moved.map((channel) => ({ channel, to: cloud(0) })) } },
        end,
      )
    }
  },
)

t.test(
  'it goes back to the last good release: past those that are bad, withdrawn or blocked, or to the one that is named',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('all')])
    for (const day of [1, 2, 3, 4]) {
      await session.register(day)
      await promote(session, day, 'all')
    }
    await session.done('POST', `/releases/${cloud(3)}/withdraw`, { reason })
    await session.done('PUT', `/blocked-versions/${cloud(2)}`, { reason })
    const dry = (to?: string) =>
      session.call('POST', '/rollouts/cloud/rollback?dryRun=true', { reason, ...(to && { to }) })
    t.hasStrict((await dry()).body, { release: cloud(4), moves: [{ to: cloud(1) }] })
    t.hasStrict((await dry(`v${cloud(0)}`)).body, { moves: [{ to: cloud(0) }] })
    t.equal(at((await dry(cloud(4))).body, 'errors', 0, 'field'), 'to')
    t.equal(at((await dry('15')).body, 'errors', 0, 'field'), 'to')
    const guarded = await dry(cloud(2))
    t.equal(guarded.status, 422)
    t.match(guarded.body, { code: 'guard_refused', guard: 'blocked-version', channels: [{ channel: 'all' }] })
    await session.done('PUT', `/blocked-versions/${cloud(1)}`, { reason })
    await session.done('PUT', `/blocked-versions/${cloud(0)}`, { reason })
    const lost = await session.step('rollback', { reason })
    t.hasStrict(lost.body, {
      state: 'rolled back',
      rollback: { channels: [{ channel: 'all', from: cloud(4), to: null }] },
    })
    t.match(await session.told('all'), /^404 /, 'its agents stay where they are')
  },
)

t.test(
  'where no good release is known agents are told to stay where they are, until somebody names a version',
  async (t) => {
    const session = await startRollouts(t)
    await session.channel('new', null)
    await session.pipeline([stage('new')])
    await session.register(1)
    await promote(session, 1, 'new')
    await session.channel('other', cloud(0))
    const named = await session.call('POST', '/rollouts/cloud/rollback?dryRun=true', { reason, to: cloud(0) })
    t.hasStrict(named.body, { moves: [{ channel: 'new', from: cloud(1), to: cloud(0) }] })
    const back = await session.step('rollback', { reason })
    t.hasStrict(back.body, { moves: [{ channel: 'new', from: cloud(1), to: null }] })
    t.hasStrict(await session.done('GET', channelPath('new')), { halt: { reason }, pin: null })
    t.match(await session.told('new'), /^404 /)
    const resumed = await session.step('resume', { reason: 'a false alarm' })
    t.equal(resumed.status, 200)
    t.equal(await session.told('new'), cloud(1))
  },
)

t.test('a release that has reached no channel cannot be taken back from any: nothing_reached', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all')])
  await session.register(1)
  const reply = await session.step('rollback', { reason }, 1)
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'nothing_reached')
  t.equal(at((await session.step('rollback', { reason })).body, 'code'), 'unknown_rollout')
  t.equal(at((await session.step('rollback', { reason: ' ' }, 1)).body, 'status'), 409)
})

t.test(
  'a release that only somebody has set by hand is found and taken back, in a stage that was not promoted',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('canary'), stage('all')])
    await session.register(1)
    await session.step('promote', { stage: 'canary' }, 1)
    await session.register(2)
    await session.done('PUT', channelPath('all', '/version'), { version: cloud(2), reason })
    t.equal(await session.told('all'), cloud(2))
    const reply = await session.step('rollback', { reason })
    t.equal(reply.status, 200)
    t.equal(at(reply.body, 'release'), cloud(2))
    t.not(await session.told('all'), cloud(2))
    t.equal(await session.told('canary'), cloud(1))
  },
)

t.test(
  'where the newest release is told to nobody any more, a rollback must name what it takes back: which_rollout',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('canary'), stage('all')])
    for (const [day, stages] of [
      [1, ['canary', 'all']],
      [2, ['canary']],
    ] as const) {
      await session.register(day)
      for (const name of stages) await session.step('promote', { stage: name }, day)
    }
    await session.done('PUT', channelPath('canary', '/version'), { version: cloud(1), reason, force: true })
    const before = await session.digest()
    const refused = await session.step('rollback', { reason })
    t.equal(refused.status, 409)
    t.hasStrict(refused.body, { code: 'which_rollout' })
    t.match(
      at(refused.body, 'detail'),
      new RegExp(`no channel tells ${cloud(2)} any more.*: ${cloud(1)} is told by some`),
    )
    t.equal(await session.digest(), before)
    t.equal((await session.step('rollback', { reason }, 1)).status, 200)
    t.equal(await session.told('all'), cloud(0))
  },
)

t.test('of releases of two schemes the one that is served is taken back, or must be named', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary'), stage('rest')])
  const force = { force: true, reason: 'off the Cloud releases' }
  const semver = { version: '15.4.2', commit: 'abcdef0' }
  await session.register(1)
  await promote(session, 1, 'canary', 'rest')
  await session.register(2, semver)
  t.equal((await session.step('promote', { stage: 'canary', release: '15.4.2' })).status, 422)
  for (const name of ['canary', 'rest']) {
    t.equal((await session.step('promote', { stage: name, release: '15.4.2', ...force })).status, 200)
    if (name === 'rest') continue
    const both = await session.step('rollback', { reason })
    t.equal(at(both.body, 'code'), 'which_rollout')
    for (const release of ['15.4.2', cloud(1)]) t.match(at(both.body, 'detail'), release)
  }
  t.hasStrict((await session.step('rollback', { reason })).body, { release: '15.4.2', state: 'rolled back' })
  t.strictSame([await session.told('canary'), await session.told('rest')], [cloud(1), cloud(1)])
})

t.test('one that has begun again is still taken back from the channels that it had reached before', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { soakMinutes: 5 }), stage('all')])
  for (const day of [1, 2]) {
    await session.register(day)
    await promote(session, day, 'canary')
  }
  await session.step('rollback', { reason }, 2)
  await session.step('unpin', { reason })
  t.equal((await session.call('POST', '/rollouts/cloud', { release: cloud(1) })).status, 201)
  t.equal(await session.told('canary'), cloud(1))
  const back = await session.step('rollback', { reason }, 1)
  t.equal(back.status, 200, JSON.stringify(back.body))
  t.equal(await session.told('canary'), cloud(0))
})

t.test('the guards of channels are asked: a lower major needs force, and force an admin', async (t) => {
  const session = await startRollouts(t)
  await session.channel('a', '14.9.0')
  await session.pipeline([{ name: 'all', channels: ['a', 'b'] }])
  await session.register(1)
  await promoteOver(session, 1, 'all')
  const { bob } = await session.people('bob')
  const before = await session.digest()
  const refused = await session.step('rollback', { reason }, null, bob)
  t.equal(refused.status, 422)
  t.match(refused.body, { code: 'guard_refused', channels: [{ channel: 'a', guard: 'major-downgrade' }] })
  t.match(at(refused.body, 'detail'), /nothing was done to any channel: a: 14\.9\.0 is a lower major/)
  const low = await session.step('rollback', { reason, force: true }, null, bob)
  t.equal(at(low.body, 'code'), 'role_too_low')
  t.equal(await session.digest(), before)
  t.equal((await session.step('rollback', { reason, force: true })).status, 200)
  t.strictSame([await session.told('a'), await session.told('b')], ['14.9.0', cloud(0)])
})

t.test('unpinning leaves agents where they are, in one commit, and the next release can be promoted', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['a', 'b', 'c'], rampPercent: [40] }])
  await session.register(1)
  await promote(session, 1, 'all')
  const early = await session.step('unpin', { reason }, 1)
  t.equal(early.status, 409)
  t.equal(at(early.body, 'code'), 'not_rolled_back')
  await session.step('rollback', { reason })
  await session.register(2)
  t.match((await session.step('promote', {}, 2)).body, { blockers: [{ code: 'channels', message: /a is pinned to/ }] })
  await session.planes.clock.advance(1)
  await session.done('PUT', channelPath('c', '/pin'), { version: cloud(0), reason: 'mine' })
  const dry = await session.call('POST', '/rollouts/cloud/unpin?dryRun=true', { reason: 'fixed' })
  const unpinned = await session.step('unpin', { reason: 'fixed' })
  for (const body of [dry.body, unpinned.body])
    t.match(body, { moves: [{ channel: 'a', from: cloud(0), to: cloud(0) }, {}], untouched: [{ channel: 'c' }] })
  t.hasStrict(await session.lastEntry(), { kind: 'rollout.unpin', reason: 'fixed' })
  t.equal((await session.cohortsAt('a', cloud(0))).length, 100, 'the ramp is not taken up again')
  t.hasStrict(await session.done('GET', channelPath('a')), { pin: null, ramp: null, source: { version: cloud(0) } })
  t.hasStrict(await session.done('GET', channelPath('c')), { pin: { reason: 'mine' } })
  for (const verb of ['unpin', 'resume'])
    t.equal(at((await session.step(verb, { reason }, 1)).body, 'code'), 'not_rolled_back', verb)
  t.equal((await session.step('promote', {}, 2)).status, 200)
})

t.test(
  'resuming takes the pins away and has the release go on where it was, a ramp too: it was not bad after all',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('all', { rampPercent: [40], rampMinutes: 10 }), stage('rest')])
    await session.register(1)
    await promote(session, 1, 'all')
    const reached = await session.cohortsAt('all', cloud(1))
    await session.pass(5)
    await session.step('rollback', { reason })
    await session.pass(60)
    const resumed = await session.step('resume', { reason: 'a false alarm' })
    t.hasStrict(resumed.body, {
      state: 'running',
      rollback: null,
      endedAt: null,
      stages: [{ state: 'promoting', percent: 40 }],
    })
    t.strictSame(await session.cohortsAt('all', cloud(1)), reached)
    t.equal(at(await session.done('GET', `/releases/${cloud(1)}`), 'bad'), null)
    t.hasStrict(await session.lastEntry(), { kind: 'rollout.resume', reason: 'a false alarm' })
    await session.pass(9)
    t.equal(at(await session.stage(1, 0), 'percent'), 40, 'the step begins anew')
    await session.pass(1)
    t.equal(await session.told('all'), cloud(1))
    t.equal((await session.step('promote')).status, 200)
  },
)

t.test('a release whose version was blocked meanwhile is not resumed', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all')])
  await session.register(1)
  await promote(session, 1, 'all')
  await session.step('rollback', { reason })
  await session.done('POST', `/releases/${cloud(1)}/withdraw`, { reason })
  const resumed = await session.step('resume', { reason })
  t.equal(resumed.status, 422)
  t.ok(codesOf(resumed.body).includes('withdrawn'), JSON.stringify(resumed.body))
  t.equal((await session.step('unpin', { reason })).status, 200)
})

t.test('what a gate had paused before it was rolled back goes on when it is resumed, in the same step', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('all', { soakMinutes: 5, gates: [gate] })])
  await session.register(1)
  await promote(session, 1, 'all')
  session.found = () => ({ verdict: 'failed', value: 9, detail: null })
  await session.look()
  t.equal(at(await session.stage(1, 0), 'state'), 'paused')
  await session.step('rollback', { reason })
  session.found = () => ({ verdict: 'passed', value: 0, detail: null })
  const resumed = await session.step('resume', { reason: 'the gate was wrong' })
  t.hasStrict(resumed.body, { state: 'running', paused: null, stages: [{ state: 'soaking' }] })
})

t.test('resuming one release never brings back another that was rolled back, too', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary'), stage('rest')])
  for (const day of [1, 2]) {
    await session.register(day)
    await promote(session, day, 'canary')
  }
  for (const day of [2, 1]) t.equal((await session.step('rollback', { reason }, day)).status, 200)
  t.equal(await session.told('canary'), cloud(0))
  await session.step('resume', { reason: 'a false alarm' }, 1)
  t.not(await session.told('canary'), cloud(2), 'it is bad')
})

t.test('a rollback that has ended is not meant by who resumes another rollout', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all'), stage('rest')])
  await session.register(1)
  await promote(session, 1, 'all')
  await session.step('pause', { reason }, 1)
  await session.step('rollback', { reason }, 1)
  await session.step('unpin', { reason }, 1)
  await session.register(2)
  await session.step('pause', { reason: 'lunch' }, 2)
  const resumed = await session.step('resume', { reason: 'after lunch' })
  t.equal(resumed.status, 200, JSON.stringify(resumed.body))
  t.equal(at(resumed.body, 'release'), cloud(2))
})

t.test(
  'a version that is named must be known here and older than what is taken back, unless an admin forces it',
  async (t) => {
    const session = await startRollouts(t)
    await session.channel('other', cloud(0))
    await session.done('PUT', channelPath('other', '/pin'), { version: '15.0.0-alpha.2', reason })
    await session.done('PUT', channelPath('other', '/halt'), { reason })
    await session.channel('old', '14.8.0')
    await session.pipeline([{ name: 'all', channels: ['a', 'old'] }])
    for (const day of [1, 2, 3, 4]) await session.register(day)
    await session.done('POST', `/releases/${cloud(1)}/withdraw`, { reason })
    await promoteOver(session, 3, 'all')
    const { bob } = await session.people('bob')
    const before = await session.digest()
    for (const [to, why] of [
      ['15.9.9', /to names 15\.9\.9, which no channel was told/],
      [cloud(1), /which no channel was told/],
      [cloud(4), new RegExp(`to is newer than ${cloud(3)}, and a rollback only goes back`)],
    ] as const) {
      const refused = await session.step('rollback', { reason, to }, 3, bob)
      t.equal(refused.status, 400)
      t.hasStrict(refused.body, { code: 'invalid_request', errors: [{ field: 'to' }] })
      t.match(at(refused.body, 'detail'), why)
      t.equal(at((await session.step('rollback', { reason, to, force: true }, 3, bob)).body, 'code'), 'role_too_low')
    }
    t.equal(await session.digest(), before)
    const dry = (to: string, force = false) =>
      session.call('POST', '/rollouts/cloud/rollback?dryRun=true', { reason, to, release: cloud(3), force })
    for (const [to, known] of [
      [cloud(2), 'a release that is good'],
      [cloud(0), 'what another channel would be at'],
      ['14.8.0', 'what one of its channels was moved from'],
      ['15.0.0-alpha.2', 'what a channel is pinned to'],
    ] as const)
      t.not((await dry(to)).status, 400, known)
    for (const to of ['15.9.9', cloud(4)]) t.equal((await dry(to, true)).status, 200, to)
    t.equal((await session.step('rollback', { reason, to: '15.9.9', force: true }, 3)).status, 200)
    t.equal(await session.told('a'), '15.9.9')
  },
)

t.test('a rollback says which channels of other pipelines, or of none, tell the release still', async (t) => {
  const session = await startRollouts(t)
  await session.channel('hand', cloud(0))
  await session.pipeline([stage('a')])
  await session.pipeline([stage('b', { rampPercent: [10] })], {}, 'edge')
  await session.register(1)
  const started = await session.step('promote', { stage: 'a' }, 1)
  t.notOk(Object.hasOwn(Object(started.body), 'servedBy'), 'no other step says so')
  await session.done('POST', '/rollouts/edge/promote', { stage: 'b' })
  await session.done('PUT', channelPath('hand', '/version'), { version: cloud(1), reason })
  const dry = await session.call('POST', '/rollouts/cloud/rollback?dryRun=true', { reason })
  const back = await session.step('rollback', { reason })
  for (const { body } of [dry, back]) t.strictSame(at(body, 'servedBy'), ['b', 'hand'])
  const edge = await session.done('POST', '/rollouts/edge/rollback', { reason })
  t.strictSame(at(edge, 'servedBy'), ['hand'])
})

t.test(
  'resuming in one pipeline names the channels that the rollback in another one keeps from the release',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('a')])
    await session.pipeline([{ name: 'all', channels: ['b', 'c'] }], {}, 'edge')
    await session.register(1)
    await promote(session, 1, 'a')
    await session.done('POST', '/rollouts/edge/promote', { stage: 'all' })
    await session.step('rollback', { reason })
    await session.done('POST', '/rollouts/edge/rollback', { reason })
    await session.planes.clock.advance(1)
    await session.done('PUT', channelPath('c', '/pin'), { version: cloud(0), reason: 'mine' })
    const dry = await session.call('POST', '/rollouts/cloud/resume?dryRun=true', { reason: 'it was fine' })
    const resumed = await session.step('resume', { reason: 'it was fine' })
    const why = 'stays pinned by the rollback in edge; resume or unpin it there'
    for (const { status, body } of [dry, resumed]) {
      t.equal(status, 200)
      t.strictSame(at(body, 'untouched'), [{ channel: 'b', why }])
    }
    t.strictSame([await session.told('a'), await session.told('b')], [cloud(1), cloud(0)])
    await session.done('POST', '/rollouts/edge/resume', { reason: 'there, too' })
    t.equal(await session.told('b'), cloud(1))
  },
)

t.test('a release is not given back to agents that it does not work with any more, nor unsigned', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { requireSignOff: true, soakMinutes: 600 }), stage('rest')], {
    grace: 'PT1H',
  })
  await session.channel('old', '15.0.0-alpha.1')
  const change = { id: '1', title: 'a faster handshake', author: 'ann' }
  await session.register(1, { minAgentVersion: cloud(0), changes: [change] })
  await session.signOff(1, '1')
  await promote(session, 1, 'canary')
  await session.step('rollback', { reason, to: '15.0.0-alpha.1' })
  await session.done('DELETE', `/releases/${cloud(1)}/changes/1/verify`, { reason })
  const before = await session.digest()
  for (const query of ['?dryRun=true', '']) {
    const held = await session.call('POST', `/rollouts/cloud/resume${query}`, { reason: 'it was fine' })
    t.equal(held.status, 422)
    t.strictSame(codesOf(held.body), ['compatibility', 'sign-off'])
    t.match(at(held.body, 'detail'), /canary has served 15\.0\.0-alpha\.1; 1 significant change not signed off: 1/)
  }
  t.equal(await session.digest(), before)
  await session.signOff(1, '1')
  t.strictSame(codesOf((await session.step('resume', { reason: 'it was fine' })).body), ['compatibility'])
  t.equal(await session.told('canary'), '15.0.0-alpha.1')
  await session.done('PATCH', `/releases/${cloud(1)}`, { minAgentVersion: '15.0.0-alpha.1', reason })
  t.equal((await session.step('resume', { reason: 'it was fine' })).status, 200)
  t.equal(await session.told('canary'), cloud(1))
})

t.test('a release that asks for a lowest agent is resumed where all of its agents have that', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary')], { grace: 'PT1H' })
  await session.register(1, { minAgentVersion: cloud(0) })
  await promote(session, 1, 'canary')
  await session.step('rollback', { reason })
  t.equal((await session.step('resume', { reason: 'it was fine' })).status, 200)
  t.equal(await session.told('canary'), cloud(1))
})

t.test(
  'a resume goes past no rules: where its pipeline or one of its channels is gone, only an unpin ends it',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([stage('a'), stage('b')])
    await session.register(1)
    await promote(session, 1, 'a')
    await session.step('rollback', { reason })
    await session.pipeline([stage('a')])
    await session.pipeline([stage('b', { approvals: 2 })], {}, 'edge')
    const taken = await session.step('resume', { reason: 'it was fine' })
    t.equal(taken.status, 409)
    t.hasStrict(taken.body, { code: 'channel_in_pipeline' })
    t.match(at(taken.body, 'detail'), /channel b is in the pipeline edge now.*; take it out of that one first/)
    await session.done('DELETE', '/pipelines/edge', { reason })
    const dry = await session.call('POST', '/rollouts/cloud/resume?dryRun=true', { reason: 'it was fine' })
    t.equal(dry.status, 200)
    await session.done('DELETE', '/pipelines/cloud', { reason })
    const gone = await session.step('resume', { reason: 'it was fine' })
    t.equal(gone.status, 404)
    t.hasStrict(gone.body, { code: 'unknown_pipeline' })
    t.equal(await session.told('a'), cloud(0))
    t.equal((await session.step('unpin', { reason: 'the fix is coming' })).status, 200)
    t.equal(at((await session.step('resume', { reason }, 1)).body, 'code'), 'not_rolled_back')
  },
)
