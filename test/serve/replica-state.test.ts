// What a replica makes of the journal: entries in order only, and the same answers whichever way a state was reached.
import fc from 'fast-check'
import t from 'tap'
import { channelKey, channelOf as readChannel } from '../../src/channels/channel.ts'
import { targetAt } from '../../src/channels/target.ts'
import type { Document, DocumentChange, JournalEntry } from '../../src/store/port.ts'
import { answerPoll } from '../../src/serve/poll.ts'
import { ENDED_AT_ONCE_MAX, ReplicaState } from '../../src/serve/replica-state.ts'
import { anyChannel, anyVersion, T0, TICK_MS } from '../fixtures/channel-arbitraries.ts'
import { HOUR_MS, inHours, NOW, pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import { blockedDocument, channelDocument } from '../fixtures/poll-worlds.ts'

function entry(seq: number, changes: readonly DocumentChange[]): JournalEntry {
  const subjects = changes.map(({ key }) => key)
  return {
    seq,
    mark: `mark-${seq}`,
    format: 1,
    at: inHours(0),
    actor: 'ada',
    kind: 'test',
    subjects,
    reason: null,
    requestId: null,
    changes,
  }
}

function putting(document: Document): DocumentChange {
  return { key: document.key, before: null, after: document }
}

function emptyState(seq = 0): ReplicaState {
  return new ReplicaState({ documents: [], seq, mark: 'm', epoch: 'one' }, 10, NOW)
}

await t.test('an entry that does not follow is refused and changes nothing', (t) => {
  const state = emptyState(7)
  for (const seq of [0, 1, 6, 7, 9, 10, 1_000, -1, Number.NaN, 8.5]) {
    t.throws(() => state.apply(entry(seq, [putting(channelDocument('a', 1))])), {
      name: 'RangeError',
      message: `journal entry ${seq} does not follow seq 7`,
    })
  }
  t.equal(state.seq, 7)
  t.equal(state.document(channelKey('a')), undefined)
  t.equal(state.publish(NOW).size, 0)
  state.apply(entry(8, [putting(channelDocument('a', 1))]))
  t.equal(state.seq, 8)
  t.equal(state.publish(NOW).size, 1)
  t.end()
})

await t.test('what is applied is served from the next publish on, all of an entry at once', (t) => {
  const state = emptyState()
  const before = state.publish(NOW)
  state.apply(entry(1, [putting(channelDocument('a', 1)), putting(channelDocument('b', 1))]))
  t.equal(state.snapshot, before)
  t.equal(before.size, 0)
  const after = state.publish(NOW)
  t.match(after, { seq: 1, size: 2 })
  t.equal(state.publish(NOW), after, 'nothing has changed, so the snapshot is the same')
  state.apply(entry(2, [{ key: channelKey('a'), before: null, after: null }]))
  t.match(state.publish(NOW), { seq: 2, size: 1 })
  t.equal(after.size, 2, 'the one before is as it was')
  t.end()
})

await t.test('an entry about no channel moves the seq and leaves every channel the same object', (t) => {
  const state = emptyState()
  state.apply(entry(1, [putting(channelDocument('a', 1))]))
  const first = state.publish(NOW)
  state.apply(entry(2, [putting({ key: 'token/x', revision: 1, format: 1, body: {} })]))
  const second = state.publish(NOW)
  t.match(second, { seq: 2 })
  t.equal(second.find('a'), first.find('a'))
  t.end()
})

await t.test('the block list decides whether a pin whose time is over may end, until that is journaled', (t) => {
  const pin = pinOf('15.1.2', { until: inHours(1) })
  const state = emptyState()
  state.apply(entry(1, [putting(channelDocument('a', 1, { source: sourceOf('15.2.0'), pin }))]))
  const later = NOW + 2 * 3_600_000
  t.equal(state.publish(NOW).find('a')?.version.body, '15.1.2')
  t.equal(state.publish(later).find('a')?.version.body, '15.2.0')
  t.same(state.lapsed(later), ['a'])
  state.apply(entry(2, [putting(blockedDocument('15.2.0'))]))
  t.match(state.publish(later).find('a'), { version: { body: '15.1.2' }, target: { because: 'held' } })
  state.apply(entry(3, [{ key: blockedDocument('15.2.0').key, before: null, after: null }]))
  t.match(state.publish(later).find('a'), { version: { body: '15.2.0' }, target: { because: 'expired' } })
  t.end()
})

await t.test('what has ended is rendered once, and again where the clock was set back', (t) => {
  const state = emptyState()
  const pin = pinOf('15.1.2', { until: inHours(1) })
  state.apply(entry(1, [putting(channelDocument('a', 1, { source: sourceOf('15.2.0'), pin }))]))
  const later = NOW + 2 * 3_600_000
  const ended = state.publish(later)
  t.equal(ended.find('a')?.version.body, '15.2.0')
  t.equal(state.publish(later + 1_000), ended, 'a fleet whose pins end together is not rendered every second')
  t.equal(state.publish(NOW).find('a')?.version.body, '15.1.2')
  t.equal(state.publish(later).find('a')?.version.body, '15.2.0')
  t.end()
})

const names = ['a', 'b', 'a/b', 'stable/cloud', 'default'] as const

/** One journal entry as a test draws it: some channels put or deleted, a version blocked or not, and time that passes. */
const anyStep = fc.record({
  puts: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.option(anyChannel, { freq: 6 })), {
    selector: ([name]) => name,
    maxLength: 3,
  }),
  block: fc.option(fc.tuple(anyVersion, fc.boolean()), { freq: 2 }),
  ticks: fc.constantFrom(0, 0, 1, 3),
  publish: fc.boolean(),
})

await t.test('whichever way a state was reached, and however often it was published, its answers are the same', (t) => {
  const paths = [...names, 'nope'].flatMap((name) =>
    ['version', 'critical'].flatMap((value) => [
      `/v1/${name}/${value}`,
      `/webapi/automaticupgrades/channel/${name}/${value}`,
    ]),
  )
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 15 }), (steps) => {
      let now = T0
      const state = new ReplicaState({ documents: [], seq: 0, mark: 'm', epoch: 'one' }, 10, now)
      const documents = new Map<string, Document>()
      for (const [index, { puts, block, ticks, publish }] of steps.entries()) {
        now += ticks * TICK_MS
        const changes: DocumentChange[] = []
        for (const [name, channel] of puts) {
          const key = channelKey(name)
          const revision = (documents.get(key)?.revision ?? 0) + 1
          changes.push({
            key,
            before: null,
            after: channel === null ? null : channelDocument(name, revision, { ...channel, name }),
          })
        }
        if (block !== null) {
          const document = blockedDocument(block[0])
          changes.push({ key: document.key, before: null, after: block[1] ? document : null })
        }
        for (const { key, after } of changes) {
          if (after === null) documents.delete(key)
          else documents.set(key, after)
        }
        state.apply(entry(index + 1, changes))
        if (publish) state.publish(now)
      }
      const applied = state.publish(now)
      const scratch = new ReplicaState(
        { documents: [...documents.values()], seq: steps.length, mark: 'm', epoch: 'one' },
        10,
        now,
      )
      for (const path of paths) {
        const one = JSON.stringify(answerPoll(applied, path))
        const other = JSON.stringify(answerPoll(scratch.snapshot, path))
        if (one !== other) throw new Error(`${path}: applied ${one}, from scratch ${other}`)
      }
      for (const name of names) {
        // And both are what the rules say of the document itself.
        const document = documents.get(channelKey(name))
        const served = applied.find(name)
        if ((document === undefined) !== (served === undefined)) throw new Error(`${name} is there, or not`)
        if (document === undefined || served === undefined) continue
        const target = targetAt(readChannel(document), state.isBlocked, now)
        if (JSON.stringify(target) !== JSON.stringify(served.target)) throw new Error(`${name} has another target`)
      }
      return (
        applied.size === scratch.snapshot.size &&
        applied.seq === scratch.snapshot.seq &&
        state.nextExpiry(now) === scratch.nextExpiry(now) &&
        state.lapsed(now).toSorted().join() === scratch.lapsed(now).toSorted().join()
      )
    }),
    { numRuns: 400 },
  )
  t.pass('400 histories')
  t.end()
})

await t.test('at any time, published only at the moments it names itself, it answers what the rules say', (t) => {
  fc.assert(
    fc.property(
      fc.array(anyChannel, { minLength: 1, maxLength: 4 }),
      fc.nat({ max: 12 * TICK_MS }),
      (drawn, afterMs) => {
        const documents = drawn.map((channel, index) =>
          channelDocument(`c${index}`, 1, { ...channel, name: `c${index}` }),
        )
        const state = new ReplicaState({ documents, seq: 1, mark: 'm', epoch: 'one' }, 10, T0)
        const end = T0 + afterMs
        for (let next = state.nextExpiry(T0); next !== null && next <= end; next = state.nextExpiry(next)) {
          state.publish(next)
        }
        for (const document of documents) {
          const channel = readChannel(document)
          const { version, critical } = targetAt(channel, () => false, end)
          const served = state.snapshot.find(channel.name)?.target
          if (served?.version !== version || served.critical !== critical) throw new Error(`${channel.name} is behind`)
        }
      },
    ),
    { numRuns: 500 },
  )
  t.pass('500 states')
  t.end()
})

await t.test('a fault in the middle of an entry leaves the seq where it was', (t) => {
  const state = emptyState()
  const good = putting(channelDocument('a', 1))
  t.throws(() => state.apply(entry(2, [good])), RangeError)
  state.apply(entry(1, [good]))
  t.equal(state.seq, 1)
  t.end()
})

await t.test(
  'pins that end at one moment are rendered some at a time, and what is applied at once all the same',
  (t) => {
    const count = 2 * ENDED_AT_ONCE_MAX + 1
    const pin = pinOf('15.1.3', { until: inHours(1) })
    const documents = Array.from({ length: count }, (_, index) => channelDocument(`c${index}`, 1, { pin }))
    const state = new ReplicaState({ documents, seq: 0, mark: 'm', epoch: 'one' }, 10, NOW)
    const end = NOW + HOUR_MS
    const ended = (): number =>
      [...state.snapshot.channels()].filter(({ target }) => target.because === 'expired').length
    const seen = []
    do {
      state.publish(end)
      seen.push(ended())
      t.equal(state.lapsed(end).length, count, 'all of them have ended, rendered or not')
    } while (seen.length < 10 && (state.nextExpiry(end) ?? Infinity) <= end)
    t.strictSame(seen, [ENDED_AT_ONCE_MAX, 2 * ENDED_AT_ONCE_MAX, count])

    const other = new ReplicaState({ documents, seq: 0, mark: 'm', epoch: 'one' }, 10, NOW)
    other.apply(
      entry(
        1,
        documents.map(({ key }) => ({ key, before: null, after: null })),
      ),
    )
    t.equal(other.publish(end).size, 0)
    t.end()
  },
)
