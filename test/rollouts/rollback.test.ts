// Taking a release back from every channel that it has reached, and the one step that comes after.
import t from 'tap'
import type { IsBlocked } from '../../src/channels/blocked-version.ts'
import type { Channel } from '../../src/channels/channel.ts'
import type { StageFacts } from '../../src/rollouts/conditions.ts'
import { heldElsewhere, planResume, planUnpin } from '../../src/rollouts/end-rollback.ts'
import {
  planRollback,
  type AfterContext,
  type RollbackContext,
  type RollbackFacts,
  type RollbackPlan,
} from '../../src/rollouts/rollback.ts'
import { channelsOf, type Rollout } from '../../src/rollouts/rollout.ts'
import { blocking, channelOf, frozen, HALT, inHours, NOW, pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import {
  allowed,
  BEFORE,
  blockersOf,
  channelsByName,
  codesOf,
  doneWith,
  guardsOf,
  inMinutes,
  mistakeOf,
  movedFrom,
  problemOf,
  RELEASE,
  ruleContextOf,
  someChange,
  someFacts,
  someRelease,
  someRollout,
  someStage,
  underWay,
} from '../fixtures/rollout-samples.ts'

const NONE = (): boolean => false
const STAGES = [someStage('canary', { channels: ['a'] }), someStage('all', { channels: ['b', 'c'], soakMinutes: 60 })]

/** A rollout that is done on `a` and soaks on `b` and `c`. */
const ROLLOUT = frozen(
  someRollout([
    { rules: STAGES[0] ?? someStage('canary'), progress: doneWith('a') },
    { rules: STAGES[1] ?? someStage('all'), progress: underWay('soaking', 100, 'b', 'c') },
  ]),
)

function there(name: string, more: Partial<Channel> = {}): Channel {
  return channelOf({ name, source: sourceOf(RELEASE), ...more })
}

const THERE = [there('a'), there('b'), there('c')]

/** An earlier release that had moved `a` from another one. */
function earlier(release: string, before: string | null, channel = 'a'): Rollout {
  const progress = { ...doneWith(), moved: movedFrom(before, channel) }
  return someRollout([{ rules: someStage('canary'), progress }], { release, state: 'rolled back' })
}

function factsOf(more: Partial<RollbackFacts> = {}, channels: readonly Channel[] = THERE): RollbackFacts {
  const rollout = more.rollout ?? ROLLOUT
  const known = { rollout, release: someRelease(), rollouts: [rollout], channels: channelsByName(...channels) }
  return frozen({ ...known, isBlocked: NONE, isBad: NONE, isKnown: () => true, ...more })
}

function contextOf(more: Partial<RollbackContext> = {}): RollbackContext {
  return { ...ruleContextOf(), reason: 'logins fail', force: false, critical: false, to: null, ...more }
}

function plan(facts: RollbackFacts = factsOf(), more: Partial<RollbackContext> = {}): RollbackPlan {
  return allowed(planRollback(facts, contextOf(more)))
}

/** From what to what, channel by channel. */
function stepsOf({ rollout }: RollbackPlan): readonly string[] {
  return (rollout.rollback?.channels ?? []).map(({ channel, from, to }) => `${channel}: ${from} to ${to}`)
}

t.test('every channel that has the release is pinned to what it was told before, and the release is bad', async (t) => {
  const { rollout, release, channels, untouched } = plan()
  const steps = ['a', 'b', 'c'].map((channel) => ({ channel, from: RELEASE, to: BEFORE }))
  const stamp = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
  t.strictSame(
    channels.map(({ name, pin, source }) => [name, pin, source.version]),
    ['a', 'b', 'c'].map((name) => [name, pinOf(BEFORE, { ...stamp, rolledBackFrom: [RELEASE] }), RELEASE]),
  )
  t.strictSame(untouched, [])
  t.strictSame(release, someRelease({ bad: stamp }))
  const rollback = { ...stamp, channels: steps, stateBefore: 'running', unpinnedAt: null }
  t.strictSame(rollout, { ...ROLLOUT, state: 'rolled back', endedAt: inHours(0), rollback })
})

t.test('a rollback may be urgent, and then says so to every agent', async (t) => {
  t.match(plan(factsOf(), { critical: true }).channels, [{ pin: { critical: true } }, { pin: { critical: true } }, {}])
})

t.test('a rollout of whatever state can be taken back, and again only where a channel tells it again', async (t) => {
  for (const state of ['done', 'superseded', 'withdrawn'] as const) {
    const rollout = { ...ROLLOUT, state }
    t.match(plan(factsOf({ rollout })).rollout, { state: 'rolled back', rollback: { stateBefore: state } })
  }
  const { rollout, channels } = plan()
  const again = planRollback(factsOf({ rollout }, channels), contextOf())
  t.match(problemOf(again), ['rollout_over', /15\.2\.0 was rolled back already/])
  const [first] = channels
  const freed = channels.map((channel) => (channel === first ? { ...channel, pin: null } : channel))
  const twice = plan(factsOf({ rollout }, freed))
  t.strictSame(
    twice.channels.map(({ name }) => name),
    [first?.name],
  )
  t.equal(twice.rollout.rollback?.stateBefore, 'running')
})

t.test('a rollback says why, and where to only in versions that are not the release itself', async (t) => {
  for (const reason of [null, '', ' '])
    t.match(mistakeOf(planRollback(factsOf(), contextOf({ reason }))), /^reason is missing; say what is wrong/)
  t.match(mistakeOf(planRollback(factsOf(), contextOf({ to: '15.1' }))), /^to .*three numbers/)
  t.match(
    mistakeOf(planRollback(factsOf(), contextOf({ to: `v${RELEASE}` }))),
    /^to is the release that is to be taken back/,
  )
})

t.test('where a version is named, every channel goes to it', async (t) => {
  t.strictSame(
    stepsOf(plan(factsOf(), { to: 'v15.1.0' })),
    ['a', 'b', 'c'].map((name) => `${name}: ${RELEASE} to 15.1.0`),
  )
})

t.test(
  'the version that is named is an older one, and one that is known here, unless an admin forces it',
  async (t) => {
    const isKnown = (version: string): boolean => version === '15.1.0'
    const to = (version: string, more: Partial<RollbackContext> = {}) =>
      planRollback(factsOf({ isKnown }), contextOf({ to: version, ...more }))
    t.match(mistakeOf(to('15.2.1')), /^to is newer than 15\.2\.0, and a rollback only goes back; promote it instead/)
    t.match(mistakeOf(to('15.0.0-cloud.20260201T000000.abc001')), /^to names /, 'neither of the two is newer')
    t.match(mistakeOf(to('15.1.1')), /^to names 15\.1\.1, which no channel was told.* see how it is written/)
    t.equal(allowed(to('v15.1.0')).channels.length, 3)
    for (const version of ['15.2.1', '15.1.1']) {
      t.match(allowed(to(version, { force: true })).channels, [{ pin: { version } }, {}, {}])
    }
    t.match(mistakeOf(to(RELEASE, { force: true })), /^to is the release/)
  },
)

t.test('a chain of bad releases is followed to the last good one, channel by channel', async (t) => {
  const rollout = someRollout([
    {
      rules: someStage('canary', { channels: ['a', 'b'] }),
      progress: { ...doneWith(), moved: [...movedFrom('15.1.9', 'a'), ...movedFrom('15.1.8', 'b')] },
    },
  ])
  const rollouts = [rollout, earlier('15.1.9', '15.1.8'), earlier('15.1.8', '15.1.7'), earlier('15.1.8', '15.1.6', 'b')]
  const bad = blocking('15.1.9', '15.1.8')
  const channels = [there('a'), there('b')]
  t.strictSame(stepsOf(plan(factsOf({ rollout, rollouts, isBad: bad }, [there('a')]))), [`a: ${RELEASE} to 15.1.7`])
  t.strictSame(
    stepsOf(plan(factsOf({ rollout, rollouts, isBlocked: bad }, [there('a')]))),
    [`a: ${RELEASE} to 15.1.7`],
    'blocked ones are no better',
  )
  t.strictSame(stepsOf(plan(factsOf({ rollout, rollouts, isBad: blocking('15.1.9') }, channels))), [
    `a: ${RELEASE} to 15.1.8`,
    `b: ${RELEASE} to 15.1.8`,
  ])
})

t.test('where no good release is known, agents are told to stay where they are', async (t) => {
  const moved = [...movedFrom('15.1.9', 'a'), ...movedFrom(null, 'b'), ...movedFrom(BEFORE, 'c')]
  const rollout = someRollout([{ rules: someStage('canary'), progress: { ...doneWith(), moved } }])
  for (const rollouts of [
    [rollout],
    [rollout, earlier('15.1.9', null)],
    [rollout, earlier('15.1.9', '15.1.9')],
    [rollout, earlier('15.1.9', RELEASE)],
  ]) {
    const facts = factsOf({ rollout, rollouts, isBad: blocking('15.1.9') })
    const halted = plan(facts)
    t.strictSame(stepsOf(halted), [`a: ${RELEASE} to null`, `b: ${RELEASE} to null`, `c: ${RELEASE} to ${BEFORE}`])
    const halt = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
    t.match(halted.channels, [
      { halt, pin: null },
      { halt, pin: null },
      { halt: null, pin: { version: BEFORE } },
    ])
    t.match(
      plan(facts, { to: '15.1.0' }).channels,
      [{ pin: { version: '15.1.0' }, halt: null }, {}, {}],
      'unless one is named',
    )
  }
})

t.test(
  'a channel that is halted already and has nothing good to go back to is left to who has halted it',
  async (t) => {
    const rollout = someRollout([
      { rules: someStage('canary'), progress: { ...doneWith(), moved: movedFrom(null, 'a') } },
    ])
    const { channels, untouched } = plan(factsOf({ rollout }, [there('a', { halt: HALT })]))
    t.strictSame(channels, [])
    t.match(untouched, [{ channel: 'a', why: /^is halted by ada/ }])
  },
)

t.test('a channel of the pipeline that somebody else has moved to the release is taken back, too', async (t) => {
  const rollout = someRollout([
    { rules: someStage('canary', { channels: ['a'] }), progress: doneWith('a') },
    { rules: someStage('all', { channels: ['b', 'c'] }) },
  ])
  const channels = [there('a'), there('b'), channelOf({ name: 'c' })]
  const { untouched, ...taken } = plan(factsOf({ rollout }, channels), { to: '15.1.0' })
  t.strictSame(stepsOf({ untouched, ...taken }), [`a: ${RELEASE} to 15.1.0`, `b: ${RELEASE} to 15.1.0`])
  t.strictSame(untouched, [], 'what was never moved and is elsewhere is not worth a word')
  t.strictSame(channelsOf(rollout), ['a', 'b', 'c'])
})

t.test('the pause of a rollout that is taken back is over with it', async (t) => {
  const paused = { reason: 'a gate fails', by: 'bellwether', at: inHours(-1), gate: 'errors' }
  t.equal(plan(factsOf({ rollout: { ...ROLLOUT, paused } })).rollout.paused, null)
})

t.test('the guard of one channel refuses the rollback of all, and every one that refuses is named', async (t) => {
  const channels = [there('a'), there('b', { floor: '15.1.9' }), there('c', { source: sourceOf(RELEASE) })]
  const named = contextOf({ to: '15.1.0', force: true })
  t.strictSame(guardsOf(planRollback(factsOf({}, channels), named)), { b: 'floor' })
  const { channels: moved } = plan(factsOf({}, channels))
  t.match(
    moved.find(({ name }) => name === 'b'),
    { halt: {}, pin: null },
    'where what came before is outside the limits, its agents stay where they are',
  )
  const to = contextOf({ to: '14.0.0' })
  t.strictSame(guardsOf(planRollback(factsOf(), to)), {
    a: 'major-downgrade',
    b: 'major-downgrade',
    c: 'major-downgrade',
  })
  t.equal(plan(factsOf(), { to: '14.0.0', force: true }).channels.length, 3)
  const blocked = planRollback(factsOf({ isBlocked: blocking('15.1.0') }), contextOf({ to: '15.1.0', force: true }))
  t.strictSame(guardsOf(blocked), { a: 'blocked-version', b: 'blocked-version', c: 'blocked-version' })
})

t.test(
  'channels that have moved on, are pinned elsewhere or are gone are left alone, and the plan says why',
  async (t) => {
    const channels = [
      channelOf({ name: 'a', source: sourceOf('15.3.0') }),
      there('b', { pin: pinOf('15.1.2', { by: 'eve' }) }),
    ]
    const { untouched, channels: pinned, rollout } = plan(factsOf({}, channels))
    t.strictSame(untouched, [
      { channel: 'a', why: 'is at 15.3.0, not at 15.2.0' },
      { channel: 'b', why: 'is pinned to 15.1.2 by eve already' },
      { channel: 'c', why: 'does not exist any more' },
    ])
    t.strictSame(pinned, [])
    t.equal(rollout.state, 'rolled back')
    t.match(plan(factsOf({}, [channelOf({ name: 'a', source: sourceOf(null) })])).untouched[0], {
      why: 'is at no version, not at 15.2.0',
    })
  },
)

t.test('a channel that is pinned to the release itself is taken back', async (t) => {
  const channels = [channelOf({ name: 'a', pin: pinOf(RELEASE) })]
  t.strictSame(stepsOf(plan(factsOf({}, channels))), [`a: ${RELEASE} to ${BEFORE}`])
})

t.test('a halted channel is pinned too: the end of the halt must not bring the release back', async (t) => {
  const channels = [there('a', { halt: HALT }), there('b', { halt: HALT, pin: pinOf('15.1.2') })]
  const { channels: pinned, untouched } = plan(factsOf({}, channels))
  t.match(pinned, [{ name: 'a', halt: HALT, pin: { version: BEFORE } }])
  t.match(untouched, [{ channel: 'b', why: /pinned to 15\.1\.2/ }, { channel: 'c' }])
})

t.test('a channel in the middle of a ramp is taken back, whichever version its plain path tells', async (t) => {
  for (const plainPath of ['first', 'last'] as const) {
    const before = { version: BEFORE, critical: false, criticalUntil: null }
    const ramp = { seed: `cloud/${RELEASE}`, percent: 1, plainPath, before }
    const { channels } = plan(factsOf({}, [there('a', { ramp })]))
    t.match(channels, [{ pin: { version: BEFORE }, ramp: { percent: 1 } }], plainPath)
  }
})

t.test('a channel that two stages have moved is pinned once: one commit writes each document once', async (t) => {
  // New rules have moved the channel from a stage that was done to the next one.
  const rollout = someRollout([
    { rules: someStage('canary', { channels: ['a'] }), progress: doneWith('a', 'b') },
    { rules: someStage('all', { channels: ['b'] }), progress: { ...doneWith(), moved: movedFrom(null, 'b') } },
  ])
  const { channels, rollout: after } = plan(factsOf({ rollout }, [there('a'), there('b')]))
  const steps = after.rollback?.channels ?? []
  t.strictSame(
    channels.map(({ name }) => name),
    ['a', 'b'],
  )
  t.strictSame(
    steps.map(({ channel, to }) => [channel, to]),
    [
      ['a', BEFORE],
      ['b', BEFORE],
    ],
  )
})

function unpin(rollout: Rollout, channels: RollbackFacts['channels'], isBlocked: IsBlocked, context: AfterContext) {
  return planUnpin(rollout, channels, isBlocked, context)
}

/** Resumes a rollout whose release nothing else holds back, unless facts say so. */
function resume(
  rollout: Rollout,
  channels: RollbackFacts['channels'],
  isBlocked: IsBlocked,
  context: AfterContext,
  more: Partial<StageFacts> = {},
) {
  const bad = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
  const facts = someFacts(rollout, { release: someRelease({ bad }), isBlocked, now: context.now, ...more })
  return planResume(frozen(facts), channels, context)
}

/** The rollout after it was rolled back, and its channels under the pins. */
const PLAN = frozen(plan())
const PINNED = channelsByName(...PLAN.channels)
const AFTER = { ...ruleContextOf({ now: NOW + 60_000, actor: 'mia/1', reason: 'fixed' }), force: false }

t.test('after an unpin the channels stay where they were pinned to, ready for the next release', async (t) => {
  const { rollout, channels, untouched } = allowed(unpin(PLAN.rollout, PINNED, blocking(RELEASE), AFTER))
  t.match(
    channels.map(({ name, pin, source, ramp }) => [name, pin, source, ramp]),
    ['a', 'b', 'c'].map((name) => [name, null, sourceOf(BEFORE), undefined]),
  )
  t.strictSame(untouched, [])
  t.match(rollout, {
    state: 'rolled back',
    rollback: { unpinnedAt: inMinutes(1), channels: PLAN.rollout.rollback?.channels },
  })
})

t.test('after a resume the release goes on where it was, and its soaking begins anew', async (t) => {
  const { rollout, channels } = allowed(resume(PLAN.rollout, PINNED, NONE, AFTER))
  t.match(
    channels.map(({ name, pin, source }) => [name, pin, source]),
    ['a', 'b', 'c'].map((name) => [name, null, sourceOf(RELEASE)]),
  )
  t.match(rollout, {
    state: 'running',
    endedAt: null,
    rollback: null,
    stages: [{ state: 'done' }, { state: 'soaking', since: inMinutes(1) }],
  })
  const over = plan(factsOf({ rollout: { ...ROLLOUT, state: 'superseded', endedAt: inHours(-1) } }))
  t.match(allowed(resume(over.rollout, PINNED, NONE, AFTER)).rollout, { state: 'superseded', endedAt: /^2/ })
})

t.test('a ramp that was taken back goes on after a resume, and is over after an unpin', async (t) => {
  const before = { version: BEFORE, critical: false, criticalUntil: null }
  const ramp = { seed: `cloud/${RELEASE}`, percent: 10, plainPath: 'last', before } as const
  const { rollout, channels } = plan(factsOf({}, [there('a', { ramp })]))
  const known = channelsByName(...channels)
  t.match(allowed(resume(rollout, known, NONE, AFTER)).channels, [{ pin: null, ramp, source: { version: RELEASE } }])
  const [unpinned] = allowed(unpin(rollout, known, NONE, AFTER)).channels
  t.match(unpinned, { pin: null, source: { version: BEFORE } })
  t.notOk(Object.hasOwn(unpinned ?? {}, 'ramp'))
})

t.test('pins that somebody has set or taken away since are theirs', async (t) => {
  const channels = [
    there('a'),
    there('b', { pin: pinOf('15.1.2', { by: 'eve' }) }),
    there('c', { pin: pinOf(BEFORE, { by: 'eve', at: inHours(0) }) }),
  ]
  for (const end of [unpin, resume]) {
    const { channels: freed, untouched } = allowed(end(PLAN.rollout, channelsByName(...channels), NONE, AFTER))
    t.strictSame(freed, [])
    t.strictSame(untouched, [
      { channel: 'a', why: 'is neither pinned nor halted any more' },
      { channel: 'b', why: 'is pinned to 15.1.2 by eve: crash loop' },
      { channel: 'c', why: `is pinned to ${BEFORE} by eve: crash loop` },
    ])
    t.match(allowed(end(PLAN.rollout, channelsByName(), NONE, AFTER)).untouched, [
      { why: 'does not exist any more' },
      {},
      {},
    ])
  }
})

t.test('a guard of one channel refuses the resumption of all', async (t) => {
  const limited = new Map(
    [...PINNED].map(([name, channel]) => [name, name === 'b' ? { ...channel, ceiling: '15.1.9' } : channel]),
  )
  t.strictSame(guardsOf(resume(PLAN.rollout, limited, NONE, AFTER)), { b: 'ceiling' })
  t.equal(allowed(unpin(PLAN.rollout, limited, NONE, AFTER)).channels.length, 3, 'what they have may stay')
})

t.test('whatever else must hold of a release must hold of it when it is resumed', async (t) => {
  const held = (isBlocked: IsBlocked, more: Partial<StageFacts> = {}) =>
    codesOf(blockersOf(resume(PLAN.rollout, PINNED, isBlocked, AFTER, more)))
  const bad = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
  t.strictSame(held(blocking(RELEASE)), ['blocked'])
  t.strictSame(held(NONE, { release: someRelease({ bad, withdrawn: bad }) }), ['withdrawn'])
  const times = { since: inHours(-9), registeredAt: inHours(-9), liftedAt: null }
  const embargo = { release: '15.1.9', fixes: ['SEC-2026-1'], ...times }
  t.strictSame(held(NONE, { embargoes: [embargo] }), ['embargo'])
})

t.test('a release is given back to no agents that it does not work with any more', async (t) => {
  const held = (more: Partial<StageFacts>, channels = PINNED) => {
    const bad = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
    const release = someRelease({ bad, minAgentVersion: '15.1.4' })
    return resume(PLAN.rollout, channels, NONE, AFTER, { release, ...more })
  }
  const old = new Map([['b', ['15.1.3', BEFORE, RELEASE]]])
  const [blocked, ...none] = blockersOf(held({ running: old }))
  t.match(blocked, { code: 'compatibility', message: /b has served 15\.1\.3$/ })
  t.strictSame(none, [])
  const unknown = new Map([['c', inHours(-2)]])
  t.match(blockersOf(held({ unknown })), [{ code: 'compatibility', message: /does not tell of c before/ }])
  t.equal(allowed(held({ running: new Map([['b', [BEFORE, RELEASE]]]) })).channels.length, 3)
  const itself = { release: someRelease({ minAgentVersion: '15.2.1' }), running: new Map([['b', [RELEASE]]]) }
  t.equal(allowed(held(itself)).channels.length, 3, 'what runs the release is no reason against it')
  const theirs = channelsByName(
    ...PLAN.channels.map((one) => (one.name === 'b' ? { ...one, pin: pinOf('15.1.3') } : one)),
  )
  t.match(allowed(held({ running: old, unknown: new Map([['b', '']]) }, theirs)).untouched, [{ channel: 'b' }])
})

t.test(
  'a release is given back only with its changes signed off, where a stage that it has reached asks for it',
  async (t) => {
    const [canary, all] = STAGES as [(typeof STAGES)[number], (typeof STAGES)[number]] // Of two.
    const unsigned = someRelease({ changes: [someChange('7')] })
    const resumed = (...asking: readonly boolean[]) => {
      const stages = [canary, all].map((rules, index) => ({ ...rules, requireSignOff: asking[index] ?? false }))
      const rest = { ...someStage('rest'), requireSignOff: true }
      const waiting = { ...ROLLOUT.stages[0], name: 'rest', state: 'waiting' } as Rollout['stages'][number] // A whole one.
      const rules = { ...ROLLOUT.rules, stages: [...stages, rest] }
      const rollout = { ...PLAN.rollout, rules, stages: [...ROLLOUT.stages, waiting] }
      return resume(rollout, PINNED, NONE, AFTER, { release: unsigned })
    }
    const refusal = resumed(false, true)
    t.match(refusal, { stage: 'all' })
    t.match(blockersOf(refusal), [{ code: 'sign-off', message: /1 significant change not signed off: 7/ }])
    t.equal(blockersOf(resumed(true, true)).length, 1, 'said once')
    t.equal(allowed(resumed(false, false)).channels.length, 3, 'a stage that waits asks for itself')
  },
)

t.test('neither approvals nor the window are asked again when a release is given back', async (t) => {
  const promoteWindow = { days: ['mon'], from: '00:00', to: '00:01', timeZone: 'UTC' } as const
  const stages = STAGES.map((rules) => ({ ...rules, approvals: 2, promoteWindow }))
  const rollout = { ...PLAN.rollout, rules: { ...PLAN.rollout.rules, stages } }
  t.equal(allowed(resume(rollout, PINNED, NONE, AFTER)).channels.length, 3)
})

t.test('channels that the rollbacks of other pipelines hold are named, as long as they do', async (t) => {
  const steps = [
    { channel: 'a', from: RELEASE, to: BEFORE },
    { channel: 'b', from: RELEASE, to: null },
    { channel: 'c', from: RELEASE, to: BEFORE },
    { channel: 'gone', from: RELEASE, to: BEFORE },
  ]
  const stamp = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0) }
  const rollback = { ...stamp, channels: steps, stateBefore: 'running', unpinnedAt: null } as const
  const edge = { ...PLAN.rollout, pipeline: 'edge', rollback }
  const channels = channelsByName(
    there('a', { pin: pinOf(BEFORE, stamp) }),
    there('b', { halt: stamp }),
    there('c', { pin: pinOf(BEFORE, { ...stamp, by: 'eve' }) }),
  )
  t.strictSame(heldElsewhere([edge], channels), [
    { channel: 'a', why: 'stays pinned by the rollback in edge; resume or unpin it there' },
    { channel: 'b', why: 'stays halted by the rollback in edge; resume it there' },
  ])
  const over = [
    { ...edge, rollback: { ...rollback, unpinnedAt: inHours(1) } },
    { ...edge, rollback: null },
  ]
  t.strictSame(heldElsewhere([...over, { ...edge, state: 'running' }], channels), [])
})

t.test(
  'channels that were halted for want of anything good go on after a resume, and stay halted after an unpin',
  async (t) => {
    const rollout = someRollout([
      { rules: someStage('canary'), progress: { ...doneWith(), moved: movedFrom(null, 'a') } },
    ])
    const halted = plan(factsOf({ rollout }, [there('a')]))
    const known = channelsByName(...halted.channels)
    t.match(allowed(resume(halted.rollout, known, NONE, AFTER)).channels, [
      { halt: null, source: { version: RELEASE } },
    ])
    const { channels, untouched } = allowed(unpin(halted.rollout, known, NONE, AFTER))
    t.strictSame(channels, [])
    t.strictSame(untouched, [{ channel: 'a', why: 'stays halted; set a version, then resume it' }])
    const theirs = channelsByName(there('a', { halt: HALT }))
    t.match(allowed(resume(halted.rollout, theirs, NONE, AFTER)).untouched, [
      { channel: 'a', why: /^is halted by ada/ },
    ])
  },
)

t.test(
  'a channel whose source was changed under the pin is not freed, and neither is one that follows an upstream',
  async (t) => {
    const [a, b, c] = PLAN.channels.map((channel) => ({ ...channel })) as [Channel, Channel, Channel] // Of three.
    const url = 'https://up.example/v1/c'
    const forward = {
      kind: 'forward',
      url,
      version: RELEASE,
      critical: false,
      criticalUntil: null,
      answeredAt: null,
      problem: null,
    } as const
    const moved = channelsByName(
      { ...a, source: sourceOf('15.3.0') },
      { ...b, source: sourceOf(null) },
      { ...c, source: forward },
    )
    t.strictSame(allowed(resume(PLAN.rollout, moved, NONE, AFTER)).untouched, [
      { channel: 'a', why: 'would be at 15.3.0 without its pin' },
      { channel: 'b', why: 'would be at no version without its pin' },
    ])
    const { channels, untouched } = allowed(unpin(PLAN.rollout, moved, NONE, AFTER))
    t.strictSame(untouched, [
      { channel: 'a', why: 'would be at 15.3.0 without its pin; unpin it by hand' },
      { channel: 'c', why: `follows ${url} since; unpin it by hand` },
    ])
    t.strictSame(
      channels.map(({ name, source }) => [name, source.version]),
      [['b', BEFORE]],
    )
    // An earlier rollback has left what the source has: nobody has set it since.
    const { pin } = a
    const twice = { ...a, source: sourceOf('15.1.9'), pin: pin && { ...pin, rolledBackFrom: ['15.1.9', RELEASE] } }
    const settled = allowed(unpin(PLAN.rollout, channelsByName(twice, b, c), NONE, AFTER)).channels
    t.match(settled[0], { name: 'a', pin: null, source: { version: BEFORE } })
  },
)

t.test('a forced rollback over a major is unpinned without force, halted channels too: nobody is moved', async (t) => {
  const channels = [there('a', { halt: HALT, lastServed: '14.9.9' }), there('b')]
  const { rollout, channels: pinned } = plan(factsOf({}, channels), { to: '14.9.9', force: true })
  const { channels: freed } = allowed(unpin(rollout, channelsByName(...pinned), NONE, AFTER))
  t.match(freed, [{ source: { version: '14.9.9' } }, { source: { version: '14.9.9' } }])
})

t.test('what comes after a rollback comes once, with a reason, and only after one', async (t) => {
  const unpinned = allowed(unpin(PLAN.rollout, PINNED, NONE, AFTER)).rollout
  for (const end of [unpin, resume]) {
    t.match(mistakeOf(end(PLAN.rollout, PINNED, NONE, { ...AFTER, reason: ' ' })), /^reason is missing; say why/)
    t.match(problemOf(end(ROLLOUT, PINNED, NONE, AFTER)), ['not_rolled_back', /15\.2\.0 was not rolled back/])
    t.match(problemOf(end(unpinned, PINNED, NONE, AFTER)), ['not_rolled_back', /taken away at 2026-03-01T00:01/])
  }
})
