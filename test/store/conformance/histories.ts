// Positions in a history: a store knows whether it is still on the way that somebody knows, and says so before anything
// is served or written by it. And the new epoch that an operator begins where it is not.
import type { Test } from 'tap'
import {
  JournalTrimmed,
  StoreRegressed,
  type Document,
  type EpochStart,
  type Store,
  type StorePosition,
} from '../../../src/store/port.ts'
import { change, commit, follower, NOON, positionAt, put, range, remove, seqs } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

const NOWHERE = new AbortController().signal

export async function histories(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('where a store stands is the last entry and its mark', async (t) => {
    const store = await filled(t, makePlace, 0)
    t.match(await store.position(), { seq: 0, mark: '' })
    const entry = await commit(store, [put('a', 0)])
    const { documents: _documents, ...position } = await store.load()
    t.same(await store.position(), position)
    t.match(position, { seq: 1, mark: entry.mark })
    t.not((await commit(store, [put('a', 1)])).mark, entry.mark)
  })

  await t.test('every position of its own history is known to a store', async (t) => {
    const store = await filled(t, makePlace, 5)
    for (const seq of range(0, 5)) {
      const known = await positionAt(store, seq)
      t.equal((await store.load(known)).seq, (await store.position()).seq)
      const one = follower(store, seq)
      await one.reached(5)
      await one.stop()
      const decided = change([put(`decided/${seq}`, 0)], { decidedOn: known })
      t.equal((await store.commit(decided)).outcome, 'committed')
      await store.commit(change([remove(`decided/${seq}`, 1)]))
    }
  })

  await t.test('what another history knows is neither loaded over, followed, nor written on', async (t) => {
    const store = await filled(t, makePlace, 5)
    const here = await positionAt(store, 3)
    const parted: Record<string, StorePosition> = {
      'another epoch': { ...here, epoch: '00000000-0000-4000-8000-000000000000' },
      'another mark at the same seq': { ...here, mark: '0123456789abcdef' },
      'a seq that is not reached yet': { ...here, seq: 6 },
      'another mark at the start': { ...here, seq: 0 },
    }
    const before = await store.load()
    for (const [name, known] of Object.entries(parted)) {
      const refused = { name: 'StoreRegressed', known, found: await store.position() }
      await t.rejects(store.load(known), refused, `${name}: load`)
      await t.rejects(
        store.follow(known, () => t.fail('given'), NOWHERE),
        refused,
        `${name}: follow`,
      )
      await t.rejects(store.commit(change([put('x', 0)], { decidedOn: known })), refused, `${name}: commit`)
    }
    t.same(await store.load(), before)
  })

  await t.test('a new epoch that keeps what the store holds goes on above both histories', async (t) => {
    const store = await filled(t, makePlace, 3)
    const before = await store.load()
    const known = { epoch: 'lost', seq: 40, mark: '0123456789abcdef' }
    const position = await store.startEpoch(await decision(store, { known, restore: null }))
    t.match(position, { seq: 41 })
    t.not(position.epoch, before.epoch)
    const after = await store.load(known)
    t.same(after.documents, before.documents)
    t.match(after, position)
    t.equal((await store.load(before)).seq, 41, 'who knew the store before goes on too')
    const { entries } = await store.journal({ limit: 10 })
    t.same(seqs(entries), [41, 3, 2, 1])
    t.match(entries[0], { kind: 'store.accept', actor: 'ann', reason: 'why', changes: [] })
    t.equal((await commit(store, [put('on', 0)])).seq, 42)
  })

  await t.test('a new epoch that restores makes the store what the replica knew', async (t) => {
    const store = await filled(t, makePlace, 3)
    await commit(store, [put('gone', 0)])
    await commit(store, [remove('gone', 1)])
    const kept = (await store.load()).documents.find(({ key }) => key === 'doc/1')
    if (kept === undefined) throw new Error('doc/1 is missing')
    const restored: Document[] = [
      kept,
      { ...kept, key: 'doc/2', revision: 9, body: { v: 'ä' } },
      { ...kept, key: 'new' },
    ]
    const known = { epoch: 'lost', seq: 9, mark: '0123456789abcdef' }
    await store.startEpoch(await decision(store, { known, restore: { ...known, documents: restored } }))
    const state = await store.load()
    t.same(byKey(state.documents), byKey(restored))
    t.equal(state.seq, 10)
    const { entries } = await store.journal({ limit: 1 })
    t.same(entries[0]?.changes.map(({ key }) => key).toSorted(), ['doc/2', 'doc/3', 'new'])
    t.same(seqs((await store.journal({ limit: 10, subject: 'doc/3' })).entries), [10, 3])
    t.equal((await commit(store, [put('doc/2', 9)])).changes[0]?.after?.revision, 10)
    t.equal((await commit(store, [put('doc/3', 0)])).changes[0]?.after?.revision, 2, 'a revision is never given twice')
    t.equal((await commit(store, [put('gone', 0)])).changes[0]?.after?.revision, 2)
  })

  await t.test('more documents than one commit may write are restored as one, and outlive a reopening', async (t) => {
    const place = await makePlace(t)
    const first = await place.open()
    await first.load()
    const found = await first.position()
    const documents = range(1, 2_500).map((n) => ({ key: `doc/${n}`, revision: n, format: 1, body: { n } }))
    const known = { epoch: 'lost', seq: 9_000, mark: '0123456789abcdef' }
    const position = await first.startEpoch(await decision(first, { known, found, restore: { ...known, documents } }))
    t.equal(position.seq, 9_003)
    await first.close()
    const store = await place.open()
    t.teardown(() => store.close())
    t.same(byKey((await store.load()).documents), byKey(documents))
    t.same(seqs((await store.journal({ limit: 10 })).entries), [9_003, 9_002, 9_001])
    t.equal((await commit(store, [put('doc/2500', 2_500)])).seq, 9_004)
  })

  await t.test('a decision about a store that has moved on since writes nothing', async (t) => {
    const store = await filled(t, makePlace, 2)
    const stale = await decision(store, { known: { epoch: 'lost', seq: 9, mark: 'm' }, restore: null })
    await commit(store, [put('on', 0)])
    const before = await store.load()
    await t.rejects(store.startEpoch(stale), StoreRegressed)
    t.same(await store.load(), before)
  })

  await t.test('followers learn that their epoch is over and load the new one', async (t) => {
    const store = await filled(t, makePlace, 3)
    const one = follower(store, 3)
    const ended = one.ended.then(
      () => null,
      (reason: unknown) => reason,
    )
    await commit(store, [put('on', 0)])
    await one.reached(4)
    const known = await positionAt(store, 4)
    await store.startEpoch(await decision(store, { known, restore: null }))
    t.ok((await ended) instanceof JournalTrimmed)
    await t.rejects(
      store.follow(known, () => t.fail('given'), NOWHERE),
      JournalTrimmed,
    )
    const state = await store.load(known)
    const next = follower(store, state.seq)
    await commit(store, [put('later', 0)])
    await next.reached(6)
    t.same(seqs(next.entries), [6])
    await next.stop()
  })
}

async function filled(t: Test, makePlace: MakePlace, count: number): Promise<Store> {
  const store = await freshStore(t, makePlace)
  await store.load()
  for (const n of range(1, count)) await commit(store, [put(`doc/${n}`, 0)])
  return store
}

async function decision(store: Store, given: Partial<EpochStart> & Pick<EpochStart, 'known' | 'restore'>) {
  const found = await store.position()
  const kind = given.restore === null ? 'store.accept' : 'store.restore'
  return { at: NOON, actor: 'ann', kind, reason: 'why', requestId: null, found, ...given } satisfies EpochStart
}

function byKey(documents: readonly Document[]): Map<string, Document> {
  return new Map(documents.map((document) => [document.key, document]))
}
