// What a rollout does by itself: one thing at a time, and never while a gate fails.
import t from 'tap'
import type { Channel } from '../../src/channels/channel.ts'
import {
  advance,
  isHeldBack,
  samplesOf,
  stageUnderWay,
  waitBlockers,
  type Advance,
  type GateSamples,
} from '../../src/rollouts/advance.ts'
import type { StageFacts } from '../../src/rollouts/conditions.ts'
import type { StageRules } from '../../src/rollouts/pipeline.ts'
import type { Rollout, StageProgress } from '../../src/rollouts/rollout.ts'
import {
  accept,
  blocking,
  channelOf,
  frozen,
  HALT,
  inHours,
  NOW,
  pinOf,
  sourceOf,
} from '../fixtures/channel-samples.ts'
import {
  BEFORE,
  channelsByName,
  codesOf,
  doneWith,
  inMinutes,
  MINUTE_MS,
  movedFrom,
  RELEASE,
  sampleAt,
  someFacts,
  someGate,
  someRelease,
  someRollout,
  someStage,
  underWay,
} from '../fixtures/rollout-samples.ts'

const PAUSED = { reason: 'logins fail', by: 'ada', at: inHours(-1), gate: null }
const RAMP: Partial<StageRules> = { channels: ['a', 'b'], rampPercent: [10, 50], rampMinutes: 30, soakMinutes: 60 }

/** A rollout of one stage that ramps or soaks, over channels as it has left them. */
function oneStage(rules: Partial<StageRules>, progress: Partial<StageProgress>, more: Partial<Rollout> = {}): Rollout {
  return someRollout([{ rules: someStage('all', { channels: ['a'], ...rules }), progress }], more)
}

function there(name: string, more: Partial<Channel> = {}): Channel {
  return channelOf({ name, source: sourceOf(RELEASE), ...more })
}

function ramping(name: string, percent: number, more: Partial<Channel> = {}): Channel {
  const before = { version: BEFORE, critical: false, criticalUntil: null }
  const ramp = { seed: `cloud/${RELEASE}`, percent, plainPath: 'last', before } as const
  return there(name, { ramp, lastServed: BEFORE, ...more })
}

interface Case {
  /** Minutes after NOW, at which the step or the soaking under way began. */
  readonly minutes?: number
  readonly channels?: readonly Channel[]
  readonly samples?: GateSamples
  readonly facts?: Partial<StageFacts>
}

function next(
  rollout: Rollout,
  { minutes = 0, channels = [there('a')], samples = {}, facts = {} }: Case = {},
): Advance {
  const known = someFacts(rollout, { channels: channelsByName(...channels), now: NOW + minutes * MINUTE_MS, ...facts })
  return advance(frozen(known), frozen(samples), { actor: 'bellwether' })
}

/** The codes of what it waits for. */
function waitsFor(rollout: Rollout, more: Case = {}) {
  const found = next(rollout, more)
  if (found.outcome === 'waits') return codesOf(found.blockers)
  throw new Error(`it does not wait: ${JSON.stringify(found)}`)
}

/** The step that it takes. */
function stepOf(rollout: Rollout, more: Case): Extract<Advance, { outcome: 'steps' }> {
  const found = next(rollout, more)
  if (found.outcome === 'steps') return found
  throw new Error(`it takes no step: ${JSON.stringify(found)}`)
}

t.test('the stage under way is the last one that was promoted until it is done, then the next', async (t) => {
  const at = (...states: readonly StageProgress['state'][]) =>
    stageUnderWay(someRollout(states.map((state, index) => ({ rules: someStage(`s${index}`), progress: { state } }))))
  t.equal(at('waiting', 'waiting'), 0)
  t.equal(at('promoting', 'waiting'), 0)
  t.equal(at('soaking', 'waiting'), 0)
  t.equal(at('done', 'waiting'), 1)
  t.equal(at('done', 'soaking'), 1)
  t.equal(at('done', 'done'), null)
})

t.test('an automatic stage may be promoted, any other waits for somebody', async (t) => {
  t.strictSame(next(oneStage({ auto: true }, {})), { outcome: 'may-promote', index: 0 })
  t.strictSame(next(oneStage({}, {})), { outcome: 'waits', blockers: [] })
  const second = someRollout([
    { rules: someStage('a'), progress: doneWith('a') },
    { rules: someStage('b', { auto: true }) },
  ])
  t.strictSame(next(second), { outcome: 'may-promote', index: 1 })
})

t.test('a rollout that has ended does nothing, and a paused one nothing but wait', async (t) => {
  const ramp = underWay('promoting', 10, 'a', 'b')
  for (const state of ['superseded', 'rolled back', 'withdrawn'] as const) {
    t.strictSame(waitsFor(oneStage(RAMP, ramp, { state }), { minutes: 90 }), ['ended'], state)
  }
  t.strictSame(next(oneStage({}, doneWith('a'), { state: 'done' })), { outcome: 'waits', blockers: [] })
  t.strictSame(waitsFor(oneStage(RAMP, ramp, { paused: PAUSED }), { minutes: 90 }), ['paused'])
  t.strictSame(waitsFor(oneStage({}, underWay('soaking', 100, 'a'), { paused: PAUSED }), { minutes: 90 }), ['paused'])
})

t.test('a ramp takes its steps in order, one each time its minutes are over, and then soaks', async (t) => {
  let rollout = oneStage(RAMP, underWay('promoting', 10, 'a', 'b'))
  let channels: readonly Channel[] = [ramping('a', 10), ramping('b', 10)]
  const seen: unknown[] = []
  for (let minutes = 0; minutes <= 60; minutes += 1) {
    const found = next(rollout, { minutes, channels })
    if (found.outcome !== 'steps') continue
    ;({ rollout, channels } = found)
    const [stage] = rollout.stages
    seen.push([
      minutes,
      stage?.state,
      stage?.percent,
      stage?.since,
      ...channels.map(({ ramp }) => ramp?.percent ?? 'all'),
    ])
  }
  t.strictSame(seen, [
    [30, 'promoting', 50, inMinutes(30), 50, 50],
    [60, 'soaking', 100, inMinutes(60), 'all', 'all'],
  ])
  t.match(channels, [{ updatedBy: 'bellwether', source: { version: RELEASE } }, {}])
})

t.test('a step waits for its time to the minute, and says when it comes', async (t) => {
  const rollout = oneStage(RAMP, underWay('promoting', 10, 'a', 'b'))
  const channels = [ramping('a', 10), ramping('b', 10)]
  t.match(next(rollout, { channels, minutes: 29 }), {
    outcome: 'waits',
    blockers: [{ code: 'time', message: `the next step of the ramp comes at ${inMinutes(30)}` }],
  })
  t.strictSame(waitsFor(rollout, { channels, facts: { now: NOW + 30 * MINUTE_MS - 1 } }), ['time'])
  t.equal(stepOf(rollout, { channels, minutes: 30 }).rollout.stages[0]?.percent, 50)
})

t.test('a ramp whose stage soaks for nothing is done with its last step', async (t) => {
  const rollout = oneStage({ ...RAMP, soakMinutes: 0 }, underWay('promoting', 50, 'a', 'b'))
  const { rollout: stepped } = stepOf(rollout, { minutes: 30, channels: [ramping('a', 50), ramping('b', 50)] })
  t.match(stepped, { state: 'done', stages: [{ state: 'done', percent: 100, doneAt: inMinutes(30) }] })
})

t.test('a step leaves channels alone that somebody has pinned, halted or moved meanwhile', async (t) => {
  const rollout = oneStage(
    { ...RAMP, channels: ['a', 'b', 'c', 'd', 'e'] },
    underWay('promoting', 10, 'a', 'b', 'c', 'd', 'e'),
  )
  const channels = [
    ramping('a', 10, { pin: pinOf('15.1.2') }),
    ramping('b', 10, { halt: HALT }),
    channelOf({ name: 'c', source: sourceOf('15.1.5') }),
    ramping('d', 10),
  ]
  t.strictSame(
    stepOf(rollout, { minutes: 30, channels }).channels.map(({ name }) => name),
    ['d'],
  )
})

t.test('what holds back a promotion holds back a step, too', async (t) => {
  const ramp = underWay('promoting', 10, 'a', 'b')
  const channels = [ramping('a', 10), ramping('b', 10)]
  const late = { minutes: 90, channels }
  const withdrawn = someRelease({ withdrawn: { reason: 'it leaks', by: 'ada', at: inHours(0) } })
  t.strictSame(waitsFor(oneStage(RAMP, ramp), { ...late, facts: { release: withdrawn } }), ['withdrawn'])
  t.strictSame(waitsFor(oneStage({ ...RAMP, approvals: 1 }, ramp), late), ['approvals'])
  const promoteWindow = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'UTC' } as const
  t.strictSame(waitsFor(oneStage({ ...RAMP, promoteWindow }, ramp), late), ['window'])
})

t.test('a guard of one channel holds back the step of all, and nothing is done to any', async (t) => {
  const ramp = underWay('promoting', 10, 'a', 'b')
  const channels = [ramping('a', 10), ramping('b', 10, { ceiling: '15.1.9' })]
  const found = next(oneStage(RAMP, ramp), { minutes: 30, channels })
  t.match(found, { outcome: 'waits', blockers: [{ code: 'guard', message: /^channel b: 15\.2\.0 is above/ }] })
  const both = { minutes: 30, channels: [ramping('a', 10), ramping('b', 10)], facts: { isBlocked: blocking(RELEASE) } }
  t.strictSame([...new Set(waitsFor(oneStage(RAMP, ramp), both))], ['blocked', 'guard'])
})

t.test('a ramp that begins anew never takes a channel back that had come further', async (t) => {
  // The rollout was superseded at 60 % and started again: its first steps find the channel where they left it.
  const rules = { rampPercent: [10, 30, 60, 90], soakMinutes: 60 }
  const percents: number[] = []
  let rollout = oneStage(rules, underWay('promoting', 10, 'a'))
  let channel: Channel | undefined = ramping('a', 60)
  for (let step = 1; step <= 4; step += 1) {
    const found = stepOf(rollout, { minutes: step * 30, channels: channel === undefined ? [] : [channel] })
    rollout = found.rollout
    channel = found.channels[0] ?? channel
    percents.push(channel?.ramp?.percent ?? 100)
  }
  t.strictSame(percents, [60, 60, 90, 100])
})

const GATE = someGate({ failures: 2 })
const FAILED = {
  errors: [sampleAt(1, 'failed', { value: 7 }), sampleAt(2, 'failed', { value: 9, detail: '9 is not < 1' })],
}

t.test('a failing gate pauses a ramp and a soaking, names itself, and keeps what it has found', async (t) => {
  for (const [state, percent, channel] of [
    ['promoting', 10, ramping('a', 10)],
    ['soaking', 100, there('a')],
  ] as const) {
    const rollout = oneStage({ gates: [GATE], rampPercent: [10] }, underWay(state, percent, 'a'))
    const found = next(rollout, { minutes: 2, channels: [channel], samples: FAILED })
    const reason = 'gate errors failed 2 times in a row: 9 is not < 1'
    t.match(found, { outcome: 'pauses', reason })
    t.strictSame(found.outcome === 'pauses' && found.rollout, {
      ...rollout,
      paused: { reason, by: 'bellwether', at: inMinutes(2), gate: 'errors' },
      stages: [{ ...rollout.stages[0], gates: FAILED }],
    })
  }
})

t.test('of several gates it takes one that fails, however good the others are', async (t) => {
  const gates = [someGate({ name: 'latency' }), GATE]
  const rollout = oneStage({ gates }, underWay('soaking', 100, 'a'))
  const samples = { latency: [sampleAt(2)], ...FAILED }
  t.match(next(rollout, { minutes: 2, samples }), { outcome: 'pauses', rollout: { paused: { gate: 'errors' } } })
})

t.test('a failing gate pauses nothing that waits, is paused already or has ended', async (t) => {
  const rules = { gates: [GATE] }
  t.match(next(oneStage(rules, {}), { minutes: 2, samples: FAILED }), { outcome: 'waits' })
  t.strictSame(
    waitsFor(oneStage(rules, underWay('soaking', 100, 'a'), { paused: PAUSED }), { minutes: 2, samples: FAILED }),
    ['paused'],
  )
  t.strictSame(
    waitsFor(oneStage(rules, underWay('soaking', 100, 'a'), { state: 'superseded' }), { minutes: 2, samples: FAILED }),
    ['ended'],
  )
})

t.test('what a gate found before the step began is not held against it', async (t) => {
  const progress = { ...underWay('soaking', 100, 'a'), since: inMinutes(3) }
  t.strictSame(waitsFor(oneStage({ gates: [GATE] }, progress), { minutes: 3, samples: FAILED }), ['gates'])
})

t.test('a step and an end wait for a fresh good answer of every gate', async (t) => {
  const gates = [GATE, someGate({ name: 'latency' })]
  const ramp = oneStage({ ...RAMP, channels: ['a'], gates }, underWay('promoting', 10, 'a'))
  const channels = [ramping('a', 10)]
  const good = { errors: [sampleAt(29)], latency: [sampleAt(29)] }
  t.strictSame(waitsFor(ramp, { minutes: 2, channels }), ['time', 'gates', 'gates'])
  t.strictSame(waitsFor(ramp, { minutes: 2, channels, samples: { errors: [sampleAt(2)] } }), ['time', 'gates'])
  t.strictSame(waitsFor(ramp, { minutes: 29, channels, samples: good }), ['time'])
  const failedOnce = { ...good, errors: [sampleAt(29), sampleAt(30, 'failed')] }
  t.strictSame(waitsFor(ramp, { minutes: 30, channels, samples: failedOnce }), ['gates'])
  t.strictSame(stepOf(ramp, { minutes: 30, channels, samples: good }).rollout.stages[0]?.gates, good, 'they are kept')
  const soaking = oneStage({ gates, soakMinutes: 0 }, underWay('soaking', 100, 'a'))
  t.strictSame(waitsFor(soaking, { minutes: 0 }), ['gates', 'gates'], 'even where it soaks for nothing')
  t.match(next(soaking, { minutes: 30, samples: good }), {
    outcome: 'finishes',
    rollout: { stages: [{ state: 'done', gates: good }] },
  })
})

t.test('a step or a soaking that nobody has watched begins anew, and says which gate was not evaluated', async (t) => {
  for (const [state, percent, channel] of [
    ['promoting', 10, ramping('a', 10)],
    ['soaking', 100, there('a')],
  ] as const) {
    const rules = { rampPercent: [10], soakMinutes: 60, gates: [someGate({ name: 'latency' }), GATE] }
    const rollout = oneStage(rules, underWay(state, percent, 'a'))
    const found = next(rollout, {
      minutes: 90,
      channels: [channel],
      samples: { latency: [sampleAt(89)], errors: [sampleAt(40)] },
    })
    t.match(found, {
      outcome: 'restarts',
      reason: `gate errors was not evaluated since ${inMinutes(40)}; what went by does not count`,
    })
    t.strictSame(found.outcome === 'restarts' && found.rollout.stages, [{ ...rollout.stages[0], since: inMinutes(90) }])
    const known = someFacts(rollout, { now: NOW + 90 * MINUTE_MS, channels: channelsByName(channel) })
    t.notOk(isHeldBack(known, 0, { latency: [sampleAt(89)], errors: [sampleAt(40)] }), 'that must be seen to')
    t.notOk(isHeldBack(known, 0, {}), 'never evaluated')
  }
  const failing = next(oneStage({ gates: [GATE] }, underWay('soaking', 100, 'a')), { minutes: 90, samples: FAILED })
  t.match(failing, { outcome: 'pauses' }, 'what failed before nobody watched pauses')
})

t.test('a gate may have the name of what every object has', async (t) => {
  const rollout = oneStage({ gates: [someGate({ name: 'constructor' })] }, underWay('soaking', 100, 'a'))
  t.strictSame(waitsFor(rollout), ['gates'])
  t.strictSame(samplesOf({}, 'constructor'), [])
  t.strictSame(samplesOf({ errors: [sampleAt(0)] }, 'errors'), [sampleAt(0)])
})

t.test(
  'whether it is held back is known without the journal, and before its promotion without its channels',
  async (t) => {
    const ramp = oneStage({ ...RAMP, gates: [GATE] }, underWay('promoting', 10, 'a', 'b'))
    const held = (rollout: Rollout, minutes: number, samples: GateSamples = {}, channels = [ramping('a', 10)]) =>
      isHeldBack(
        someFacts(rollout, { now: NOW + minutes * MINUTE_MS, channels: channelsByName(...channels) }),
        0,
        samples,
      )
    t.ok(held(ramp, 1), 'by its time')
    t.ok(held(ramp, 30, { errors: [sampleAt(30, 'failed')] }), 'by its gate')
    t.notOk(held(ramp, 30, { errors: [sampleAt(29)] }))
    t.notOk(held(ramp, 2, FAILED), 'a gate that fails must be seen to')
    t.notOk(held(ramp, 1, {}, []), 'that nobody is told any more must be seen to')
    const suspended = oneStage(RAMP, { ...underWay('promoting', 10, 'a', 'b'), since: null })
    t.ok(held(suspended, 90, {}, []), 'by that nobody is told')
    t.notOk(held(suspended, 1), 'that somebody is told again must be seen to')
    t.notOk(held(oneStage({ auto: true }, {}), 0, {}, []))
    t.ok(held(oneStage({ auto: true, approvals: 1 }, {}), 0, {}, []), 'by its conditions')
  },
)

t.test('a soaking ends when its minutes are over, and says until when it lasts', async (t) => {
  const rollout = oneStage({ soakMinutes: 60 }, underWay('soaking', 100, 'a'))
  t.match(next(rollout, { minutes: 59 }), {
    blockers: [{ code: 'time', message: `it soaks until ${inMinutes(60)}` }],
  })
  t.match(next(rollout, { minutes: 60 }), {
    outcome: 'finishes',
    rollout: { state: 'done', endedAt: inMinutes(60), stages: [{ state: 'done', doneAt: inMinutes(60) }] },
  })
})

t.test('no time counts while no channel of a stage tells the release as far as the stage has come', async (t) => {
  const rollout = oneStage({ channels: ['a', 'b'] }, underWay('soaking', 100, 'a', 'b'))
  const moved = channelOf({ name: 'a', source: sourceOf('15.1.5') })
  for (const b of [
    there('b', { pin: pinOf('15.1.2') }),
    there('b', { halt: HALT }),
    ramping('b', 10),
    channelOf({ name: 'b', source: sourceOf(null) }),
  ]) {
    const found = next(rollout, { channels: [moved, b] })
    t.match(found, {
      outcome: 'suspends',
      reason: /^no channel of the stage tells the release to as many agents as it had reached: a is at 15\.1\.5/,
    })
    t.strictSame(found.outcome === 'suspends' && found.rollout.stages, [{ ...rollout.stages[0], since: null }])
  }
  t.match(next(rollout, { channels: [] }), { outcome: 'suspends', reason: /a does not exist any more, b does not/ })
  for (const b of [there('b'), there('b', { pin: pinOf(RELEASE) })]) {
    t.match(next(rollout, { channels: [moved, b] }), { outcome: 'finishes' }, 'one of them is enough')
  }
  const byHand = oneStage({ channels: ['a', 'b'] }, underWay('soaking', 100, 'a'))
  t.match(next(byHand, { channels: [moved, there('b')] }), { outcome: 'finishes' }, 'whoever has told it')
})

t.test('what a newer ramp has not reached yet is still told the release', async (t) => {
  const before = { version: RELEASE, critical: false, criticalUntil: null }
  const newer = (percent: number): Channel => {
    const ramp = { seed: 'cloud/15.1.9', percent, plainPath: 'last', before } as const
    return channelOf({ name: 'a', source: sourceOf('15.1.9'), ramp, lastServed: RELEASE })
  }
  const ramped = oneStage({ ...RAMP, channels: ['a'] }, underWay('promoting', 10, 'a'))
  t.match(next(ramped, { channels: [newer(90)] }), { outcome: 'waits', blockers: [{ code: 'time' }] })
  t.match(next(ramped, { channels: [newer(91)] }), { outcome: 'suspends', reason: /: a is at 91 % of 15\.1\.9;/ })
  const soaking = oneStage({ channels: ['a'] }, underWay('soaking', 100, 'a'))
  t.match(next(soaking, { channels: [newer(1)] }), { outcome: 'suspends' }, 'it has ceased to be told to all of them')
})

t.test('a stage that is told to nobody waits, and begins its step or its soaking anew once it is told', async (t) => {
  for (const [state, percent, told] of [
    ['promoting', 10, ramping('a', 10)],
    ['soaking', 100, there('a')],
  ] as const) {
    const suspended = oneStage(
      { ...RAMP, channels: ['a'], gates: [GATE] },
      { ...underWay(state, percent, 'a'), since: null },
    )
    const halted = { ...told, halt: HALT }
    t.match(next(suspended, { minutes: 500, channels: [halted], samples: FAILED }), {
      outcome: 'waits',
      blockers: [
        {
          code: 'channels',
          message: /a is halted by .*; free one of them, promote the stage again, or roll the release back/,
        },
      ],
    })
    const found = next(suspended, { minutes: 500, channels: [told], samples: FAILED })
    t.match(found, { outcome: 'restarts', reason: 'its channels tell agents again' })
    t.strictSame(found.outcome === 'restarts' && found.rollout.stages, [
      { ...suspended.stages[0], since: inMinutes(500) },
    ])
  }
})

t.test('a step may move no channel where one tells all of its agents already', async (t) => {
  const rollout = oneStage(RAMP, underWay('promoting', 10, 'a', 'b'))
  t.equal(stepOf(rollout, { minutes: 30, channels: [there('a')] }).channels.length, 0)
})

t.test('what a stage waits for is asked of any stage, and only one under way waits for time and gates', async (t) => {
  const rollout = someRollout([
    { rules: someStage('a', { soakMinutes: 60, gates: [GATE] }), progress: underWay('soaking', 100, 'a') },
    { rules: someStage('b', { soakMinutes: 60, gates: [GATE] }) },
  ])
  t.strictSame(codesOf(waitBlockers(someFacts(rollout), 0, {})), ['time', 'gates'])
  t.strictSame(codesOf(waitBlockers(someFacts(rollout), 0, { errors: [sampleAt(0)] })), ['time'])
  t.strictSame(waitBlockers(someFacts(rollout), 1, {}), [])
})

t.test('the channels of a step are what the rules of channels make of them', async (t) => {
  const channel = ramping('a', 10)
  const rollout = oneStage(
    { ...RAMP, channels: ['a'] },
    { ...underWay('promoting', 10), moved: movedFrom(BEFORE, 'a') },
  )
  const { channels } = stepOf(rollout, { minutes: 30, channels: [channel] })
  const context = { now: NOW + 30 * MINUTE_MS, actor: 'bellwether', reason: null }
  t.strictSame(channels, [accept(channel, { kind: 'ramp', percent: 50 }, context).channel])
})
