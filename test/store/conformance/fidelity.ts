// What is read is what was written, to the last character, and many documents are no trouble.
import type { Test } from 'tap'
import { NESTING_MAX } from '../../../src/store/nesting.ts'
import type { JsonObject } from '../../../src/store/port.ts'
import { commit, put, range } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

const BODIES: Readonly<Record<string, JsonObject>> = {
  'an empty body': {},
  'empty things': { text: '', list: [], object: {}, nothing: null, '': 'empty name' },
  'no array turned to an object, no object to an array': { a: [[], [{}], { b: [] }], 1: 'one', 0: 'zero' },
  unicode: { text: 'ä \u0308 🚦 \u2028 \u0000 \u001f \u007f \ufeff "quoted" \\ / </script>' },
  'lone surrogates': { high: '\ud83d', low: '\udea6', turned: '\udea6\ud83d', '\ud83d': 'name' },
  'large and small numbers': {
    numbers: [0, -1, 1.5, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 9007199254740991, -9007199254740991],
    beyond: [123456789012345680000, 0.30000000000000004, 100000000000000000000],
  },
  'numbers as text, and text like numbers': { a: '1', b: '1e3', c: '007', d: 'true', e: 'null' },
  'names that mean something to JavaScript': JSON.parse('{"__proto__": {"x": 1}, "constructor": 1, "length": 2}'),
  'names that mean something to others': { 'a.b': 1, $where: 2, 'a b': 3, KEYS: 4, '\n': 5 },
  'as deep as is read again': range(1, NESTING_MAX - 2).reduce<JsonObject>((inner) => ({ inner }), { end: true }),
  long: { text: 'x'.repeat(300_000), list: range(1, 5_000) },
}

export async function fidelity(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('a body comes back from load, journal and follow as it was written', async (t) => {
    const place = await makePlace(t)
    let store = await place.open()
    const names = Object.keys(BODIES)
    for (const name of names) {
      const entry = await commit(store, [put(name, 0, BODIES[name])], { reason: name, requestId: name })
      t.strictSame(entry.changes[0]?.after?.body, BODIES[name], name)
    }
    await store.close()
    store = await place.open()
    t.teardown(() => store.close())
    const { documents } = await store.load()
    for (const { key, body } of documents) t.equal(JSON.stringify(body), JSON.stringify(BODIES[key]), key)
    t.equal(documents.length, names.length)
    const oldestFirst = [...(await store.journal({ limit: 500 })).entries].reverse()
    const bodies = oldestFirst.map(({ changes }) => changes[0]?.after?.body)
    t.equal(JSON.stringify(bodies), JSON.stringify(Object.values(BODIES)))
    const reasons = oldestFirst.map(({ reason }) => reason)
    t.same(reasons, names)
  })

  await t.test('what the caller does with its objects afterwards changes nothing in the store', async (t) => {
    const store = await freshStore(t, makePlace)
    const list = ['kept']
    const entry = await commit(store, [put('a', 0, { list })])
    list.push('not kept')
    t.same(entry.changes[0]?.after?.body, { list: ['kept'] })
    t.same((await store.load()).documents[0]?.body, { list: ['kept'] })
    t.not((await store.load()).documents[0], (await store.load()).documents[0])
  })

  await t.test('ten thousand documents are written, changed and loaded', async (t) => {
    const store = await freshStore(t, makePlace)
    const body = (n: number): JsonObject => ({ n, description: 'x'.repeat(300) })
    for (const batch of range(0, 9)) {
      await commit(
        store,
        range(0, 999).map((n) => put(`channel/${batch * 1000 + n}`, 0, body(n))),
      )
    }
    await commit(store, [put('channel/7777', 1, { changed: true })])
    const { documents, seq } = await store.load()
    t.equal(documents.length, 10_000)
    t.equal(seq, 11)
    t.equal(new Set(documents.map(({ key }) => key)).size, 10_000)
    t.same(documents.find(({ key }) => key === 'channel/7777')?.body, { changed: true })
    t.same(documents.find(({ key }) => key === 'channel/7778')?.body, body(778))
    const history = await store.journal({ limit: 10, subject: 'channel/7777' })
    t.same(
      history.entries.map((entry) => entry.seq),
      [11, 8],
    )
  })
}
