// The guards by themselves: each one's edges, what force changes, and the order in which refusals are reported.
import t from 'tap'
import { firstRefused, judge, judgeDowngrade, type Judged } from '../../src/channels/guards.ts'
import type { GuardName } from '../../src/channels/outcome.ts'
import { blocking, nothingBlocked } from '../fixtures/channel-samples.ts'

const ORDER: readonly GuardName[] = [
  'blocked-version',
  'floor',
  'ceiling',
  'build_metadata',
  'major-downgrade',
  'major-jump',
]

function judged(more: Partial<Judged>): Judged {
  const limits = { floor: null, ceiling: null }
  return { version: '15.1.4', baseline: '15.1.4', limits, isBlocked: nothingBlocked, force: false, ...more }
}

function refusedBy(more: Partial<Judged>): readonly GuardName[] {
  return judge(judged(more)).flatMap(({ guard, verdict }) => (verdict === 'refused' ? [guard] : []))
}

function forcedBy(more: Partial<Judged>): readonly GuardName[] {
  return judge(judged({ ...more, force: true })).flatMap(({ guard, verdict }) => (verdict === 'forced' ? [guard] : []))
}

t.test('every guard gives one verdict with a reason, in a fixed order', async (t) => {
  for (const force of [true, false]) {
    const verdicts = judge(judged({ force }))
    t.strictSame(
      verdicts.map(({ guard }) => guard),
      ORDER,
    )
    t.ok(verdicts.every(({ verdict, detail }) => verdict === 'passed' && detail !== ''))
  }
})

t.test('a version on the block list is refused to the letter, forced or not', async (t) => {
  for (const force of [true, false]) {
    t.strictSame(refusedBy({ isBlocked: blocking('15.1.4'), force }), ['blocked-version'])
    t.strictSame(
      refusedBy({
        ...{ version: '1.28.2+k3s1', baseline: null, limits: { floor: null, ceiling: null, allowBuildMetadata: true } },
        ...{ isBlocked: blocking('1.28.2+k3s2', '1.28.2'), force },
      }),
      [],
    )
  }
})

t.test('a version is refused below the floor and above the ceiling, forced or not, and allowed on them', async (t) => {
  const limits = { floor: '15.1.2', ceiling: '15.3.0' }
  for (const force of [true, false]) {
    t.strictSame(refusedBy({ version: '15.1.1', limits, force }), ['floor'])
    t.strictSame(refusedBy({ version: '15.1.2-rc.1', limits, force }), ['floor'])
    t.strictSame(refusedBy({ version: '15.1.2', limits, force }), [])
    t.strictSame(refusedBy({ version: '15.3.0', limits, force }), [])
    t.strictSame(refusedBy({ version: '15.3.0+b', limits: { ...limits, allowBuildMetadata: true }, force }), [])
    t.strictSame(refusedBy({ version: '15.3.1-rc.1', limits, force }), ['ceiling'])
    t.strictSame(refusedBy({ version: '15.3.1', limits, force }), ['ceiling'])
  }
})

t.test('a lower major is refused unless forced; a lower minor is not', async (t) => {
  t.strictSame(refusedBy({ version: '14.9.9' }), ['major-downgrade'])
  t.strictSame(refusedBy({ version: '14.9.9', force: true }), [])
  t.strictSame(forcedBy({ version: '14.9.9' }), ['major-downgrade'])
  t.strictSame(forcedBy({ version: '3.0.0' }), ['major-downgrade'])
  t.strictSame(refusedBy({ version: '15.0.0' }), [])
  t.strictSame(refusedBy({ version: '15.0.0-alpha' }), [])
})

t.test('more than one major up is refused unless forced; one major is not', async (t) => {
  t.strictSame(refusedBy({ version: '16.9.9' }), [])
  t.strictSame(refusedBy({ version: '17.0.0-alpha' }), ['major-jump'])
  t.strictSame(refusedBy({ version: '17.0.0', force: true }), [])
  t.strictSame(forcedBy({ version: '17.0.0' }), ['major-jump'])
})

t.test('a version that is lower by semver than any that agents have is a downgrade, unless forced', async (t) => {
  const verdictOf = (version: string, held: readonly string[], force = false): string =>
    judgeDowngrade(version, held, force).verdict
  const cloud = '15.0.0-cloud.20260301T000000.aabbcc'
  for (const [version, held] of [
    ['15.1.3', ['15.1.4']],
    ['15.1.4-rc.1', ['15.1.4']],
    [cloud, ['15.0.0']],
    ['15.1.9', ['15.1.4', '15.2.0']],
    ['15.1.9', ['15.2.0', '15.1.4']],
  ] as const) {
    t.equal(verdictOf(version, held), 'refused', version)
    t.equal(verdictOf(version, held, true), 'forced', version)
  }
  for (const [version, held] of [
    ['15.1.4', ['15.1.4']],
    ['15.1.4+a', ['15.1.4+b']],
    ['15.0.0', [cloud]],
    ['15.2.0', ['15.1.4', '15.2.0']],
    ['1.0.0', []],
  ] as const) {
    for (const force of [true, false]) t.equal(verdictOf(version, held, force), 'passed', version)
  }
  t.match(
    judgeDowngrade('15.1.9', ['15.1.4', '15.2.0'], false).detail,
    /lower by semver than 15\.2\.0, .* pin or roll back/,
  )
})

t.test('where agents were never told a version, no major is too low or too high', async (t) => {
  t.strictSame(refusedBy({ version: '1.0.0', baseline: null }), [])
  t.strictSame(refusedBy({ version: '99.0.0', baseline: null }), [])
})

t.test('several refusals are all given, and the first of the order is the one reported', async (t) => {
  const all = { version: '12.0.0', isBlocked: blocking('12.0.0'), limits: { floor: '14.0.0', ceiling: '11.0.0' } }
  t.strictSame(refusedBy(all), ['blocked-version', 'floor', 'ceiling', 'major-downgrade'])
  t.strictSame(refusedBy({ ...all, force: true }), ['blocked-version', 'floor', 'ceiling'])
  t.equal(firstRefused(judge(judged(all)))?.guard, 'blocked-version')
  t.equal(firstRefused(judge(judged({ ...all, isBlocked: nothingBlocked })))?.guard, 'floor')
  t.equal(
    firstRefused(judge(judged({ version: '17.0.0', limits: { floor: null, ceiling: '16.0.0' } })))?.guard,
    'ceiling',
  )
  t.equal(firstRefused(judge(judged({}))), null)
  t.equal(firstRefused(judge(judged({ version: '17.0.0', force: true }))), null, 'forced is not refused')
})

t.test('a refusal says what is wrong and what to do', async (t) => {
  const detailOf = (more: Partial<Judged>): string | undefined => firstRefused(judge(judged(more)))?.detail
  t.equal(
    detailOf({ isBlocked: blocking('15.1.4') }),
    '15.1.4 is on the block list; choose another version, or take it off the list first',
  )
  t.match(
    detailOf({ limits: { floor: '15.2.0', ceiling: null } }),
    /below the channel's floor 15\.2\.0; .* lower the floor first/,
  )
  t.match(
    detailOf({ limits: { floor: null, ceiling: '15.0.0' } }),
    /above the channel's ceiling 15\.0\.0; .* raise the ceiling first/,
  )
  t.match(detailOf({ version: '14.0.0' }), /^14\.0\.0 is a lower major than 15\.1\.4, .* force it with a reason$/)
  t.match(detailOf({ version: '18.0.0' }), /^18\.0\.0 is 3 majors above 15\.1\.4, .* one major at a time/)
})
