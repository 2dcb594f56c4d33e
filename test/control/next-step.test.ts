// What rollouts do by themselves: one step at a time, each an entry of its kind. What is due is in test/rollouts/advance.test.ts.
import t from 'tap'
import { endOvertaken, pauseByItself, takeNextStep } from '../../src/control/next-step.ts'
import type { GateSamples } from '../../src/rollouts/advance.ts'
import type { StageRules } from '../../src/rollouts/pipeline.ts'
import type { StageProgress } from '../../src/rollouts/rollout.ts'
import type { JournalEntry } from '../../src/store/port.ts'
import { pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import { channelDocument, reached, releaseDocument, rolloutDocument, waiting } from '../fixtures/command-documents.ts'
import { started } from '../fixtures/command-proof.ts'
import type { CommandRig, Documents } from '../fixtures/command-rig.ts'
import { doneWith, MINUTE_MS, RELEASE, sampleAt, someGate, someStage, underWay } from '../fixtures/rollout-samples.ts'

const KEY = `rollout/cloud/${RELEASE}`

/** The release on its first stage, which has moved its channel. */
function onCanary(rules: Partial<StageRules>, progress: Partial<StageProgress>): Documents {
  const stages = [{ rules: someStage('canary', rules), progress }, { rules: someStage('fleet') }]
  return { ...reached(), ...rolloutDocument(stages) }
}

const soaking = (rules: Partial<StageRules>): Documents => onCanary(rules, underWay('soaking', 100, 'canary'))

interface Step {
  readonly name: string
  readonly documents: Documents
  readonly minutes?: number
  readonly samples?: GateSamples
  readonly entry: object
}

const steps: readonly Step[] = [
  {
    name: 'promotes an automatic stage',
    documents: { ...waiting(), ...rolloutDocument([{ rules: someStage('canary', { auto: true }) }]) },
    entry: { kind: 'rollout.promote', reason: 'stage canary is promoted by itself', subjects: [KEY, 'channel/canary'] },
  },
  {
    name: 'ends a soaking',
    documents: soaking({ soakMinutes: 5 }),
    minutes: 6,
    entry: { kind: 'rollout.soaked', reason: null, subjects: [KEY] },
  },
  {
    name: 'pauses where a gate has failed',
    documents: soaking({ soakMinutes: 5, gates: [someGate({ failures: 1 })] }),
    minutes: 1,
    samples: { errors: [sampleAt(1, 'failed')] },
    entry: { kind: 'rollout.pause', reason: /errors/, subjects: [KEY] },
  },
  {
    name: 'stops the time while no channel tells the release',
    documents: { ...soaking({ soakMinutes: 5 }), ...channelDocument('canary', { pin: pinOf('15.1.3') }) },
    minutes: 1,
    entry: { kind: 'rollout.suspend', reason: /no channel of the stage/, subjects: [KEY] },
  },
  {
    name: 'begins the time again once one does',
    documents: onCanary({ soakMinutes: 5 }, { ...underWay('soaking', 100, 'canary'), since: null }),
    entry: { kind: 'rollout.restart', reason: String, subjects: [KEY] },
  },
]

for (const { name, documents, minutes = 0, samples = {}, entry } of steps) {
  t.test(`it ${name}, as the server itself, and says so once it is done`, async (t) => {
    const rig = await started(t, documents)
    rig.clock.jump(minutes * MINUTE_MS)
    const moved: JournalEntry[] = []
    const onMoved = (one: JournalEntry): void => void moved.push(one)
    t.equal(await takeNextStep(rig.control, KEY, samples, onMoved), true)
    t.match(await rig.entries(), [{ ...entry, actor: 'bellwether', requestId: null }])
    t.strictSame(moved, await rig.entries())
  })
}

t.test('a ramp goes on by its channels and the rollout', async (t) => {
  const before = { version: '15.1.4', critical: false, criticalUntil: null }
  const ramp = { seed: `cloud/${RELEASE}`, percent: 10, before, plainPath: 'last' } as const
  const rig = await started(t, {
    ...onCanary({ rampPercent: [10, 50] }, underWay('promoting', 10, 'canary')),
    ...channelDocument('canary', { source: sourceOf(RELEASE), ramp }),
  })
  t.equal(await takeNextStep(rig.control, KEY, {}, () => {}), false, 'not before its time')
  rig.clock.jump(31 * MINUTE_MS)
  t.equal(await takeNextStep(rig.control, KEY, {}, () => {}), true)
  t.match((await rig.document('channel/canary'))?.body, { ramp: { percent: 50 } })
  t.match(await rig.entries(), [{ kind: 'rollout.step', subjects: [KEY, 'channel/canary'] }])
})

t.test('nothing is done, nor tried, for what waits for people, has ended, is paused, or is not there', async (t) => {
  const paused = { reason: 'r', by: 'ada/token-2', at: '2026-02-28T23:00:00.000Z', gate: null }
  const auto = [{ rules: someStage('canary', { auto: true }) }]
  for (const documents of [
    waiting(),
    { ...waiting(), ...rolloutDocument(auto, { state: 'superseded' }) },
    { ...waiting(), ...rolloutDocument(auto, { paused }) },
    { ...waiting(), ...rolloutDocument(auto), ...releaseDocument({ bad: paused }) },
    soaking({ soakMinutes: 5 }),
  ]) {
    const rig = await started(t, documents)
    t.equal(await takeNextStep(rig.control, KEY, {}, () => {}), false)
    t.equal(await takeNextStep(rig.control, 'rollout/cloud/15.9.9', {}, () => {}), false)
    t.same([rig.commits.length, rig.counted], [0, []])
  }
})

t.test('what is not due any more after a lost race is not done', async (t) => {
  const auto = rolloutDocument([{ rules: someStage('canary', { auto: true }) }])
  const rig = await started(t, { ...waiting(), ...auto })
  rig.between = () => pauseByItself(rig.control, KEY, 'packages are gone', () => {})
  t.equal(await takeNextStep(rig.control, KEY, {}, () => {}), false)
  t.match(await rig.entries(), [{ kind: 'rollout.pause' }])
})

t.test('a rollout under way is paused for its packages once, with the reason', async (t) => {
  const rig = await started(t, waiting())
  const pause = (some: CommandRig) => pauseByItself(some.control, KEY, 'a package is gone', () => {})
  await pause(rig)
  await pause(rig)
  t.match((await rig.document(KEY))?.body, { paused: { reason: 'a package is gone', by: 'bellwether' } })
  t.match(await rig.entries(), [{ kind: 'rollout.pause', reason: 'a package is gone' }])
  const ended = await started(t, waiting({ state: 'done' }))
  await pause(ended)
  t.equal(ended.commits.length, 0)
})

t.test('rollouts that a newer release has overtaken end together', async (t) => {
  const newer = rolloutDocument([{ rules: someStage('canary'), progress: doneWith('canary') }], { release: '15.3.0' })
  const older = rolloutDocument([{ rules: someStage('canary') }], { release: '15.1.9' })
  const rig = await started(t, { ...waiting(), ...newer, ...older })
  await endOvertaken(rig.control, 'cloud')
  await endOvertaken(rig.control, 'cloud')
  await endOvertaken(rig.control, 'other')
  const [entry, ...more] = await rig.entries()
  t.match(entry, { kind: 'rollout.supersede', actor: 'bellwether' })
  t.same(entry?.subjects.toSorted(), ['rollout/cloud/15.1.9', KEY])
  t.same(more, [])
  t.match((await rig.document(KEY))?.body, { state: 'superseded', supersededBy: '15.3.0' })
})
