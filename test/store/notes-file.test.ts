// The file of notes: whole or refused, never larger than its limit, and without what nobody has noted for long.
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readNotes, writeNotes } from '../../src/store/notes-file.ts'
import type { Topic } from '../../src/store/notes.ts'
import { range } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const FILE = 'notes.json'
const NOON_MS = Date.parse('2024-05-01T12:00:00Z')
const DAY_MS = 86_400_000
const BYTES_MAX = 4 * 1024 * 1024

/** Topics with these facts, noted at noon unless told otherwise. */
function topics(
  facts: Readonly<Record<string, Readonly<Record<string, string>>>>,
  notedAt = NOON_MS,
): Map<string, Topic> {
  return new Map(Object.entries(facts).map(([topic, of]) => [topic, { notedAt, facts: new Map(Object.entries(of)) }]))
}

const SOME = topics({
  'gates/cloud/15.0.0': { 'canary/errors': '[{"at":"2024-05-01T11:59:00.000Z","value":0.25}]', 'canary/ä "🚦"': '' },
  upstreams: { 'stable/cloud': '1714564740000', '': '\u0000\n', '\ud800': 'a lone surrogate', 10: 'x', 2: 'y' },
})
const AWKWARD: ReadonlyMap<string, Topic> = new Map([
  ['__proto__', { notedAt: NOON_MS, facts: new Map([['__proto__', 'polluted']]) }],
])

await t.test('what was written is read', async (t) => {
  const folder = await freshFolder(t)
  for (const noted of [SOME, AWKWARD, topics({}), SOME]) {
    t.same(await writeNotes(folder, noted, NOON_MS), [])
    const read = await readNotes(folder, NOON_MS)
    t.match(read, { outcome: 'read' })
    if (read.outcome === 'read') t.strictSame(plain(read.topics), plain(noted))
  }
  t.same(await readdir(folder), [FILE])
  t.equal(({} as Record<string, unknown>)['__proto__'], Object.prototype)
})

await t.test('without a file, or without the folder, it is absent', async (t) => {
  const folder = await freshFolder(t)
  t.same(await readNotes(folder, NOON_MS), { outcome: 'absent' })
  t.same(await readNotes(join(folder, 'missing'), NOON_MS), { outcome: 'absent' })
})

await t.test('only the owner may read it, also where a crash has left a file that others may', async (t) => {
  const folder = await freshFolder(t)
  await writeFile(join(folder, `${FILE}.tmp`), '{"half":')
  await chmod(join(folder, `${FILE}.tmp`), 0o644)
  await writeNotes(folder, SOME, NOON_MS)
  t.equal((await stat(join(folder, FILE))).mode & 0o777, 0o600)
  t.same(await readdir(folder), [FILE], 'what the crash left is gone')
})

await t.test('a file cut anywhere, or with any character changed, is refused', async (t) => {
  const folder = await freshFolder(t)
  await writeNotes(folder, SOME, NOON_MS)
  const text = await readFile(join(folder, FILE), 'latin1')
  for (const at of range(0, text.length - 1)) {
    const other = text[at] === '5' ? '6' : '5'
    for (const damaged of [text.slice(0, at), text.slice(0, at) + other + text.slice(at + 1)]) {
      await writeFile(join(folder, FILE), damaged, 'latin1')
      const { outcome } = await readNotes(folder, NOON_MS)
      if (outcome !== 'refused') t.fail(`${text.slice(at - 10, at)}[${other}]: ${outcome}`)
    }
  }
  t.pass(`${text.length} cuts and changes refused`)
})

await t.test('a foreign file is refused with a sentence that names it', async (t) => {
  const folder = await freshFolder(t)
  const checksum = '0'
  const foreign: Readonly<Record<string, string>> = {
    '': 'is not whole',
    'not json': 'is not whole',
    '{}': 'is not a notes file',
    '[]': 'is not a notes file',
    null: 'is not a notes file',
    '"text"': 'is not a notes file',
    '{"format":"1"}': 'is not a notes file',
    '{"format":1}': 'is not a notes file',
    [JSON.stringify({ format: 1, topics: {}, checksum })]: 'is not a notes file',
    [JSON.stringify({ format: 1, topics: [null], checksum })]: 'is not a notes file',
    [JSON.stringify({ format: 1, topics: [{ topic: 'a', facts: [] }], checksum })]: 'is not a notes file',
    [JSON.stringify({ format: 1, topics: [{ topic: 'a', notedAt: 1, facts: [['b']] }], checksum })]: 'not a notes file',
    [JSON.stringify({ format: 1, topics: [{ topic: 'a', notedAt: 1, facts: [['b', 1]] }], checksum })]:
      'not a notes file',
    [JSON.stringify({ format: 1, topics: [], checksum })]: 'its checksum does not match',
    [JSON.stringify({ format: 2, anything: true })]: 'was written by a newer Bellwether \\(format 2',
    [`${' '.repeat(BYTES_MAX)}{}`]: 'has more than 4194304 bytes',
  }
  for (const [text, why] of Object.entries(foreign)) {
    await writeFile(join(folder, FILE), text)
    const read = await readNotes(folder, NOON_MS)
    t.match(read, { outcome: 'refused', why: new RegExp(`^${folder}/${FILE} .*${why}`) }, text.slice(0, 80))
  }
})

await t.test('what cannot be read is refused, what cannot be written rejects and leaves nothing behind', async (t) => {
  const folder = await freshFolder(t)
  await mkdir(join(folder, FILE))
  t.match(await readNotes(folder, NOON_MS), { outcome: 'refused', why: /cannot be read: EISDIR/ })
  await t.rejects(writeNotes(folder, SOME, NOON_MS), { name: 'StoreUnavailable', message: /cannot be written/ })
  t.same(await readdir(folder), [FILE])
})

await t.test('a topic in which nobody has noted anything for a week is neither written nor read', async (t) => {
  const folder = await freshFolder(t)
  const noted = new Map([
    ...topics({ left: { a: '1' } }, NOON_MS - 6 * DAY_MS),
    ...topics({ used: { b: '2' } }),
    // A clock that was wrong: it would otherwise never be old.
    ...topics({ ahead: { c: '3' } }, NOON_MS + 8 * DAY_MS),
  ])
  await writeNotes(folder, noted, NOON_MS)
  t.same(await keysAt(NOON_MS), ['used', 'left'])
  t.same(await keysAt(NOON_MS + 2 * DAY_MS), ['used'])
  t.same(await keysAt(NOON_MS - 8 * DAY_MS), ['left'])
  await writeNotes(folder, noted, NOON_MS + 2 * DAY_MS)
  t.same(await keysAt(NOON_MS), ['used'], 'it is not in the file any more')

  async function keysAt(now: number): Promise<readonly string[]> {
    const read = await readNotes(folder, now)
    return read.outcome === 'read' ? [...read.topics.keys()] : [read.outcome]
  }
})

await t.test(
  'the file is never larger than its limit: what was noted last is in it, and what is not is told',
  async (t) => {
    const folder = await freshFolder(t)
    // Each character is three bytes of the file, a quotation mark two.
    const third = `"${'€'.repeat(BYTES_MAX / 9 - 100)}"`
    const noted = new Map([
      ...topics({ oldest: { a: third } }, NOON_MS - 4),
      ...topics({ old: { a: third } }, NOON_MS - 3),
      ...topics({ huge: { a: 'x'.repeat(BYTES_MAX) } }, NOON_MS - 2),
      ...topics({ newer: { a: third } }, NOON_MS - 1),
      ...topics({ newest: { a: third, b: '' } }),
    ])
    t.same(await writeNotes(folder, noted, NOON_MS), ['huge', 'oldest'])
    const { size } = await stat(join(folder, FILE))
    t.ok(size <= BYTES_MAX && size > BYTES_MAX - 1_000, `${size} bytes`)
    const read = await readNotes(folder, NOON_MS)
    t.same(read.outcome === 'read' && [...read.topics.keys()], ['newest', 'newer', 'old'])
  },
)

await t.test('a topic of any size is written in pieces and read whole', async (t) => {
  const folder = await freshFolder(t)
  for (const count of [0, 1, 2, 999, 1_000, 1_001, 20_000]) {
    const facts = Object.fromEntries(range(1, count).map((n) => [`channel-${n}`, 'ä'.repeat(60)]))
    const noted = topics({ many: facts, other: { a: '1' } })
    await writeNotes(folder, noted, NOON_MS)
    const read = await readNotes(folder, NOON_MS)
    t.ok(
      read.outcome === 'read' && JSON.stringify(plain(read.topics)) === JSON.stringify(plain(noted)),
      `${count} facts`,
    )
  }
})

function plain(noted: ReadonlyMap<string, Topic>): readonly unknown[] {
  return [...noted].map(([topic, { notedAt, facts }]) => [topic, notedAt, [...facts]])
}
