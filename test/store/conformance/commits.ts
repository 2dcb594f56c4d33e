// A commit is all or nothing, guarded by revisions, and one journal entry.
import type { Test } from 'tap'
import { BODY_BYTES_MAX, KEY_BYTES_MAX } from '../../../src/store/change.ts'
import { NESTING_MAX } from '../../../src/store/nesting.ts'
import { COMMIT_WRITES_MAX, FORMAT, type JsonObject, type Store, type Write } from '../../../src/store/port.ts'
import { COMMIT_BYTES_MAX } from '../../../src/store/sizes.ts'
import { change, commit, expectation, NOON, put, range, remove, revisionOf } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

export async function commits(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('a new store is empty, at seq 0, and has an epoch', async (t) => {
    const store = await freshStore(t, makePlace)
    const state = await store.load()
    t.same(state.documents, [])
    t.equal(state.seq, 0)
    t.match(state.epoch, /^[0-9a-f-]{36}$/)
    t.same(await store.journal({ limit: 10 }), { entries: [], next: null })
  })

  await t.test('one commit changes several documents and is one entry with before and after', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0, { v: 1 }), put('b', 0, { v: 2 })])
    const result = await store.commit(
      change([put('a', 1, { v: 3 }), remove('b', 1), put('c', 0, { v: 4 })], {
        actor: 'bob',
        kind: 'moved',
        reason: 'because',
        requestId: 'r-1',
      }),
    )
    const document = (key: string, revision: number, v: number) => ({ key, revision, format: FORMAT, body: { v } })
    t.match(result, { entry: { mark: /^[0-9a-f]{16}$/ } })
    t.same(result, {
      outcome: 'committed',
      repeated: false,
      foreign: [],
      entry: {
        seq: 2,
        mark: result.outcome === 'committed' ? result.entry.mark : '',
        format: FORMAT,
        at: NOON,
        actor: 'bob',
        kind: 'moved',
        subjects: ['a', 'b', 'c'],
        reason: 'because',
        requestId: 'r-1',
        changes: [
          { key: 'a', before: document('a', 1, 1), after: document('a', 2, 3) },
          { key: 'b', before: document('b', 1, 2), after: null },
          { key: 'c', before: null, after: document('c', 1, 4) },
        ],
      },
    })
    const state = await store.load()
    t.same(sorted(state.documents), [document('a', 2, 3), document('c', 1, 4)])
    t.equal(state.seq, 2)
    const { entries } = await store.journal({ limit: 10 })
    t.same(entries[0], result.outcome === 'committed' && result.entry)
  })

  await t.test('what would make an entry above its limit is refused whole, unless it is urgent', async (t) => {
    const store = await freshStore(t, makePlace)
    const text = 'x'.repeat(COMMIT_BYTES_MAX / 8 - 1_000)
    const keys = ['a', 'b', 'c', 'd']
    await commit(
      store,
      keys.map((key) => put(key, 0, { text })),
    )
    const before = await store.position()
    const larger = keys.map((key) => put(key, 1, { text: `${text}${'y'.repeat(2_000)}` }))
    await t.rejects(store.commit(change(larger)), { name: 'CommitTooLarge' })
    t.same(await store.position(), before)
    const loaded = await store.load()
    t.same(new Set(loaded.documents.map(({ revision }) => revision)), new Set([1]))
    const urgent = await store.commit(change(larger, { isUrgent: true }))
    t.equal(urgent.outcome, 'committed', 'a rollback is never refused for its size')
  })

  await t.test('where one expectation fails nothing is written, and the seq has no gap', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0), put('b', 0)])
    const before = await store.load()
    const attempts: Write[][] = [
      [put('a', 1), put('b', 2)],
      [put('new', 0), put('a', 0)],
      [remove('a', 1), remove('b', 7)],
      [remove('missing', 1), put('new', 0)],
    ]
    for (const writes of attempts) {
      t.equal((await store.commit(change(writes))).outcome, 'conflict')
      t.same(await store.load(), before)
    }
    t.equal((await store.journal({ limit: 10 })).entries.length, 1)
    t.equal((await commit(store, [put('a', 1)])).seq, 2)
  })

  await t.test('a conflict names the first document that differs, and its revision', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0), put('b', 0)])
    await commit(store, [put('b', 1)])
    t.same(await store.commit(change([put('a', 1), put('b', 1), put('c', 4)])), {
      outcome: 'conflict',
      key: 'b',
      expected: 1,
      actual: 2,
      seq: 2,
    })
    t.same(await store.commit(change([put('c', 4)])), { outcome: 'conflict', key: 'c', expected: 4, actual: 0, seq: 2 })
    t.same(await store.commit(change([put('a', 0)])), { outcome: 'conflict', key: 'a', expected: 0, actual: 1, seq: 2 })
  })

  await t.test('what was only read must still be as it was read', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('guard', 0)])
    const guarded = (expected: number) => change([put('a', 0)], { reads: [expectation('guard', expected)] })
    t.same(await store.commit(guarded(0)), { outcome: 'conflict', key: 'guard', expected: 0, actual: 1, seq: 1 })
    t.same(await store.commit(guarded(2)), { outcome: 'conflict', key: 'guard', expected: 2, actual: 1, seq: 1 })
    t.equal(await revisionOf(store, 'a'), 0)
    const result = await store.commit(guarded(1))
    t.equal(result.outcome, 'committed')
    t.same(result.outcome === 'committed' && result.entry.subjects, ['a'], 'a read document is no subject')
    t.equal(await revisionOf(store, 'guard'), 1, 'and is not changed')
    const absent = change([put('a', 1)], { reads: [expectation('never', 0)] })
    t.equal((await store.commit(absent)).outcome, 'committed', 'it can be expected not to exist')
  })

  await t.test('a document made again after a deletion goes on counting its revisions', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    await commit(store, [put('a', 1)])
    await commit(store, [remove('a', 2)])
    t.equal(await revisionOf(store, 'a'), 0)
    t.equal((await store.commit(change([put('a', 2)]))).outcome, 'conflict', 'the old revision writes nothing')
    const again = await commit(store, [put('a', 0)])
    t.equal(again.changes[0]?.after?.revision, 3)
    t.equal(again.changes[0]?.before, null)
    await commit(store, [remove('a', 3)])
    t.equal((await commit(store, [put('a', 0)])).changes[0]?.after?.revision, 4)
    t.equal((await commit(store, [put('a', 4)])).changes[0]?.after?.revision, 5)
  })

  await t.test('of many commits on one revision exactly one wins', async (t) => {
    const store = await freshStore(t, makePlace)
    for (const revision of range(0, 4)) {
      const results = await Promise.all(
        range(1, 20).map((writer) => store.commit(change([put('a', revision, { writer })]))),
      )
      const won = results.filter(({ outcome }) => outcome === 'committed')
      t.equal(won.length, 1)
      const lost = results.filter((result) => result.outcome === 'conflict' && result.actual === revision + 1)
      t.equal(lost.length, 19)
    }
    t.equal((await store.load()).seq, 5)
  })

  await t.test('writers that read, change and write side by side lose nothing', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('counter', 0, { count: 0 })])
    await Promise.all(range(1, 8).map(() => addTimes(store, 25)))
    const { documents, seq } = await store.load()
    t.same(documents[0]?.body, { count: 200 })
    t.equal(documents[0]?.revision, 201)
    t.equal(seq, 201)
  })

  await t.test('the most documents that one commit may write are written as one', async (t) => {
    const store = await freshStore(t, makePlace)
    const entry = await commit(
      store,
      range(1, COMMIT_WRITES_MAX).map((n) => put(`many/${n}`, 0)),
    )
    t.equal(entry.changes.length, COMMIT_WRITES_MAX)
    t.equal((await store.load()).documents.length, COMMIT_WRITES_MAX)
    t.equal((await store.load()).seq, 1)
  })

  await t.test('a change that can only be a mistake is refused and writes nothing', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    const mistakes: Record<string, Write[]> = {
      'no documents': [],
      'one document twice': [put('b', 0), put('b', 0)],
      'too many documents': range(0, COMMIT_WRITES_MAX).map((n) => put(`many/${n}`, 0)),
      'a deletion of what must not exist': [remove('b', 0)],
      'an empty key': [put('', 0)],
      'a key too long': [put('k'.repeat(KEY_BYTES_MAX + 1), 0)],
      'a key that is not well-formed': [put('\ud800', 0)],
      'a revision that is none': [put('b', 0.5)],
      'a negative revision': [put('b', -1)],
    }
    for (const [name, writes] of Object.entries(mistakes)) {
      await t.rejects(store.commit(change(writes)), RangeError, name)
    }
    await t.rejects(store.commit(change([put('b', 0)], { at: 'now' })), RangeError, 'a time that is none')
    const large = { text: 'x'.repeat(BODY_BYTES_MAX) }
    await t.rejects(store.commit(change([put('b', 0, large)])), RangeError, 'more than is read again')
    const deep = range(1, NESTING_MAX - 1).reduce<JsonObject>((inner) => ({ inner }), {})
    await t.rejects(store.commit(change([put('b', 0, deep)])), RangeError, 'deeper than is read again')
    t.equal((await store.load()).seq, 1)
    t.equal((await store.load()).documents.length, 1)
  })
}

async function addTimes(store: Store, times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const { documents } = await store.load()
    const counter = documents[0]
    const count = counter?.body['count']
    if (counter === undefined || typeof count !== 'number') throw new Error('no counter')
    const result = await store.commit(change([put('counter', counter.revision, { count: count + 1 })]))
    if (result.outcome === 'committed') done += 1
  }
}

function sorted<T extends { readonly key: string }>(documents: readonly T[]): T[] {
  return [...documents].sort((a, b) => (a.key < b.key ? -1 : 1))
}
