// Journal entries in parts: the same as the whole entry for every text, junk included, and small enough for a turn each.
import t from 'tap'
import { entryInParts, UnreadableEntry } from '../../src/store/entry-parts.ts'
import { entryOf } from '../../src/store/embedded/stored-values.ts'
import type { DocumentChange, JournalEntry } from '../../src/store/port.ts'
import { readEntry } from '../../src/store/redis/documents.ts'
import { TURN_BYTES_MAX, Turns } from '../../src/store/turns.ts'
import { seededRandom } from '../../bench/random.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const SEQ = 7
const MARK = 'mark'
const CHANGES = 900
const ODD_TEXTS = ['"', '\\', '\\"', '},{', ']}', ',"changes":[', 'ä€𝄞', '\u2028', '{"a":[', "don't"]

/** How both stores read an entry's text. */
const READERS = {
  embedded: (text: Buffer): JournalEntry => entryOf(text, SEQ),
  Redis: (text: Buffer): JournalEntry =>
    readEntry(text.toString('utf8'), { seq: SEQ, mark: MARK, bytes: text.length, storeFormat: 1 }),
}

function someChange(index: number): DocumentChange {
  const key = `channel/${index}`
  const body = { text: 'x'.repeat(index % 300), odd: ODD_TEXTS[index % ODD_TEXTS.length] ?? '', list: [[{}], []] }
  const document = { key, revision: (index % SEQ) + 1, format: 1, body }
  return { key, before: index % 3 === 0 ? null : document, after: index % 3 === 1 ? null : document }
}

function someEntry(changes = CHANGES): JournalEntry {
  const all = Array.from({ length: changes }, (_, index) => someChange(index))
  const about = { at: '2026-05-01T00:00:00.000Z', actor: 'ann', kind: 'x', reason: '],"changes":[', requestId: null }
  return { seq: SEQ, mark: MARK, format: 1, ...about, subjects: all.map(({ key }) => key), changes: all }
}

/** The entry put together from its parts. */
async function joined(text: Buffer, read: (text: Buffer) => JournalEntry): Promise<JournalEntry> {
  const { head, changes } = await entryInParts({ text, read }, new Turns())
  if (head.unreadable !== undefined) return head
  const all: DocumentChange[] = []
  try {
    for await (const part of changes()) all.push(...part)
  } catch (error) {
    if (!(error instanceof UnreadableEntry)) throw error
    return { ...read(text), unreadable: error.message }
  }
  return { ...head, changes: all }
}

for (const [store, read] of Object.entries(READERS)) {
  t.test(`${store}: an entry in parts is the whole entry, of any size`, async (t) => {
    for (const changes of [0, 1, 10, CHANGES]) {
      const text = Buffer.from(JSON.stringify(someEntry(changes)))
      t.same(await joined(text, read), read(text), `${changes} changes`)
    }
    const huge = {
      ...someChange(0),
      after: { key: 'channel/0', revision: 1, format: 1, body: { text: 'x'.repeat(2e6) } },
    }
    const text = Buffer.from(JSON.stringify({ ...someEntry(3), changes: [someChange(1), huge, someChange(2)] }))
    t.same(await joined(text, read), read(text), 'one huge change')
  })

  t.test(`${store}: no part is larger than a turn of the event loop may be, for changes that are small`, async (t) => {
    const text = Buffer.from(JSON.stringify(someEntry()))
    const sizes: number[] = []
    const { changes } = await entryInParts({ text, read }, new Turns())
    for await (const part of changes()) sizes.push(JSON.stringify(part).length)
    t.ok(sizes.length > 10, `${sizes.length} parts of ${text.length} bytes`)
    t.ok(Math.max(...sizes) <= TURN_BYTES_MAX, `at most ${Math.max(...sizes)} bytes`)
  })

  t.test(`${store}: what is not as Bellwether writes it is read, or named, as the whole entry is`, async (t) => {
    const entry = someEntry()
    const whole = JSON.stringify(entry)
    const at = whole.indexOf('{"key":"channel/600"')
    const deep = '['.repeat(150) + ']'.repeat(150)
    const texts: Readonly<Record<string, string>> = {
      'a member after the changes': whole.replace(/\}$/, ',"more":[1]}'),
      'a second list of changes': whole.replace(/\}$/, ',"changes":[]}'),
      'white space': JSON.stringify(entry, null, 1),
      'a change that is none': `${whole.slice(0, at)}7,${whole.slice(at)}`,
      'a change of another key': whole.replace('"key":"channel/600","revision"', '"key":"channel/601","revision"'),
      'a comma too many': `${whole.slice(0, at)},${whole.slice(at)}`,
      'a comma at the end': whole.replace(/\]\}$/, ',]}'),
      'a bracket too many': `${whole.slice(0, at)}]${whole.slice(at)}`,
      'a bracket of the other kind': whole.replace(/\]\}$/, '}}'),
      'an end that is missing': whole.slice(0, -1),
      'more after the end': `${whole}{}`,
      'cut in a string': whole.slice(0, at + 10),
      'cut behind a backslash': `${whole.slice(0, at + 10)}\\`,
      'a document that is nested too deep': whole.replace('"list":[[{}],[]]', `"list":${deep}`),
      'a head that is nested too deep': whole.replace('"actor"', `"more":${deep},"actor"`),
      'a mark of its reader': whole.replace('"actor"', '"unreadable":"x","actor"'),
      'a mark of its reader in a document': whole.replace('"format":1,"body"', '"format":1,"unreadable":"x","body"'),
      'another seq': whole.replace('"seq":7', '"seq":8'),
      'no actor': whole.replace('"actor":"ann"', '"actor":null'),
    }
    for (const [name, text] of Object.entries(texts)) {
      const bytes = Buffer.from(text)
      t.same(await joined(bytes, read), read(bytes), name)
    }
  })

  t.test(`${store}: any byte of an entry may be wrong`, async (t) => {
    const random = seededRandom(SEED)
    const whole = Buffer.from(JSON.stringify(someEntry(sized(250, CHANGES))))
    const junk = Buffer.from('{}[],:"\\0x\u0000')
    let same = 0
    const tries = sized(60, 2_000)
    for (let count = 0; count < tries; count += 1) {
      const text = Buffer.from(whole)
      for (let wrong = random.next(3); wrong >= 0; wrong -= 1) {
        text[random.next(text.length)] = junk[random.next(junk.length)] ?? 0
      }
      const [found, wanted] = [await joined(text, read), read(text)]
      // Of two faults either may be named.
      const areUnreadable = found.unreadable !== undefined && wanted.unreadable !== undefined
      if (areUnreadable || JSON.stringify(found) === JSON.stringify(wanted)) same += 1
      else t.same(found, wanted)
    }
    t.equal(same, tries)
  })
}
