// What a stage is watched by while it goes on: the steps of its ramp, its soaking, and its gates, which pause it.
import t from 'tap'
import type { GateReading } from '../../../src/rollouts/rollout.ts'
import { at, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { cloud, codesOf, listAt, MINUTE_MS, PASSED, startRollouts } from '../../fixtures/rollout-session.ts'

const reason = 'because'
const gate = {
  name: 'errors',
  url: 'http://127.0.0.1:9090',
  query: 'errors',
  op: '<',
  threshold: 1,
  failures: 2,
} as const
const GATES = { gatesAllow: ['127.0.0.1'] }

function stage(name: string, more: Fields = {}): Fields {
  return { name, channels: [name], ...more }
}

function failing(verdict: GateReading['verdict'], value: number | null, detail: string | null) {
  return () => ({ verdict, value, detail })
}

t.test(
  'a ramp tells more cohorts at every step, none of them twice another thing, and agents without one the last',
  async (t) => {
    const session = await startRollouts(t)
    const ramp = { rampPercent: [10, 50], rampMinutes: 30, soakMinutes: 60 }
    await session.pipeline([stage('all', ramp)])
    await session.register(1)
    const promoted = await session.step('promote')
    t.hasStrict(promoted.body, { moves: [{ channel: 'all', from: cloud(0), to: cloud(1) }] })
    let reached: readonly number[] = []
    for (const [percent, minutes] of [
      [10, 30],
      [50, 30],
    ] as const) {
      const now = await session.cohortsAt('all', cloud(1))
      t.equal(now.length, percent)
      t.ok(
        reached.every((cohort) => now.includes(cohort)),
        'no cohort goes back',
      )
      reached = now
      t.equal((await session.cohortsAt('all', cloud(0))).length, 100 - percent)
      t.equal(await session.told('all'), cloud(0))
      t.equal(await session.planes.asAgent(`/v1/webapi/automaticupgrades/channel/all/version`), `v${cloud(0)}`)
      const standing = await session.stage(1, 0)
      t.hasStrict(standing, { state: 'promoting', percent, leftBehind: [] })
      t.match(at(standing, 'blockers'), [{ code: 'time', message: /the next step of the ramp comes at 2026-/ }])
      const channel = await session.done('GET', channelPath('all'))
      t.hasStrict(channel, { ramp: { percent }, effective: { version: cloud(0), because: 'ramp' } })
      await session.pass(minutes - 1)
      t.equal(at(await session.stage(1, 0), 'percent'), percent)
      await session.pass(1)
    }
    t.equal((await session.cohortsAt('all', cloud(1))).length, 100)
    t.equal(await session.told('all'), cloud(1))
    t.hasStrict(await session.stage(1, 0), { state: 'soaking', percent: 100 })
    await session.pass(59)
    t.match(at(await session.stage(1, 0), 'blockers'), [{ code: 'time', message: /it soaks until 2026-03-01T02:00/ }])
    await session.pass(1)
    t.equal(at(await session.rollout(1), 'state'), 'done')
    const kinds = (await session.journal()).map(({ kind }) => kind).filter((kind) => kind.startsWith('rollout.'))
    t.strictSame(kinds, ['rollout.promote', 'rollout.step', 'rollout.step', 'rollout.soaked'])
  },
)

t.test('with plainPath first, agents without a cohort are told the release from the first step on', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('all', { rampPercent: [1], plainPath: 'first' })])
  await session.register(1)
  t.equal((await session.step('promote')).status, 200)
  t.equal(await session.told('all'), cloud(1))
  t.equal((await session.cohortsAt('all', cloud(1))).length, 1)
})

t.test(
  'a ramp waits for its window, for a sign-off that was taken back, and for a pin; it goes on without them',
  async (t) => {
    const session = await startRollouts(t)
    // It is Sunday, the first of March, 00:00 UTC.
    const window = { days: ['sun'], from: '00:00', to: '00:20', timeZone: 'UTC' }
    const rules = { rampPercent: [20], rampMinutes: 30, promoteWindow: window, requireSignOff: true }
    await session.pipeline([{ name: 'all', channels: ['a', 'b'], ...rules }])
    await session.register(1, { changes: [{ id: '7', title: 'A change', author: 'ada' }] })
    const verify = `/releases/${cloud(1)}/changes/7/verify`
    await session.signOff(1, '7')
    t.equal((await session.step('promote')).status, 200)
    await session.done('DELETE', verify)
    await session.done('PUT', channelPath('b', '/pin'), { version: cloud(0), reason })
    await session.pass(40)
    t.strictSame(codesOf(await session.stage(1, 0)), ['sign-off', 'window'])
    await session.signOff(1, '7')
    await session.pass(1)
    t.strictSame(codesOf(await session.stage(1, 0)), ['window'])
    t.equal((await session.cohortsAt('a', cloud(1))).length, 20)
    await session.planes.clock.advance(7 * 24 * HOUR_MS - 41 * MINUTE_MS)
    await session.look()
    t.equal(await session.told('a'), cloud(1))
    t.equal(await session.told('b'), cloud(0), 'whoever has pinned it has the last word')
    t.hasStrict(await session.rollout(1), { state: 'done', stages: [{ leftBehind: [{ channel: 'b' }] }] })
  },
)

t.test(
  'a stage soaks under its gates: its samples are shown, and it ends once they have passed to the end',
  async (t) => {
    const session = await startRollouts(t, GATES)
    await session.pipeline([stage('canary', { auto: true, soakMinutes: 5, gates: [gate] }), stage('all')])
    await session.register(1)
    session.found = () => ({ value: 0.25, verdict: 'passed', detail: null })
    await session.look()
    t.equal(session.asked[0]?.query, 'errors')
    await session.pass(3)
    const standing = await session.stage(1, 0)
    t.strictSame(at(standing, 'gates'), [
      {
        name: 'errors',
        op: '<',
        threshold: 1,
        samples: [0, 1, 2, 3].map((minute) => ({
          at: `2026-03-01T00:0${minute}:00.000Z`,
          value: 0.25,
          verdict: 'passed',
          detail: null,
        })),
      },
    ])
    t.strictSame(codesOf(standing), ['time'])
    const held = await session.step('promote', { stage: 'all' }, 1)
    t.match(at(held.body, 'blockers'), [{ code: 'stage-before', message: 'stage canary is soaking' }])
    await session.pass(2)
    t.equal(at(await session.stage(1, 0), 'state'), 'done')
    t.equal(listAt(await session.stage(1, 0), 'gates', 0, 'samples').length, 5, 'they are kept to be drawn')
    const asked = session.asked.length
    await session.pass(3)
    t.equal(session.asked.length, asked, 'nobody is asked any more')
  },
)

t.test('a gate that has passed too long ago says nothing of now: the stage waits for its next answer', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 5, gates: [gate] })])
  await session.register(1)
  await session.look()
  await session.planes.clock.advance(10 * MINUTE_MS)
  t.strictSame(codesOf(await session.stage(1, 0)), ['gates'])
  t.match(at(await session.stage(1, 0), 'blockers', 0, 'message'), /errors was last evaluated at 2026-03-01T00:00:00/)
  await session.look()
  t.hasStrict(
    await session.stage(1, 0),
    { state: 'soaking', since: '2026-03-01T00:10:00.000Z' },
    'that was not watched',
  )
  t.match(await session.lastEntry(), { reason: /gate errors was not evaluated since 2026-03-01T00:00:00/ })
  await session.pass(5)
  t.equal(at(await session.rollout(1), 'state'), 'done')
})

t.test(
  'a gate without traffic, with an error, or without an answer in time pauses as a failing one does, and says which',
  async (t) => {
    for (const [found, words] of [
      [failing('failed', 7.5, null), 'gate errors failed 2 times in a row: 7.5 is not < 1'],
      [failing('no data', null, 'the query has no series'), 'there is no data (the query has no series)'],
      [failing('error', null, 'HTTP 500'), 'it could not be evaluated (HTTP 500)'],
      [
        failing('timed out', null, 'the query was not answered in 10 s'),
        'gate errors failed 2 times in a row: the query was not answered in 10 s',
      ],
    ] as const) {
      const session = await startRollouts(t, GATES)
      const good = { ...gate, name: 'good' }
      await session.pipeline([stage('canary', { auto: true, soakMinutes: 60, gates: [good, gate] }), stage('all')])
      await session.register(1)
      session.found = ({ name }) => (name === 'good' ? PASSED : found())
      await session.look()
      t.match(at(await session.stage(1, 0), 'blockers'), [
        { code: 'time' },
        { code: 'gates', message: /2 in a row pause/ },
      ])
      await session.pass(1)
      const paused = await session.rollout(1)
      t.match(paused, { state: 'running', paused: { reason: words, by: 'bellwether', gate: 'errors' } })
      t.match(await session.lastEntry(), { kind: 'rollout.pause', reason: words })
      t.match(at(paused, 'stages', 0), { state: 'paused', blockers: [{ code: 'paused', message: words }] })
      const held = await session.step('promote', { stage: 'all' }, 1)
      t.strictSame(codesOf(held.body), ['paused', 'stage-before'])
      t.equal(await session.told('canary'), cloud(1), 'nothing is taken back')
      const entries = (await session.journal()).length
      await session.pass(5)
      t.equal((await session.journal()).length, entries, 'it waits for somebody')
    }
  },
)

t.test('a failure between two good answers does not pause', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 4, gates: [gate] })])
  await session.register(1)
  let asked = 0
  session.found = () => ((asked += 1) % 2 === 0 ? failing('failed', 9, null)() : PASSED)
  await session.look()
  await session.pass(5)
  t.hasStrict(await session.rollout(1), { state: 'done', paused: null })
})

t.test('resuming begins the soaking anew: what the gates found before says nothing of now', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 10, gates: [gate] })])
  await session.register(1)
  session.found = failing('failed', 9, null)
  await session.look()
  await session.pass(1)
  t.equal(at(await session.stage(1, 0), 'state'), 'paused')
  session.found = () => PASSED
  const notYet = await session.step('resume', { reason: ' ' })
  t.equal(at(notYet.body, 'errors', 0, 'field'), 'reason')
  await session.planes.clock.advance(HOUR_MS)
  const dry = await session.call('POST', '/rollouts/cloud/resume?dryRun=true', { reason: 'fixed' })
  t.hasStrict(dry.body, { paused: null, dryRun: true })
  const resumed = await session.step('resume', { reason: 'fixed' })
  t.hasStrict(resumed.body, { paused: null, stages: [{ state: 'soaking', since: '2026-03-01T01:01:00.000Z' }] })
  t.hasStrict(await session.lastEntry(), { kind: 'rollout.resume', reason: 'fixed' })
  t.strictSame(codesOf(await session.stage(1, 0)), ['time', 'gates'])
  await session.look()
  await session.pass(9)
  t.equal(at(await session.stage(1, 0), 'state'), 'soaking')
  await session.pass(1)
  t.equal(at(await session.rollout(1), 'state'), 'done')
})

t.test('the gates of a paused rollout are asked all the same, so that one sees when it may be resumed', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 10, gates: [gate] })])
  await session.register(1)
  session.found = failing('failed', 9, null)
  await session.look()
  await session.pass(2)
  const { body } = await session.call('GET', '/rollouts/cloud')
  t.match(body, { items: [{ stages: [{ state: 'paused' }] }] })
  session.found = () => PASSED
  await session.pass(2)
  const standing = await session.stage(1, 0)
  t.equal(at(standing, 'state'), 'paused', 'nothing goes on by itself')
  t.equal(at(listAt(standing, 'gates', 0, 'samples').at(-1), 'verdict'), 'passed')
})

t.test('time does not count while every channel of the stage is halted or moved by hand', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('all', { channels: ['a', 'b'], soakMinutes: 10 })])
  await session.register(1)
  await session.step('promote')
  await session.pass(8)
  await session.done('PUT', channelPath('a', '/halt'), { reason })
  await session.pass(1)
  t.hasStrict(await session.stage(1, 0), { since: '2026-03-01T00:00:00.000Z' }, 'b tells it still')
  await session.done('PUT', channelPath('b', '/pin'), { version: cloud(0), reason })
  await session.pass(60)
  const suspended = await session.stage(1, 0)
  t.hasStrict(suspended, { state: 'soaking', since: null })
  t.match(at(suspended, 'blockers'), [
    {
      code: 'channels',
      message:
        /no channel of the stage tells the release to as many agents as it had reached: a is halted by .*, b is pinned to/,
    },
  ])
  const kinds = (await session.journal()).map(({ kind }) => kind)
  t.equal(kinds.filter((kind) => kind === 'rollout.suspend').length, 1)
  await session.done('DELETE', channelPath('a', '/halt'), { reason })
  await session.pass(1)
  t.match(await session.lastEntry(), { kind: 'rollout.restart', reason: 'its channels tell agents again' })
  await session.pass(9)
  t.equal(at(await session.stage(1, 0), 'state'), 'soaking')
  await session.pass(1)
  t.hasStrict(await session.rollout(1), { state: 'done' })
})

t.test('metrics count the rollouts under way, and those that are paused or told to nobody, by pipeline', async (t) => {
  const session = await startRollouts(t)
  const counted = async () => {
    const { body } = await session.planes.control.inject('/metrics')
    return body.split('\n').filter((line) => line.startsWith('bellwether_rollouts'))
  }
  t.strictSame(await counted(), [])
  await session.pipeline([stage('all', { soakMinutes: 60 })])
  await session.register(1)
  await session.step('promote')
  await session.done('PUT', channelPath('all', '/halt'), { reason })
  await session.pass(1)
  t.strictSame(await counted(), [
    'bellwether_rollouts{pipeline="cloud"} 1',
    'bellwether_rollouts_paused{pipeline="cloud"} 0',
    'bellwether_rollouts_suspended{pipeline="cloud"} 1',
  ])
  await session.step('pause', { reason })
  t.strictSame((await counted()).slice(1), [
    'bellwether_rollouts_paused{pipeline="cloud"} 1',
    'bellwether_rollouts_suspended{pipeline="cloud"} 0',
  ])
})

t.test('a pin that has ended by the time of a step does not leave its channel behind', async (t) => {
  const session = await startRollouts(t)
  const { clock } = session.planes
  await session.pipeline([
    stage('all', { channels: ['a', 'b'], rampPercent: [10, 50], rampMinutes: 1, soakMinutes: 5 }),
  ])
  await session.register(1)
  await session.step('promote')
  await session.done('PUT', channelPath('b', '/halt'), { reason })
  const until = new Date(clock.now() + MINUTE_MS - 300).toISOString()
  await session.done('PUT', channelPath('a', '/pin'), { version: cloud(1), reason, until })
  // Nobody has journaled its end: the driver is the first to look after it.
  await session.pass(1)
  t.hasStrict(await session.stage(1, 0), { percent: 50, leftBehind: [{ channel: 'b' }] })
  t.equal((await session.cohortsAt('a', cloud(1))).length, 50)
  await session.pass(6)
  t.hasStrict(await session.rollout(1), { state: 'done' })
})

t.test('a gate that fails during a ramp pauses it where it is, and resuming begins the step anew', async (t) => {
  const session = await startRollouts(t, GATES)
  await session.pipeline([stage('all', { rampPercent: [25], rampMinutes: 10, gates: [gate] })])
  await session.register(1)
  t.equal((await session.step('promote')).status, 200)
  session.found = failing('failed', 9, null)
  await session.look()
  await session.pass(15)
  t.hasStrict(await session.stage(1, 0), { state: 'paused', percent: 25 })
  t.equal((await session.cohortsAt('all', cloud(1))).length, 25)
  session.found = () => PASSED
  t.equal((await session.step('resume', { reason })).status, 200)
  await session.look()
  await session.pass(9)
  t.equal(at(await session.stage(1, 0), 'percent'), 25)
  await session.pass(1)
  t.equal(await session.told('all'), cloud(1))
})

t.test('whoever pauses a rollout stops it where it is: not_paused, rollout_over', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([stage('canary', { auto: true }), stage('all', { rampPercent: [25], rampMinutes: 10 })])
  await session.register(1)
  const notPaused = await session.step('resume', { reason }, 1)
  t.equal(notPaused.status, 409)
  t.equal(at(notPaused.body, 'code'), 'not_paused')
  t.equal((await session.step('pause', { reason: 'lunch' })).status, 200)
  await session.pass(1)
  t.equal(await session.told('canary'), cloud(0), 'an automatic stage waits, too')
  t.equal((await session.step('resume', { reason })).status, 200)
  await session.look()
  t.equal((await session.step('promote')).status, 200)
  t.equal((await session.step('pause', { reason: 'lunch' })).status, 200)
  await session.pass(20)
  t.equal((await session.cohortsAt('all', cloud(1))).length, 25)
  t.equal((await session.step('resume', { reason })).status, 200)
  await session.pass(10)
  t.equal(at(await session.rollout(1), 'state'), 'done')
  const over = await session.step('pause', { reason }, 1)
  t.equal(over.status, 409)
  t.equal(at(over.body, 'code'), 'rollout_over')
})

t.test('a release that has no series yet is waited for within the initial delay, and pauses after it', async (t) => {
  const session = await startRollouts(t, GATES)
  const delayed = { ...gate, initialDelayMinutes: 3 }
  await session.pipeline([stage('canary', { auto: true, soakMinutes: 1, gates: [delayed] })])
  await session.register(1)
  session.found = failing('no data', null, 'the query gives no series')
  await session.look()
  await session.pass(2)
  const waiting = await session.rollout(1)
  t.match(waiting, { state: 'running', paused: null })
  const message =
    'gate errors has no data yet (the query gives no series); until 2026-03-01T00:03:00.000Z that is no failure'
  t.match(at(waiting, 'stages', 0), { state: 'soaking', blockers: [{ code: 'gates', message }] }, 'its soaking is over')
  t.match(at(waiting, 'stages', 0, 'rules', 'gates'), [{ initialDelayMinutes: 3 }])
  await session.pass(1)
  t.match(at(await session.stage(1, 0), 'blockers', 0, 'message'), /failed once: there is no data/)
  await session.pass(1)
  t.match(at(await session.rollout(1), 'paused'), {
    gate: 'errors',
    reason: /failed 2 times in a row: there is no data/,
  })
  t.equal((await session.step('resume', { reason })).status, 200)
  await session.pass(2)
  t.match(await session.rollout(1), { paused: null }, 'the soaking begins anew, and so does the delay')
  session.found = () => PASSED
  await session.pass(1)
  t.equal(at(await session.rollout(1), 'state'), 'done')
})
