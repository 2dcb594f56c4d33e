// Ramps: what a rollout does to a channel under the guards, what its cohorts are told, and how it counts in history.
import t from 'tap'
import { applyChange } from '../../src/channels/change.ts'
import type { Channel, Ramp } from '../../src/channels/channel.ts'
import type { ChannelChange } from '../../src/channels/draft.ts'
import { compatibility, rollbackVersion, servedSpans, type HistoryStep } from '../../src/channels/history.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { cohortsAt, cohortsTold, expiriesOf, nextExpiry, targetAt, versionsTold } from '../../src/channels/target.ts'
import {
  accept,
  blocking,
  channelOf,
  contextOf,
  guardOf,
  HALT,
  HOUR_MS,
  inHours,
  nothingBlocked,
  NOW,
  pinOf,
  refuse,
  sourceOf,
} from '../fixtures/channel-samples.ts'

const SEED = 'cloud/15.2.0'
const FORCE = { force: true }

function promote(version: string, ramp: ({ readonly percent: number } & Partial<Ramp>) | null = null): ChannelChange {
  const share = ramp === null ? null : { percent: ramp.percent, plainPath: ramp.plainPath ?? ('last' as const) }
  return { kind: 'promote', version, critical: false, seed: ramp?.seed ?? SEED, ramp: share }
}

/** A channel whose ramp brings 15.2.0 after 15.1.4 to 10 % of its cohorts. */
function ramping(more: Partial<Channel> = {}, ramp: Partial<Ramp> = {}): Channel {
  const before = { version: '15.1.4', critical: false, criticalUntil: null }
  const known: Ramp = { seed: SEED, percent: 10, plainPath: 'last', before, ...ramp }
  const lastServed = known.plainPath === 'last' ? '15.1.4' : '15.2.0'
  return channelOf({ source: sourceOf('15.2.0'), ramp: known, lastServed, ...more })
}

function toldBy(channel: Channel, isBlocked = nothingBlocked, now = NOW) {
  const cohorts = cohortsAt(channel, isBlocked, now)
  const plain = targetAt(channel, isBlocked, now)
  return [plain.version, cohorts?.early.version ?? null, cohorts?.late.version ?? null]
}

t.test('a promotion without a ramp tells everybody at once', async (t) => {
  const { channel, before, after } = accept(
    channelOf({ source: sourceOf('15.1.4', { critical: true }) }),
    promote('15.2.0'),
  )
  t.strictSame(channel.source, sourceOf('15.2.0'))
  t.notOk('ramp' in channel)
  t.match([before?.version, after.version, channel.lastServed], ['15.1.4', '15.2.0', '15.2.0'])
})

t.test('a promotion with a ramp tells its first cohorts, the others what they were told before', async (t) => {
  const source = sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) })
  const last = accept(channelOf({ source }), promote('15.2.0', { percent: 10 })).channel
  t.strictSame(last.ramp, {
    seed: SEED,
    percent: 10,
    plainPath: 'last',
    before: { version: '15.1.4', critical: true, criticalUntil: inHours(1) },
  })
  t.strictSame(toldBy(last), ['15.1.4', '15.2.0', '15.1.4'])
  t.match(targetAt(last, nothingBlocked, NOW), { critical: true, because: 'ramp' })
  t.match(cohortsAt(last, nothingBlocked, NOW), {
    seed: SEED,
    percent: 10,
    early: { critical: false, because: 'source' },
    late: { critical: true, because: 'ramp' },
  })
  t.equal(last.lastServed, '15.1.4')
  const first = accept(channelOf(), promote('15.2.0', { percent: 10, plainPath: 'first' })).channel
  t.strictSame(toldBy(first), ['15.2.0', '15.2.0', '15.1.4'])
  t.equal(first.lastServed, '15.2.0')
})

t.test('a ramp grows step by step, and at 100 % it is over', async (t) => {
  const half = accept(ramping(), { kind: 'ramp', percent: 50 }).channel
  t.match(half.ramp, { percent: 50, seed: SEED, before: { version: '15.1.4' } })
  t.equal(accept(half, { kind: 'ramp', percent: 50 }).channel.ramp?.percent, 50)
  const over = accept(half, { kind: 'ramp', percent: 100 })
  t.notOk('ramp' in over.channel)
  t.match([over.before?.version, over.after.version, over.channel.lastServed], ['15.1.4', '15.2.0', '15.2.0'])
  t.equal(cohortsAt(over.channel, nothingBlocked, NOW), null)
})

t.test('a ramp that goes back, has no percent or another seed is a fault of the caller', async (t) => {
  const apply = (channel: Channel, change: ChannelChange) => () => applyChange(channel, change, contextOf())
  t.throws(apply(ramping(), { kind: 'ramp', percent: 9 }), RangeError)
  for (const percent of [0, -1, 1.5, 101, Number.NaN]) {
    t.throws(apply(ramping({}, { percent: 1 }), { kind: 'ramp', percent }), RangeError, String(percent))
    t.throws(apply(channelOf(), promote('15.2.0', { percent })), RangeError, String(percent))
  }
  t.throws(apply(channelOf(), promote('15.2.0', { percent: 100 })), RangeError)
  t.throws(apply(channelOf(), { kind: 'ramp', percent: 50 }), TypeError)
  t.throws(apply(channelOf(), { kind: 'settle' }), TypeError)
  t.throws(apply(ramping(), promote('15.3.0', { percent: 10, seed: 'cloud/15.3.0' })), {
    message: 'another ramp is under way',
  })
})

t.test('an upstream moves its channel, no rollout does', async (t) => {
  const source = {
    kind: 'forward',
    url: 'https://up.example/v1/a',
    version: '15.1.4',
    critical: false,
    criticalUntil: null,
    answeredAt: null,
    problem: null,
  } as const
  const forward = channelOf({ source, pin: pinOf('15.1.2') })
  for (const change of [promote('15.2.0'), promote('15.2.0', { percent: 10 }), { kind: 'settle' } as const]) {
    t.match(refuse(forward, change), { why: 'state', problem: 'follows_upstream' }, change.kind)
  }
})

t.test(
  'a version that is blocked in mid-ramp reaches no more agents; what they had before may be blocked',
  async (t) => {
    for (const plainPath of ['first', 'last'] as const) {
      const channel = ramping({}, { plainPath })
      for (const percent of [50, 100]) {
        const step: ChannelChange = { kind: 'ramp', percent }
        t.equal(guardOf(channel, step, { isBlocked: blocking('15.2.0') }), 'blocked-version', `${plainPath} ${percent}`)
        t.equal(accept(channel, step, { isBlocked: blocking('15.1.4') }).outcome, 'accepted', `${plainPath} ${percent}`)
      }
      t.equal(
        guardOf(channelOf(), promote('15.2.0', { percent: 10, plainPath }), { isBlocked: blocking('15.2.0') }),
        'blocked-version',
      )
      t.equal(
        accept(channelOf(), promote('15.2.0', { percent: 10, plainPath }), { isBlocked: blocking('15.1.4') }).outcome,
        'accepted',
      )
    }
  },
)

t.test('a blocked version stays with the cohorts that have it: blocking moves nobody', async (t) => {
  const isBlocked = blocking('15.2.0', '15.1.4')
  t.strictSame(toldBy(ramping(), isBlocked), ['15.1.4', '15.2.0', '15.1.4'])
  t.strictSame(versionsTold(ramping(), isBlocked, NOW), ['15.1.4', '15.2.0'])
  t.equal(accept(ramping(), { kind: 'edit', description: 'x' }, { isBlocked }).outcome, 'accepted')
})

t.test('of its cohorts a channel counts those that are told a version', async (t) => {
  const told = (channel: Channel, version: string): number => cohortsTold(channel, version, nothingBlocked, NOW)
  for (const percent of [1, 10, 99]) {
    t.equal(told(ramping({}, { percent }), '15.2.0'), percent)
    t.equal(told(ramping({}, { percent }), '15.1.4'), 100 - percent)
    t.equal(told(ramping({}, { percent }), '15.1.9'), 0)
  }
  const before = { version: '15.2.0', critical: true, criticalUntil: null }
  t.equal(told(ramping({}, { before }), '15.2.0'), 100, 'the ramp of what is told already')
  const pin = pinOf('15.1.2')
  t.equal(told(ramping({ pin }), '15.1.2'), 100)
  t.equal(told(ramping({ pin }), '15.2.0'), 0)
  t.equal(told(ramping({ halt: HALT }), '15.2.0'), 0)
})

t.test('limits and majors are judged for the cohorts as for the plain path', async (t) => {
  for (const plainPath of ['first', 'last'] as const) {
    const share = { percent: 10, plainPath }
    t.equal(guardOf(channelOf({ ceiling: '15.1.9' }), promote('15.2.0', share)), 'ceiling', plainPath)
    t.equal(guardOf(channelOf({ floor: '15.1.0' }), promote('15.0.9', share)), 'floor', plainPath)
    t.equal(guardOf(channelOf(), promote('14.0.0', share)), 'major-downgrade', plainPath)
    t.equal(guardOf(channelOf(), promote('17.0.0', share)), 'major-jump', plainPath)
    const forced = accept(channelOf(), promote('17.0.0', share), FORCE)
    t.ok(
      forced.verdicts.some(({ guard, verdict }) => guard === 'major-jump' && verdict === 'forced'),
      plainPath,
    )
  }
})

t.test('new limits are held against both versions', async (t) => {
  for (const plainPath of ['first', 'last'] as const) {
    t.equal(guardOf(ramping({}, { plainPath }), { kind: 'edit', ceiling: '15.1.9' }), 'ceiling', plainPath)
    t.equal(guardOf(ramping({}, { plainPath }), { kind: 'edit', floor: '15.1.9' }), 'floor', plainPath)
    t.equal(
      accept(ramping({}, { plainPath }), { kind: 'edit', floor: '15.1.4', ceiling: '15.2.0' }).outcome,
      'accepted',
    )
  }
})

t.test('a ramp to a lower version is forced when it begins, and needs no force again', async (t) => {
  const lower = (percent: number): ChannelChange => {
    return {
      kind: 'promote',
      version: '15.1.3',
      critical: false,
      seed: 'cloud/15.1.3',
      ramp: { percent, plainPath: 'last' },
    }
  }
  t.equal(guardOf(channelOf(), lower(10)), 'downgrade')
  const begun = accept(channelOf(), lower(10), { force: true }).channel
  const further = accept(begun, { kind: 'ramp', percent: 50 }).channel
  t.equal(
    accept(further, lower(60)).channel.ramp?.percent,
    60,
    'the same promotion, for a channel that was left behind',
  )
  t.equal(accept(further, { kind: 'ramp', percent: 100 }).after.version, '15.1.3')
  t.equal(
    guardOf(further, { kind: 'version', version: '15.1.3' }),
    'downgrade',
    'an operator names it for all the others',
  )
})

t.test('the step of a ramp over a major that was forced needs no force again', async (t) => {
  const forced = accept(channelOf(), promote('17.0.0', { percent: 10 }), FORCE).channel
  const step = accept(forced, { kind: 'ramp', percent: 50 }).channel
  t.equal(accept(step, { kind: 'ramp', percent: 100 }).after.version, '17.0.0')
})

t.test('a channel that tells nobody anything is guarded when its first cohorts are told something', async (t) => {
  const share = { percent: 10 }
  const empty = channelOf({ source: sourceOf(null), lastServed: '15.1.4' })
  t.equal(guardOf(empty, promote('15.2.0', share), { isBlocked: blocking('15.2.0') }), 'blocked-version')
  t.equal(guardOf({ ...empty, ceiling: '15.1.9' }, promote('15.2.0', share)), 'ceiling')
  t.equal(guardOf({ ...empty, floor: '15.3.0' }, promote('15.2.0', share)), 'floor')
  t.equal(guardOf(empty, promote('17.0.0', share)), 'major-jump')
  t.equal(guardOf(empty, promote('14.0.0', share)), 'major-downgrade')
  const { channel, after } = accept(empty, promote('15.2.0', share))
  t.equal(after.version, null)
  t.strictSame(toldBy(channel), [null, '15.2.0', null])
  t.equal(guardOf(channel, { kind: 'ramp', percent: 50 }, { isBlocked: blocking('15.2.0') }), 'blocked-version')
  t.equal(guardOf(channel, { kind: 'edit', ceiling: '15.1.9' }), 'ceiling')
})

t.test('what only cohorts were told is what guards compare with, where nobody was told anything else', async (t) => {
  const empty = channelOf({ source: sourceOf(null) })
  const told = accept(empty, promote('16.0.0', { percent: 10 })).channel
  t.equal(guardOf(told, { kind: 'version', version: '14.0.0' }), 'major-downgrade')
  const halted = accept(told, { kind: 'halt' }).channel
  const moved = applyChange(halted, { kind: 'version', version: '14.0.0' }, contextOf())
  const channel = moved.outcome === 'accepted' ? moved.channel : halted
  t.match(moved.outcome === 'refused' ? moved : refuse(channel, { kind: 'resume' }), { guard: 'major-downgrade' })
})

t.test("an operator's own version, source or upstream ends the ramp for everybody", async (t) => {
  const changes: readonly ChannelChange[] = [
    { kind: 'version', version: '15.2.1' },
    { kind: 'version', version: null },
    { kind: 'edit', source: { kind: 'static', version: '15.2.1' } },
  ]
  for (const change of changes) t.notOk('ramp' in accept(ramping(), change).channel, JSON.stringify(change))
  for (const [plainPath, version] of [
    ['last', '15.1.4'],
    ['first', '15.2.0'],
  ] as const) {
    const follow: ChannelChange = { kind: 'edit', source: { kind: 'forward', url: 'https://up.example/v1/a' } }
    const channel = ramping({}, { plainPath })
    // Cohorts that the ramp has reached would go down.
    if (plainPath === 'last') t.equal(guardOf(channel, follow), 'downgrade')
    const followed = accept(channel, follow, { force: plainPath === 'last' })
    t.notOk('ramp' in followed.channel)
    t.equal(followed.after.version, version, 'until the upstream answers, the plain path tells what it told')
  }
})

t.test('an edit that names no version leaves the ramp alone', async (t) => {
  for (const change of [
    { description: 'x' },
    { floor: '15.0.0' },
    { source: { kind: 'static', critical: true } },
  ] as const) {
    const { channel } = accept(ramping(), { kind: 'edit', ...change })
    t.match(channel.ramp, { percent: 10, seed: SEED }, JSON.stringify(change))
  }
})

t.test("an operator's version is held against what the cohorts have, not only the plain path", async (t) => {
  const up = ramping({ source: sourceOf('16.0.0') })
  t.equal(guardOf(up, { kind: 'version', version: '15.1.9' }), 'major-downgrade', 'a tenth of them has 16.0.0')
  t.equal(guardOf(up, { kind: 'pin', version: '15.1.9' }), 'major-downgrade')
  t.equal(
    guardOf(ramping({ source: sourceOf('16.0.0') }, { plainPath: 'first' }), { kind: 'version', version: '17.0.0' }),
    'major-jump',
    'the others have 15.1.4',
  )
  t.equal(accept(up, { kind: 'version', version: '16.0.1' }).after.version, '16.0.1')
  for (const plainPath of ['first', 'last'] as const) {
    const both = ramping({}, { plainPath })
    t.equal(guardOf(both, { kind: 'version', version: '15.1.9' }), 'downgrade', 'a tenth of them has 15.2.0')
    t.equal(accept(both, { kind: 'pin', version: '15.1.9' }).after.version, '15.1.9')
  }
  t.equal(accept(up, { kind: 'version', version: '15.1.9' }, FORCE).after.version, '15.1.9')
})

t.test('neither a halt nor "no version" is a way round the majors for cohorts', async (t) => {
  const first = ramping({ source: sourceOf('16.0.0'), lastServed: '16.0.0' }, { plainPath: 'first' })
  const last = ramping({ source: sourceOf('16.0.0') })
  for (const [channel, version, guard] of [
    [first, '17.0.0', 'major-jump'],
    [last, '15.1.9', 'major-downgrade'],
  ] as const) {
    const emptied = accept(channel, { kind: 'version', version: null }).channel
    t.match(applyChange(emptied, { kind: 'version', version }, contextOf()), { guard }, `${version} after no version`)
    const halted = accept(channel, { kind: 'halt' }).channel
    const moved = applyChange(halted, { kind: 'version', version }, contextOf())
    const resumed = moved.outcome === 'refused' ? moved : applyChange(moved.channel, { kind: 'resume' }, contextOf())
    t.match(resumed, { guard }, `${version} under a halt`)
  }
})

t.test('whoever makes a ramping channel urgent means all of its agents', async (t) => {
  const { channel } = accept(ramping(), { kind: 'critical', critical: true, until: inHours(2) })
  t.match(channel, {
    source: { critical: true, criticalUntil: inHours(2) },
    ramp: { before: { critical: true, criticalUntil: inHours(2) } },
  })
  t.match(cohortsAt(channel, nothingBlocked, NOW), { early: { critical: true }, late: { critical: true } })
  const calm = accept(channel, { kind: 'critical', critical: false }).channel
  t.match(cohortsAt(calm, nothingBlocked, NOW), { early: { critical: false }, late: { critical: false } })
  const empty = ramping({}, { before: { version: null, critical: false, criticalUntil: null } })
  t.match(accept(empty, { kind: 'critical', critical: true }).channel.ramp?.before, { version: null, critical: false })
})

t.test('a blocked version does not become urgent, for cohorts either', async (t) => {
  const urgent: ChannelChange = { kind: 'critical', critical: true }
  for (const plainPath of ['first', 'last'] as const) {
    for (const version of ['15.2.0', '15.1.4']) {
      t.equal(
        guardOf(ramping({}, { plainPath }), urgent, { isBlocked: blocking(version) }),
        'blocked-version',
        `${version}, plain path ${plainPath}`,
      )
    }
  }
})

t.test('a pin hides the ramp from everybody, and its end is judged for both versions', async (t) => {
  const { channel } = accept(ramping(), { kind: 'pin', version: '15.1.2' })
  t.equal(cohortsAt(channel, nothingBlocked, NOW), null)
  t.strictSame(versionsTold(channel, nothingBlocked, NOW), ['15.1.2'])
  t.match(channel.ramp, { percent: 10 })
  t.strictSame(toldBy(accept(channel, { kind: 'unpin' }).channel), ['15.1.4', '15.2.0', '15.1.4'])
  for (const version of ['15.2.0', '15.1.4']) {
    t.equal(guardOf(channel, { kind: 'unpin' }, { isBlocked: blocking(version) }), 'blocked-version', version)
  }
  const far = accept(ramping({ source: sourceOf('16.0.0') }), { kind: 'pin', version: '14.0.0' }, FORCE).channel
  t.equal(guardOf(far, { kind: 'unpin' }), 'major-jump', 'from 14 to 16 for the first cohorts')
})

t.test("a pin that ends by itself is held where either of the ramp's versions may not be told", async (t) => {
  const pin = pinOf('15.1.2', { until: inHours(1) })
  const later = NOW + HOUR_MS
  const channel = ramping({ pin })
  t.strictSame(toldBy(channel, nothingBlocked, later), ['15.1.4', '15.2.0', '15.1.4'])
  t.strictSame(toldBy(channel, nothingBlocked, later - 1), ['15.1.2', null, null])
  for (const version of ['15.2.0', '15.1.4']) {
    t.match(targetAt(channel, blocking(version), later), { version: '15.1.2', because: 'held' }, version)
    t.equal(cohortsAt(channel, blocking(version), later), null)
    t.match(lapse(channel, blocking(version), later)?.pin, { held: { guard: 'blocked-version' }, until: null })
  }
})

t.test('a halt hides the ramp from everybody, and its end is judged for both versions', async (t) => {
  const { channel } = accept(ramping(), { kind: 'halt' })
  t.equal(cohortsAt(channel, nothingBlocked, NOW), null)
  t.strictSame(versionsTold(channel, nothingBlocked, NOW), [])
  t.strictSame(toldBy(accept(channel, { kind: 'resume' }).channel), ['15.1.4', '15.2.0', '15.1.4'])
  for (const version of ['15.2.0', '15.1.4']) {
    t.equal(guardOf(channel, { kind: 'resume' }, { isBlocked: blocking(version) }), 'blocked-version', version)
  }
})

t.test('a pin that settles becomes the source with its urgency, and the ramp is over', async (t) => {
  const pin = pinOf('15.1.2', { critical: true, criticalUntil: inHours(2) })
  const { channel, before, after } = accept(ramping({ pin }), { kind: 'settle' })
  t.match(channel, { pin: null, source: sourceOf('15.1.2', { critical: true, criticalUntil: inHours(2) }) })
  t.notOk('ramp' in channel)
  t.match([before?.version, after.version, after.because], ['15.1.2', '15.1.2', 'source'])
  const blocked = accept(ramping({ pin }), { kind: 'settle' }, { isBlocked: blocking('15.1.2') })
  t.equal(blocked.after.version, '15.1.2', 'they have it: nobody is moved')
})

t.test('the urgency of what was told before ends at its own moment, and is taken out once', async (t) => {
  const before = { version: '15.1.4', critical: true, criticalUntil: inHours(1) }
  const channel = ramping({ source: sourceOf('15.2.0', { critical: true, criticalUntil: inHours(3) }) }, { before })
  const later = NOW + HOUR_MS
  t.equal(nextExpiry(channel, NOW), later)
  t.strictSame([...expiriesOf(channel)].sort(), [inHours(1), inHours(3)])
  t.match(cohortsAt(channel, nothingBlocked, later - 1), { late: { critical: true } })
  t.match(cohortsAt(channel, nothingBlocked, later), { late: { critical: false }, early: { critical: true } })
  t.equal(lapse(channel, nothingBlocked, later - 1), null)
  const lapsed = lapse(channel, nothingBlocked, later)
  t.strictSame(lapsed, {
    ...channel,
    ramp: { ...channel.ramp, before: { ...before, critical: false, criticalUntil: null } },
    lastServedBeside: '15.2.0',
  })
  t.equal(lapse(lapsed ?? channel, nothingBlocked, later), null)
  t.equal(nextExpiry(lapsed ?? channel, later), NOW + 3 * HOUR_MS)
})

t.test('no version is never urgent, whichever part of a ramp tells it', async (t) => {
  const before = { version: null, critical: true, criticalUntil: null }
  t.match(cohortsAt(ramping({}, { before }), nothingBlocked, NOW), { late: { version: null, critical: false } })
})

function stepsOf(...channels: readonly (Channel | null)[]): readonly HistoryStep[] {
  return channels.map((channel, index) => ({ at: NOW + index * HOUR_MS, revision: index + 1, channel }))
}

function spansOf(...channels: readonly (Channel | null)[]) {
  return servedSpans(stepsOf(...channels), nothingBlocked, NOW + channels.length * HOUR_MS)
}

/** What somebody may still run, as `version: first to last`, in hours after NOW. */
function inUse(channels: readonly (Channel | null)[], graceHours: number) {
  const now = NOW + channels.length * HOUR_MS
  const { oldest, versions } = compatibility(spansOf(...channels), graceHours * HOUR_MS, now)
  const hour = (at: string | null): string => (at === null ? 'now' : String((Date.parse(at) - NOW) / HOUR_MS))
  return {
    oldest,
    versions: versions.map(
      ({ version, firstServedAt, lastServedAt }) => `${version}: ${hour(firstServedAt)} to ${hour(lastServedAt)}`,
    ),
  }
}

t.test('history tells both versions of a ramp, whichever the plain path had', async (t) => {
  const pinned = ramping({ pin: pinOf('15.1.2') })
  const over = channelOf({ source: sourceOf('15.2.0') })
  t.match(
    spansOf(channelOf(), ramping(), ramping({}, { plainPath: 'first' }), pinned, over).map(({ version, beside }) => [
      version,
      beside,
    ]),
    [
      ['15.1.4', null],
      ['15.1.4', '15.2.0'],
      ['15.2.0', '15.1.4'],
      ['15.1.2', null],
      ['15.2.0', null],
    ],
  )
})

t.test('an end of urgency in a ramp splits its span', async (t) => {
  const before = { version: '15.1.4', critical: true, criticalUntil: inHours(0.5) }
  t.match(spansOf(ramping({}, { before }), channelOf()), [
    { critical: true, beside: '15.2.0', from: NOW, to: NOW + HOUR_MS / 2 },
    { critical: false, beside: '15.2.0', from: NOW + HOUR_MS / 2, to: NOW + HOUR_MS },
    { version: '15.1.4', beside: null },
  ])
})

t.test('going back from a ramp, or after one, gives the version before it', async (t) => {
  const over = channelOf({ source: sourceOf('15.2.0') })
  for (const plainPath of ['first', 'last'] as const) {
    const half = ramping({}, { plainPath })
    for (const spans of [
      spansOf(channelOf(), half),
      spansOf(half),
      spansOf(half, over),
      spansOf(channelOf(), half, over),
    ]) {
      t.match(rollbackVersion(spans, undefined, nothingBlocked), { version: '15.1.4' }, plainPath)
    }
  }
  const earlier = channelOf({ source: sourceOf('15.1.3') })
  const spans = spansOf(earlier, channelOf(), ramping(), ramping({ pin: pinOf('15.1.4') }))
  t.match(rollbackVersion(spans, undefined, nothingBlocked), { version: '15.1.3' }, 'going back twice goes back two')
  t.match(rollbackVersion(spansOf(earlier, channelOf(), ramping()), undefined, blocking('15.1.4')), {
    version: '15.1.3',
  })
})

t.test('a version that only cohorts were told can be gone back to by its name', async (t) => {
  const spans = spansOf(channelOf(), ramping(), channelOf())
  t.match(rollbackVersion(spans, '15.2.0', nothingBlocked), { outcome: 'found', version: '15.2.0' })
  t.match(rollbackVersion(spans, '15.2.1', nothingBlocked), { outcome: 'refused' })
})

t.test('both versions of a ramp may still run, and the lower is the oldest', async (t) => {
  const channels = [channelOf(), ramping(), channelOf({ source: sourceOf('15.2.0') })]
  t.strictSame(inUse(channels, 24), { oldest: '15.1.4', versions: ['15.1.4: 0 to 2', '15.2.0: 1 to now'] })
  t.strictSame(inUse(channels, 1), { oldest: '15.2.0', versions: ['15.2.0: 1 to now'] })
  t.strictSame(inUse([ramping()], 0), { oldest: '15.1.4', versions: ['15.1.4: 0 to now', '15.2.0: 0 to now'] })
})

t.test('a halt in mid-ramp keeps both versions in use for as long as it lasts', async (t) => {
  const channels = [channelOf(), ramping(), ramping({ halt: HALT }), ramping({ halt: HALT })]
  t.strictSame(inUse(channels, 0), { oldest: '15.1.4', versions: ['15.1.4: 0 to 2', '15.2.0: 1 to 2'] })
})

t.test('cohorts that were told something while the plain path told nothing count, during a halt too', async (t) => {
  const half = ramping({}, { before: { version: null, critical: false, criticalUntil: null } })
  t.strictSame(inUse([half], 0), { oldest: '15.2.0', versions: ['15.2.0: 0 to now'] })
  t.strictSame(inUse([half, { ...half, halt: HALT }], 0), { oldest: '15.2.0', versions: ['15.2.0: 0 to 1'] })
})
