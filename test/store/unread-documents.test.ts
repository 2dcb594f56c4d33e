// A document whose body was not read, for its size or its nesting: of a kind that no check knows, nothing may take it for an empty
// document, nor write it over the one that the store has.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkedStore } from '../../src/store/checked-store.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts'
import { planEpoch } from '../../src/store/epoch-start.ts'
import { readLastKnownGood, writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { FORMAT, type Document, type EpochStart } from '../../src/store/port.ts'
import { unreadableDocument } from '../../src/store/stored-form.ts'

const KEY = 'thing/large'
const WHY = 'it has 9000000 bytes, and at most 8388608 are read'
const UNREAD = unreadableDocument(KEY, WHY, 3)
const AT = '2026-03-01T00:00:00.000Z'
const POSITION = { epoch: 'e', seq: 7, mark: 'm' }

function restoring(documents: readonly Document[]): EpochStart {
  const head = { at: AT, actor: 'ada', kind: 'store.restore', reason: null, requestId: null }
  return { ...head, known: POSITION, found: { epoch: '', seq: 0, mark: '' }, restore: { ...POSITION, documents } }
}

t.test('the last-known-good file says that it was not read, to every later start', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-unread-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  let documents: readonly Document[] = [UNREAD]
  for (let start = 1; start <= 2; start += 1) {
    await writeLastKnownGood(folder, { ...POSITION, documents }, Date.parse(AT))
    const read = await readLastKnownGood(folder)
    if (read.outcome !== 'read') throw new Error(read.outcome)
    documents = read.state.documents
    t.strictSame(documents, [UNREAD], `start ${start}`)
  }
})

t.test('a restore leaves what the store has of it', async (t) => {
  const whole = { key: KEY, revision: 2, format: FORMAT, body: { text: 'whole' } }
  t.same(planEpoch(restoring([UNREAD]), [whole]).entries[0]?.changes, [])
  t.match(planEpoch(restoring([UNREAD]), []).entries[0]?.changes, [{ key: KEY, before: null, after: UNREAD }])
})

t.test('restored where the store has none, it cannot be read by anybody', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-unread-'))
  const store = checkedStore(await openEmbeddedStore(folder), () => null)
  t.teardown(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  const found = await store.position()
  await store.startEpoch({ ...restoring([UNREAD]), found })
  t.strictSame((await store.load()).documents, [UNREAD])
  const { entries } = await store.journal({ limit: 1 })
  t.strictSame(entries[0]?.changes[0]?.after, UNREAD)
})
