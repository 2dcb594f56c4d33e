// Journal entries in Redis that are none: nobody is stopped by one, and nobody is given anything that it does not say.
import t from 'tap'
import { StoreOutcomeUnknown, type JournalEntry, type Store } from '../../../src/store/port.ts'
import { DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX } from '../../../src/store/sizes.ts'
import { RedisJunk } from '../../fixtures/redis-junk.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startRedis } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { allPages, commit, follower, put, seqs } from '../../fixtures/store-changes.ts'

/** What stands in the place of an entry; each says no more than its place in the journal. */
const texts: Readonly<Record<string, (entry: JournalEntry) => string>> = {
  'no JSON': () => 'not json',
  nothing: () => '',
  'a JSON text that is cut': (entry) => JSON.stringify(entry).slice(0, -5),
  null: () => 'null',
  'a list': () => '[]',
  'no members': () => '{}',
  'no changes': (entry) => JSON.stringify({ ...entry, changes: undefined }),
  'changes that are no list': (entry) => JSON.stringify({ ...entry, changes: {} }),
  'a change without a document': (entry) => JSON.stringify({ ...entry, changes: [{ key: 'a' }] }),
  'the document of another key': (entry) =>
    JSON.stringify({ ...entry, changes: entry.changes.map((change) => ({ ...change, key: 'b' })) }),
  'an actor that is a number': (entry) => JSON.stringify({ ...entry, actor: 7 }),
  'a time that is none': (entry) => JSON.stringify({ ...entry, at: 'yesterday' }),
  'another seq': (entry) => JSON.stringify({ ...entry, seq: entry.seq + 1 }),
  'another mark': (entry) => JSON.stringify({ ...entry, mark: 'm' }),
  'a format that is none': (entry) => JSON.stringify({ ...entry, format: 'new' }),
}

/** What an entry says that cannot be read. */
const EMPTY = { at: '', actor: '', kind: '', subjects: [], reason: null, requestId: null, changes: [] }

async function unreadableSeqs(store: Store, query: object): Promise<number[]> {
  const { entries } = await allPages(store, { limit: 2, ...query })
  return seqs(entries.filter(({ unreadable }) => unreadable !== undefined))
}

for (const [what, textOf] of Object.entries(texts)) {
  await redisTest(t, `${what} in the place of an entry stops nobody`, async (t) => {
    const server = await startRedis(t)
    const [store, other] = [openAt(t, server.url), openAt(t, server.url)]
    await commit(store, [put('a', 0)])
    const known = await store.position()
    const live = follower(store, 1)
    const seq = await new RedisJunk(server).append(textOf, { subject: 'a', request: 'r' })
    await commit(other, [put('b', 0)])
    await live.reached(3)
    await live.stop()
    const [found, next] = live.entries
    t.match(found, { ...EMPTY, seq, mark: `junk-${seq}`, unreadable: String })
    t.match(next, { seq: 3, actor: 'ann' })
    t.equal(next?.unreadable, undefined)
    t.match(await other.load(known), { seq: 3, documents: [{ key: 'a', revision: 1 }, { key: 'b' }] })

    t.same(seqs((await allPages(store, { limit: 2 })).entries), [3, 2, 1])
    t.same(await unreadableSeqs(store, {}), [2])
    t.same(await unreadableSeqs(store, { subject: 'a' }), [2], 'the index says that it is about a')
    t.same(await unreadableSeqs(store, { subject: 'b' }), [])
    const again = follower(store, 2)
    await again.reached(3)
    await again.stop()
  })
}

await redisTest(t, 'an entry whose actor cannot be read may be of any actor', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  for (const actor of ['ann', 'bob']) await commit(store, [put(actor, 0)], { actor })
  await new RedisJunk(server).rewrite((seq, fields) => (seq === 1 ? { ...fields, entry: 'not json' } : fields))
  t.same(await unreadableSeqs(store, { actor: 'bob' }), [1])
  t.same(seqs((await allPages(store, { limit: 5, actor: 'bob' })).entries), [2, 1])
  t.same(seqs((await allPages(store, { limit: 5, since: '2030-01-01T00:00:00Z' })).entries), [1])
})

await redisTest(
  t,
  'the retry of a request whose entry cannot be read is told that its outcome is unknown',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await commit(store, [put('a', 0)], { requestId: 'r-1' })
    await new RedisJunk(server).rewrite((_, fields) => ({ ...fields, entry: '{}' }))
    await t.rejects(store.committed('r-1'), StoreOutcomeUnknown)
    await t.rejects(commit(store, [put('a', 1)], { requestId: 'r-1' }), StoreOutcomeUnknown)
    t.equal((await commit(store, [put('a', 1)], { requestId: 'r-2' })).seq, 2)
  },
)

await redisTest(t, 'entries are unreadable while the whole state is read, and it is read all the same', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  const junk = new RedisJunk(server)
  await commit(store, [put('a', 0)])
  // The reading begins, and then the journal grows by an entry that cannot be read.
  const loading = store.load()
  await Promise.all([junk.append(() => 'not json'), loading])
  t.match(await store.load(), { seq: 2, documents: [{ key: 'a' }] })
})

/** What stands in the place of a document that replicas have read before it was changed. */
const documents: Readonly<Record<string, (text: string) => string>> = {
  'a text that is no JSON': () => 'not json',
  'a text that is cut': (text) => text.slice(0, -10),
  'the document of another key': (text) => text.replace('"key":"a"', '"key":"b"'),
  'a revision that is none': (text) => text.replace('"revision":1', '"revision":"1"'),
  nothing: () => '',
}

for (const [what, change] of Object.entries(documents)) {
  await redisTest(
    t,
    `${what} in the place of a document is written over by whoever knows its last entry`,
    async (t) => {
      const server = await startRedis(t)
      const store = openAt(t, server.url)
      const junk = new RedisJunk(server)
      await commit(store, [put('a', 0), put('c', 0)])
      const decidedOn = await store.position()
      const stored = String(await server.call('HGET', junk.key('documents'), 'a'))
      await junk.putDocument('a', change(stored))
      await t.rejects(commit(store, [put('a', 1)]), 'nobody says what it was decided on')
      const entry = await commit(store, [put('a', 1, { value: 2 })], { decidedOn })
      t.match(entry.changes, [{ key: 'a', before: null, after: { revision: 2, body: { value: 2 } } }])
      t.equal(entry.unreadable, undefined)

      await junk.putDocument('a', change(stored))
      const late = await store.commit({ ...changeOf(put('a', 1)), decidedOn })
      t.match(late, { outcome: 'conflict', key: 'a' }, 'an entry about it has come since')
      const now = await store.position()
      await commit(store, [{ key: 'a', expected: 2, body: null }], { decidedOn: now })
      t.same(
        (await store.load()).documents.map(({ key }) => key),
        ['c'],
      )
      t.equal((await commit(store, [put('a', 0)])).changes[0]?.after?.revision, 3, 'no revision is given twice')
    },
  )
}

function changeOf(write: ReturnType<typeof put>) {
  const head = { at: '2026-03-01T00:00:00Z', actor: 'ann', kind: 'test', reason: null, requestId: null }
  return { ...head, writes: [write], reads: [] }
}

await redisTest(
  t,
  'a document that cannot be read is deleted at revision 0, and what is not there is not',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url)
    await commit(store, [put('c', 0)])
    await new RedisJunk(server).putDocument('a', 'not json')
    const found = (await store.load()).documents.find(({ key }) => key === 'a')
    t.match(found, { key: 'a', revision: 0, unreadable: String })
    await commit(store, [{ key: 'a', expected: 0, body: null }])
    t.match((await store.load()).documents, [{ key: 'c' }])
    await t.rejects(commit(store, [{ key: 'a', expected: 0, body: null }]), RangeError)
  },
)

await redisTest(t, 'an entry or a document that is too large is named with its size, and is not given', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  const junk = new RedisJunk(server)
  await commit(store, [put('a', 0), put('b', 0)])
  const decidedOn = await store.position()
  const fill = (bytes: number) => (text: string) => `${text.slice(0, -2)},"more":"${'x'.repeat(bytes)}"}}`
  const stored = String(await server.call('HGET', junk.key('documents'), 'a'))
  await junk.putDocument('a', fill(DOCUMENT_BYTES_MAX)(stored))
  const { documents } = await store.load()
  t.match(
    documents.find(({ key }) => key === 'a'),
    { revision: 0, body: { unread: /^it has 83/ }, unreadable: /^it has 83\d{5} bytes, and at most 8388608 are read$/ },
  )
  t.match(
    documents.find(({ key }) => key === 'b'),
    { revision: 1 },
  )
  t.match(await commit(store, [put('a', 1)], { decidedOn }), { changes: [{ before: null, after: { revision: 2 } }] })

  const seq = await junk.append((entry) => JSON.stringify({ ...entry, more: 'x'.repeat(ENTRY_BYTES_MAX) }))
  await commit(store, [put('b', 1)])
  const named = { seq, mark: `junk-${seq}`, unreadable: /bytes, and at most 67108864 are read$/ }
  for (const query of [{}, { actor: 'ann' }]) {
    const { entries } = await allPages(store, { limit: 10, ...query })
    t.match(
      entries.map(({ changes, ...entry }) => ({ ...entry, changes: changes.length })),
      [{ seq: 4 }, named, { seq: 2 }, { seq: 1 }],
    )
  }
  const late = follower(store, 2)
  await late.reached(4)
  await late.stop()
  t.match(late.entries[0], named)
})
