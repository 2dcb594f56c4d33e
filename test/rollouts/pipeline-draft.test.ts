// A pipeline as it is asked for: what is filled in, and every mistake by its place.
import t from 'tap'
import { COMMIT_WRITES_MAX } from '../../src/store/port.ts'
import { inHours } from '../fixtures/channel-samples.ts'
import {
  draftPipeline,
  graceMistake,
  PIPELINE_CHANNELS_MAX,
  takes,
  type GateRefusal,
  type PipelineDraft,
  type StageDraft,
} from '../../src/rollouts/pipeline-draft.ts'
import { mistakeOf, ruleContextOf, someGate, somePipeline, someStage } from '../fixtures/rollout-samples.ts'

const CONTEXT = ruleContextOf()
const STAGE: StageDraft = { name: 'canary', channels: ['canary'] }
const WINDOW = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'UTC' } as const

/** Only this host may be asked. */
const gateRefusal: GateRefusal = ({ url, secret }) => {
  if (secret === 'other') return { field: 'secret', message: 'is not known' }
  return url.startsWith('http://prometheus.example.com')
    ? null
    : { field: 'url', message: 'is not on the list of hosts' }
}

function drafted(draft: Partial<PipelineDraft> = {}) {
  const result = draftPipeline({ name: 'cloud', stages: [STAGE], ...draft }, gateRefusal, CONTEXT)
  if (result.outcome === 'drafted') return result.pipeline
  throw new Error(`${result.field} ${result.message}`)
}

function mistakeIn(draft: Partial<PipelineDraft>): string {
  return mistakeOf(draftPipeline({ name: 'cloud', stages: [STAGE], ...draft }, gateRefusal, CONTEXT))
}

function mistakeInStage(more: Partial<StageDraft>): string {
  return mistakeIn({
    stages: [
      { name: 'first', channels: ['first'] },
      { ...STAGE, ...more },
    ],
  })
}

t.test('what is left out is filled with what moves nobody by surprise', async (t) => {
  const stamp = { updatedAt: inHours(0), updatedBy: 'grace/token-9' }
  t.strictSame(drafted(), somePipeline([someStage('canary')], stamp))
  const { name, url, query, op, threshold } = someGate()
  const gates = [{ name, url, query, op, threshold }]
  t.strictSame(drafted({ stages: [{ ...STAGE, gates }] }).stages[0]?.gates, [someGate()])
})

t.test('what is said is kept', async (t) => {
  const stage = someStage('canary', {
    channels: ['canary', 'canary/eu'],
    auto: true,
    soakMinutes: 5,
    requireSignOff: true,
    approvals: 2,
    gates: [someGate({ everySeconds: 10, failures: 1 }), someGate({ name: 'latency' })],
    rampPercent: [1, 10, 99],
    rampMinutes: 7,
    promoteWindow: WINDOW,
    plainPath: 'first',
  })
  const said = { description: 'd', versions: '>=15.0.0-0', grace: 'P1D', requirePackages: false }
  const pipeline = drafted({ ...said, stages: [stage] })
  t.match(pipeline, said)
  t.strictSame(pipeline.stages, [stage])
})

t.test('a name that is none is refused', async (t) => {
  for (const name of ['', 'Cloud', '-cloud', 'a/b', 'a b', 'a'.repeat(64), '_']) {
    t.match(mistakeIn({ name }), /^name .*must be 1 to 63 of a-z/, name)
  }
  for (const name of ['c', '0', 'cloud.eu_1-b', 'a'.repeat(63)]) t.equal(drafted({ name }).name, name)
})

t.test('a range of versions that is none is refused', async (t) => {
  for (const versions of ['nope', '>=x.y.z.w', '15.0.0 ||| 16'])
    t.match(mistakeIn({ versions }), /^versions .*no range/)
  t.equal(drafted({ versions: null }).versions, null)
})

t.test('a grace period is a duration of at most 90 days', async (t) => {
  for (const grace of ['', '14 days', 'P', 'P1M', '-P1D']) t.match(mistakeIn({ grace }), /^grace .*duration/, grace)
  t.match(mistakeIn({ grace: 'P90DT1S' }), /^grace is longer than 90 days/)
  t.equal(drafted({ grace: 'P90D' }).grace, 'P90D')
  t.equal(graceMistake('P90D'), null)
  t.match(graceMistake('P91D'), { field: 'grace' })
})

t.test('no two stages have one name, and no channel is moved twice', async (t) => {
  t.match(mistakeInStage({ name: 'first' }), /^stages\/1\/name "first" is there twice/)
  t.match(mistakeInStage({ channels: ['a', 'b', 'a'] }), /^stages\/1\/channels\/2 "a" is there twice/)
  t.match(mistakeInStage({ channels: ['first'] }), /^stages\/1\/channels\/0 "first" is there twice/, 'by another stage')
  t.match(mistakeInStage({ channels: ['a', 'A/b'] }), /^stages\/1\/channels\/1 /)
  t.match(mistakeInStage({ channels: ['stable/cohort'] }), /^stages\/1\/channels\/0 /)
})

t.test('a pipeline has no more channels than one commit can take back', async (t) => {
  t.ok(PIPELINE_CHANNELS_MAX + 2 <= COMMIT_WRITES_MAX, 'a rollback fits into one commit')
  const channels = Array.from({ length: PIPELINE_CHANNELS_MAX }, (_, index) => `c${index}`)
  t.equal(drafted({ stages: [{ name: 'all', channels }] }).stages[0]?.channels.length, PIPELINE_CHANNELS_MAX)
  const message = mistakeIn({ stages: [STAGE, { name: 'all', channels }] })
  t.equal(message, `stages have ${PIPELINE_CHANNELS_MAX + 1} channels; a pipeline has at most ${PIPELINE_CHANNELS_MAX}`)
})

t.test('the steps of a ramp rise', async (t) => {
  t.match(mistakeInStage({ rampPercent: [10, 10] }), /^stages\/1\/rampPercent\/1 is not above the step before it/)
  t.match(mistakeInStage({ rampPercent: [1, 5, 20, 10] }), /^stages\/1\/rampPercent\/3 /)
  t.strictSame(drafted({ stages: [{ ...STAGE, rampPercent: [1, 2, 99] }] }).stages[0]?.rampPercent, [1, 2, 99])
})

t.test('a window has two times of the day that differ, and a time zone', async (t) => {
  const mistake = (more: Partial<Record<'from' | 'to' | 'timeZone', string>>) =>
    mistakeInStage({ promoteWindow: { ...WINDOW, ...more } })
  t.match(mistake({ from: '9:00' }), /^stages\/1\/promoteWindow\/from "9:00" is no time of the day/)
  t.match(mistake({ to: '24:00' }), /^stages\/1\/promoteWindow\/to "24:00" is no time of the day/)
  t.match(mistake({ to: '09:00' }), /^stages\/1\/promoteWindow\/to is when the window opens/)
  t.match(mistake({ timeZone: 'Berlin' }), /^stages\/1\/promoteWindow\/timeZone "Berlin" is no time zone/)
  t.match(drafted({ stages: [{ ...STAGE, promoteWindow: { ...WINDOW, to: '02:00' } }] }).stages[0], {
    promoteWindow: { from: '09:00', to: '02:00' },
  })
})

t.test('no two gates of a stage have one name, and each asks a host that may be asked', async (t) => {
  const gates = [someGate(), someGate({ name: 'latency' })]
  t.match(mistakeInStage({ gates: [...gates, someGate()] }), /^stages\/1\/gates\/2\/name "errors" is there twice/)
  const elsewhere = someGate({ name: 'elsewhere', url: 'http://169.254.169.254' })
  t.match(mistakeInStage({ gates: [...gates, elsewhere] }), /^stages\/1\/gates\/2\/url is not on the list of hosts/)
  const both = [
    { ...STAGE, gates },
    { name: 'next', channels: ['next'], gates },
  ]
  t.equal(drafted({ stages: both }).stages.length, 2, 'two stages may have the same gates')
})

t.test('a placeholder or a secret that does not exist is named by its place', async (t) => {
  const inQuery = someGate({ query: 'errors{version="{version}"}' })
  t.match(
    mistakeInStage({ gates: [someGate({ name: 'a' }), inQuery] }),
    /^stages\/1\/gates\/1\/query has the placeholder/,
  )
  t.match(mistakeInStage({ gates: [someGate({ secret: 'other' })] }), /^stages\/1\/gates\/0\/secret is not known/)
  const gate = someGate({ query: 'errors{version="{release}"}', initialDelayMinutes: 5, secret: 'mimir' })
  t.strictSame(drafted({ stages: [{ ...STAGE, gates: [gate] }] }).stages[0]?.gates, [gate])
})

t.test('a pipeline takes the releases of its range, prereleases too, or all', async (t) => {
  const cloud = somePipeline([], { versions: '>=15.0.0-0 <16.0.0-0' })
  for (const version of ['15.0.0', '15.9.9', '15.0.0-cloud.20230712T123633.aabbcc', '15.1.0-rc.1']) {
    t.ok(takes(cloud, version), version)
  }
  for (const version of ['14.9.9', '16.0.0', '16.0.0-rc.1']) t.notOk(takes(cloud, version), version)
  t.ok(takes(somePipeline([]), '1.0.0-rc.1'))
})
