// What a store keeps when it is closed and opened again, and what closing does.
import type { Test } from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { change, commit, follower, put, range, remove, revisionOf, seqs } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

export async function opening(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('epoch, seq, documents, journal and the revisions of the deleted outlive a reopening', async (t) => {
    const place = await makePlace(t)
    const first = await place.open()
    for (const n of range(0, 4)) await commit(first, [put('kept', n), put(`other/${n}`, 0)])
    await commit(first, [put('deleted', 0)])
    await commit(first, [put('deleted', 1)])
    await commit(first, [remove('deleted', 2)])
    const before = await first.load()
    const journal = await first.journal({ limit: 100 })
    await first.close()

    const second = await place.open()
    t.teardown(() => second.close())
    const after = await second.load()
    t.equal(after.epoch, before.epoch)
    t.equal(after.seq, 8)
    t.same(byKey(after.documents), byKey(before.documents))
    t.same(await second.journal({ limit: 100 }), journal)
    t.equal((await commit(second, [put('deleted', 0)])).changes[0]?.after?.revision, 3)
    t.equal((await second.load()).seq, 9)
    const one = follower(second, 5)
    await one.reached(9)
    t.same(seqs(one.entries), [6, 7, 8, 9])
    await one.stop()
  })

  await t.test('two new stores have different epochs', async (t) => {
    const one = await freshStore(t, makePlace)
    const other = await freshStore(t, makePlace)
    t.not((await one.load()).epoch, (await other.load()).epoch)
  })

  await t.test('closing ends the followers, and closing again is no error', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    const followers = [0, 0].map((seq) => follower(store, seq))
    await Promise.all([followers[0]?.reached(1), followers[1]?.reached(1)])
    await Promise.all([store.close(), store.close()])
    await store.close()
    t.equal((await Promise.all(followers.map(({ ended }) => ended))).length, 2)
  })

  await t.test('a closed store is unavailable', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    const position = await store.position()
    await store.close()
    await t.rejects(store.load(), StoreUnavailable)
    await t.rejects(store.position(), StoreUnavailable)
    await t.rejects(store.committed('r'), StoreUnavailable)
    await t.rejects(store.commit(change([put('a', 1)])), StoreUnavailable)
    await t.rejects(store.journal({ limit: 1 }), StoreUnavailable)
    await t.rejects(
      store.follow(position, () => {}, new AbortController().signal),
      StoreUnavailable,
    )
  })

  await t.test('a commit that resolved before the closing is there afterwards', async (t) => {
    const place = await makePlace(t)
    const store = await place.open()
    const results = range(1, 30).map((n) => store.commit(change([put(`a/${n}`, 0)])))
    const closing = Promise.allSettled(results).then(() => store.close())
    const committed = (await Promise.all(results)).filter(({ outcome }) => outcome === 'committed').length
    await closing
    const again = await place.open()
    t.teardown(() => again.close())
    t.equal(committed, 30)
    t.equal((await again.load()).seq, 30)
    t.equal(await revisionOf(again, 'a/30'), 1)
  })
}

function byKey<T extends { readonly key: string }>(documents: readonly T[]): Map<string, T> {
  return new Map(documents.map((document) => [document.key, document]))
}
