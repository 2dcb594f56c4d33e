// What a channel has served, told from its journal: spans, the version before, and what agents may still run.
import t from 'tap'
import type { Channel } from '../../src/channels/channel.ts'
import {
  compatibility,
  rollbackVersion,
  servedSpans,
  type HistoryStep,
  type ServedSpan,
} from '../../src/channels/history.ts'
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

const DELETED = null

/** One step for each channel, an hour apart from NOW on; revisions count from 1. */
function stepsOf(...channels: readonly (Channel | null)[]): readonly HistoryStep[] {
  return channels.map((channel, index) => ({ at: NOW + index * HOUR_MS, revision: index + 1, channel }))
}

function serving(version: string | null): Channel {
  return channelOf({ source: sourceOf(version) })
}

function spansOf(...channels: readonly (Channel | null)[]): readonly ServedSpan[] {
  return servedSpans(stepsOf(...channels), nothingBlocked, NOW + channels.length * HOUR_MS)
}

/** Version and hours of each span, e.g. `15.1.4 0-1`. */
function shown(spans: readonly ServedSpan[]): readonly string[] {
  const hours = (time: number): number => (time - NOW) / HOUR_MS
  return spans.map(({ version, from, to }) => `${version} ${hours(from)}-${to === null ? '' : hours(to)}`)
}

function before(spans: readonly ServedSpan[], to?: string | number): string {
  const found = rollbackVersion(spans, to, () => false)
  return found.outcome === 'found' ? found.version : found.message
}

t.test('each step is a span up to the next, and the last one lasts', async (t) => {
  t.strictSame(shown(spansOf(serving('15.1.2'), serving('15.1.3'), serving(null))), [
    '15.1.2 0-1',
    '15.1.3 1-2',
    'null 2-',
  ])
  t.strictSame(spansOf(channelOf({ source: sourceOf('15.1.2', { critical: true }) })), [
    { version: '15.1.2', beside: null, critical: true, because: 'source', revision: 1, from: NOW, to: null },
  ])
  t.strictSame(spansOf(), [])
})

t.test('an expiry splits a step where it took effect, not where it was written down', async (t) => {
  const pin = pinOf('15.1.2', { until: inHours(0.5), critical: true, criticalUntil: inHours(0.25) })
  const spans = spansOf(channelOf({ pin }), serving('15.1.4'))
  t.strictSame(shown(spans), ['15.1.2 0-0.25', '15.1.2 0.25-0.5', '15.1.4 0.5-1', '15.1.4 1-'])
  t.strictSame(
    spans.map(({ critical }) => critical),
    [true, false, false, false],
  )
  t.strictSame(
    spans.map(({ because }) => because),
    ['pin', 'pin', 'expired', 'source'],
  )
  t.strictSame(
    spans.map(({ revision }) => revision),
    [1, 1, 1, 2],
  )
})

t.test('an expiry that is still ahead splits nothing; one that comes just now does', async (t) => {
  const steps = stepsOf(channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) }))
  t.strictSame(shown(servedSpans(steps, nothingBlocked, NOW + HOUR_MS - 1)), ['15.1.2 0-'])
  t.strictSame(shown(servedSpans(steps, nothingBlocked, NOW + HOUR_MS)), ['15.1.2 0-1', '15.1.4 1-'])
})

t.test('an expiry at the very moment of the next step makes no span of its own', async (t) => {
  t.strictSame(shown(spansOf(channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) }), serving('15.1.5'))), [
    '15.1.2 0-1',
    '15.1.5 1-',
  ])
})

t.test('a pin that was held is told as served on', async (t) => {
  const steps = stepsOf(channelOf({ pin: pinOf('15.1.2', { until: inHours(1) }) }))
  const spans = servedSpans(steps, blocking('15.1.4'), NOW + 2 * HOUR_MS)
  t.strictSame(
    spans.map(({ version, because }) => [version, because]),
    [
      ['15.1.2', 'pin'],
      ['15.1.2', 'held'],
    ],
  )
})

t.test('a deleted channel serves nothing until it is made again', async (t) => {
  const spans = spansOf(serving('15.1.2'), DELETED, serving('15.1.4'))
  t.strictSame(spans[1], {
    version: null,
    beside: null,
    critical: false,
    because: 'deleted',
    revision: 2,
    from: NOW + HOUR_MS,
    to: NOW + 2 * HOUR_MS,
  })
})

t.test('a rollback goes to the version before this one', async (t) => {
  t.equal(before(spansOf(serving('15.1.2'), serving('15.1.3'), serving('15.1.4'))), '15.1.3')
  t.equal(
    before(spansOf(serving('15.1.2'), serving('15.1.4'), serving('15.1.4'))),
    '15.1.2',
    'the same again is no step',
  )
  t.equal(before(spansOf(serving('15.1.2'), channelOf({ pin: pinOf('15.1.1') }))), '15.1.2')
})

t.test('a rollback after a rollback goes back further, not to what was just left', async (t) => {
  const [a, b, c] = [serving('15.1.2'), serving('15.1.3'), serving('15.1.4')]
  const once = spansOf(a, b, c, channelOf({ pin: pinOf('15.1.3') }))
  t.equal(before(once), '15.1.2')
  const twice = spansOf(a, b, c, channelOf({ pin: pinOf('15.1.3') }), channelOf({ pin: pinOf('15.1.2') }))
  t.match(before(twice), /has served no other version before this one/)
  const forward = spansOf(a, b, c, channelOf({ pin: pinOf('15.1.3') }), c)
  t.equal(before(forward), '15.1.3', 'after the pin has ended it is the version before again')
})

t.test('a halted or emptied channel is rolled back from the version that agents still have', async (t) => {
  t.equal(before(spansOf(serving('15.1.2'), serving('15.1.4'), channelOf({ halt: HALT }))), '15.1.2')
  t.equal(before(spansOf(serving('15.1.2'), serving('15.1.4'), serving(null))), '15.1.2')
})

t.test('what was served before a deletion can be gone back to', async (t) => {
  t.equal(before(spansOf(serving('15.1.2'), DELETED, serving('15.1.4'))), '15.1.2')
  t.equal(before(spansOf(serving('15.1.2'), DELETED, serving('15.1.4')), 1), '15.1.2')
})

t.test('a rollback without an earlier version is refused', async (t) => {
  for (const spans of [
    spansOf(),
    spansOf(serving(null)),
    spansOf(serving('15.1.4')),
    spansOf(serving('15.1.4'), channelOf({ halt: HALT })),
  ]) {
    t.match(
      rollbackVersion(spans, undefined, () => false),
      { outcome: 'refused', why: 'state', problem: 'no_earlier_version' },
    )
  }
})

t.test('a rollback can name a version that was served, with or without its v', async (t) => {
  const spans = spansOf(serving('15.1.2'), serving('1.28.2+k3s1'), serving('15.1.4'))
  t.equal(before(spans, '15.1.2'), '15.1.2')
  t.equal(before(spans, 'v15.1.2'), '15.1.2')
  t.equal(before(spans, '15.1.4'), '15.1.4')
  t.equal(before(spans, '1.28.2+k3s1'), '1.28.2+k3s1')
  t.match(before(spans, '1.28.2+k3s2'), /^the channel has never served "1\.28\.2\+k3s2"; pin it instead/)
  t.match(
    rollbackVersion(spans, 'stable', () => false),
    { why: 'malformed', field: 'to', message: /is not a version/ },
  )
})

t.test('a version that stood under a pin was not served', async (t) => {
  const hidden = channelOf({ source: sourceOf('15.1.5'), pin: pinOf('15.1.2') })
  t.match(before(spansOf(serving('15.1.2'), hidden), '15.1.5'), /never served/)
})

t.test('a rollback can name a revision, and goes to what it served first', async (t) => {
  const pinned = channelOf({ pin: pinOf('15.1.1', { until: inHours(1.5) }) })
  const spans = spansOf(serving('15.1.2'), pinned, serving(null), DELETED)
  t.equal(before(spans, 1), '15.1.2')
  t.equal(before(spans, 2), '15.1.1')
  t.equal(before(spans, 3), 'the channel served no version at revision 3')
  t.equal(before(spans, 4), 'the channel served no version at revision 4')
  for (const revision of [0, 5, -1, 1.5, Number.NaN]) t.match(before(spans, revision), /history has no revision/)
})

t.test('compatibility lists every version served within the grace period, and the lowest of them', async (t) => {
  const spans = spansOf(serving('15.1.2'), serving('14.9.0'), serving('15.1.4'))
  const now = NOW + 3 * HOUR_MS
  t.strictSame(compatibility(spans, 10 * HOUR_MS, now), {
    oldest: '14.9.0',
    versions: [
      { version: '15.1.2', firstServedAt: inHours(0), lastServedAt: inHours(1) },
      { version: '14.9.0', firstServedAt: inHours(1), lastServedAt: inHours(2) },
      { version: '15.1.4', firstServedAt: inHours(2), lastServedAt: null },
    ],
  })
  t.strictSame(compatibility([], HOUR_MS, now), { oldest: null, versions: [] })
  t.strictSame(compatibility(spansOf(serving(null)), HOUR_MS, now), { oldest: null, versions: [] })
})

t.test('the grace period ends at exactly its millisecond', async (t) => {
  const spans = spansOf(serving('14.9.0'), serving('15.1.4'))
  const now = NOW + 3 * HOUR_MS
  t.equal(compatibility(spans, 2 * HOUR_MS + 1, now).oldest, '14.9.0', 'served for one millisecond of it')
  t.equal(compatibility(spans, 2 * HOUR_MS, now).oldest, '15.1.4')
  t.strictSame(
    compatibility(spans, 0, now).versions.map(({ version }) => version),
    ['15.1.4'],
    'what is served counts without grace',
  )
})

t.test('a version that agents were halted, emptied or left on counts for as long as that lasts', async (t) => {
  const now = NOW + 100 * HOUR_MS
  for (const still of [channelOf({ halt: HALT }), serving(null), DELETED]) {
    const spans = spansOf(serving('14.9.0'), serving('15.1.3'), still)
    const left = [{ version: '15.1.3', firstServedAt: inHours(1), lastServedAt: inHours(2) }]
    t.strictSame(compatibility(spans, HOUR_MS, now), { oldest: '15.1.3', versions: left })
  }
  const over = spansOf(serving('14.9.0'), channelOf({ halt: HALT }), channelOf({ halt: HALT }), serving('15.1.4'))
  t.equal(
    compatibility(over, HOUR_MS + 1, NOW + 4 * HOUR_MS).oldest,
    '14.9.0',
    'until 3 hours agents were told to stay',
  )
  t.equal(compatibility(over, HOUR_MS, NOW + 4 * HOUR_MS).oldest, '15.1.4')
})

t.test('a version that comes back was first served the first time and last the last', async (t) => {
  const spans = spansOf(serving('15.1.2'), serving('15.1.4'), serving('15.1.2'), serving('15.1.4'))
  t.strictSame(compatibility(spans, 100 * HOUR_MS, NOW + 4 * HOUR_MS).versions, [
    { version: '15.1.2', firstServedAt: inHours(0), lastServedAt: inHours(3) },
    { version: '15.1.4', firstServedAt: inHours(1), lastServedAt: null },
  ])
})
