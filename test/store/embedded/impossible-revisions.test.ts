// Revisions that no store of its seq can have, in an embedded store: what has one is unreadable, is repaired by a write, and no revision
// is given twice.
import t from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { putRecords } from '../../fixtures/embedded-junk.ts'
import { commit, put, remove, revisionOf } from '../../fixtures/store-changes.ts'
import { freshFolder } from '../../fixtures/store-process.ts'

for (const revision of [1_000, Number.MAX_SAFE_INTEGER, 2 ** 53]) {
  await t.test(`a document at revision ${revision} is unreadable, and repaired by a write`, async (t) => {
    const folder = await freshFolder(t)
    const first = await openEmbeddedStore(folder)
    for (const expected of [0, 1]) await commit(first, [put('a', expected)])
    await first.close()
    await putRecords(folder, 'documents', [['a', JSON.stringify({ key: 'a', revision, format: 1, body: {} })]])
    const store = await openEmbeddedStore(folder)
    t.teardown(() => store.close())
    t.match((await store.load()).documents, [{ key: 'a', revision: 0, unreadable: String }])
    t.match((await commit(store, [put('a', 0)])).changes, [{ before: null, after: { revision: 3 } }])
    t.equal(await revisionOf(store, 'a'), 3)
  })
}

for (const kept of ['"junk"', '-1', '1000', '9007199254740991', 'null', '{}']) {
  await t.test(`the kept revision ${kept} holds up no change`, async (t) => {
    const folder = await freshFolder(t)
    const first = await openEmbeddedStore(folder)
    for (const expected of [0, 1]) await commit(first, [put('a', expected)])
    await commit(first, [remove('a', 2)])
    await first.close()
    await putRecords(folder, 'revisions', [['a', kept]])
    const store = await openEmbeddedStore(folder)
    t.teardown(() => store.close())
    t.match(
      (await commit(store, [put('a', 0)])).changes,
      [{ after: { revision: 4 } }],
      'above any that it can have had',
    )
    await commit(store, [remove('a', 4)])
    t.match((await commit(store, [put('a', 0)])).changes, [{ after: { revision: 5 } }])
  })
}
