// What each kind of change asks for: the channel it drafts, the reasons it demands, the texts it refuses to read.
import t from 'tap'
import { draft, draftCreated, hasReason, type ChannelChange } from '../../src/channels/draft.ts'
import type { Channel } from '../../src/channels/channel.ts'
import {
  accept, channelOf, contextOf, fieldOf, frozen, guardOf, HALT, HOUR_MS, inHours, NOW, pinOf, refuse, sourceOf,
} from '../fixtures/channel-samples.ts' // prettier-ignore

const SOON = inHours(1)
const JUST_NOW = inHours(0)

function drafted(channel: Channel, change: Exclude<ChannelChange, { kind: 'create' }>): Channel {
  const answer = draft(frozen(channel), change, contextOf())
  if (answer.outcome === 'drafted') return answer.channel
  throw new Error(answer.message)
}

t.test('a created channel is blank but for what was asked', async (t) => {
  const answer = draftCreated({ kind: 'create', name: 'stable/cloud' }, contextOf())
  t.strictSame(answer, {
    outcome: 'drafted',
    channel: {
      name: 'stable/cloud', description: '', source: sourceOf(null), pin: null, halt: null, floor: null, ceiling: null,
      lastServed: null, updatedAt: inHours(0), updatedBy: 'grace',
    },
  }) // prettier-ignore
  const source = {
    kind: 'static',
    version: 'v15.1.4',
    critical: true,
    criticalUntil: '2026-03-01T02:00:00+01:00',
  } as const
  const full = {
    kind: 'create',
    name: 'a',
    description: 'for labs',
    source,
    floor: 'v15.0.0',
    ceiling: '15.9.0',
  } as const
  t.match(accept(null, full, { reason: null }).channel, {
    description: 'for labs',
    source: sourceOf('15.1.4', { critical: true, criticalUntil: SOON }),
    floor: '15.0.0',
    ceiling: '15.9.0',
    lastServed: '15.1.4',
  })
})

t.test('a channel is not created under a name outside the grammar', async (t) => {
  for (const name of ['', 'Stable', 'a/version', 'webapi/a'])
    t.equal(fieldOf(null, { kind: 'create', name }), 'name', name)
})

t.test('an edit changes what it names and leaves the rest', async (t) => {
  const channel = channelOf({ description: 'old', floor: '15.0.0', ceiling: '15.9.0', pin: pinOf('15.1.2') })
  t.strictSame(drafted(channel, { kind: 'edit' }), channel)
  t.strictSame(drafted(channel, { kind: 'edit', description: '' }), { ...channel, description: '' })
  t.strictSame(drafted(channel, { kind: 'edit', floor: null }), { ...channel, floor: null })
  t.strictSame(drafted(channel, { kind: 'edit', ceiling: 'v15.8.0' }), { ...channel, ceiling: '15.8.0' })
  t.strictSame(drafted(channel, { kind: 'edit', source: { kind: 'static' } }), channel)
  const urgent = channelOf({ source: sourceOf('15.1.4', { critical: true, criticalUntil: SOON }) })
  const edited = (source: object) => drafted(urgent, { kind: 'edit', source: { kind: 'static', ...source } }).source
  t.strictSame(edited({ critical: false }), sourceOf('15.1.4'), 'the version stays')
  t.strictSame(edited({ criticalUntil: null }), sourceOf('15.1.4', { critical: true }))
  t.strictSame(edited({ version: '15.1.5' }), sourceOf('15.1.5'), 'urgency belongs to the version that it came with')
})

t.test('a limit that is no version is refused by its field', async (t) => {
  for (const field of ['floor', 'ceiling'] as const) {
    t.equal(fieldOf(channelOf(), { kind: 'edit', [field]: '15.1' }), field)
    t.equal(fieldOf(null, { kind: 'create', name: 'a', [field]: '' }), field)
  }
})

t.test('a floor above the ceiling is refused by the field that was sent', async (t) => {
  const channel = channelOf({ floor: '15.0.0', ceiling: '15.9.0' })
  t.equal(fieldOf(channel, { kind: 'edit', floor: '15.9.1' }), 'floor')
  t.equal(fieldOf(channel, { kind: 'edit', ceiling: '14.9.0' }), 'ceiling')
  t.equal(fieldOf(channel, { kind: 'edit', floor: '15.2.0', ceiling: '15.1.0' }), 'floor')
  t.equal(fieldOf(null, { kind: 'create', name: 'a', floor: '15.0.0', ceiling: '15.0.0-rc.1' }), 'floor')
  t.match(refuse(channel, { kind: 'edit', floor: '16.0.0' }), {
    message: 'puts the floor 16.0.0 above the ceiling 15.9.0',
  })
  t.match(drafted(channel, { kind: 'edit', floor: '15.1.4', ceiling: '15.1.4' }), {
    floor: '15.1.4',
    ceiling: '15.1.4',
  })
  t.match(drafted(channel, { kind: 'edit', floor: '16.0.0', ceiling: null }), { floor: '16.0.0', ceiling: null })
})

t.test('setting a version replaces the whole source and needs no reason', async (t) => {
  const channel = channelOf({ source: sourceOf('15.1.4', { critical: true, criticalUntil: SOON }) })
  t.strictSame(drafted(channel, { kind: 'version', version: 'v15.1.5+b' }).source, sourceOf('15.1.5+b'))
  t.strictSame(drafted(channel, { kind: 'version', version: null }).source, sourceOf(null))
  t.strictSame(
    drafted(channel, { kind: 'version', version: '15.1.5', critical: true, criticalUntil: inHours(2) }).source,
    sourceOf('15.1.5', { critical: true, criticalUntil: inHours(2) }),
  )
  t.equal(accept(channel, { kind: 'version', version: '15.1.5' }, { reason: null }).after.version, '15.1.5')
})

t.test(
  'a text that is no version is refused by the guard not-a-version, with the field and what is served',
  async (t) => {
    const changes: readonly (readonly [string, ChannelChange])[] = [
      ['version', { kind: 'version', version: 'stable' }],
      ['version', { kind: 'pin', version: '15.1' }],
      ['version', { kind: 'rollback', version: '' }],
      ['source/version', { kind: 'edit', source: { kind: 'static', version: '15.1.4 ' } }],
    ]
    for (const [field, change] of changes) {
      for (const force of [true, false]) {
        const refusal = refuse(channelOf({ pin: pinOf('15.1.2') }), change, { force })
        t.match(refusal, { why: 'guard', guard: 'not-a-version', field, served: '15.1.2' }, change.kind)
        t.match(refusal, { verdicts: [{ guard: 'not-a-version', verdict: 'refused' }] })
      }
    }
    t.equal(
      guardOf(null, { kind: 'create', name: 'a', source: { kind: 'static', version: '01.0.0' } }),
      'not-a-version',
    )
  },
)

t.test('critical without a version, and an end of what is not critical, are refused', async (t) => {
  t.equal(fieldOf(channelOf(), { kind: 'version', version: null, critical: true }), 'critical')
  t.equal(
    fieldOf(channelOf({ source: sourceOf(null) }), { kind: 'edit', source: { kind: 'static', critical: true } }),
    'source/critical',
  )
  t.equal(fieldOf(channelOf(), { kind: 'version', version: '15.1.4', criticalUntil: SOON }), 'criticalUntil')
  const calm = { kind: 'static', version: '15.1.4', critical: false, criticalUntil: SOON } as const
  t.equal(fieldOf(channelOf(), { kind: 'edit', source: calm }), 'source/criticalUntil')
  t.equal(fieldOf(channelOf(), { kind: 'critical', critical: false, until: SOON }), 'until')
})

t.test('an end that is no moment, has passed or is just now is refused', async (t) => {
  for (const until of ['tomorrow', '', '2026-02-31T00:00:00Z', inHours(-1), JUST_NOW]) {
    t.equal(
      fieldOf(channelOf(), { kind: 'version', version: '15.1.4', critical: true, criticalUntil: until }),
      'criticalUntil',
    )
    t.equal(fieldOf(channelOf(), { kind: 'critical', critical: true, until }), 'until')
    t.equal(fieldOf(channelOf(), { kind: 'pin', version: '15.1.2', until }), 'until')
    t.equal(fieldOf(channelOf(), { kind: 'rollback', version: '15.1.2', until }), 'until')
  }
  t.match(refuse(channelOf(), { kind: 'pin', version: '15.1.2', until: JUST_NOW }), {
    message: '2026-03-01T00:00:00.000Z has passed; give a moment in the future',
  })
  t.equal(
    accept(channelOf(), { kind: 'pin', version: '15.1.2', until: '2026-03-01T00:00:00.001Z' }).after.version,
    '15.1.2',
  )
})

t.test('a pin says who, when and why, and replaces an earlier one whole', async (t) => {
  const earlier = pinOf('15.1.0', {
    critical: true,
    criticalUntil: SOON,
    held: { guard: 'floor', detail: '', at: SOON },
  })
  for (const kind of ['pin', 'rollback'] as const) {
    t.strictSame(
      draft(channelOf({ pin: earlier }), { kind, version: 'v15.1.2' }, contextOf({ reason: '  crash loop ' })),
      {
        outcome: 'drafted',
        channel: channelOf({
          pin: pinOf('15.1.2', {
            by: 'grace',
            at: inHours(0),
            ...(kind === 'rollback' ? { rolledBackFrom: ['15.1.0'] } : {}),
          }),
          lastServed: '15.1.0',
        }),
      },
    )
    t.match(drafted(channelOf(), { kind, version: '15.1.2', critical: true, until: SOON }).pin, {
      critical: true,
      until: SOON,
    })
  }
})

t.test('urgency goes to the pin where there is one, else to the source', async (t) => {
  const urgent = { critical: true, criticalUntil: SOON }
  const change = { kind: 'critical', critical: true, until: SOON } as const
  t.strictSame(drafted(channelOf(), change), channelOf({ source: sourceOf('15.1.4', urgent) }))
  t.strictSame(drafted(channelOf({ pin: pinOf('15.1.2') }), change), channelOf({ pin: pinOf('15.1.2', urgent) }))
  t.strictSame(
    drafted(channelOf({ source: sourceOf('15.1.4', urgent) }), { kind: 'critical', critical: false }),
    channelOf(),
  )
})

t.test('a channel without a version is not made critical, but may be made uncritical', async (t) => {
  const channel = channelOf({ source: sourceOf(null) })
  t.match(refuse(channel, { kind: 'critical', critical: true }), { why: 'state', problem: 'no_target' })
  t.match(accept(channel, { kind: 'critical', critical: false }).after, { version: null, critical: false })
})

t.test('a halt says who, when and why, and a second one replaces the first', async (t) => {
  for (const halt of [null, HALT]) {
    t.strictSame(drafted(channelOf({ halt }), { kind: 'halt' }).halt, {
      reason: 'because',
      by: 'grace',
      at: inHours(0),
    })
  }
})

t.test('unpinning takes the pin away and resuming the halt, and nothing else', async (t) => {
  const channel = channelOf({ pin: pinOf('15.1.2'), halt: HALT })
  t.strictSame(drafted(channel, { kind: 'unpin' }), { ...channel, pin: null })
  t.strictSame(drafted(channel, { kind: 'resume' }), { ...channel, halt: null })
})

t.test('a channel that is not pinned is not unpinned, one that is not halted not resumed', async (t) => {
  t.match(refuse(channelOf(), { kind: 'unpin' }), {
    why: 'state',
    problem: 'not_pinned',
    message: 'channel stable/cloud has no pin',
  })
  t.match(refuse(channelOf(), { kind: 'resume' }), {
    why: 'state',
    problem: 'not_halted',
    message: 'channel stable/cloud is not halted',
  })
  const over = channelOf({ pin: pinOf('15.1.2', { until: SOON }) })
  t.match(
    refuse(over, { kind: 'unpin' }, { now: NOW + HOUR_MS }),
    { problem: 'not_pinned' },
    'a pin that has ended is none',
  )
})

t.test('whatever overrides, ends an override or changes the urgency says why', async (t) => {
  const channel = channelOf({ pin: pinOf('15.1.2'), halt: HALT })
  const changes: readonly ChannelChange[] = [
    { kind: 'pin', version: '15.1.3' },
    { kind: 'rollback', version: '15.1.3' },
    { kind: 'unpin' },
    { kind: 'critical', critical: true },
    { kind: 'halt' },
    { kind: 'resume' },
  ]
  for (const change of changes) {
    for (const reason of [null, '', ' \t\n']) t.equal(fieldOf(channel, change, { reason }), 'reason', change.kind)
  }
  t.ok(hasReason(contextOf()))
  t.notOk(hasReason(contextOf({ reason: ' \u00a0' })))
})
