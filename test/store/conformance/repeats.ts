// A change with an id is committed at most once, however often it is sent: what a retry after a lost answer relies on.
import type { Test } from 'tap'
import { REQUEST_ID_LENGTH_MAX } from '../../../src/store/change.ts'
import { change, commit, put, range, remove } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

export async function repeats(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('a change that is sent again is answered with its entry and written once', async (t) => {
    const store = await freshStore(t, makePlace)
    const once = change([put('a', 0, { v: 1 })], { requestId: 'r-1' })
    const first = await store.commit(once)
    t.match(first, { outcome: 'committed', repeated: false })
    await commit(store, [put('a', 1, { v: 2 })], { requestId: 'r-2' })
    const again = await store.commit(once)
    t.same(again, { ...first, repeated: true })
    t.equal((await store.load()).seq, 2)
    t.same((await store.load()).documents[0]?.body, { v: 2 }, 'what was written since stays')
  })

  await t.test('the same id wins over expectations that no longer hold', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)], { requestId: 'r' })
    t.match(await store.commit(change([remove('a', 9)], { requestId: 'r' })), { outcome: 'committed', repeated: true })
    t.match(await store.commit(change([remove('a', 9)], { requestId: 's' })), { outcome: 'conflict' })
  })

  await t.test('a conflict leaves no trace of its id', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    const id = { requestId: 'r' }
    t.match(await store.commit(change([put('a', 0)], id)), { outcome: 'conflict' })
    t.equal(await store.committed('r'), null)
    t.match(await store.commit(change([put('a', 1)], id)), { outcome: 'committed', repeated: false })
  })

  await t.test('an entry is found by the id of its change, also after a reopening', async (t) => {
    const place = await makePlace(t)
    const first = await place.open()
    const ids = ['r', 'key with spaces / and äöü', 'x'.repeat(REQUEST_ID_LENGTH_MAX)]
    const entries = []
    for (const [index, requestId] of ids.entries()) entries.push(await commit(first, [put('a', index)], { requestId }))
    await commit(first, [put('b', 0)])
    await first.close()
    const store = await place.open()
    t.teardown(() => store.close())
    for (const [index, requestId] of ids.entries()) t.same(await store.committed(requestId), entries[index])
    t.equal(await store.committed('never'), null)
  })

  await t.test('of the same change sent many times at once one is written', async (t) => {
    const store = await freshStore(t, makePlace)
    const once = change([put('a', 0)], { requestId: 'r' })
    const results = await Promise.all(range(1, 20).map(() => store.commit(once)))
    t.equal(results.filter((result) => result.outcome === 'committed' && !result.repeated).length, 1)
    t.equal(results.filter((result) => result.outcome === 'committed' && result.repeated).length, 19)
    t.equal((await store.load()).seq, 1)
  })

  await t.test('an id that is none is refused', async (t) => {
    const store = await freshStore(t, makePlace)
    for (const requestId of ['', 'x'.repeat(REQUEST_ID_LENGTH_MAX + 1)]) {
      await t.rejects(store.commit(change([put('a', 0)], { requestId })), RangeError)
    }
    t.equal((await store.load()).seq, 0)
  })
}
