// Documents and indexes that another program changes in Redis past the journal: no commit is held up by them, no revision goes back,
// and a race with another writer is still one.
import t, { type Test } from 'tap'
import type { Committed, Conflict, Document, StorePosition } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { RedisJunk } from '../../fixtures/redis-junk.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { change, commit, expectation, follower, put, range, remove, revisionOf } from '../../fixtures/store-changes.ts'

const KEY = 'doc/1'

interface Filled {
  readonly server: RedisServer
  readonly store: RedisStore
  readonly junk: RedisJunk
  /** Where a replica stands that has followed everything. */
  readonly known: StorePosition
  /** The text of KEY, which is at revision 2. */
  readonly text: string
}

async function filled(t: Test): Promise<Filled> {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  for (const n of range(1, 5)) await commit(store, [put(`doc/${n}`, 0)])
  await commit(store, [put(KEY, 1)])
  const junk = new RedisJunk(server)
  const text = String(await server.call('HGET', junk.key('documents'), KEY))
  return { server, store, junk, known: await store.position(), text }
}

function committed(result: Committed | Conflict): Committed {
  if (result.outcome === 'conflict') throw new Error(`unexpected conflict: ${JSON.stringify(result)}`)
  return result
}

async function documentOf(store: RedisStore): Promise<Document | undefined> {
  return (await store.load()).documents.find(({ key }) => key === KEY)
}

/** What another program makes of a document; whether this build can still read it. */
const changed: Readonly<Record<string, { readonly of: (text: string) => string; readonly isReadable?: true }>> = {
  'a lower revision': { of: (text) => text.replace('"revision":2', '"revision":1'), isReadable: true },
  'a higher revision': { of: (text) => text.replace('"revision":2', '"revision":5'), isReadable: true },
  'a revision above every entry': { of: (text) => text.replace('"revision":2', '"revision":1000') },
  'the revision 0': { of: (text) => text.replace('"revision":2', '"revision":0') },
  'the highest safe revision': { of: (text) => text.replace('"revision":2', '"revision":9007199254740991') },
  'a revision that is not exact': { of: (text) => text.replace('"revision":2', '"revision":9007199254740993') },
  'a revision of many digits': { of: (text) => text.replace('"revision":2', `"revision":${'9'.repeat(400)}`) },
  'a revision with a zero before': { of: (text) => text.replace('"revision":2', '"revision":02') },
  'a revision that is a text': { of: (text) => text.replace('"revision":2', '"revision":"2"') },
  'two revisions': { of: (text) => text.replace(/\}$/, ',"revision":7}') },
  'two revisions, one behind the other': { of: (text) => text.replace('"revision":2', '"revision":2,"revision":3') },
  'two keys': { of: (text) => text.replace(/\}$/, ',"key":"doc/2"}') },
  'two formats': { of: (text) => text.replace(/\}$/, ',"format":99}') },
  'a format of no build': { of: (text) => text.replace('"format":1', '"format":99') },
  'a format that is none': { of: (text) => text.replace('"format":1', '"format":true') },
  'the key of another': { of: (text) => text.replace(KEY, 'doc/2') },
  'members in another order': { of: (text) => JSON.stringify({ key: KEY, ...JSON.parse(text) }) },
  'a body that is a list': { of: (text) => text.replace(/"body":.*$/, '"body":[]}') },
  'no end': { of: (text) => text.slice(0, -5) },
}

for (const [what, { of, isReadable = false }] of Object.entries(changed)) {
  await redisTest(t, `${what}: who serves its last version writes over it, and reads it`, async (t) => {
    const { store, junk, known, text } = await filled(t)
    await junk.putDocument(KEY, of(text))
    const reads = [expectation(KEY, 2)]
    const beside = committed(await store.commit(change([put('doc/2', 1)], { reads, decidedOn: known })))
    // A text whose head is right is found only where it is written over, since that takes it into the entry.
    for (const key of beside.foreign) t.equal(key, KEY)
    const decidedOn = await store.position()
    const { entry, foreign } = committed(await store.commit(change([put(KEY, 2)], { decidedOn })))
    t.same(foreign, [KEY])
    t.match(entry.changes, [{ key: KEY, before: null, after: { revision: 8 } }], 'above every revision of this store')
    t.same(await documentOf(store), entry.changes[0]?.after)
    t.equal((await commit(store, [put(KEY, 8)], { decidedOn: await store.position() })).changes[0]?.after?.revision, 9)
    t.equal((await store.load()).documents.length, 5)
  })

  await redisTest(t, `${what}: who serves its last version deletes it`, async (t) => {
    const { store, junk, known, text } = await filled(t)
    await junk.putDocument(KEY, of(text))
    committed(await store.commit(change([remove(KEY, 2)], { decidedOn: known })))
    t.equal((await store.load()).documents.length, 4)
    const again = await commit(store, [put(KEY, 0)], { decidedOn: await store.position() })
    t.ok((again.changes[0]?.after?.revision ?? 0) > 2, 'no revision is given twice')
  })

  await redisTest(t, `${what}: who loads it ${isReadable ? 'has it' : 'cannot read it, and repairs it'}`, async (t) => {
    const { store, junk, text } = await filled(t)
    await junk.putDocument(KEY, of(text))
    const found = await documentOf(store)
    t.equal(found?.unreadable === undefined, isReadable, found?.unreadable ?? 'it can be read')
    const expected = found?.revision ?? 0
    const result = committed(await store.commit(change([put(KEY, expected)], { decidedOn: await store.position() })))
    t.ok((result.entry.changes[0]?.after?.revision ?? 0) > expected)
    t.equal((await documentOf(store))?.unreadable, undefined)
    const [entry] = (await store.journal({ limit: 1 })).entries
    t.equal(entry?.unreadable, undefined, 'nothing of it is in the entry')
  })
}

await redisTest(t, 'a document that another program has taken away is written again, or stays away', async (t) => {
  const { server, store, junk, known } = await filled(t)
  for (const key of [KEY, 'doc/3']) {
    await server.call('HDEL', junk.key('documents'), key)
    await server.call('HINCRBY', junk.key('meta'), 'count', -1)
  }
  const writes = [put(KEY, 2), remove('doc/3', 1)]
  const { entry, foreign } = committed(await store.commit(change(writes, { decidedOn: known })))
  t.same(foreign, [KEY, 'doc/3'])
  t.match(entry.changes, [
    { before: null, after: { revision: 7 } },
    { before: null, after: null },
  ])
  t.same((await store.load()).documents.map(({ key }) => key).toSorted(), [KEY, 'doc/2', 'doc/4', 'doc/5'])
})

await redisTest(
  t,
  'a change that another writer has made since is a conflict, whatever else has happened',
  async (t) => {
    const { server, store, junk, known, text } = await filled(t)
    const late = change([put(KEY, 2)], { decidedOn: known })
    const reading = change([put('doc/2', 1)], { reads: [expectation(KEY, 2)], decidedOn: known })
    await commit(store, [put(KEY, 2)])
    const lost = { outcome: 'conflict', key: KEY, expected: 2, actual: 3, seq: 7 }
    for (const one of [late, reading]) t.same(await store.commit(one), lost)
    await server.call('DEL', junk.key('subjects'))
    for (const one of [late, reading]) t.same(await store.commit(one), lost, 'without the index of subjects')
    for (const { of } of Object.values(changed)) {
      await junk.putDocument(KEY, of(text))
      t.match(await store.commit(late), { outcome: 'conflict', key: KEY, seq: 7 }, 'and another program beside')
    }
    await commit(store, [remove('doc/4', 1)])
    for (const key of ['doc/4', 'doc/9']) {
      const made = change([put('doc/3', 1)], { reads: [expectation(key, key === 'doc/4' ? 1 : 0)], decidedOn: known })
      t.equal((await store.commit(made)).outcome, key === 'doc/4' ? 'conflict' : 'committed', key)
    }
  },
)

await redisTest(t, 'who is far behind cannot tell a race from another program, and decides again', async (t) => {
  const { store, junk, known, text } = await filled(t)
  for (const n of range(1, 25)) await commit(store, [put('doc/5', n)])
  await junk.putDocument(KEY, text.replace('"revision":2', '"revision":5'))
  const conflict = await store.commit(change([put(KEY, 2)], { decidedOn: known }))
  t.same(conflict, { outcome: 'conflict', key: KEY, expected: 2, actual: 5, seq: 31 })
  committed(await store.commit(change([put(KEY, 2)], { decidedOn: await store.position() })))
})

await redisTest(t, 'a store whose journal was trimmed since the decision lets no writer win unseen', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url, { limits: { journalMax: 2 } })
  await commit(store, [put(KEY, 0)])
  const known = await store.position()
  await commit(store, [put(KEY, 1)])
  for (const n of range(0, 3)) await commit(store, [put('doc/2', n)])
  const late = change([put(KEY, 1)], { decidedOn: known })
  t.match(await store.commit(late), { outcome: 'conflict', key: KEY, actual: 2 })
})

const WRITERS = 4
const ROUNDS = 15

await redisTest(
  t,
  'writers of one document lose no update to each other beside a program that changes it',
  async (t) => {
    const { server, store, junk } = await filled(t)
    let [attempts, lost] = [0, 0]
    const writer = async (): Promise<void> => {
      const own = openAt(t, server.url)
      const following = follower(own, 6)
      for (let done = 0; done < ROUNDS;) {
        const last = following.entries.at(-1)
        const { epoch } = await own.position()
        // What this replica has followed to, as a replica decides.
        const seq = last?.seq ?? 6
        const mark = last?.mark ?? (await markAt(own, 6))
        const about = following.entries.flatMap(({ changes }) => changes).filter(({ key }) => key === KEY)
        const document = about.at(-1)?.after ?? { revision: 2, body: { value: 0 } }
        const body = { value: Number(document.body['value']) + 1 }
        attempts += 1
        const decidedOn = { epoch, seq, mark }
        const result = await own.commit(change([put(KEY, document.revision, body)], { decidedOn }))
        if (result.outcome === 'committed') done += 1
        else lost += 1
        await following.reached(result.outcome === 'committed' ? result.entry.seq : result.seq)
        const text = String(await server.call('HGET', junk.key('documents'), KEY))
        if (attempts % 3 === 0) await junk.putDocument(KEY, text.replace(/"revision":\d+/, '"revision":1'))
      }
      await following.stop()
    }
    await Promise.all(range(1, WRITERS).map(writer))
    t.ok(lost > 0, 'there were races')
    await commit(store, [put('doc/2', 1)])
    const { entries } = await store.journal({ limit: 500, subject: KEY })
    t.same(entries[0]?.changes[0]?.after?.body, { value: WRITERS * ROUNDS }, `${lost} of ${attempts} lost`)
    const revisions = entries.map(({ changes }) => changes[0]?.after?.revision ?? 0)
    t.same(
      revisions,
      revisions.toSorted((a, b) => b - a),
      'no revision goes back',
    )
    t.equal(new Set(revisions).size, revisions.length, 'or is given twice')
  },
)

async function markAt(store: RedisStore, seq: number): Promise<string> {
  return (await store.journal({ limit: 1, beforeSeq: seq + 1 })).entries[0]?.mark ?? ''
}

const junkNumbers = ['', 'junk', '-1', '1.5', '1e400', '0x10', 'nan', '50', '9007199254740991', '9'.repeat(400)]

await redisTest(t, 'junk among the kept revisions holds up no change, and no revision is given twice', async (t) => {
  const { server, store, junk } = await filled(t)
  let held = 2
  for (const value of junkNumbers) {
    await server.call('HSET', junk.key('revisions'), KEY, value, 'new', value)
    const deleted = await commit(store, [remove(KEY, held)])
    t.equal(deleted.changes[0]?.after, null, value)
    await server.call('HSET', junk.key('revisions'), KEY, value)
    const [made] = (await commit(store, [put(KEY, 0)])).changes
    t.ok((made?.after?.revision ?? 0) > held, `${value}: ${made?.after?.revision} after ${held}`)
    held = await revisionOf(store, KEY)
    await commit(store, [put('new', 0)])
    await commit(store, [remove('new', await revisionOf(store, 'new'))])
  }
})

await redisTest(t, 'junk in the index of requests answers no request by the entry of another', async (t) => {
  const { server, store, junk } = await filled(t)
  await commit(store, [put('doc/2', 1)], { requestId: 'first' })
  for (const [index, value] of [...junkNumbers, '7', '1'].entries()) {
    const requestId = `r-${index}`
    await server.call('HSET', junk.key('requests'), requestId, value)
    t.equal(await store.committed(requestId), null, value)
    const result = await store.commit(change([put(`new/${index}`, 0)], { requestId }))
    t.match(result, { outcome: 'committed', repeated: false }, value)
    t.match(await store.committed(requestId), { requestId })
  }
})

await redisTest(t, 'junk in the index of subjects hides no entry, and ends no page', async (t) => {
  const { server, store, junk } = await filled(t)
  const prefix = `${KEY.length}:${KEY}:`
  for (const end of ['', 'junk', '5', '0000000000000000', '9999999999999999', '00000000000000x1', '-000000000000001'])
    await server.call('ZADD', junk.key('subjects'), 0, prefix + end)
  for (const limit of [1, 2, 10]) {
    const { entries } = await pages(store, limit)
    t.same(entries, [6, 1], `pages of ${limit}`)
  }
  await commit(store, [put(KEY, 2)], { decidedOn: await store.position() })
})

async function pages(store: RedisStore, limit: number): Promise<{ readonly entries: readonly number[] }> {
  const entries: number[] = []
  for (let beforeSeq: number | null = Number.MAX_SAFE_INTEGER; beforeSeq !== null;) {
    const page = await store.journal({ subject: KEY, limit, beforeSeq })
    entries.push(...page.entries.map(({ seq }) => seq))
    beforeSeq = page.next
  }
  return { entries }
}

await redisTest(t, 'an entry whose document has an impossible revision is unreadable', async (t) => {
  const { store, junk } = await filled(t)
  for (const revision of [1_000, Number.MAX_SAFE_INTEGER]) {
    const seq = await junk.append((entry) => {
      const after = { key: 'a', revision, format: 1, body: {} }
      return JSON.stringify({ ...entry, changes: [{ key: 'a', before: null, after }] })
    })
    t.match((await store.journal({ limit: 1 })).entries, [{ seq, unreadable: /changes/ }])
  }
})
