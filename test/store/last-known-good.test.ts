// The last known good file: whole or refused, replaced in one step, and readable by its owner only.
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLastKnownGood, writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { NESTING_FAULT, NESTING_MAX } from '../../src/store/nesting.ts'
import { FORMAT, type JsonObject, type StoreState } from '../../src/store/port.ts'
import { range } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const FILE = 'last-known-good.json'
const NOON_MS = Date.parse('2024-05-01T12:00:00Z')

function state(seq: number): StoreState {
  const body = JSON.parse('{"b": 1, "a": ["ä 🚦 \\ud800", null, 1e21, 0.1], "10": 1, "2": 2, "__proto__": {"x": true}}')
  const documents = range(1, seq).map((n) => ({ key: `channel/${n}`, revision: n, format: FORMAT, body }))
  return { documents, seq, mark: `mark-${seq}`, epoch: 'ec6b2c3d-epoch' }
}

await t.test('what was written is read', async (t) => {
  const folder = await freshFolder(t)
  await writeLastKnownGood(folder, state(3), NOON_MS)
  const read = await readLastKnownGood(folder)
  t.equal(
    JSON.stringify(read),
    JSON.stringify({ outcome: 'read', state: state(3), savedAt: '2024-05-01T12:00:00.000Z' }),
  )
  await writeLastKnownGood(folder, state(4), NOON_MS + 1)
  t.match(await readLastKnownGood(folder), { state: { seq: 4 }, savedAt: '2024-05-01T12:00:00.001Z' })
  await writeLastKnownGood(folder, { ...state(0), seq: 0 }, NOON_MS)
  t.match(await readLastKnownGood(folder), { state: { seq: 0, documents: [] } })
  t.same(await readdir(folder), [FILE])
})

await t.test('without a file, or without the folder, it is absent', async (t) => {
  const folder = await freshFolder(t)
  t.same(await readLastKnownGood(folder), { outcome: 'absent' })
  t.same(await readLastKnownGood(join(folder, 'missing')), { outcome: 'absent' })
})

await t.test('only the owner may read it, also where a crash has left a file that others may', async (t) => {
  const folder = join(await freshFolder(t), 'made')
  await mkdir(folder)
  await writeFile(join(folder, `${FILE}.tmp`), '{"half":')
  await chmod(join(folder, `${FILE}.tmp`), 0o644)
  await writeLastKnownGood(folder, state(1), NOON_MS)
  t.equal((await stat(join(folder, FILE))).mode & 0o777, 0o600)
  t.same(await readdir(folder), [FILE], 'what the crash left is gone')
})

await t.test('a file cut anywhere is refused', async (t) => {
  const folder = await freshFolder(t)
  await writeLastKnownGood(folder, state(1), NOON_MS)
  const text = await readFile(join(folder, FILE), 'utf8')
  for (const end of range(0, text.length - 1)) {
    await writeFile(join(folder, FILE), text.slice(0, end))
    const read = await readLastKnownGood(folder)
    if (read.outcome !== 'refused' || !/is not whole/.test(read.why)) t.fail(`cut to ${end}: ${JSON.stringify(read)}`)
  }
  t.pass(`${text.length} cuts refused`)
})

await t.test('a file with any character changed is refused', async (t) => {
  const folder = await freshFolder(t)
  await writeLastKnownGood(folder, state(1), NOON_MS)
  const text = await readFile(join(folder, FILE), 'latin1')
  for (const at of range(0, text.length - 1)) {
    const other = text[at] === '5' ? '6' : '5'
    await writeFile(join(folder, FILE), text.slice(0, at) + other + text.slice(at + 1), 'latin1')
    const { outcome } = await readLastKnownGood(folder)
    if (outcome !== 'refused') t.fail(`${text.slice(at - 10, at)}[${other}]: ${outcome}`)
  }
  t.pass(`${text.length} changes refused`)
})

await t.test('a foreign file is refused with a sentence that names it', async (t) => {
  const folder = await freshFolder(t)
  const sound = {
    format: FORMAT,
    epoch: 'e',
    seq: 1,
    mark: 'm',
    savedAt: '2026-01-01T00:00:00Z',
    documents: [],
    checksum: '0',
  }
  const foreign: Record<string, string> = {
    '': 'is not whole',
    'not json': 'is not whole',
    '{}': 'is not a last-known-good file',
    '[]': 'is not a last-known-good file',
    null: 'is not a last-known-good file',
    '"text"': 'is not a last-known-good file',
    [JSON.stringify({ ...sound, seq: -1 })]: 'is not a last-known-good file',
    [JSON.stringify({ ...sound, documents: [{ key: 'a' }] })]: 'is not a last-known-good file',
    [JSON.stringify({ ...sound, documents: {} })]: 'is not a last-known-good file',
    [JSON.stringify({ ...sound, savedAt: 'x' })]: 'is not a last-known-good file',
    [JSON.stringify(sound)]: 'its checksum does not match',
    [JSON.stringify({ format: FORMAT + 1, anything: true })]: 'was written by a newer Bellwether',
  }
  for (const [text, why] of Object.entries(foreign)) {
    await writeFile(join(folder, FILE), text)
    const read = await readLastKnownGood(folder)
    t.match(read, { outcome: 'refused', why: new RegExp(`^${folder}/${FILE} .*${why}`) }, text)
  }
})

await t.test('a document of a newer Bellwether refuses the file', async (t) => {
  const folder = await freshFolder(t)
  const documents = [{ key: 'channel/new', revision: 1, format: FORMAT + 1, body: {} }]
  const content = { format: FORMAT, epoch: 'e', seq: 1, mark: 'm', savedAt: new Date(NOON_MS).toISOString(), documents }
  const checksum = createHash('sha256').update(JSON.stringify(content)).digest('hex')
  await writeFile(join(folder, FILE), JSON.stringify({ ...content, checksum }))
  t.match(await readLastKnownGood(folder), { outcome: 'refused', why: /channel\/new.*newer Bellwether/ })
})

await t.test('a document that cannot be written keeps no other out of the file', async (t) => {
  const folder = await freshFolder(t)
  const deep: JsonObject = JSON.parse(`{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`)
  const [first, ...others] = state(3).documents
  const documents = [
    ...others,
    { key: 'thing/deep', revision: 7, format: FORMAT, body: deep },
    { key: 'thing/newer', revision: 8, format: FORMAT + 1, body: { a: 1 } },
    ...(first === undefined ? [] : [first]),
  ]
  t.same(await writeLastKnownGood(folder, { ...state(3), documents }, NOON_MS), ['thing/deep', 'thing/newer'])
  const read = await readLastKnownGood(folder)
  if (read.outcome !== 'read') throw new Error(JSON.stringify(read))
  const why = 'it could not be written to the last-known-good file'
  const emptied = { format: FORMAT, body: { unread: why }, unreadable: why }
  const expected = [
    ...others,
    { key: 'thing/deep', revision: 7, ...emptied },
    { key: 'thing/newer', revision: 8, ...emptied },
    first,
  ]
  t.equal(JSON.stringify(read.state.documents), JSON.stringify(expected))
})

await t.test('a file that no start could read is not written, and the older one stays', async (t) => {
  const folder = await freshFolder(t)
  await writeLastKnownGood(folder, state(3), NOON_MS)
  const { size } = await stat(join(folder, FILE))
  await t.rejects(writeLastKnownGood(folder, state(3), NOON_MS + 1, size - 1), {
    name: 'StoreUnavailable',
    message: new RegExp(`cannot be written: it would have more than ${size - 1} bytes`),
  })
  t.match(await readLastKnownGood(folder), { outcome: 'read', savedAt: new Date(NOON_MS).toISOString() })
  t.same(await readdir(folder), [FILE])
  await writeLastKnownGood(folder, state(3), NOON_MS + 1, size)
  t.match(await readLastKnownGood(folder), { outcome: 'read', savedAt: new Date(NOON_MS + 1).toISOString() })
})

await t.test('a document of the file that is nested too deep is unreadable alone', async (t) => {
  const folder = await freshFolder(t)
  const deep: JsonObject = JSON.parse(`{"a":${'['.repeat(NESTING_MAX)}${']'.repeat(NESTING_MAX)}}`)
  const documents = [...state(1).documents, { key: 'thing/deep', revision: 7, format: FORMAT, body: deep }]
  await writeLastKnownGood(folder, { ...state(1), documents }, NOON_MS)
  const read = await readLastKnownGood(folder)
  t.match(read, { state: { documents: [{ revision: 1 }, { revision: 7, unreadable: NESTING_FAULT }] } })
})

await t.test('polls are answered between the pieces of large documents', async (t) => {
  const folder = await freshFolder(t)
  const documents = range(1, 20).map((n) => ({
    key: `thing/${n}`,
    revision: 1,
    format: FORMAT,
    body: { text: 'x'.repeat(512 * 1024) },
  }))
  let turns = 0
  let isWriting = true
  const count = (): void => {
    turns += 1
    if (isWriting) setImmediate(count)
  }
  setImmediate(count)
  await writeLastKnownGood(folder, { ...state(1), documents }, NOON_MS)
  isWriting = false
  t.ok(turns > documents.length, `${turns} turns of the event loop`)
  t.match(await readLastKnownGood(folder), { outcome: 'read' })
})

await t.test('what cannot be read is refused and does not throw', async (t) => {
  const folder = await freshFolder(t)
  await mkdir(join(folder, FILE))
  t.match(await readLastKnownGood(folder), { outcome: 'refused', why: /cannot be read: EISDIR/ })
  await t.rejects(writeLastKnownGood(folder, state(1), NOON_MS), {
    name: 'StoreUnavailable',
    message: /cannot be written/,
  })
  t.same(await readdir(folder), [FILE], 'and a failed write leaves nothing behind')
})

await t.test('writes at once come one after the other, and the last one stays', async (t) => {
  const folder = await freshFolder(t)
  await Promise.all(range(1, 30).map((seq) => writeLastKnownGood(folder, state(seq), NOON_MS)))
  t.match(await readLastKnownGood(folder), { outcome: 'read', state: { seq: 30 } })
  const broken = writeLastKnownGood(join(folder, FILE), state(1), NOON_MS)
  await t.rejects(broken, { name: 'StoreUnavailable' })
  await writeLastKnownGood(folder, state(31), NOON_MS)
  t.match(await readLastKnownGood(folder), { outcome: 'read', state: { seq: 31 } })
})

await t.test('a state of any size is written in pieces and read whole', async (t) => {
  const folder = await freshFolder(t)
  for (const count of [0, 1, 2, 499, 500, 501, 1_000, 1_001, 2_345]) {
    const written = state(count)
    await writeLastKnownGood(folder, written, NOON_MS)
    const savedAt = new Date(NOON_MS).toISOString()
    const read = await readLastKnownGood(folder)
    t.ok(JSON.stringify(read) === JSON.stringify({ outcome: 'read', state: written, savedAt }), `${count} documents`)
  }
})
