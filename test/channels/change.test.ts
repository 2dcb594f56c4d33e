// Changes of a channel under the guards: what is compared with what, and that no sequence of changes is a way round.
import t from 'tap'
import { applyChange } from '../../src/channels/change.ts'
import type { ChannelChange } from '../../src/channels/draft.ts'
import {
  accept, blocking, channelOf, contextOf, fieldOf, guardOf, HALT, HOUR_MS, inHours, NOW, pinOf, refuse, sourceOf,
} from '../fixtures/channel-samples.ts' // prettier-ignore

const FORCE = { force: true }
const FORWARD = {
  ...{ kind: 'forward' as const, url: 'https://up.example/v1/a', version: null, critical: false, criticalUntil: null },
  ...{ answeredAt: null, problem: null },
}
const LATER = { now: NOW + HOUR_MS }

function version(text: string | null): ChannelChange {
  return { kind: 'version', version: text }
}

t.test('an accepted change gives the targets before and after, every verdict, and stamps the document', async (t) => {
  const { before, after, channel, verdicts } = accept(channelOf(), version('v16.0.0'), LATER)
  t.strictSame(before, { version: '15.1.4', critical: false, because: 'source', detail: null })
  t.strictSame(after, { version: '16.0.0', critical: false, because: 'source', detail: null })
  t.strictSame(channel, channelOf({ source: sourceOf('16.0.0'), updatedAt: inHours(1), updatedBy: 'grace' }))
  t.equal(verdicts.length, 7)
  t.equal(accept(null, { kind: 'create', name: 'a' }).before, null)
})

t.test('a refusal by a guard says which, what is served now, and what every guard said', async (t) => {
  const refusal = refuse(channelOf(), version('17.0.0'))
  t.match(refusal, { why: 'guard', guard: 'major-jump', field: null, served: '15.1.4', message: /one major at a time/ })
  t.equal(refusal.why === 'guard' && refusal.verdicts.length, 7)
  t.match(refuse(channelOf({ halt: HALT }), { kind: 'resume' }, { isBlocked: blocking('15.1.4') }), { served: null })
})

t.test('a channel that exists is not created, one that does not is not changed', async (t) => {
  t.match(refuse(channelOf(), { kind: 'create', name: 'stable/cloud' }), { why: 'state', problem: 'channel_exists' })
  t.throws(() => applyChange(null, { kind: 'halt' }, contextOf()), { message: 'a halt change needs a channel' })
})

t.test('a forced change says why, of whatever kind it is', async (t) => {
  for (const reason of [null, '', '  ']) {
    t.equal(fieldOf(channelOf(), version('15.1.5'), { force: true, reason }), 'reason')
    t.equal(fieldOf(null, { kind: 'create', name: 'a' }, { force: true, reason }), 'reason')
  }
})

t.test('every way to a lower or a far higher major is guarded, and opens by force', async (t) => {
  const changes: readonly ChannelChange['kind'][] = ['version', 'edit', 'pin', 'rollback']
  for (const [text, guard] of [
    ['14.0.0', 'major-downgrade'],
    ['17.0.0', 'major-jump'],
  ] as const) {
    for (const kind of changes) {
      const change =
        kind === 'edit' ? { kind, source: { kind: 'static' as const, version: text } } : { kind, version: text }
      // The kinds above are those that take a version.
      const asked = change as ChannelChange
      t.equal(guardOf(channelOf(), asked), guard, `${kind} ${text}`)
      const forced = accept(channelOf(), asked, FORCE)
      t.match(forced, { after: { version: text }, channel: { lastServed: text } })
      t.strictSame(
        forced.verdicts.filter(({ verdict }) => verdict === 'forced').map((verdict) => verdict.guard),
        // A lower major that an operator or a pipeline names is lower by semver, too.
        guard === 'major-downgrade' && (kind === 'version' || kind === 'edit') ? [guard, 'downgrade'] : [guard],
      )
    }
  }
})

const CLOUD = '15.0.0-cloud.20260228T000000.aabbcc'

t.test('a version that is newly named is not lower by semver than what agents have, unless forced', async (t) => {
  const named = (text: string): readonly ChannelChange[] => [
    version(text),
    { kind: 'edit', source: { kind: 'static', version: text } },
    { kind: 'promote', version: text, critical: false, seed: 'cloud/x', ramp: null },
    { kind: 'promote', version: text, critical: false, seed: 'cloud/x', ramp: { percent: 10, plainPath: 'last' } },
  ]
  for (const text of ['15.1.3', '15.1.4-rc.1', CLOUD]) {
    for (const change of named(text)) {
      t.equal(guardOf(channelOf(), change), 'downgrade', `${change.kind} ${text}`)
      t.match(accept(channelOf(), change, FORCE).channel.source, { version: text })
    }
  }
  const builds = channelOf({ allowBuildMetadata: true })
  for (const text of ['15.1.4', '15.1.4+b', '15.1.5']) for (const change of named(text)) accept(builds, change)
  t.match(refuse(channelOf(), version(CLOUD)), {
    served: '15.1.4',
    message: /is lower by semver than 15\.1\.4, which agents have now; pin or roll back the channel to go down/,
  })
})

t.test('a source that ends a ramp is no way round the downgrade guard', async (t) => {
  const before = { version: '15.1.0', critical: false, criticalUntil: null }
  const ramp = { seed: 'cloud/15.4.2', percent: 50, plainPath: 'last' as const, before }
  const ramping = channelOf({ source: sourceOf('15.4.2'), ramp, lastServed: '15.1.0', lastServedBeside: '15.4.2' })
  const forward = { kind: 'edit', source: { kind: 'forward', url: FORWARD.url } } as const
  t.equal(guardOf(ramping, version('15.1.0')), 'downgrade')
  t.equal(guardOf(ramping, forward), 'downgrade')
  const forced = accept(ramping, forward, FORCE).channel
  t.match([forced.source.version, 'ramp' in forced], ['15.1.0', false])
  const onNew = channelOf({ ...ramping, ramp: { ...ramp, plainPath: 'first' }, lastServed: '15.4.2' })
  t.equal(accept(onNew, forward).channel.source.version, '15.4.2', 'up to the release of the ramp')
  accept(ramping, { kind: 'edit', description: 'x' })
})

t.test('a pin, a rollback and an upstream go down without force, and so does what ends them', async (t) => {
  for (const kind of ['pin', 'rollback'] as const) {
    const { channel, after } = accept(channelOf(), { kind, version: CLOUD })
    t.equal(after.version, CLOUD)
    t.equal(accept(channel, { kind: 'settle' }).channel.source.version, CLOUD)
  }
  const above = channelOf({ pin: pinOf('15.3.0') })
  t.equal(accept(above, { kind: 'unpin' }).after.version, '15.1.4')
  const ending = channelOf({ pin: pinOf('15.3.0', { until: inHours(1) }) })
  t.equal(accept(ending, { kind: 'edit', description: 'x' }, LATER).after.version, '15.1.4')
  const source = { ...FORWARD, version: '15.1.4', answeredAt: inHours(-1) }
  t.equal(
    accept(channelOf({ source }), { kind: 'upstream', version: '15.0.9', critical: false }).after.version,
    '15.0.9',
  )
})

t.test('a source that moves under a pin or a halt may go down, and so may the end of these', async (t) => {
  for (const held of [{ pin: pinOf('15.1.4') }, { halt: HALT }]) {
    const moved = accept(channelOf(held), version('15.0.9')).channel
    t.equal(moved.lastServed, '15.1.4')
    t.equal(accept(moved, { kind: held.pin === undefined ? 'resume' : 'unpin' }).after.version, '15.0.9')
  }
  t.equal(guardOf(channelOf({ halt: HALT }), version('14.0.0')), 'major-downgrade', 'the majors are judged there')
})

t.test('"no version" is no way round the downgrade guard; limits and the block list come before it', async (t) => {
  const emptied = accept(channelOf(), version(null)).channel
  t.equal(guardOf(emptied, version('15.1.3')), 'downgrade')
  t.equal(guardOf(channelOf({ floor: '15.1.0' }), version(CLOUD), FORCE), 'floor')
  t.equal(guardOf(channelOf(), version('15.1.3'), { ...FORCE, isBlocked: blocking('15.1.3') }), 'blocked-version')
})

t.test('the first answer of a forward channel beside default is exempt from the majors alone', async (t) => {
  const beside = { fallback: '15.1.4' }
  const source = { kind: 'forward', url: FORWARD.url } as const
  const made = accept(null, { kind: 'create', name: 'a', source, floor: '12.0.0' }, beside).channel
  t.match(made, { lastServed: '15.1.4', lastServedFrom: 'default' })
  const says = (text: string): ChannelChange => ({ kind: 'upstream', version: text, critical: false })
  const first = accept(made, says('13.0.5')).channel
  t.match([first.lastServed, 'lastServedFrom' in first], ['13.0.5', false])
  t.equal(accept(made, says('19.0.0')).after.version, '19.0.0')
  t.equal(guardOf(made, says('11.0.0')), 'floor')
  t.equal(guardOf(made, says('13.0.5'), { isBlocked: blocking('13.0.5') }), 'blocked-version')
  t.equal(guardOf(first, says('12.9.9')), 'major-downgrade', 'the second answer is judged by the first')
  const silent = accept(made, { kind: 'upstream', version: null, critical: false }).channel
  t.equal(accept(silent, says('13.0.5')).after.version, '13.0.5', 'no version is no first answer')
  const halted = accept(accept(made, { kind: 'halt' }).channel, says('13.0.5')).channel
  t.equal(accept(halted, { kind: 'resume' }).after.version, '13.0.5')
})

t.test('every other first version of a channel beside default is judged against that one', async (t) => {
  const beside = { fallback: '15.1.4' }
  const source = { kind: 'forward', url: FORWARD.url } as const
  const made = accept(null, { kind: 'create', name: 'a', source }, beside).channel
  const own = { kind: 'edit', source: { kind: 'static', version: '13.0.0' } } as const
  t.equal(guardOf(made, own), 'major-downgrade')
  t.equal(guardOf(made, { kind: 'pin', version: '13.0.0' }), 'major-downgrade')
  const create = { kind: 'create', name: 'a', source: { kind: 'static', version: '13.0.0' } } as const
  t.equal(guardOf(null, create, beside), 'major-downgrade')
  t.match(accept(null, create, { ...beside, ...FORCE }), { after: { version: '13.0.0' } })
  const halted = accept(made, { kind: 'halt' }).channel
  const forwardAgain = accept(accept(halted, own).channel, { kind: 'edit', source }).channel
  t.equal(guardOf(forwardAgain, { kind: 'resume' }), 'major-downgrade', 'its upstream has not said that')
  const served = accept(accept(null, { kind: 'create', name: 'a' }, beside).channel, version('15.1.0')).channel
  t.match([served.lastServed, 'lastServedFrom' in served], ['15.1.0', false], 'lower than default, not than its own')
  const later = accept(accept(served, version(null)).channel, { kind: 'edit', source }).channel
  t.equal(guardOf(later, { kind: 'upstream', version: '13.0.0', critical: false }), 'major-downgrade')
})

t.test('force opens neither the block list nor the limits', async (t) => {
  const channel = channelOf({ floor: '15.0.0', ceiling: '15.9.0' })
  for (const kind of ['version', 'pin', 'rollback'] as const) {
    t.equal(
      guardOf(channel, { kind, version: '15.1.5' }, { ...FORCE, isBlocked: blocking('15.1.5') }),
      'blocked-version',
    )
    t.equal(guardOf(channel, { kind, version: '14.9.9' }, FORCE), 'floor')
    t.equal(guardOf(channel, { kind, version: '15.9.1' }, FORCE), 'ceiling')
  }
})

t.test('of several guards the first of the order is reported', async (t) => {
  const channel = channelOf({ floor: '15.0.0' })
  t.equal(guardOf(channel, version('14.0.0'), { isBlocked: blocking('14.0.0') }), 'blocked-version')
  t.equal(guardOf(channel, version('14.0.0')), 'floor')
  t.equal(guardOf({ ...channel, floor: null }, version('14.0.0')), 'major-downgrade')
})

t.test('a created channel keeps to the limits and the block list, and may begin at any major', async (t) => {
  const create = (text: string): ChannelChange => ({
    kind: 'create',
    name: 'a',
    source: { kind: 'static', version: text },
    floor: '3.0.0',
  })
  t.equal(guardOf(null, create('2.0.0')), 'floor')
  t.equal(guardOf(null, create('4.0.0'), { isBlocked: blocking('4.0.0') }), 'blocked-version')
  t.equal(accept(null, create('99.0.0')).after.version, '99.0.0')
})

t.test(
  'a limit that what is served would break is refused; under a halt it is refused when agents go on',
  async (t) => {
    t.equal(guardOf(channelOf(), { kind: 'edit', floor: '15.2.0' }), 'floor')
    t.equal(guardOf(channelOf({ pin: pinOf('15.1.2') }), { kind: 'edit', ceiling: '15.1.1' }, FORCE), 'ceiling')
    t.equal(
      guardOf(channelOf(), { kind: 'edit', floor: '16.0.0', source: { kind: 'static', version: '15.2.0' } }),
      'floor',
    )
    t.match(
      accept(channelOf(), { kind: 'edit', floor: '16.0.0', source: { kind: 'static', version: '16.0.0' } }).after,
      { version: '16.0.0' },
    )
    const halted = accept(channelOf({ halt: HALT }), { kind: 'edit', floor: '15.2.0' }).channel
    t.equal(guardOf(halted, { kind: 'resume' }), 'floor')
  },
)

t.test('"no version" and a halt are no way round the majors', async (t) => {
  const emptied = accept(channelOf(), version(null)).channel
  t.equal(emptied.lastServed, '15.1.4')
  const ways = [emptied, accept(emptied, { kind: 'halt' }).channel]
  for (const [index, channel] of ways.entries()) {
    const set = (text: string): ChannelChange => (index === 0 ? version(text) : { kind: 'resume' })
    const at = (text: string): typeof channel => (index === 0 ? channel : accept(channel, version(text)).channel)
    t.equal(guardOf(at('14.0.0'), set('14.0.0')), 'major-downgrade')
    t.equal(guardOf(at('17.0.0'), set('17.0.0')), 'major-jump')
    t.equal(accept(at('16.0.0'), set('16.0.0')).after.version, '16.0.0')
  }
  t.equal(guardOf(emptied, { kind: 'pin', version: '14.0.0' }), 'major-downgrade')
})

t.test('a pin set under a halt is guarded at once and when agents go on, against what they have', async (t) => {
  t.equal(guardOf(channelOf({ halt: HALT }), { kind: 'pin', version: '14.0.0' }), 'major-downgrade')
  const pinned = accept(channelOf({ halt: HALT }), { kind: 'pin', version: '14.0.0' }, FORCE).channel
  t.equal(pinned.lastServed, '15.1.4')
  t.equal(guardOf(pinned, { kind: 'resume' }), 'major-downgrade')
  t.equal(accept(pinned, { kind: 'resume' }, FORCE).channel.lastServed, '14.0.0')
  const over = accept(channelOf({ halt: HALT }), { kind: 'pin', version: '14.0.0', until: inHours(1) }, FORCE).channel
  t.match(
    accept(over, { kind: 'resume' }, LATER).after,
    { version: '15.1.4' },
    'its end under the halt leaves the source',
  )
})

t.test('a pinned channel is not moved by a change of its source', async (t) => {
  const { before, after, channel } = accept(channelOf({ pin: pinOf('15.1.2') }), version('15.1.5'))
  t.match(
    [before, after],
    [
      { version: '15.1.2', because: 'pin' },
      { version: '15.1.2', because: 'pin' },
    ],
  )
  t.match(channel, { source: sourceOf('15.1.5'), lastServed: '15.1.2' })
})

t.test('a source that moves under a pin or a halt is guarded against the source it replaces', async (t) => {
  const source = sourceOf('16.0.0')
  for (const hiding of [
    { pin: pinOf('14.0.0') },
    { halt: HALT, lastServed: '14.0.0' },
    { pin: pinOf('14.0.0'), halt: HALT },
  ]) {
    const channel = channelOf({ source, ...hiding })
    t.match(accept(channel, version('17.0.0')).channel, { source: { version: '17.0.0' } })
    t.equal(guardOf(channel, version('18.0.0')), 'major-jump')
    t.equal(guardOf(channel, version('15.0.0')), 'major-downgrade')
    t.equal(accept(channel, version('15.0.0'), FORCE).channel.source.version, '15.0.0')
    t.equal(guardOf(channel, version('16.1.0'), { ...FORCE, isBlocked: blocking('16.1.0') }), 'blocked-version')
    t.equal(guardOf({ ...channel, ceiling: '16.0.0' }, version('16.1.0'), FORCE), 'ceiling')
  }
})

t.test('unpinning is guarded against the pin, resuming against what agents had', async (t) => {
  const pinned = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('14.0.0') })
  t.equal(guardOf(pinned, { kind: 'unpin' }), 'major-jump')
  t.equal(accept(pinned, { kind: 'unpin' }, FORCE).after.version, '16.0.0')
  t.equal(guardOf(channelOf({ pin: pinOf('16.0.0') }), { kind: 'unpin' }), 'major-downgrade')
  t.equal(
    guardOf(channelOf({ pin: pinOf('15.1.2') }), { kind: 'unpin' }, { isBlocked: blocking('15.1.4') }),
    'blocked-version',
  )
  const halted = accept(accept(pinned, { kind: 'halt' }).channel, { kind: 'unpin' }).channel
  t.equal(halted.lastServed, '14.0.0')
  t.equal(guardOf(halted, { kind: 'resume' }), 'major-jump')
  t.equal(accept(halted, { kind: 'resume' }, FORCE).after.version, '16.0.0')
})

t.test('a source emptied and filled anew under a pin cannot jump when the pin ends', async (t) => {
  const emptied = accept(channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) }), version(null)).channel
  const filled = accept(emptied, version('17.0.0')).channel
  t.equal(guardOf(filled, { kind: 'unpin' }), 'major-jump')
  t.match(accept(filled, { kind: 'edit', description: 'x' }, LATER), { after: { version: '15.1.2', because: 'held' } })
})

t.test(
  'after a pin has ended by time, guards compare with the source, written down or not, halted or not',
  async (t) => {
    const channel = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('15.0.0', { until: inHours(1) }) })
    t.equal(guardOf(channel, version('18.0.0'), LATER), 'major-jump')
    t.equal(guardOf(channel, version('15.0.0'), LATER), 'major-downgrade')
    t.equal(accept(channel, version('17.0.0'), LATER).after.version, '17.0.0')
    const halted = accept(channel, { kind: 'halt' }, LATER).channel
    t.match(halted, { pin: null, lastServed: '16.0.0' })
    t.equal(guardOf(accept(halted, version('15.0.0'), FORCE).channel, { kind: 'resume' }), 'major-downgrade')
  },
)

t.test('a held pin is what guards compare with, until an operator ends it', async (t) => {
  const channel = channelOf({ source: sourceOf('16.0.0'), pin: pinOf('14.0.0', { until: inHours(1) }) })
  const { before, channel: edited } = accept(channel, { kind: 'edit', description: 'x' }, LATER)
  t.match(before, { version: '14.0.0', because: 'held' })
  t.match(edited.pin, { until: null, held: { guard: 'major-jump', at: inHours(1) } })
  t.equal(guardOf(edited, { kind: 'unpin' }, LATER), 'major-jump')
  t.equal(accept(edited, { kind: 'unpin' }, { ...LATER, ...FORCE }).after.version, '16.0.0')
  t.equal(accept(edited, { kind: 'pin', version: '15.0.0' }, LATER).channel.pin?.held, null)
})

t.test('blocking what is served does not move it', async (t) => {
  const pulled = { isBlocked: blocking('15.1.4') }
  const edited = accept(channelOf(), { kind: 'edit', description: 'x' }, pulled)
  t.match(edited.after, { version: '15.1.4' })
  t.match(accept(channelOf(), { kind: 'edit', floor: '15.0.0' }, pulled).after, { version: '15.1.4' })
  t.match(accept(channelOf({ pin: pinOf('15.1.4') }), { kind: 'unpin' }, pulled).after, { version: '15.1.4' })
})

t.test(
  'a blocked version that is served is not named anew, not made urgent, and not gone back to after a halt',
  async (t) => {
    const pulled = { ...FORCE, isBlocked: blocking('15.1.4') }
    t.equal(guardOf(channelOf(), version('15.1.4'), pulled), 'blocked-version')
    t.equal(guardOf(channelOf(), { kind: 'pin', version: '15.1.4' }, pulled), 'blocked-version')
    t.equal(guardOf(channelOf(), { kind: 'rollback', version: '15.1.4' }, pulled), 'blocked-version')
    t.equal(
      guardOf(channelOf(), { kind: 'edit', source: { kind: 'static', version: '15.1.4' } }, pulled),
      'blocked-version',
    )
    t.equal(guardOf(channelOf(), { kind: 'critical', critical: true }, pulled), 'blocked-version')
    t.equal(guardOf(channelOf({ halt: HALT }), { kind: 'resume' }, pulled), 'blocked-version')
    const urgent = channelOf({ source: sourceOf('15.1.4', { critical: true }) })
    t.match(accept(urgent, { kind: 'critical', critical: false }, pulled).after, { critical: false })
  },
)

t.test('the source under a pin to a blocked version can be moved to a good one', async (t) => {
  const pulled = { isBlocked: blocking('15.1.2') }
  const channel = channelOf({ pin: pinOf('15.1.2') })
  const moved = accept(channel, version('15.1.5'), pulled).channel
  t.equal(
    accept(channel, { kind: 'edit', source: { kind: 'static', version: '15.1.5' } }, pulled).channel.source.version,
    '15.1.5',
  )
  t.equal(accept(moved, { kind: 'unpin' }, pulled).after.version, '15.1.5')
  t.equal(
    guardOf(channel, version('15.1.2'), pulled),
    'blocked-version',
    'naming the blocked one for the source is refused',
  )
})

t.test('halting and emptying a channel are never refused by a guard', async (t) => {
  const awkward = channelOf({ floor: '16.0.0', pin: pinOf('15.1.2', { until: inHours(1) }) })
  const context = { ...LATER, isBlocked: blocking('15.1.4', '15.1.2') }
  t.equal(accept(awkward, { kind: 'halt' }, context).after.version, null)
  t.equal(accept({ ...awkward, pin: null }, version(null), context).after.version, null)
})
