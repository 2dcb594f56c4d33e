// What a channel tells agents at a given millisecond, and when that changes by itself.
import t from 'tap'
import type { Channel } from '../../src/channels/channel.ts'
import { hasPassed, nextExpiry, pinEndRefusal, sameTarget, targetAt, type Target } from '../../src/channels/target.ts'
import {
  blocking,
  channelOf,
  HALT,
  HOUR_MS,
  inHours,
  nothingBlocked,
  NOW,
  pinOf,
  sourceOf,
} from '../fixtures/channel-samples.ts'

const LATER = NOW + HOUR_MS

function told(channel: Channel, now = NOW, isBlocked = nothingBlocked): Target {
  return targetAt(channel, isBlocked, now)
}

t.test('a channel without pin and halt serves its source', async (t) => {
  t.strictSame(told(channelOf()), { version: '15.1.4', critical: false, because: 'source', detail: null })
  t.match(told(channelOf({ source: sourceOf('15.1.4', { critical: true }) })), { critical: true })
  t.strictSame(told(channelOf({ source: sourceOf(null) })), {
    version: null,
    critical: false,
    because: 'source',
    detail: null,
  })
})

t.test('no version is never critical', async (t) => {
  t.match(told(channelOf({ source: sourceOf(null, { critical: true }) })), { version: null, critical: false })
})

t.test('a pin comes before the source, with its own urgency', async (t) => {
  const source = sourceOf('15.1.4', { critical: true })
  t.strictSame(told(channelOf({ source, pin: pinOf('15.1.2') })), {
    version: '15.1.2',
    critical: false,
    because: 'pin',
    detail: null,
  })
  t.match(told(channelOf({ pin: pinOf('15.1.2', { critical: true }) })), {
    version: '15.1.2',
    critical: true,
    because: 'pin',
  })
})

t.test('a halt comes before the pin and the source', async (t) => {
  const none = { version: null, critical: false, because: 'halt', detail: null }
  const source = sourceOf('15.1.4', { critical: true })
  t.strictSame(told(channelOf({ source, halt: HALT })), none)
  t.strictSame(told(channelOf({ source, halt: HALT, pin: pinOf('15.1.2', { critical: true }) })), none)
  t.strictSame(told(channelOf({ halt: HALT, pin: pinOf('14.0.0', { until: inHours(1) }) }), LATER), none)
})

t.test('critical ends at exactly its millisecond', async (t) => {
  const source = channelOf({ source: sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) }) })
  t.match(told(source, LATER - 1), { version: '15.1.4', critical: true })
  t.match(told(source, LATER), { version: '15.1.4', critical: false, because: 'source' })
  const pin = channelOf({ pin: pinOf('15.1.2', { critical: true, criticalUntil: inHours(1) }) })
  t.match(told(pin, LATER - 1), { version: '15.1.2', critical: true })
  t.match(told(pin, LATER), { version: '15.1.2', critical: false, because: 'pin' })
})

t.test('a pin ends at exactly its millisecond', async (t) => {
  const channel = channelOf({
    source: sourceOf('15.1.4', { critical: true }),
    pin: pinOf('15.1.2', { until: inHours(1) }),
  })
  t.match(told(channel, LATER - 1), { version: '15.1.2', critical: false, because: 'pin' })
  t.strictSame(told(channel, LATER), { version: '15.1.4', critical: true, because: 'expired', detail: null })
})

t.test('a pin that ends leaves the source as it is by then', async (t) => {
  const source = sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) })
  t.match(told(channelOf({ source, pin: pinOf('15.1.2', { until: inHours(1) }) }), LATER), {
    critical: false,
    because: 'expired',
  })
  const none = channelOf({ source: sourceOf(null), pin: pinOf('15.1.2', { until: inHours(1) }) })
  t.match(told(none, LATER), { version: null, because: 'expired' })
})

t.test('a pin whose end would break a guard stays, and says why', async (t) => {
  const ended = { until: inHours(1) }
  const cases: readonly (readonly [string, Channel, (version: string) => boolean, RegExp])[] = [
    ['downgrade', channelOf({ pin: pinOf('16.0.0', ended) }), nothingBlocked, /lower major than 16\.0\.0/],
    ['jump', channelOf({ pin: pinOf('13.0.0', ended) }), nothingBlocked, /2 majors above 13\.0\.0/],
    ['blocked', channelOf({ pin: pinOf('15.1.2', ended) }), blocking('15.1.4'), /on the block list/],
    ['floor', channelOf({ pin: pinOf('15.2.0', ended), floor: '15.2.0' }), nothingBlocked, /below the channel's floor/],
    [
      'ceiling',
      channelOf({ pin: pinOf('15.1.2', ended), ceiling: '15.1.2' }),
      nothingBlocked,
      /above the channel's ceiling/,
    ],
  ]
  for (const [why, channel, isBlocked, detail] of cases) {
    t.match(told(channel, LATER - 1, isBlocked), { because: 'pin', detail: null }, why)
    t.match(told(channel, LATER, isBlocked), { version: channel.pin?.version, because: 'held', detail }, why)
  }
})

t.test('the urgency of a held pin ends in time too', async (t) => {
  const pin = pinOf('16.0.0', { critical: true, criticalUntil: inHours(2), until: inHours(1) })
  t.match(told(channelOf({ pin }), LATER), { critical: true, because: 'held' })
  t.match(told(channelOf({ pin }), NOW + 2 * HOUR_MS), { critical: false, because: 'held' })
})

t.test('a pin that was marked as held stays, whatever has become of the reason', async (t) => {
  const held = { guard: 'floor', detail: '15.1.4 was below the floor', at: inHours(-1) }
  t.strictSame(told(channelOf({ pin: pinOf('15.1.2', { held }) })), {
    version: '15.1.2',
    critical: false,
    because: 'held',
    detail: '15.1.4 was below the floor',
  })
})

t.test('a pin may always end onto its own version and onto no version', async (t) => {
  const pin = pinOf('15.1.4', { until: inHours(1) })
  t.equal(pinEndRefusal(channelOf({ pin }), pin, blocking('15.1.4')), null)
  t.equal(pinEndRefusal(channelOf({ source: sourceOf(null), pin }), pin, blocking('15.1.4')), null)
  t.match(pinEndRefusal(channelOf({ source: sourceOf('15.1.5'), pin }), pin, blocking('15.1.5')), {
    guard: 'blocked-version',
  })
})

t.test('the next expiry is the nearest moment ahead, and never one that has come', async (t) => {
  t.equal(nextExpiry(channelOf(), NOW), null)
  const channel = channelOf({
    source: sourceOf('15.1.4', { critical: true, criticalUntil: inHours(3) }),
    pin: pinOf('15.1.2', { critical: true, criticalUntil: inHours(1), until: inHours(2) }),
  })
  t.equal(nextExpiry(channel, NOW), LATER)
  t.equal(nextExpiry(channel, LATER - 1), LATER)
  t.equal(nextExpiry(channel, LATER), NOW + 2 * HOUR_MS)
  t.equal(nextExpiry(channel, NOW + 2 * HOUR_MS), NOW + 3 * HOUR_MS)
  t.equal(nextExpiry(channel, NOW + 3 * HOUR_MS), null)
})

t.test('a moment has passed from its own millisecond on, null never', async (t) => {
  t.notOk(hasPassed(inHours(1), LATER - 1))
  t.ok(hasPassed(inHours(1), LATER))
  t.notOk(hasPassed(null, Number.MAX_SAFE_INTEGER))
})

t.test('targets are the same where agents are told the same', async (t) => {
  const target: Target = { version: '15.1.4', critical: false, because: 'source', detail: null }
  t.ok(sameTarget(target, { ...target, because: 'held', detail: 'x' }))
  t.notOk(sameTarget(target, { ...target, critical: true }))
  t.notOk(sameTarget(target, { ...target, version: null }))
})
