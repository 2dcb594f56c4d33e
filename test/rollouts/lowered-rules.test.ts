// Rules that ask fewer people: a rollout takes them only with the approvals that it requires now.
import t from 'tap'
import { loweringRefusal } from '../../src/rollouts/lowered-rules.ts'
import { NO_PEOPLE, type People } from '../../src/rollouts/people.ts'
import type { StageRules } from '../../src/rollouts/pipeline.ts'
import type { Release } from '../../src/rollouts/release.ts'
import { inHours } from '../fixtures/channel-samples.ts'
import { someRelease, someRollout, someStage } from '../fixtures/rollout-samples.ts'

const FLEET = someStage('fleet', { channels: ['a', 'b'], approvals: 2, requireSignOff: true })
const CANARY = someStage('canary')

function refusal(
  stages: readonly StageRules[],
  by: readonly string[] = [],
  { release = someRelease(), people = NO_PEOPLE }: { readonly release?: Release; readonly people?: People } = {},
) {
  const approvals = by.map((actor) => ({ by: actor, at: inHours(-1), edition: 1 }))
  const rollout = someRollout([{ rules: CANARY }, { rules: FLEET, progress: { approvals } }])
  return loweringRefusal(rollout, { grace: 'P14D', requirePackages: true, stages }, { release, people })
}

t.test(
  'fewer approvals, no sign-off, or a channel in another stage need the approvals of now: approvals_required',
  async (t) => {
    const lowered: Readonly<Record<string, readonly StageRules[]>> = {
      'fewer approvals': [CANARY, { ...FLEET, approvals: 1 }],
      'no sign-off': [CANARY, { ...FLEET, requireSignOff: false }],
      'a channel in the stage before': [
        { ...CANARY, channels: ['canary', 'a'] },
        { ...FLEET, channels: ['b'] },
      ],
      'a channel taken out': [CANARY, { ...FLEET, channels: ['b'] }],
      'the stage taken out': [CANARY],
      'another stage of its name': [
        { ...FLEET, channels: ['c'], approvals: 0 },
        someStage('rest', { ...FLEET, name: 'rest' }),
      ],
    }
    for (const [what, stages] of Object.entries(lowered)) {
      t.match(
        refusal(stages),
        { problem: 'approvals_required', message: /stage fleet .* needs 2 approvals first, and has 0/ },
        what,
      )
      t.match(refusal(stages, ['eve/t1', 'EVE/t2']), { message: /has 1$/ }, 'one person')
      t.match(refusal(stages, ['eve/t1', 'ann/t2']), { message: /has 1$/ }, 'ann has cut it')
      t.equal(refusal(stages, ['eve/t1', 'mia/t2']), null, what)
    }
  },
)

t.test('rules that ask as many people, or more, need nothing', async (t) => {
  for (const stages of [
    [CANARY, FLEET],
    [CANARY, { ...FLEET, approvals: 3, soakMinutes: 9 }],
    [CANARY, { ...FLEET, name: 'renamed' }],
    [{ ...CANARY, channels: ['new'] }, FLEET],
    [FLEET],
  ]) {
    t.equal(refusal(stages), null)
  }
})

t.test('where somebody unknown has written the release, its approvals free no rule', async (t) => {
  const release = someRelease({ authors: ['octocat/github'] })
  const stages = [CANARY, { ...FLEET, approvals: 0 }]
  t.match(refusal(stages, ['eve/t1', 'mia/t2'], { release }), { message: /has 0$/ })
  const people = { logins: new Map([['octocat', 'mia']]), isUnreadable: false }
  t.match(refusal(stages, ['eve/t1', 'mia/t2'], { release, people }), { message: /has 1$/ })
})
