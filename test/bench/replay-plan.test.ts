// Which recorded moves a pipeline could make, and in which order.
import t from 'tap'
import type { HistoryStep } from '../../bench/replay-history.ts'
import { planPipelines } from '../../bench/replay-plan.ts'

function step(day: number, channel: string, version: string | null): HistoryStep {
  return { at: new Date(Date.UTC(2024, 0, day)).toISOString(), channel, version }
}

function planned(steps: readonly HistoryStep[]): readonly (readonly [string, string | null, string | null])[] {
  return planPipelines(steps)
    .moments.flatMap(({ pipelines }) => [...pipelines.values()].flat())
    .map(({ channel, version, byHand }) => [channel, version, byHand] as const)
}

await t.test('only lines that have all three channels are pipelines', (t) => {
  const line = ['candidate-4.2', 'fast-4.2', 'stable-4.2', 'candidate-4.3', 'fast-4.3', 'eus-4.2', 'stable-4.1']
  const { pipelines, channels, moments } = planPipelines(line.map((channel) => step(1, channel, '4.2.0')))
  t.same(pipelines, ['4.2'])
  t.same(channels, ['candidate-4.2', 'fast-4.2', 'stable-4.2'])
  t.equal(moments.length, 1, 'what was recorded for one time is one moment')
  t.end()
})

await t.test('the steps of one moment are in the order of their stages', (t) => {
  const steps = [step(1, 'stable-4.2', '4.2.0'), step(1, 'fast-4.2', 'v4.2.0'), step(1, 'candidate-4.2', '4.2.0')]
  t.same(planned(steps), [
    ['candidate-4.2', '4.2.0', null],
    ['fast-4.2', '4.2.0', null],
    ['stable-4.2', '4.2.0', null],
  ])
  t.end()
})

await t.test(
  'a move that skips a stage, names no version or comes back is made by hand, and so is what follows it',
  (t) => {
    const steps = [
      step(1, 'candidate-4.2', '4.2.0'),
      step(2, 'fast-4.2', '4.2.1'),
      step(3, 'stable-4.2', '4.2.1'),
      step(4, 'candidate-4.2', '4.2'),
      step(5, 'candidate-4.2', null),
      step(6, 'candidate-4.2', '4.2.0'),
      step(7, 'fast-4.2', '4.2.0'),
    ]
    t.same(planned(steps), [
      ['candidate-4.2', '4.2.0', null],
      ['fast-4.2', '4.2.1', 'was never promoted on candidate'],
      ['stable-4.2', '4.2.1', 'was never promoted on fast'],
      ['candidate-4.2', '4.2', 'is no version'],
      ['candidate-4.2', null, 'takes the version away'],
      ['candidate-4.2', '4.2.0', 'comes back to candidate'],
      ['fast-4.2', '4.2.0', null],
    ])
    t.end()
  },
)
