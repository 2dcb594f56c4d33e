// What answers about a channel warn of.
import t from 'tap'
import { targetAt } from '../../src/channels/target.ts'
import { standingWarnings, unseenWarnings, type ChangeKind } from '../../src/channels/warnings.ts'
import { channelOf, HALT, HOUR_MS, inHours, nothingBlocked, NOW, pinOf, sourceOf } from '../fixtures/channel-samples.ts'

function unseen(change: ChangeKind, channel = channelOf(), now = NOW): readonly string[] {
  return unseenWarnings(change, channel, targetAt(channel, nothingBlocked, now)).map(({ code }) => code)
}

const SOURCE = { kind: 'edit', source: { kind: 'static' } }

t.test('a source that moves under a pin is named, and what the pin itself says is not', async (t) => {
  const channel = channelOf({ pin: pinOf('15.1.2') })
  for (const change of [{ kind: 'version' }, SOURCE]) t.strictSame(unseen(change, channel), ['pinned'])
  for (const kind of ['edit', 'pin', 'rollback-to', 'critical', 'halt']) t.strictSame(unseen({ kind }, channel), [])
  t.strictSame(unseen({ kind: 'version' }), [])
  const ended = channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) })
  t.strictSame(unseen({ kind: 'version' }, ended, NOW + HOUR_MS), [], 'its time is over, so the source decides')
})

t.test('under a halt every change of what is served is named', async (t) => {
  const channel = channelOf({ halt: HALT, pin: pinOf('15.1.2') })
  for (const kind of ['version', 'pin', 'rollback-to', 'unpin', 'critical'])
    t.strictSame(unseen({ kind }, channel), ['halted'])
  for (const kind of ['edit', 'halt', 'resume']) t.strictSame(unseen({ kind }, channel), [])
  t.strictSame(unseen(SOURCE, channel), ['halted'])
})

t.test('a pin that is held past its time is named, before that is recorded and after', async (t) => {
  const source = sourceOf('17.0.0')
  const due = channelOf({ source, pin: pinOf('15.1.2', { until: inHours(-1) }) })
  const recorded = channelOf({
    source,
    pin: pinOf('15.1.2', { held: { guard: 'major-jump', detail: 'two', at: inHours(0) } }),
  })
  for (const channel of [due, recorded, { ...recorded, halt: HALT }]) {
    const warnings = standingWarnings(channel, targetAt(channel, nothingBlocked, NOW))
    t.match(warnings, [{ code: 'pin_held', message: /^the time of the pin to 15\.1\.2 is over, but it stays: / }])
  }
  t.strictSame(standingWarnings(channelOf(), targetAt(channelOf(), nothingBlocked, NOW)), [])
})
