// The edges of what is kept of what channels served: its bounds, wrong clocks, and documents that cannot be read.
import t from 'tap'
import { CHANNEL_SPANS_MAX } from '../../src/channels/channel-past.ts'
import { channelKey } from '../../src/channels/channel.ts'
import { CLOCK_SKEW_MAX_MS } from '../../src/channels/entry-times.ts'
import { compatibility } from '../../src/channels/history.ts'
import { DELETED_PASTS_MAX, ServedHistory, type HistoryEntry } from '../../src/channels/served-history.ts'
import { momentOf } from '../../src/channels/time.ts'
import type { Document } from '../../src/store/port.ts'
import { HOUR_MS, NOW, nothingBlocked, sourceOf } from '../fixtures/channel-samples.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'

const KEY = channelKey('a')
const DAY_MS = 24 * HOUR_MS

/** A journal of channel `a` that serves these versions one after the other (null: it is deleted), by hours from NOW. */
function journalOf(...steps: readonly (readonly [hours: number, version: string | null])[]): readonly HistoryEntry[] {
  let before: Document | null = null
  let revision = 0
  return steps.map(([hours, version], index) => {
    const at = NOW + hours * HOUR_MS
    if (version !== null) revision += 1
    const more = { source: sourceOf(version), updatedAt: momentOf(Number.isNaN(at) ? NOW : at) }
    const after: Document | null = version === null ? null : channelDocument('a', revision, more)
    const changes = [{ key: KEY, before, after }]
    before = after
    return { seq: index + 1, at, changes }
  })
}

function standing(entries: readonly HistoryEntry[]): Document {
  const document = entries.at(-1)?.changes[0]?.after
  if (document === undefined || document === null) throw new Error('the channel does not stand at the end')
  return document
}

/** A history that has applied all of them, each at the time of a right clock. */
function applied(entries: readonly HistoryEntry[], nowOf = ({ at }: HistoryEntry): number => at): ServedHistory {
  const history = new ServedHistory(0, [], NOW)
  for (const entry of entries) history.apply(entry, nowOf(entry))
  return history
}

/** A history that was loaded after all of them, and has learned them at `now`. */
function learned(entries: readonly HistoryEntry[], now: number): ServedHistory {
  const document = entries.at(-1)?.changes[0]?.after ?? null
  const history = new ServedHistory(entries.length, document === null ? [] : [document], now)
  for (const entry of entries.toReversed()) history.learn(entry, now)
  history.learnedAll({})
  return history
}

/** The versions that agents may run after so many hours of grace, and since when all is known, in hours from NOW. */
function known(history: ServedHistory, document: Document, now: number, graceMs: number): unknown {
  const { spans, knownSince } = history.served(document, nothingBlocked, { now, expiryTime: now })
  const { versions } = compatibility(spans, graceMs, now)
  return [versions.map(({ version }) => version), knownSince === null ? null : (knownSince - NOW) / HOUR_MS]
}

const versionOf = (n: number): string => `15.${n}.0`

t.test('of a channel that has served more than is kept, what was before is not known', async (t) => {
  const count = CHANNEL_SPANS_MAX + 10
  const entries = journalOf(...Array.from({ length: count }, (_, n) => [n, versionOf(n)] as const))
  const [document, now] = [standing(entries), NOW + count * HOUR_MS]
  for (const history of [applied(entries), learned(entries, now)]) {
    const [versions, since] = known(history, document, now, 365 * DAY_MS) as [string[], number]
    t.equal(versions.length, CHANNEL_SPANS_MAX + 1)
    t.equal(versions[0], versionOf(count - CHANNEL_SPANS_MAX - 1))
    t.equal(since, count - CHANNEL_SPANS_MAX - 1, 'the end of the newest that is not kept')
  }
})

t.test('what is dropped of versions that are served again is not missed', async (t) => {
  const count = CHANNEL_SPANS_MAX * 3
  const entries = journalOf(...Array.from({ length: count }, (_, n) => [n, versionOf(n % 3)] as const))
  const [document, now] = [standing(entries), NOW + count * HOUR_MS]
  for (const history of [applied(entries), learned(entries, now)]) {
    t.strictSame(known(history, document, now, 2 * HOUR_MS), [[versionOf(1), versionOf(2)], null])
    const [versions, since] = known(history, document, now, 365 * DAY_MS) as [string[], number]
    t.strictSame([versions.toSorted(), since], [[versionOf(0), versionOf(1), versionOf(2)], null])
  }
})

t.test('steps that tell agents nothing new take no room', async (t) => {
  const entries = journalOf([0, '14.0.0'], ...Array.from({ length: 1_000 }, (_, n) => [n, '15.0.0'] as const))
  const now = NOW + 1_000 * HOUR_MS
  for (const history of [applied(entries), learned(entries, now)]) {
    t.strictSame(known(history, standing(entries), now, 2_000 * HOUR_MS), [['14.0.0', '15.0.0'], null])
  }
})

t.test('an entry whose clock was far behind does not end what was served before long ago', async (t) => {
  const behind = -30 * 24
  const entries = journalOf([0, '14.0.0'], [240, '14.5.0'], [behind, '15.0.0'])
  // The third was made after 10 days, and 5 more days have passed.
  const [madeAt, now] = [NOW + 241 * HOUR_MS, NOW + 15 * DAY_MS]
  const live = applied(entries, (entry) => (entry.seq === 3 ? madeAt : entry.at))
  t.strictSame(known(live, standing(entries), now, 119.5 * HOUR_MS), [['14.5.0', '15.0.0'], null])
  t.strictSame(known(live, standing(entries), now, 118 * HOUR_MS), [['15.0.0'], null])
  t.strictSame(
    known(learned(entries, now), standing(entries), now, 3 * DAY_MS),
    [['14.5.0', '15.0.0'], null],
    'read again, it may have been made just now',
  )
  const small = journalOf([1, '14.0.0'], [1 - CLOCK_SKEW_MAX_MS / 2 / HOUR_MS, '15.0.0'])
  t.strictSame(known(learned(small, now), standing(small), now, 3 * DAY_MS), [['15.0.0'], null])
})

t.test('an entry whose clock was far ahead keeps nothing in use for longer', async (t) => {
  const entries = journalOf([0, '14.0.0'], [24 * 40, '14.5.0'], [2, '15.0.0'])
  const now = NOW + 10 * DAY_MS
  const live = applied(entries, (entry) => (entry.seq === 2 ? NOW + HOUR_MS : entry.at))
  for (const history of [live, learned(entries, now)]) {
    t.strictSame(known(history, standing(entries), now, 3 * DAY_MS), [['15.0.0'], null])
    t.strictSame(known(history, standing(entries), now, 30 * DAY_MS), [['14.0.0', '14.5.0', '15.0.0'], null])
  }
})

t.test('of deleted channels beyond the bound, what was before is not known when they are made again', async (t) => {
  const history = applied(journalOf([0, '14.0.0'], [1, null]))
  for (let n = 0; n < DELETED_PASTS_MAX; n += 1) {
    const document = channelDocument(`x${n}`, 1)
    const at = NOW + 2 * HOUR_MS
    history.apply({ seq: 3 + 2 * n, at, changes: [{ key: document.key, before: null, after: document }] }, at)
    history.apply({ seq: 4 + 2 * n, at, changes: [{ key: document.key, before: document, after: null }] }, at)
  }
  const [again, at] = [channelDocument('a', 2, { source: sourceOf('15.0.0') }), NOW + 3 * HOUR_MS]
  history.apply({ seq: 99_999, at, changes: [{ key: KEY, before: null, after: again }] }, at)
  const [versions, since] = known(history, again, at + HOUR_MS, DAY_MS) as [string[], number]
  t.strictSame(versions, ['15.0.0'])
  t.equal(since, 3, 'since it was made again')
})

t.test('nothing is known of a channel whose document cannot be read, and all of the others', async (t) => {
  const entries = journalOf([0, '14.0.0'], [1, '15.0.0'])
  const junk: Document = { key: channelKey('b'), revision: 1, format: 1, body: {} }
  const better = channelDocument('b', 2, { source: sourceOf('15.0.0') })
  const [at, now] = [NOW + 2 * HOUR_MS, NOW + 3 * HOUR_MS]
  const made = { seq: 3, at, changes: [{ key: junk.key, before: null, after: junk }] }
  const repaired = { seq: 4, at, changes: [{ key: junk.key, before: junk, after: better }] }
  t.strictSame(known(applied([...entries, made]), junk, now, HOUR_MS), [[], (now + 1 - NOW) / HOUR_MS])
  for (const history of [applied([...entries, made, repaired]), learned([...entries, made, repaired], now)]) {
    t.strictSame(known(history, better, now, DAY_MS), [['15.0.0'], 2])
    t.strictSame(known(history, standing(entries), now, DAY_MS), [['14.0.0', '15.0.0'], null])
  }
})

t.test('an entry that says no time counts as late as it can have been made', async (t) => {
  const entries = journalOf([0, '14.0.0'], [Number.NaN, '15.0.0'], [3, '15.1.0'])
  const now = NOW + 5 * HOUR_MS
  const live = applied(entries, ({ seq }) => NOW + seq * HOUR_MS)
  t.strictSame(known(live, standing(entries), now, 2.5 * HOUR_MS), [['15.0.0', '15.1.0'], null])
  const late = [['14.0.0', '15.0.0', '15.1.0'], null]
  t.strictSame(known(learned(entries, now), standing(entries), now, 2.5 * HOUR_MS), late, 'by the entry after it')
  t.strictSame(known(learned(entries, now), standing(entries), now, 1.5 * HOUR_MS), [['15.1.0'], null])
})
