// The end of a rollback: what its pin remembers, and what the end of the pin must not serve again.
import t from 'tap'
import { judgeDeletion } from '../../src/channels/change.ts'
import type { Channel } from '../../src/channels/channel.ts'
import type { ChangeContext, ChannelChange } from '../../src/channels/draft.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { LEFT_VERSIONS_MAX, rememberedLeft } from '../../src/channels/rollback-end.ts'
import { cohortsAt, targetAt } from '../../src/channels/target.ts'
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

const UNPIN: ChannelChange = { kind: 'unpin' }
const FORCE = { force: true }

function rollback(version: string): ChannelChange {
  return { kind: 'rollback', version }
}

/** A channel that was rolled back from 15.1.5 to 15.1.4. */
function rolledBack(more: Partial<Channel> = {}): Channel {
  return accept(channelOf({ source: sourceOf('15.1.5'), ...more }), rollback('15.1.4')).channel
}

t.test('a rollback remembers what it leaves, and a pin remembers nothing', async (t) => {
  t.strictSame(rolledBack().pin?.rolledBackFrom, ['15.1.5'])
  t.notOk('rolledBackFrom' in (accept(channelOf(), { kind: 'pin', version: '15.1.2' }).channel.pin ?? {}))
  const halted = rolledBack({ halt: HALT })
  t.strictSame(halted.pin?.rolledBackFrom, ['15.1.5'], 'what agents were served before the halt')
})

t.test(
  'a second rollback remembers both versions, and going back to one of them by name forgets that one',
  async (t) => {
    const twice = accept(rolledBack(), rollback('15.1.3')).channel
    t.strictSame(twice.pin?.rolledBackFrom, ['15.1.5', '15.1.4'])
    t.strictSame(accept(twice, rollback('15.1.4')).channel.pin?.rolledBackFrom, ['15.1.5', '15.1.3'])
  },
)

t.test('a pin over the pin of a rollback does not forget it', async (t) => {
  const until = inHours(2)
  const { channel } = accept(rolledBack(), { kind: 'pin', version: '15.1.3', until })
  t.strictSame(channel.pin?.rolledBackFrom, ['15.1.5'])
  t.equal(guardOf(channel, UNPIN), 'rollback_end')
})

t.test('what a pin remembers has a limit, and never loses the version of the source', async (t) => {
  const many = Array.from({ length: LEFT_VERSIONS_MAX + 5 }, (_, patch) => `14.0.${patch}`)
  const channel = channelOf({ source: sourceOf('14.0.0'), pin: pinOf('15.0.0', { rolledBackFrom: many }) })
  const { rolledBackFrom = [] } = rememberedLeft(channel, '15.0.1', ['15.0.0'])
  t.equal(rolledBackFrom.length, LEFT_VERSIONS_MAX + 1)
  t.ok(rolledBackFrom.includes('14.0.0'))
  t.equal(rolledBackFrom.at(-1), '15.0.0')
})

t.test('the pin of a rollback does not end while the source is what it left, unless an admin forces it', async (t) => {
  const refusal = refuse(rolledBack(), UNPIN)
  t.match(refusal, { why: 'guard', guard: 'rollback_end', served: '15.1.4' })
  t.match(refusal.message, /^15\.1\.5 was rolled back here .* `unpin`: true.* an admin force it with a reason$/)
  const { after, verdicts } = accept(rolledBack(), UNPIN, FORCE)
  t.equal(after.version, '15.1.5')
  t.match(
    verdicts.filter(({ verdict }) => verdict !== 'passed'),
    [{ guard: 'rollback_end', verdict: 'forced' }],
  )
})

t.test('the pin ends once the source is another version', async (t) => {
  const { channel } = accept(rolledBack(), { kind: 'version', version: '15.1.6' })
  t.equal(accept(channel, UNPIN).after.version, '15.1.6')
  const back = accept(channel, { kind: 'version', version: '15.1.5' }).channel
  t.equal(guardOf(back, UNPIN), 'rollback_end', 'and not if it is the bad one again')
  const other = accept(rolledBack(), { kind: 'version', version: '15.1.5-rc.1' }).channel
  t.equal(accept(other, UNPIN).after.version, '15.1.5-rc.1', 'versions are compared to the letter')
})

t.test('a blocked version is refused as such, by force too', async (t) => {
  const blocked = { isBlocked: blocking('15.1.5') }
  t.equal(guardOf(rolledBack(), UNPIN, blocked), 'blocked-version')
  t.equal(guardOf(rolledBack(), UNPIN, { ...blocked, ...FORCE }), 'blocked-version')
})

t.test(
  'under a halt the end of the pin is refused too, since nothing would remember the rollback afterwards',
  async (t) => {
    const halted = accept(rolledBack(), { kind: 'halt' }).channel
    t.equal(guardOf(halted, UNPIN), 'rollback_end')
    t.equal(guardOf(halted, { kind: 'version', version: '15.1.5', unpin: true }), 'rollback_end')
    t.equal(accept(halted, { kind: 'version', version: '15.1.6', unpin: true }).channel.pin, null)
    const blocked = { isBlocked: blocking('15.1.5') }
    for (const change of [UNPIN, { kind: 'version', version: '15.1.5', unpin: true } as const]) {
      t.equal(guardOf(halted, change, blocked), 'blocked-version')
      t.equal(guardOf(halted, change, { ...blocked, ...FORCE }), 'blocked-version', 'no force passes it')
    }
  },
)

t.test('a pin whose time is over is held, and served and recorded alike', async (t) => {
  const pinned = accept(rolledBack(), { kind: 'pin', version: '15.1.4', until: inHours(1) }).channel
  const then = NOW + HOUR_MS
  t.match(targetAt(pinned, nothingBlocked, then - 1), { version: '15.1.4', because: 'pin' })
  t.match(targetAt(pinned, nothingBlocked, then), { version: '15.1.4', because: 'held', detail: /15\.1\.5 was rolled/ })
  const held = lapse(pinned, nothingBlocked, then)
  t.match(held?.pin, { until: null, held: { guard: 'rollback_end' }, rolledBackFrom: ['15.1.5'] })
  t.match(held && targetAt(held, nothingBlocked, then), { version: '15.1.4', because: 'held' })
  const moved = accept(pinned, { kind: 'version', version: '15.1.6' }).channel
  t.match(targetAt(moved, nothingBlocked, then), { version: '15.1.6', because: 'expired' })
  t.equal(lapse(moved, nothingBlocked, then)?.pin, null)
})

t.test(
  'a version that takes the pin away is judged against what is served, and ends the rollback in one change',
  async (t) => {
    const next = accept(rolledBack(), { kind: 'version', version: '15.1.6', unpin: true })
    t.match(next, { channel: { pin: null, source: sourceOf('15.1.6') }, before: { version: '15.1.4' } })
    t.equal(next.after.version, '15.1.6')
    t.equal(guardOf(rolledBack(), { kind: 'version', version: '15.1.5', unpin: true }), 'rollback_end')
    // The source is a major above the pin: agents have the pin's version.
    const low = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('15.1.4') })
    t.equal(guardOf(low, { kind: 'version', version: '17.0.0', unpin: true }), 'major-jump')
    t.equal(accept(low, { kind: 'version', version: '15.1.5', unpin: true }).after.version, '15.1.5')
    t.equal(accept(channelOf(), { kind: 'version', version: '15.1.5', unpin: true }).after.version, '15.1.5', 'no pin')
  },
)

t.test('under a halt a version that takes the pin away is judged against what agents were served last', async (t) => {
  const low = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('15.1.4'), halt: HALT, lastServed: '15.1.4' })
  t.equal(guardOf(low, { kind: 'version', version: '17.0.0', unpin: true }), 'major-jump')
  t.equal(accept(low, { kind: 'version', version: '15.1.5', unpin: true }).channel.pin, null)
})

t.test('a ramp that a rollback has left does not go on by the end of the pin', async (t) => {
  const before = { version: '15.1.3', critical: false, criticalUntil: null }
  const ramp = { seed: 'cloud/15.1.5', percent: 10, plainPath: 'last' as const, before }
  const ramping = channelOf({ source: sourceOf('15.1.5'), ramp, lastServed: '15.1.3', lastServedBeside: '15.1.5' })
  const back = accept(ramping, rollback('15.1.3')).channel
  t.strictSame(back.pin?.rolledBackFrom, ['15.1.5'])
  t.equal(guardOf(back, UNPIN), 'rollback_end')
  t.equal(cohortsAt(back, nothingBlocked, NOW), null)
  const further = accept(ramping, rollback('15.1.2')).channel
  t.strictSame(further.pin?.rolledBackFrom, ['15.1.3', '15.1.5'], 'the release of the ramp is the newest')
  const resumed = accept(back, { kind: 'unpin', isResumed: true }).channel
  t.equal(cohortsAt(resumed, nothingBlocked, NOW)?.early.version, '15.1.5', 'its rollout is resumed by its own rules')
})

t.test('a rollout that settles the pin ends the rollback: its version becomes the source', async (t) => {
  t.match(accept(rolledBack(), { kind: 'settle' }).channel, { pin: null, source: sourceOf('15.1.4') })
})

t.test('a deletion that gives agents back what was rolled back needs force', async (t) => {
  const context = contextOf({ fallback: '15.1.5' })
  t.match(judgeDeletion(rolledBack(), context), { guard: 'rollback_end', message: /follow the channel default/ })
  t.ok(Array.isArray(judgeDeletion(rolledBack(), { ...context, ...FORCE })))
  t.ok(Array.isArray(judgeDeletion(rolledBack(), { ...context, fallback: '15.1.6' })))
})

t.test('a deletion is judged by what a ramp of default tells cohorts, too', async (t) => {
  const deletion = (fallbackBeside: readonly string[], more: Partial<ChangeContext> = {}): string | null => {
    const answer = judgeDeletion(rolledBack(), contextOf({ fallback: '15.1.4', fallbackBeside, ...more }))
    return 'outcome' in answer && answer.why === 'guard' ? answer.guard : null
  }
  t.equal(deletion(['15.1.5', '15.1.4']), 'rollback_end')
  t.equal(deletion(['15.1.5', '15.1.4'], FORCE), null)
  t.equal(deletion(['14.9.0', '15.1.4']), 'major-downgrade')
  t.equal(deletion(['15.1.6'], { isBlocked: blocking('15.1.6'), ...FORCE }), 'blocked-version')
  t.equal(deletion(['15.1.6', '15.1.4']), null)
  t.equal(deletion(['15.1.5'], { fallback: null }), 'rollback_end', 'the plain path may tell nothing')
})

t.test('a rollback beside default leaves nothing that this channel has not served', async (t) => {
  const beside = channelOf({ source: sourceOf(null), lastServed: '15.4.2', lastServedFrom: 'default' })
  t.notOk('rolledBackFrom' in (accept(beside, rollback('15.1.0')).channel.pin ?? {}))
  const own = channelOf({ source: sourceOf(null), lastServed: '15.4.2' })
  t.strictSame(accept(own, rollback('15.1.0')).channel.pin?.rolledBackFrom, ['15.4.2'])
})
