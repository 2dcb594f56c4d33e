// Values that are nested too deep: found in texts of any depth, on both stores, and never in what a build writes.
import t from 'tap'
import { checkChange } from '../../src/store/change.ts'
import { documentOf, entryOf } from '../../src/store/embedded/stored-values.ts'
import { encodeValue } from '../../src/store/embedded/records.ts'
import { isDeeper, NESTING_FAULT, NESTING_MAX, parseBounded } from '../../src/store/nesting.ts'
import { FORMAT, type JsonObject } from '../../src/store/port.ts'
import { readDocument, readEntry } from '../../src/store/redis/documents.ts'
import { change, put } from '../fixtures/store-changes.ts'
import { storedEntry, storedForms } from '../fixtures/stored-forms.ts'

const KEY = 'thing/1'
/** The deepest document has to be far from the limit, since new members come. */
const LEVELS_OF_DOCUMENTS = 20

function lists(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

/** A document of so many levels: itself, its body, and lists. */
function documentText(levels: number, more = ''): string {
  return `{"revision":3,"format":1,"key":"${KEY}","body":{"x":${lists(levels - 2)}}${more}}`
}

function entryText(levels: number, more = ''): string {
  const text = JSON.stringify(storedEntry(2, 'm', { key: KEY, body: { x: '@' } }))
  return text.replaceAll('"@"', lists(levels - 2)).replace(/\}$/, `${more}}`)
}

function readFromRedis(text: string) {
  return readEntry(text, { seq: 2, mark: 'm', bytes: text.length, storeFormat: FORMAT })
}

t.test('the documents of this build are far from the limit', async (t) => {
  for (const form of storedForms) t.notOk(isDeeper(form, LEVELS_OF_DOCUMENTS), form.key)
})

t.test('a text is parsed as JSON does, whatever its strings hold', async (t) => {
  const texts = [
    '{"a":"[[[","b\\"]":["\\\\",{"c":"\\\\\\"]"}]}',
    '"[',
    '[',
    ']',
    '{"a":[1}',
    '',
    '[]',
    '"\\',
    `[${'"[",'.repeat(500)}1]`,
  ]
  for (const text of texts) {
    let expected: unknown
    try {
      expected = JSON.parse(text)
    } catch {
      expected = undefined
    }
    t.strictSame(parseBounded(text), expected, text)
  }
  t.equal(parseBounded('['.repeat(1_000_000)), undefined)
  t.ok(isDeeper(parseBounded(lists(1_000_000)), NESTING_MAX))
})

t.test('a document above the limit is unreadable at its revision, and one at the limit is not', async (t) => {
  const right = documentText(NESTING_MAX)
  t.same(readDocument(KEY, right, right.length, 3), JSON.parse(right))
  for (const text of [documentText(NESTING_MAX + 1), documentText(5_000), documentText(3, `,"x":${lists(5_000)}`)]) {
    const read = readDocument(KEY, text, text.length, 3)
    t.same(read, { key: KEY, revision: 3, format: 1, body: { unread: NESTING_FAULT }, unreadable: NESTING_FAULT })
  }
  const name = Buffer.from(KEY)
  const levels = 1_000
  const embedded = documentOf(name, encodeValue(name, JSON.parse(documentText(levels))), 3)
  t.same(embedded, { key: KEY, revision: 3, format: 1, body: { unread: NESTING_FAULT }, unreadable: NESTING_FAULT })
})

t.test('a document in an entry is unreadable alone, an entry is so where it is too deep itself', async (t) => {
  t.same(readFromRedis(entryText(NESTING_MAX)), JSON.parse(entryText(NESTING_MAX)))
  for (const levels of [NESTING_MAX + 1, 5_000, 500_000]) {
    for (const entry of [readFromRedis(entryText(levels)), entryOf(Buffer.from(entryText(levels)), 2)]) {
      t.equal(entry.unreadable, undefined)
      t.match(entry.changes[0]?.after, { key: KEY, body: { unread: NESTING_FAULT }, unreadable: NESTING_FAULT })
      t.doesNotThrow(() => JSON.stringify(entry))
    }
  }
  const outside = readFromRedis(entryText(3, `,"x":${lists(5_000)}`))
  t.match(outside, { seq: 2, mark: 'm', changes: [], unreadable: NESTING_FAULT })
})

t.test('an entry that has a document of a newer form is unreadable', async (t) => {
  const entry = storedEntry(2, 'm', { key: KEY, body: { x: 1 } })
  const changes = [{ key: KEY, before: null, after: { key: KEY, revision: 1, format: 2, body: {} } }]
  t.match(readFromRedis(JSON.stringify({ ...entry, changes })), { seq: 2, changes: [], unreadable: /changes/ })
})

t.test('what is too deep to be read is not written', async (t) => {
  const body: JsonObject = JSON.parse(`{"x":${lists(NESTING_MAX - 1)}}`)
  t.throws(() => checkChange(change([put(KEY, 0, body)])), RangeError)
})
