// What holds a stage back, whatever its channels say: every condition by its own case, in words that say what to do.
import t from 'tap'
import { NO_PEOPLE } from '../../src/rollouts/people.ts'
import {
  approvers,
  conditionBlockers,
  endBlockers,
  named,
  tooOldFor,
  type StageFacts,
} from '../../src/rollouts/conditions.ts'
import type { Embargo } from '../../src/rollouts/embargo.ts'
import type { StageRules } from '../../src/rollouts/pipeline.ts'
import type { Release } from '../../src/rollouts/release.ts'
import type { Rollout, StageProgress } from '../../src/rollouts/rollout.ts'
import { blocking, inHours } from '../fixtures/channel-samples.ts'
import {
  codesOf,
  doneWith,
  RELEASE,
  someChange,
  someFacts,
  someRelease,
  someRollout,
  someStage,
} from '../fixtures/rollout-samples.ts'

interface Case {
  readonly rules?: Partial<StageRules>
  readonly progress?: Partial<StageProgress>
  readonly release?: Partial<Release>
  readonly rollout?: Partial<Rollout>
  readonly facts?: Partial<StageFacts>
}

/** What holds back the only stage of a rollout, as `code: message`. */
function held({ rules, progress = {}, release, rollout, facts }: Case = {}): readonly string[] {
  const one = someRollout([{ rules: someStage('canary', rules), progress }], rollout)
  const blockers = conditionBlockers(someFacts(one, { release: someRelease(release), ...facts }), 0)
  return blockers.map(({ code, message }) => `${code}: ${message}`)
}

const WITHDRAWN = { reason: 'it leaks', by: 'ada', at: inHours(-1) }

t.test('a full release whose package is known holds nothing back', async (t) => {
  t.strictSame(held(), [])
})

t.test('a rollout that has ended moves nothing any more, one that is done may catch up', async (t) => {
  for (const state of ['superseded', 'rolled back', 'withdrawn'] as const) {
    t.match(held({ rollout: { state } }), [new RegExp(`^ended: the rollout is ${state}$`)])
  }
  t.match(held({ rollout: { state: 'superseded', supersededBy: '15.3.0' } }), [/^ended: .* superseded by 15\.3\.0$/])
  t.strictSame(held({ rollout: { state: 'done' } }), [])
  t.strictSame(codesOf(endBlockers(someRollout([], { state: 'withdrawn' }))), ['ended'])
})

t.test('a paused rollout says who has paused it, when and why, and what to do', async (t) => {
  const paused = { reason: 'logins fail', by: 'ada', at: inHours(-1), gate: null }
  t.strictSame(held({ rollout: { paused } }), [`paused: paused by ada at ${inHours(-1)}: logins fail; resume it first`])
  t.match(held({ rollout: { paused, state: 'superseded' } }), [/^ended/], 'nothing is resumed after its end')
})

t.test('a release that was withdrawn or rolled back is not promoted', async (t) => {
  t.strictSame(held({ release: { withdrawn: WITHDRAWN } }), ['withdrawn: the release was withdrawn: it leaks'])
  t.strictSame(held({ release: { bad: WITHDRAWN } }), ['bad: the release was rolled back: it leaks'])
  t.match(held({ release: { bad: WITHDRAWN, withdrawn: WITHDRAWN } }), [/^withdrawn/, /^bad/])
})

t.test('a release without agent packages is not promoted, and is not blamed for being blocked', async (t) => {
  const facts = { isBlocked: blocking(RELEASE) }
  t.match(held({ release: { kind: 'control-plane', packages: [] }, facts }), [
    /^control-plane: .*no agent packages yet.*artifacts$/,
  ])
})

t.test('a blocked version is not promoted; one that was withdrawn is blocked anyway', async (t) => {
  const facts = { isBlocked: blocking(RELEASE) }
  t.match(held({ facts }), [/^blocked: 15\.2\.0 is on the block list; take it off the list first$/])
  t.match(held({ facts, release: { withdrawn: WITHDRAWN } }), [/^withdrawn/])
  t.strictSame(held({ facts: { isBlocked: blocking('15.1.4') } }), [], 'what was told before may be blocked')
})

t.test('a release needs a package that was found, unless the rules say otherwise', async (t) => {
  t.match(held({ release: { packages: [] } }), [/^packages: no package of the release is known; say where/])
  const free = someRollout([{ rules: someStage('canary') }])
  const rollout = { rules: { ...free.rules, requirePackages: false } }
  t.strictSame(held({ release: { packages: [] }, rollout }), [])
})

t.test('a release that lacks an embargoed fix is held back, without a word of the fix', async (t) => {
  const times = { since: inHours(-9), registeredAt: inHours(-9), liftedAt: null }
  const embargo: Embargo = { release: '15.1.9', fixes: ['SEC-2026-1'], ...times }
  const blockers = held({ facts: { embargoes: [embargo] } })
  t.match(blockers, [
    /^embargo: .*the fix of 15\.1\.9 was embargoed, and does not list that fix; cut a release that has it/,
  ])
  t.notMatch(blockers.join(), /SEC-2026-1/)
  const security = { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null }
  t.strictSame(held({ facts: { embargoes: [embargo] }, release: { security } }), [])
})

t.test('a stage waits for every stage before it, and says which and how far that is', async (t) => {
  const before = (progress: Partial<StageProgress>) =>
    someRollout([
      { rules: someStage('canary'), progress: doneWith('canary') },
      { rules: someStage('internal'), progress },
      { rules: someStage('everyone') },
    ])
  const heldAt = (rollout: Rollout, index: number) =>
    conditionBlockers(someFacts(rollout), index).map(({ code, message }) => `${code}: ${message}`)
  t.strictSame(heldAt(before({}), 2), ['stage-before: stage internal is not promoted yet'])
  t.strictSame(heldAt(before({ state: 'promoting' }), 2), ['stage-before: stage internal is promoting'])
  t.strictSame(heldAt(before({ state: 'soaking' }), 2), ['stage-before: stage internal is soaking'])
  t.strictSame(heldAt(before(doneWith('internal')), 2), [])
  t.strictSame(heldAt(before({}), 1), [], 'what comes after it holds nothing back')
  t.strictSame(heldAt(before({}), 0), [])
})

t.test('where sign-off is required, every significant change is named that nobody has signed off', async (t) => {
  const rules = { requireSignOff: true }
  const changes = [someChange('1'), someChange('2', { significant: false }), someChange('3')]
  t.strictSame(held({ rules, release: { changes } }), ['sign-off: 2 significant changes not signed off: 1, 3'])
  t.strictSame(held({ rules, release: { changes: [someChange('1')] } }), [
    'sign-off: 1 significant change not signed off: 1',
  ])
  t.match(held({ rules, release: { changes: null } }), [/^sign-off: nobody has said which changes the release brings/])
  t.strictSame(held({ rules, release: { changes: [] } }), [], 'it was said that there are none')
  t.strictSame(held({ rules }), [])
  t.strictSame(held({ release: { changes } }), [], 'where it is not required')
})

function approvedBy(...people: readonly string[]): Partial<StageProgress> {
  return { approvals: people.map((by) => ({ by, at: inHours(-1), edition: 1 })) }
}

t.test('so many different people must approve, and whoever cut or registered the release does not count', async (t) => {
  const rules = { approvals: 2 }
  t.match(held({ rules }), [/^approvals: 0 of 2 approvals; those who cut or wrote the release do not count$/])
  t.match(held({ rules, progress: approvedBy('eve/1') }), [/^approvals: 1 of 2/])
  t.match(held({ rules, progress: approvedBy('eve/1', 'EVE/2', 'eve/3') }), [/^approvals: 1 of 2/], 'one person')
  t.match(
    held({ rules, progress: approvedBy('eve/1', 'ANN/7', 'robot/8') }),
    [/^approvals: 1 of 2/],
    'cut and registered',
  )
  t.strictSame(held({ rules, progress: approvedBy('eve/1', 'mia/2') }), [])
  t.match(held({ rules: { approvals: 1 } }), [/0 of 1 approval;/])
  const { stages } = someRollout([{ rules: someStage('a'), progress: approvedBy('Eve/1', 'ann/1', 'eve/2', 'mia') }])
  t.strictSame(
    stages.flatMap((stage) => approvers(someRelease(), stage, NO_PEOPLE)),
    ['eve', 'mia'],
  )
})

t.test(
  'what is not known any more holds back a release that does not work with every agent, and no other',
  async (t) => {
    const facts = { running: new Map([['a', ['15.0.0']]]), unknown: new Map([['a', inHours(-5)]]) }
    t.strictSame(held({ facts, release: { minAgentVersion: '15.0.0' } }), [
      `compatibility: it works with agents from 15.0.0 on, but what was served within the grace period is not known: the journal does not tell of a before ${inHours(-5)}; wait, or give the pipeline a shorter grace and re-base a rollout that is under way`,
    ])
    t.match(held({ facts, release: { minAgentVersion: '15.0.1' } }), [/^compatibility: .* a has served 15\.0\.0$/])
    t.strictSame(held({ facts }), [])
  },
)

t.test('whoever has approved an earlier edition of the release has not approved this one', async (t) => {
  const [rules, progress] = [{ approvals: 1 }, approvedBy('eve/1')]
  t.strictSame(held({ rules, progress }), [])
  const message =
    'approvals: 0 of 1 approval; those who cut or wrote the release do not count, nor does who approved it before it was edited'
  t.strictSame(held({ rules, progress, release: { edition: 2 } }), [message])
})

t.test('a closed window holds back, and says when agents are moved', async (t) => {
  const promoteWindow = { days: ['mon'], from: '09:00', to: '17:00', timeZone: 'UTC' } as const
  const rules = { promoteWindow }
  t.strictSame(held({ rules }), ['window: the window is closed; agents are moved mon from 09:00 to 17:00 (UTC)'])
  const monday = Date.UTC(2026, 2, 2, 9)
  t.strictSame(held({ rules, facts: { now: monday } }), [])
  // By a clock that is not confirmed nobody knows.
  for (const expiryTime of [monday - 1, Number.NEGATIVE_INFINITY]) {
    t.match(held({ rules, facts: { now: monday, expiryTime } }), [/^window: the clock is not confirmed/])
  }
})

t.test(
  'a release waits for agents too old for it, and names the channels and versions that hold it back',
  async (t) => {
    const release = { minAgentVersion: '15.1.0' }
    const running = new Map([
      ['canary', ['15.1.4', '14.3.0', '15.0.9']],
      ['internal', ['15.1.0']],
      ['everyone', ['15.0.0']],
    ])
    t.strictSame(held({ release, facts: { running } }), [
      'compatibility: it works with agents from 15.1.0 on, but within the grace period canary has served 14.3.0, canary has served 15.0.9, everyone has served 15.0.0',
    ])
    t.strictSame(held({ release, facts: { running: new Map([['internal', ['15.1.0', '15.1.4']]]) } }), [])
    t.strictSame(held({ facts: { running } }), [], 'where it works with any')
    t.strictSame(tooOldFor('15.1.0', running).at(-1), { channel: 'everyone', version: '15.0.0' })
    t.strictSame(tooOldFor(null, running), [])
    t.strictSame(tooOldFor('15.1.0', new Map([['a', ['15.1.0-rc.1']]])), [{ channel: 'a', version: '15.1.0-rc.1' }])
  },
)

t.test('everything that holds it back is named at once, in the order in which one would see to it', async (t) => {
  const rules = {
    requireSignOff: true,
    approvals: 1,
    promoteWindow: { days: [], from: '09:00', to: '10:00', timeZone: 'UTC' },
  }
  const release = { bad: WITHDRAWN, packages: [], changes: null, minAgentVersion: '15.1.0' }
  const paused = { reason: 'wait', by: 'ada', at: inHours(-1), gate: null }
  const facts = { isBlocked: blocking(RELEASE), running: new Map([['canary', ['14.0.0']]]) }
  t.strictSame(
    held({ rules, release, rollout: { paused }, facts }).map((line) => line.split(':')[0]),
    ['paused', 'bad', 'blocked', 'packages', 'sign-off', 'approvals', 'window', 'compatibility'],
  )
})

t.test('a list in a message names ten and counts the rest', async (t) => {
  const names = Array.from({ length: 12 }, (_, index) => `c${index}`)
  t.equal(named(names), 'c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more')
  t.equal(named(names.slice(0, 10)), 'c0, c1, c2, c3, c4, c5, c6, c7, c8, c9')
  t.equal(named([]), '')
})
