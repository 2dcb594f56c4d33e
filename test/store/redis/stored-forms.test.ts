// A server over a real Redis into which another program writes every broken form of documents and entries, while it serves and
// before it is started: nothing wrong is answered, others are served, and each is repaired by a write.
import t from 'tap'
import { channelNameOf } from '../../../src/channels/channel.ts'
import type { Json, JsonObject } from '../../../src/store/port.ts'
import { journalSeqs, otherFaults, pollFaults, prepareOthers, streamSeqs } from '../../fixtures/broken-store.ts'
import { startRedisAdmin } from '../../fixtures/redis-planes.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startRedis } from '../../fixtures/redis-server.ts'
import { brokenDocuments, brokenEntries, brokenForms, storedEntry, storedForms } from '../../fixtures/stored-forms.ts'
import { range } from '../../fixtures/store-changes.ts'
import { sized } from '../../fixtures/test-form.ts'

const reason = 'repaired by the test'

/** A document as Redis keeps it. */
function textOf(key: string, revision: number, body: Json): string {
  return JSON.stringify({ revision, format: 1, key, body })
}

await redisTest(t, 'every broken form of every document, written while it is served', async (t) => {
  const { session, junk, reached } = await startRedisAdmin(t, await startRedis(t))
  await prepareOthers(session)
  const faults: string[] = []
  for (const { key, body: whole } of storedForms) {
    const name = channelNameOf(key)
    let revision = 0
    const write = async (body: JsonObject): Promise<void> => {
      const document = (at: number) => (at === 0 ? null : { key, revision: at, format: 1, body })
      const changes = [{ key, before: document(revision), after: document(revision + 1) }]
      await junk.putDocument(key, textOf(key, revision + 1, body))
      const seq = await junk.append((entry) => JSON.stringify({ ...entry, subjects: [key], changes }), { subject: key })
      revision += 1
      await reached(seq)
    }
    for (const [index, form] of [...brokenForms(whole)].entries()) {
      if (index % sized(40, 1) !== 0) continue
      await write(form.body)
      const found = [...(await otherFaults(session)), ...(name === null ? [] : await pollFaults(session, name))]
      faults.push(...found.map((fault) => `${key} ${form.what}: ${fault}`))
      const unreadable = session.planes.deps.replica.state?.unreadable
      if (unreadable?.has(key) === true) await session.done('POST', '/store/repair', { key, reason, force: true })
      revision = session.planes.deps.replica.state?.stored(key)?.revision ?? revision
      if (unreadable?.has(key) === true) faults.push(`${key} ${form.what}: not repaired`)
    }
  }
  t.same(faults, [])
})

await redisTest(t, 'every broken form of a journal entry, written while it is served', async (t) => {
  const server = await startRedis(t)
  const { session, junk, reached } = await startRedisAdmin(t, server)
  await prepareOthers(session)
  await session.channel('a')
  const form = { key: 'thing/1', body: { value: 1 } }
  const faults: string[] = []
  const forms = brokenEntries(storedEntry(0, '', form))
  for (const index of forms.keys()) {
    if (index % sized(12, 1) !== 0) continue
    let what: Json = null
    const seq = await junk.append(({ seq: next, mark }) => {
      what = brokenEntries(storedEntry(next, mark, form))[index] ?? null
      return JSON.stringify(what)
    })
    await reached(seq)
    const found = [...(await otherFaults(session)), ...(await pollFaults(session, 'a'))]
    faults.push(...found.map((fault) => `${JSON.stringify(what)}: ${fault}`))
  }
  t.same(faults, [])
  const last = session.planes.deps.replica.state?.seq ?? 0
  t.same(await journalSeqs(session), range(1, last).toReversed())
  t.same(await streamSeqs(session, last), range(1, last))
  await session.done('PUT', '/channels/a/version', { version: '15.1.5', reason })
  t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.5')
})

await redisTest(t, 'every broken form of a document and of an entry, written before the start', async (t) => {
  const server = await startRedis(t)
  const first = await startRedisAdmin(t, server)
  await prepareOthers(first.session)
  await first.session.channel('a')
  const form = { key: 'thing/1', body: { value: 1 } }
  const forms = brokenEntries(storedEntry(0, '', form)).length
  const step = sized(4, 1)
  for (const _ of range(1, Math.ceil(forms / step))) await first.junk.append((entry) => JSON.stringify(entry))
  await first.session.planes.close()
  const { junk } = first
  await junk.rewrite((seq, fields) => {
    const broken = brokenEntries(storedEntry(seq, fields['mark'] ?? '', form))[(seq - 4) * step]
    return broken === undefined ? fields : { ...fields, entry: JSON.stringify(broken) }
  })
  const documents = brokenDocuments(sized(15, 1))
  for (const { key, body } of documents) await junk.putDocument(key, textOf(key, 1, body))
  const texts = [
    '',
    'not json',
    'null',
    '[]',
    '{}',
    '{"revision":1,"format":1,"key":"x","body":{}}',
    '{"revision":1,"format":1',
  ]
  for (const [index, text] of texts.entries()) await junk.putDocument(`channel/text-${index}`, text)

  const { session } = await startRedisAdmin(t, server)
  const { deps } = session.planes
  const unreadable = [...(deps.replica.state?.unreadable.keys() ?? [])]
  t.ok(unreadable.length > documents.length / 2, `${unreadable.length} of ${documents.length} cannot be read`)
  const faults = [...(await otherFaults(session))]
  for (const { key, what } of documents) {
    const name = channelNameOf(key)
    if (name !== null) faults.push(...(await pollFaults(session, name)).map((fault) => `${what}: ${fault}`))
  }
  t.same(faults, [])
  for (const index of texts.keys()) t.match(await session.planes.asAgent(`/v1/text-${index}/version`), /^503 /)
  const seq = deps.replica.state?.seq ?? 0
  t.same(await journalSeqs(session), range(1, seq).toReversed())
  t.same(await streamSeqs(session, seq), range(1, seq))

  const set = { version: '15.1.5', reason, force: true }
  await session.done('PUT', '/channels/text-0/version', set)
  t.equal((await session.call('DELETE', '/channels/text-1', { reason, force: true })).status, 204)
  const repaired = unreadable.filter((key, index) => index % sized(20, 1) === 0 && !/text-[01]$/.test(key))
  for (const key of repaired) await session.done('POST', '/store/repair', { key, reason, force: true })
  for (const key of repaired) t.notOk(deps.replica.state?.unreadable.has(key), key)
  t.equal(await session.planes.asAgent('/v1/text-0/version'), '15.1.5')
  t.same(await otherFaults(session), [])
})

/** What becomes of a stream entry beside its text; the store as a whole then says so, and an operator decides. */
const fields = ['mark', 'previous', 'epoch'] as const

for (const field of fields) {
  await redisTest(t, `an entry whose ${field} in the stream is junk ends no polls, and is got over`, async (t) => {
    const { session, junk } = await startRedisAdmin(t, await startRedis(t))
    await prepareOthers(session)
    const seq = await junk.append((entry) => JSON.stringify(entry), { [field]: 'junk' })
    await session.planes.clock.advance(10_000)
    t.same(await otherFaults(session), [])
    t.same(await journalSeqs(session), range(1, seq).toReversed())
  })
}
