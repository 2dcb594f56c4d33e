// Single records that are not what was written, in a file whose trees are sound: what opening finds, and what only
// the reader of that record finds.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDatabase, type Database } from '../../../src/store/embedded/database.ts'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { subjectKey } from '../../../src/store/embedded/records.ts'
import { FORMAT, StoreDamaged, type JournalEntry } from '../../../src/store/port.ts'
import { change, commit, positionAt, put, range, remove } from '../../fixtures/store-changes.ts'
import { freshFolder } from '../../fixtures/store-process.ts'

const ENTRIES = 20

const ENTRY: JournalEntry = { ...change([]), seq: 1, mark: 'm', format: FORMAT, subjects: ['doc/1'], changes: [] }

async function filledFolder(t: Test): Promise<string> {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(folder)
  for (const n of range(1, ENTRIES - 1)) await commit(store, [put(`doc/${n}`, 0)], { reason: `the reason of ${n}.` })
  await commit(store, [remove('doc/1', 1)])
  await store.close()
  return folder
}

/** Flips one bit in every place of the file where `pattern` is, `at` bytes into it. */
async function flipIn(folder: string, pattern: Buffer, at: number): Promise<number> {
  const path = join(folder, 'store.mdb')
  const bytes = await readFile(path)
  let places = 0
  for (let found = bytes.indexOf(pattern); found !== -1; found = bytes.indexOf(pattern, found + pattern.length)) {
    bytes[found + at] = (bytes[found + at] ?? 0) ^ 1
    places += 1
  }
  await writeFile(path, bytes)
  return places
}

async function changeRecords(folder: string, action: (database: Database) => void): Promise<void> {
  const database = await openDatabase(folder)
  database.write(() => action(database))
  await database.close()
}

await t.test('a changed key in the index of subjects is found when the store is opened', async (t) => {
  const folder = await filledFolder(t)
  const key = subjectKey('doc/9', 9)
  t.ok((await flipIn(folder, key, key.length - 1)) > 0)
  await t.rejects(openEmbeddedStore(folder), StoreDamaged)
})

await t.test('a changed document is found when the store is opened', async (t) => {
  const folder = await filledFolder(t)
  t.ok((await flipIn(folder, Buffer.from('"body":{"value":1}'), 9)) > 0)
  await t.rejects(openEmbeddedStore(folder), { name: 'StoreDamaged', message: /"doc\// })
})

await t.test('a changed journal entry is found by who reads it, and the rest is served', async (t) => {
  const folder = await filledFolder(t)
  t.ok((await flipIn(folder, Buffer.from('the reason of 7.'), 4)) > 0)
  const store = await openEmbeddedStore(folder)
  t.teardown(() => store.close())
  t.equal((await store.load()).documents.length, ENTRIES - 2)
  const given: number[] = []
  const following = store.follow(await positionAt(store, 0), ({ seq }) => given.push(seq), new AbortController().signal)
  await t.rejects(following, StoreDamaged)
  t.same(given, range(1, 6), 'a follower is given all before it, and not what follows it')
  await t.rejects(store.journal({ limit: 50 }), StoreDamaged)
  await t.rejects(store.journal({ limit: 50, subject: 'doc/7' }), StoreDamaged)
  t.equal((await store.journal({ limit: 10 })).entries.length, 10)
  t.equal((await store.commit(change([put('doc/7', 1)]))).outcome, 'committed')
})

await t.test('a journal with a gap, or that ends early or late, is damaged', async (t) => {
  for (const seq of [ENTRIES - 1, ENTRIES + 1]) {
    const folder = await filledFolder(t)
    await changeRecords(folder, (database) => database.putMeta({ ...database.meta(), seq }))
    await t.rejects(openEmbeddedStore(folder), { name: 'StoreDamaged', message: /its journal is not 1 to/ })
  }
  const gaps = { 'the last but one': [ENTRIES + 2], 'the first, with one before it': [0, 2] }
  for (const [missing, seqs] of Object.entries(gaps)) {
    const folder = seqs.includes(0) ? await freshFolder(t) : await filledFolder(t)
    if (seqs.includes(0)) await (await openEmbeddedStore(folder)).close()
    await changeRecords(folder, (database) => {
      for (const seq of seqs) database.appendEntry({ ...ENTRY, seq })
      database.putMeta({ ...database.meta(), seq: Math.max(...seqs) })
    })
    await t.rejects(openEmbeddedStore(folder), { name: 'StoreDamaged', message: /its journal is not 1 to/ }, missing)
  }
})
