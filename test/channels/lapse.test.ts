// What time takes out of a channel's document, and that doing so moves no target.
import fc from 'fast-check'
import t from 'tap'
import { lapse } from '../../src/channels/lapse.ts'
import { nextExpiry, sameTarget, targetAt } from '../../src/channels/target.ts'
import { anyBlocked, anyChannel, T0, TICK_MS } from '../fixtures/channel-arbitraries.ts'
import {
  accept,
  blocking,
  channelOf,
  frozen,
  HALT,
  HOUR_MS,
  inHours,
  nothingBlocked,
  NOW,
  pinOf,
  sourceOf,
} from '../fixtures/channel-samples.ts'

const LATER = NOW + HOUR_MS

t.test('a channel of which nothing has expired is left alone', async (t) => {
  const channel = channelOf({
    source: sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) }),
    pin: pinOf('15.1.2', { critical: true, criticalUntil: inHours(1), until: inHours(1) }),
  })
  t.equal(lapse(channel, nothingBlocked, LATER - 1), null)
  t.equal(lapse(channelOf({ pin: pinOf('15.1.2') }), nothingBlocked, LATER), null)
})

t.test('ended urgency is taken out of the source and out of the pin', async (t) => {
  const source = sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) })
  t.strictSame(lapse(channelOf({ source }), nothingBlocked, LATER), channelOf())
  const pin = pinOf('15.1.2', { critical: true, criticalUntil: inHours(1), until: inHours(2) })
  const calm = channelOf({ pin: pinOf('15.1.2', { until: inHours(2) }) })
  t.strictSame(lapse(channelOf({ pin }), nothingBlocked, LATER), calm)
})

t.test('an ended pin is taken out, and what agents are told since is what they have', async (t) => {
  const channel = channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) })
  t.equal(channel.lastServed, '15.1.2')
  t.strictSame(lapse(channel, nothingBlocked, LATER), channelOf({ lastServed: '15.1.4' }))
})

t.test('a pin that ends under a halt or onto no version leaves agents with what they had', async (t) => {
  const pin = pinOf('15.1.2', { until: inHours(1) })
  t.match(lapse(channelOf({ pin, halt: HALT, lastServed: '15.1.3' }), nothingBlocked, LATER), {
    pin: null,
    lastServed: '15.1.3',
  })
  t.match(lapse(channelOf({ pin, source: sourceOf(null) }), nothingBlocked, LATER), { pin: null, lastServed: '15.1.2' })
})

t.test('a pin that must not end is marked once and stays for good', async (t) => {
  const channel = channelOf({ pin: pinOf('15.1.2', { critical: true, criticalUntil: inHours(2), until: inHours(1) }) })
  const held = lapse(channel, blocking('15.1.4'), LATER)
  t.match(held?.pin, {
    version: '15.1.2',
    critical: true,
    until: null,
    held: { guard: 'blocked-version', at: inHours(1) },
  })
  if (held === null) return
  t.equal(lapse(held, nothingBlocked, LATER + 1), null)
  t.match(
    targetAt(held, nothingBlocked, NOW + 1.5 * HOUR_MS),
    { version: '15.1.2', because: 'held' },
    'the reason is gone, the pin is not',
  )
  t.match(lapse(held, nothingBlocked, NOW + 2 * HOUR_MS)?.pin, {
    critical: false,
    criticalUntil: null,
    until: null,
    held: { at: inHours(1) },
  })
})

t.test(
  'blocking what is served since a pin ended does not bring the pin back, once the lapse is in the document',
  async (t) => {
    const channel = channelOf({ pin: pinOf('14.3.0', { until: inHours(1) }) })
    const ended = lapse(channel, nothingBlocked, LATER)
    t.match(ended && targetAt(ended, blocking('15.1.4'), LATER), { version: '15.1.4' })
  },
)

t.test('lapsing keeps the target, can be done once only, and leaves nothing that has expired', async (t) => {
  const seen = { lapsed: 0, held: 0, ended: 0 }
  fc.assert(
    fc.property(anyChannel, anyBlocked, fc.nat({ max: 12 }), (channel, isBlocked, ticks) => {
      const now = T0 + ticks * TICK_MS
      const next = lapse(frozen(channel), isBlocked, now)
      if (next === null) return true
      seen.lapsed += 1
      if (next.pin?.held && !channel.pin?.held) seen.held += 1
      if (next.pin === null && channel.pin !== null) seen.ended += 1
      const before = targetAt(channel, isBlocked, now)
      const after = targetAt(next, isBlocked, now)
      const later = nextExpiry(next, T0 - 1_000_000)
      return (
        sameTarget(before, after) &&
        before.detail === after.detail &&
        lapse(next, isBlocked, now) === null &&
        (later === null || later > now) &&
        next.lastServed === (after.version ?? channel.lastServed)
      )
    }),
    { numRuns: 2_000 },
  )
  for (const [what, times] of Object.entries(seen)) t.ok(times > 50, `${what} ${times} times`)
})

t.test('whether and when a lapse is written does not matter to what is served later', async (t) => {
  fc.assert(
    fc.property(anyChannel, anyBlocked, fc.nat({ max: 12 }), fc.nat({ max: 12 }), (channel, isBlocked, ticks, more) => {
      const now = T0 + ticks * TICK_MS
      const written = lapse(channel, isBlocked, now) ?? channel
      const later = now + more * TICK_MS
      return sameTarget(targetAt(channel, isBlocked, later), targetAt(written, isBlocked, later))
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('a target changes by itself at expiries only', async (t) => {
  fc.assert(
    fc.property(anyChannel, anyBlocked, fc.nat({ max: 12 * TICK_MS }), (channel, isBlocked, start) => {
      const from = T0 + start
      const until = Math.min(nextExpiry(channel, from) ?? Infinity, T0 + 20 * TICK_MS)
      const target = targetAt(channel, isBlocked, from)
      const middle = Math.floor((from + until) / 2)
      return [middle, until - 1].every((at) => at < from || sameTarget(target, targetAt(channel, isBlocked, at)))
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('a change of an expired channel starts from what agents are told by then', async (t) => {
  const channel = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('15.1.2', { until: inHours(1) }) })
  const { before, after, channel: next } = accept(channel, { kind: 'version', version: '17.0.0' }, { now: LATER })
  t.match([before, after], [{ version: '16.0.0', because: 'source' }, { version: '17.0.0' }])
  t.equal(next.pin, null)
})
