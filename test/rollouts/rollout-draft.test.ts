// What operators do to a rollout beside promoting it and taking it back.
import t from 'tap'
import type { StageRules } from '../../src/rollouts/pipeline.ts'
import {
  approveStage,
  pauseRollout,
  rebaseRollout,
  resumeRollout,
  rulesOf,
  stageIndex,
  startAgain,
  startRollout,
} from '../../src/rollouts/rollout-draft.ts'
import { NO_PEOPLE } from '../../src/rollouts/people.ts'
import { restarted, stageAt, type Rollout, type RolloutState, type StageProgress } from '../../src/rollouts/rollout.ts'
import { frozen, inHours, NOW } from '../fixtures/channel-samples.ts'
import {
  allowed,
  BEFORE,
  doneWith,
  inMinutes,
  mistakeOf,
  movedFrom,
  problemOf,
  RELEASE,
  ruleContextOf,
  sampleAt,
  somePipeline,
  someRelease,
  someRollout,
  someStage,
  underWay,
} from '../fixtures/rollout-samples.ts'

const STAGES = [someStage('canary', { auto: true }), someStage('internal', { approvals: 1 }), someStage('everyone')]
const PIPELINE = frozen(somePipeline(STAGES))
const ENDED = ['done', 'superseded', 'rolled back', 'withdrawn'] as const

/** A rollout of the pipeline whose stages have come as far as told. */
function rolloutAt(progresses: readonly Partial<StageProgress>[] = [], more: Partial<Rollout> = {}): Rollout {
  return frozen(
    someRollout(
      STAGES.map((rules, index) => ({ rules, progress: progresses[index] ?? {} })),
      more,
    ),
  )
}

/** A rollout of another release. */
function other(release: string, state: RolloutState, ...states: readonly StageProgress['state'][]): Rollout {
  return rolloutAt(
    states.map((progress) => ({ state: progress })),
    { release, state },
  )
}

function start(others: readonly Rollout[] = []): Rollout {
  return startRollout({ pipeline: PIPELINE, revision: 7 }, someRelease(), others, ruleContextOf())
}

t.test('a rollout begins with the rules that its pipeline has now, and all of its stages wait', async (t) => {
  t.strictSame(start(), {
    ...rolloutAt(),
    startedAt: inHours(0),
    startedBy: 'grace/token-9',
    pipelineRevision: 7,
    rules: { grace: 'P14D', requirePackages: true, stages: STAGES },
  })
  t.strictSame(rulesOf(PIPELINE), { grace: 'P14D', requirePackages: true, stages: STAGES })
})

t.test('where a newer release is on its way already, it is over at once, and says by which', async (t) => {
  for (const newer of [other('15.3.0', 'running', 'promoting'), other('15.3.0', 'done', 'done', 'done', 'done')]) {
    t.match(start([newer]), { state: 'superseded', supersededBy: '15.3.0', endedAt: inHours(0) })
  }
  const two = [
    other('15.3.0', 'running', 'soaking'),
    other('15.4.0', 'running', 'done'),
    other('15.3.1', 'running', 'done'),
  ]
  t.match(start(two), { supersededBy: '15.4.0' }, 'the newest of them')
})

t.test('a newer release that has reached nobody, or is over, is not in its way', async (t) => {
  for (const newer of [
    other('15.3.0', 'running', 'waiting'),
    other('15.3.0', 'superseded', 'done'),
    other('15.3.0', 'rolled back', 'done'),
    other('15.3.0', 'withdrawn', 'done'),
    other('15.1.9', 'running', 'done'),
    other(RELEASE, 'running', 'done'),
  ]) {
    t.match(start([newer]), { state: 'running', supersededBy: null }, `${newer.release} ${newer.state}`)
  }
})

t.test('a superseded rollout that begins anew keeps what it had moved and who was for it, nothing else', async (t) => {
  const approvals = [{ by: 'eve/1', at: inHours(-1), edition: 1 }]
  const before = rolloutAt([
    { ...doneWith('canary'), gates: { errors: [sampleAt(0)] } },
    { ...underWay('soaking', 100, 'internal'), critical: true, approvals },
  ])
  const again = startAgain(start(), before)
  const [waiting] = start().stages
  t.strictSame(again, {
    ...start(),
    stages: [
      { ...waiting, name: 'canary', moved: movedFrom(BEFORE, 'canary') },
      { ...waiting, name: 'internal', moved: movedFrom(BEFORE, 'internal'), approvals },
      { ...waiting, name: 'everyone' },
    ],
  })
})

t.test('a stage that the rollout did not have before begins from nothing', async (t) => {
  const before = frozen(someRollout([{ rules: someStage('old'), progress: doneWith('old') }]))
  t.strictSame(startAgain(start(), before), start())
})

t.test('a stage is found by its name, and a wrong name is answered with the right ones', async (t) => {
  t.equal(stageIndex(rolloutAt(), 'internal'), 1)
  const unknown = stageIndex(rolloutAt(), 'trials')
  t.match(typeof unknown === 'number' ? [] : problemOf(unknown), [
    'unknown_stage',
    /no stage trials; its stages are canary, internal, everyone/,
  ])
  t.throws(() => stageAt(rolloutAt(), 3), RangeError)
})

t.test('whoever approves a stage is written down once, whatever token is used', async (t) => {
  const approve = (rollout: Rollout, actor: string) =>
    approveStage(rollout, someRelease(), { index: 1, looked: null }, ruleContextOf({ actor }))
  const once = allowed(approve(rolloutAt(), 'Eve/token-1')).rollout
  t.strictSame(once.stages[1]?.approvals, [{ by: 'Eve/token-1', at: inHours(0), edition: 1 }])
  t.strictSame(once.stages[0]?.approvals, [])
  t.equal(allowed(approve(once, 'eve/token-2')).rollout, once)
  t.strictSame(
    allowed(approve(once, 'mia/1')).rollout.stages[1]?.approvals.map(({ by }) => by),
    ['Eve/token-1', 'mia/1'],
  )
  const again = approveStage(
    once,
    someRelease({ edition: 2 }),
    { index: 1, looked: 2 },
    ruleContextOf({ actor: 'eve/token-2' }),
  )
  t.match(allowed(again).rollout.stages[1]?.approvals, [{ by: 'eve/token-2', edition: 2 }], 'another edition')
})

t.test('who cut or registered the release does not approve it, and nobody approves what is over', async (t) => {
  for (const actor of ['ann/token-1', 'ANN/token-5', 'robot/token-8']) {
    const refusal = approveStage(rolloutAt(), someRelease(), { index: 1, looked: null }, ruleContextOf({ actor }))
    t.match(problemOf(refusal), ['not_approver', /has cut 15\.2\.0; somebody else must approve it/], actor)
  }
  for (const state of ENDED) {
    const refusal = approveStage(
      rolloutAt([], { state, endedAt: inHours(0) }),
      someRelease(),
      { index: 1, looked: null },
      ruleContextOf(),
    )
    t.match(problemOf(refusal), ['rollout_over', new RegExp(`is ${state} since 2026-03-01`)], state)
  }
})

t.test('nobody approves a release that was withdrawn, whatever its rollout is: release_over', async (t) => {
  const withdrawn = { reason: 'it leaks', by: 'ada', at: inHours(-1) }
  for (const state of ['running', ...ENDED] as const) {
    const rollout = rolloutAt([], { state, endedAt: state === 'running' ? null : inHours(0) })
    const refusal = approveStage(rollout, someRelease({ withdrawn }), { index: 1, looked: null }, ruleContextOf())
    t.match(problemOf(refusal), ['release_over', /was withdrawn: it leaks/], state)
  }
})

t.test('approvals are kept up to a limit, the latest of them', async (t) => {
  let rollout = rolloutAt()
  for (let person = 0; person < 60; person += 1) {
    rollout = allowed(
      approveStage(rollout, someRelease(), { index: 1, looked: null }, ruleContextOf({ actor: `p${person}/1` })),
    ).rollout
  }
  const { approvals } = stageAt(rollout, 1).progress
  t.equal(approvals.length, 50)
  t.equal(approvals.at(-1)?.by, 'p59/1')
})

t.test('a rollout is paused with a reason, and only while it runs', async (t) => {
  for (const reason of [null, '', ' \t']) {
    t.match(
      mistakeOf(pauseRollout(rolloutAt(), ruleContextOf({ reason }))),
      /^reason is missing; say why the rollout must wait/,
    )
  }
  const paused = { reason: 'logins fail', by: 'grace/token-9', at: inHours(0), gate: null }
  t.strictSame(allowed(pauseRollout(rolloutAt(), ruleContextOf({ reason: ' logins fail ' }))).rollout, {
    ...rolloutAt(),
    paused,
  })
  for (const state of ENDED)
    t.match(problemOf(pauseRollout(rolloutAt([], { state }), ruleContextOf())), ['rollout_over', /since long ago/])
})

t.test('a rollout that is resumed begins its step or its soaking anew', async (t) => {
  const paused = { reason: 'wait', by: 'ada', at: inHours(-1), gate: 'errors' }
  for (const state of ['promoting', 'soaking'] as const) {
    const rollout = rolloutAt([doneWith('canary'), underWay(state, 50, 'internal')], { paused })
    const { rollout: resumed } = allowed(resumeRollout(rollout, ruleContextOf({ now: NOW + 60_000 })))
    t.strictSame(resumed, {
      ...rollout,
      paused: null,
      stages: [rollout.stages[0], { ...rollout.stages[1], since: inMinutes(1) }, rollout.stages[2]],
    })
  }
  const waiting = rolloutAt([doneWith('canary')], { paused })
  t.strictSame(allowed(resumeRollout(waiting, ruleContextOf())).rollout, { ...waiting, paused: null })
  t.equal(restarted(waiting, NOW), waiting, 'nothing is under way')
})

t.test('a rollout is resumed with a reason, and only where it is paused', async (t) => {
  t.match(
    mistakeOf(resumeRollout(rolloutAt(), ruleContextOf({ reason: ' ' }))),
    /^reason is missing; say why the rollout may go on/,
  )
  t.match(problemOf(resumeRollout(rolloutAt(), ruleContextOf())), ['not_paused', /15\.2\.0 is not paused/])
})

/** The rollout with the rules of a pipeline of these stages. */
function rebased(rollout: Rollout, ...stages: readonly StageRules[]) {
  const pipeline = somePipeline(stages, { grace: 'P1D', requirePackages: false })
  const approved = { release: someRelease(), people: NO_PEOPLE }
  return rebaseRollout(rollout, { pipeline, revision: 8 }, approved, NOW + 60_000)
}

t.test('a rollout keeps its rules until it is re-based, and then takes all of the new ones', async (t) => {
  const rollout = rolloutAt([doneWith('canary'), underWay('soaking', 100, 'internal')])
  const changed = [
    someStage('canary'),
    someStage('internal', { soakMinutes: 9, approvals: 1 }),
    someStage('trials'),
    someStage('everyone'),
  ]
  const { rollout: next } = allowed(rebased(rollout, ...changed))
  t.strictSame(next.rules, { grace: 'P1D', requirePackages: false, stages: changed })
  t.equal(next.pipelineRevision, 8)
  t.strictSame(
    next.stages.map(({ name, state }) => [name, state]),
    [
      ['canary', 'done'],
      ['internal', 'soaking'],
      ['trials', 'waiting'],
      ['everyone', 'waiting'],
    ],
  )
  const [canary, internal] = rollout.stages
  t.strictSame(next.stages.slice(0, 2), [canary, { ...internal, since: inMinutes(1) }], 'its soaking begins anew')
})

t.test('approvals of a stage that waits go with it to its new place', async (t) => {
  const approvals = [{ by: 'eve/1', at: inHours(-1), edition: 1 }]
  const rollout = rolloutAt([{}, { approvals }, { approvals }])
  const { rollout: next } = allowed(rebased(rollout, someStage('everyone'), someStage('canary')))
  t.strictSame(
    next.stages.map(({ name, approvals: given }) => [name, given.length]),
    [
      ['everyone', 1],
      ['canary', 0],
    ],
  )
})

t.test(
  'approvals end where the stage gets other channels or another pace, not where more people must approve',
  async (t) => {
    const approvals = [{ by: 'eve/1', at: inHours(-1), edition: 1 }]
    const [canary, internal, everyone] = STAGES as [StageRules, StageRules, StageRules] // Of three.
    const rollout = rolloutAt([doneWith('canary'), { approvals }])
    const given = (more: Partial<StageRules>): number | undefined =>
      allowed(rebased(rollout, canary, { ...internal, ...more }, everyone)).rollout.stages[1]?.approvals.length
    t.equal(given({}), 1)
    t.equal(given({ approvals: 2 }), 1)
    for (const more of [{ channels: ['internal', 'all'] }, { rampPercent: [10] }, { auto: true }, { soakMinutes: 9 }]) {
      t.equal(given(more), 0, JSON.stringify(more))
    }
    const superseded = startAgain(
      { ...start(), rules: { ...start().rules, stages: [canary, { ...internal, channels: ['all'] }, everyone] } },
      rollout,
    )
    t.strictSame(superseded.stages[1]?.approvals, [], 'nor are they taken along by a rollout that begins anew')
  },
)

t.test('no stage is skipped by new rules: what was promoted must be at its place still', async (t) => {
  const rollout = rolloutAt([doneWith('canary'), underWay('promoting', 10, 'internal')])
  const [canary, internal, everyone] = STAGES as [StageRules, StageRules, StageRules] // Of three.
  for (const [stages, name] of [
    [[someStage('first'), canary, internal, everyone], 'canary'],
    [[internal, canary, everyone], 'canary'],
    [[canary, everyone], 'internal'],
    [[canary, everyone, internal], 'internal'],
    [[canary], 'internal'],
  ] as const) {
    const problem = problemOf(rebased(rollout, ...stages))
    t.match(problem, [
      'not_rebased',
      new RegExp(`^stage ${name} was promoted, but is not stage \\d of the pipeline any more`),
    ])
  }
  t.equal(allowed(rebased(rollout, canary, internal)).rollout.stages.length, 2, 'a stage that waits may go')
})

t.test('a channel in the middle of a ramp is not taken from its stage', async (t) => {
  const stages = [someStage('canary', { channels: ['a', 'b'] }), someStage('internal')]
  const [canary, internal] = stages as [StageRules, StageRules] // Of two.
  const rollout = someRollout([{ rules: canary, progress: underWay('promoting', 10, 'a', 'b') }, { rules: internal }])
  const without = { ...canary, channels: ['a', 'c'] }
  t.match(problemOf(rebased(rollout, without, internal)), ['not_rebased', /^channel b is in the middle of a ramp/])
  t.match(allowed(rebased(rollout, { ...canary, channels: ['b', 'c', 'a'] }, internal)).rollout.stages[0], {
    percent: 10,
  })
  const done = someRollout([{ rules: canary, progress: doneWith('a', 'b') }, { rules: internal }])
  t.match(allowed(rebased(done, without, internal)).rollout.stages[0], { state: 'done' })
})

t.test('a rollout that is over is not re-based', async (t) => {
  for (const state of ENDED) t.match(problemOf(rebased(rolloutAt([], { state }), ...STAGES)), ['rollout_over', /./])
})

t.test('a rollout whose last waiting stages are taken from it is done', async (t) => {
  const rollout = rolloutAt([doneWith('canary'), doneWith('internal')])
  const { rollout: next } = allowed(rebased(rollout, ...STAGES.slice(0, 2)))
  t.equal(next.state, 'done', 'nothing would ever end it')
})
