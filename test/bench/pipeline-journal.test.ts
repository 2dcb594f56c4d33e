// A journal that is right is found right; one promotion lost, repeated, skipped or moved is found out.
import t from 'tap'
import { promotionFaults, rolloutStates, type Expected } from '../../bench/pipeline-journal.ts'
import { rolloutBody, withStage, type Rollout, type StageProgress } from '../../src/rollouts/rollout.ts'
import type { Document, DocumentChange, JournalEntry } from '../../src/store/port.ts'

const NAMES = ['candidate', 'fast'] as const

function rollout(release: string): Rollout {
  const stages = NAMES.map((name) => ({ name, channels: [`${name}-4.2`] }))
  return {
    ...{ pipeline: '4.2', release, state: 'running', startedAt: '', startedBy: '', endedAt: null },
    ...{ pipelineRevision: 1, paused: null, supersededBy: null, rollback: null },
    // Nothing else of a stage is looked at.
    rules: { grace: 'P14D', requirePackages: false, stages } as unknown as Rollout['rules'],
    stages: NAMES.map((name) => ({ name, state: 'waiting' }) as StageProgress),
  }
}

function document(key: string, body: object): Document {
  return { key, revision: 1, format: 1, body: body as Document['body'] } // Made of JSON.
}

let seq = 0

function entry(kind: string, changes: readonly DocumentChange[]): JournalEntry {
  seq += 1
  const who = { actor: 'somebody', reason: null, requestId: null }
  return { seq, mark: '', format: 1, at: '', kind, subjects: changes.map(({ key }) => key), changes, ...who }
}

function told(channel: string, version: string): DocumentChange {
  const key = `channel/${channel}`
  return { key, before: null, after: document(key, { source: { kind: 'static', version } }) }
}

/** The entry of a promotion of one stage, and the rollout after it. */
function promotion(before: Rollout, index: number, moves = `${NAMES[index]}-4.2`): readonly [JournalEntry, Rollout] {
  const after = withStage(before, index, { state: 'done' })
  const key = `rollout/4.2/${before.release}`
  const change = { key, before: document(key, rolloutBody(before)), after: document(key, rolloutBody(after)) }
  return [entry('rollout.promote', [change, told(moves, before.release)]), after]
}

const [first, onCandidate] = promotion(rollout('4.2.0'), 0)
const [second] = promotion(onCandidate, 1)
const byHand = entry('channel.create', [told('candidate-4.2', '4.1.9')])
const expected: Expected = {
  promoted: new Map([
    [
      '4.2',
      [
        { stage: 'candidate', release: '4.2.0' },
        { stage: 'fast', release: '4.2.0' },
      ],
    ],
  ]),
  byHand: [{ channel: 'candidate-4.2', version: '4.1.9' }],
}

await t.test('promotions that are all there, once and in order, are right', (t) => {
  t.same(promotionFaults([byHand, first, second], expected), [])
  t.same([...rolloutStates([byHand, first, second])], [['on their way', 1]])
  t.same([...rolloutStates([])], [])
  t.end()
})

await t.test('a promotion that is lost, or that nobody has asked for, is found out', (t) => {
  t.match(promotionFaults([byHand, first], expected), [/pipeline 4\.2: fast 4\.2\.0 is not where it belongs .*nothing/])
  const [other] = promotion(rollout('4.2.1'), 0)
  t.match(promotionFaults([byHand, first, second, other], expected), [
    /candidate 4\.2\.1 is in the journal, and nobody/,
  ])
  t.match(promotionFaults([byHand, first, first, second], expected), [/fast 4\.2\.0 .*\(candidate 4\.2\.0 is\)/])
  t.end()
})

await t.test('a stage that was skipped is found out, whatever the rollout says of itself', (t) => {
  const [skips] = promotion(rollout('4.2.0'), 1)
  t.match(promotionFaults([byHand, skips], expected)[0], /4\.2\.0 on fast of 4\.2 has skipped stage 1, candidate/)
  t.match(
    promotionFaults([byHand, second], expected)[0],
    /has skipped stage 1, candidate/,
    'its claim alone is no proof',
  )
  t.end()
})

await t.test('a promotion that moves another channel is found out, and so is a move without one', (t) => {
  const [astray] = promotion(rollout('4.2.0'), 0, 'fast-4.2')
  t.match(promotionFaults([byHand, astray], expected)[0], /4\.2\.0 on candidate of 4\.2 moves fast-4\.2/)
  const moved = entry('channel.version', [told('fast-4.2', '4.2.0')])
  t.match(promotionFaults([byHand, first, second, moved], expected), [/channel fast-4\.2 without a promotion/])
  t.end()
})
