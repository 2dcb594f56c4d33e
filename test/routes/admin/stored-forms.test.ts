// A server that is started on an embedded store in which every member of every document, and of journal entries, is broken.
import t, { type Test } from 'tap'
import { channelNameOf } from '../../../src/channels/channel.ts'
import { startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { journalSeqs, otherFaults, pollFaults, prepareOthers, streamSeqs } from '../../fixtures/broken-store.ts'
import { putRecords } from '../../fixtures/embedded-junk.ts'
import { brokenDocuments, brokenEntries, storedEntry } from '../../fixtures/stored-forms.ts'
import { allPages, change, put, range } from '../../fixtures/store-changes.ts'
import { sized } from '../../fixtures/test-form.ts'

const reason = 'repaired by the test'
const COMMIT_MAX = 1_000

/** A server that other channels are served by, ended, so that its store can be changed. */
async function ended(t: Test, fill: (session: AdminSession) => Promise<void> = async () => {}): Promise<AdminSession> {
  const session = await startAdmin(t)
  await prepareOthers(session)
  await fill(session)
  await session.planes.close()
  return session
}

t.test('a start on every broken form of every document serves all others, and each is repaired', async (t) => {
  const documents = brokenDocuments(sized(3, 1))
  const before = await ended(t, async ({ planes }) => {
    for (let from = 0; from < documents.length; from += COMMIT_MAX) {
      const writes = documents.slice(from, from + COMMIT_MAX).map(({ key, body }) => put(key, 0, body))
      await planes.deps.store.commit(change(writes))
    }
  })
  const session = await startAdmin(t, { after: before.planes })
  const { state } = session.planes.deps.replica
  const unreadable = [...(state?.unreadable.keys() ?? [])]
  t.ok(unreadable.length > documents.length / 2, `${unreadable.length} of ${documents.length} cannot be read`)
  const faults = [...(await otherFaults(session))]
  for (const { key, what } of documents) {
    const name = channelNameOf(key)
    if (name !== null) faults.push(...(await pollFaults(session, name)).map((fault) => `${what}: ${fault}`))
  }
  t.same(faults, [])
  const repaired = unreadable.filter((_, index) => index % sized(20, 1) === 0)
  for (const key of repaired) await session.done('POST', '/store/repair', { key, reason, force: true })
  t.equal(session.planes.deps.replica.state?.unreadable.size, unreadable.length - repaired.length)
  t.same(await otherFaults(session), [])
})

t.test('a start on documents that are none serves all others, and each is repaired', async (t) => {
  const before = await ended(t, async (session) => {
    for (const n of range(1, 5)) await session.channel(`a-${n}`)
  })
  const texts = ['not json', 'null', '[]', '{}', '{"key":"channel/other","revision":1,"format":1,"body":{}}']
  await putRecords(
    before.planes.dataDir,
    'documents',
    texts.map((text, index) => [`channel/a-${index + 1}`, text] as const),
  )
  const session = await startAdmin(t, { after: before.planes })
  t.same(await otherFaults(session), [])
  for (const n of range(1, 5)) t.match(await session.planes.asAgent(`/v1/a-${n}/version`), /^503 /)
  await session.done('PUT', '/channels/a-1/version', { version: '15.1.5', reason })
  t.equal(await session.planes.asAgent('/v1/a-1/version'), '15.1.5')
  t.equal((await session.call('DELETE', '/channels/a-2', { reason, force: true })).status, 204)
  for (const n of range(3, 5)) await session.done('POST', '/store/repair', { key: `channel/a-${n}`, reason })
  for (const n of range(3, 5)) t.equal(await session.planes.asAgent(`/v1/a-${n}/version`), '15.1.4')
  t.same(session.planes.deps.replica.state?.unreadable.size, 0)
})

t.test('a start on every broken form of a journal entry gives or names each, and goes on', async (t) => {
  // What is in a document is broken above.
  const form = { key: 'thing/1', body: { value: 1 } }
  const forms = brokenEntries(storedEntry(0, '', form)).length
  const marks = new Map<number, string>()
  const before = await ended(t, async ({ planes: { deps } }) => {
    for (const n of range(0, forms - 1)) await deps.store.commit(change([put('thing/1', n)]))
    for (const { seq, mark } of (await allPages(deps.store, { limit: 500 })).entries) marks.set(seq, mark)
  })
  // As many entries as there are forms, the newest of them too.
  const first = 3
  await putRecords(
    before.planes.dataDir,
    'journal',
    range(0, forms - 1).map((index) => {
      const seq = first + index
      return [seq, JSON.stringify(brokenEntries(storedEntry(seq, marks.get(seq) ?? '', form))[index])] as const
    }),
  )
  const session = await startAdmin(t, { after: before.planes })
  t.same(await otherFaults(session), [])
  const all = range(1, forms + first - 1)
  t.same(await journalSeqs(session), all.toReversed())
  t.same(await streamSeqs(session, all.length), all)
  t.ok(session.planes.deps.replica.unreadableEntries.count > 0)
  await session.channel('after')
  t.equal(await session.planes.asAgent('/v1/after/version'), '15.1.4')
  await session.planes.close()
  const again = await startAdmin(t, { after: session.planes })
  t.same(await otherFaults(again), [])
})
