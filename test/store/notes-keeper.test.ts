// When notes are written: behind, together, one write at a time, once more at the end; and what happens where they cannot be.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readNotes, type writeNotes } from '../../src/store/notes-file.ts'
import { openNotes, type NotesKeeper } from '../../src/store/notes-keeper.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { range } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

/** One write that was asked for; the test ends it. */
interface Write {
  readonly facts: Readonly<Record<string, string>>
  done(leftOut?: readonly string[]): Promise<void>
  fail(): Promise<void>
}

/** A keeper whose writes the test holds in its hands. */
class Bench {
  readonly clock = new FakeClock()
  readonly lines: string[] = []
  readonly log = {
    info: (_fields: object, message: string) => void this.lines.push(message),
    warn: (_fields: object, message: string) => void this.lines.push(message),
  }
  readonly writes: Write[] = []
  readonly write: typeof writeNotes = (_folder, topics) =>
    new Promise((resolve, reject) => {
      this.writes.push({
        facts: Object.fromEntries(topics.get('topic')?.facts ?? []),
        done: (leftOut = []) => this.#after(() => resolve(leftOut)),
        fail: () => this.#after(() => reject(new Error('the disk is full'))),
      })
    })

  /** On a folder that has nothing, and that nothing is written to. */
  open(): Promise<NotesKeeper> {
    return openNotes({ folder: 'missing', clock: this.clock, log: this.log, write: this.write })
  }

  /** On a real folder, with its real file. */
  openAt(folder: string): Promise<NotesKeeper> {
    return openNotes({ folder, clock: this.clock, log: this.log })
  }

  last(): Write {
    const write = this.writes.at(-1)
    if (write === undefined) throw new Error('nothing was written')
    return write
  }

  async #after(settle: () => void): Promise<void> {
    settle()
    await this.clock.advance(0)
  }
}

function count(keeper: NotesKeeper, n: number): void {
  keeper.notes.note('topic', { n: String(n) })
}

async function inFile(folder: string): Promise<unknown> {
  const read = await readNotes(folder, new FakeClock().now())
  return read.outcome === 'read' ? Object.fromEntries(read.topics.get('topic')?.facts ?? []) : read.outcome
}

t.test('what is noted within a second is written together, and nothing where nothing was noted', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  await bench.clock.advance(60_000)
  t.equal(bench.writes.length, 0)
  for (const n of range(1, 100)) {
    count(keeper, n)
    await bench.clock.advance(9)
  }
  t.equal(bench.writes.length, 0)
  await bench.clock.advance(100)
  t.same(
    bench.writes.map(({ facts }) => facts),
    [{ n: '100' }],
  )
  await bench.last().done()
  await bench.clock.advance(60_000)
  t.equal(bench.writes.length, 1, 'it is written once')
  count(keeper, 101)
  await bench.clock.advance(1_000)
  t.same(bench.last().facts, { n: '101' }, 'after a quiet time the next one is not put off')
  await bench.last().done()
  await keeper.close()
  t.equal(bench.writes.length, 2)
  t.same(bench.lines, [])
})

t.test('while changes keep coming, it is written every ten seconds', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  for (const n of range(0, 599)) {
    count(keeper, n)
    const writes = bench.writes.length
    await bench.clock.advance(100)
    if (bench.writes.length > writes) await bench.last().done()
  }
  t.same(
    bench.writes.map(({ facts }) => facts['n']),
    ['9', '109', '209', '309', '409', '509'],
  )
})

t.test('one write at a time: what is noted meanwhile is written by the next', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  count(keeper, 1)
  await bench.clock.advance(1_000)
  count(keeper, 2)
  await bench.clock.advance(60_000)
  t.equal(bench.writes.length, 1)
  t.same(bench.last().facts, { n: '1' }, 'and is not in the one under way')
  await bench.last().done()
  await bench.clock.advance(999)
  t.equal(bench.writes.length, 1)
  await bench.clock.advance(1)
  t.same(bench.last().facts, { n: '2' })
})

t.test('a wall clock that is set back, or ahead, puts nothing off', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  for (const [writes, jump] of [-3_600_000, 3_600_000, -3_600_000].entries()) {
    count(keeper, jump + writes)
    await bench.clock.advance(10_000)
    t.equal(bench.writes.length, writes + 1)
    await bench.last().done()
    bench.clock.jump(jump)
  }
})

t.test('a file that cannot be written is told once, and tried again at the next change', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  for (const n of [1, 2, 3]) {
    count(keeper, n)
    await bench.clock.advance(10_000)
    t.same(bench.last().facts, { n: String(n) })
    await bench.last().fail()
    await bench.clock.advance(3_600_000)
    t.equal(bench.writes.length, n, 'not before')
  }
  t.same(bench.lines, ['the notes could not be written; the older ones stay'])
  count(keeper, 4)
  await bench.clock.advance(1_000)
  count(keeper, 5)
  await bench.last().fail()
  await bench.clock.advance(10_000)
  t.same(bench.last().facts, { n: '5' }, 'what was noted while it failed is a change, too')
  await bench.last().done()
  t.same(bench.lines.slice(1), ['the notes are written again'])
  count(keeper, 6)
  await bench.clock.advance(10_000)
  await bench.last().fail()
  t.equal(bench.lines.length, 3, 'the next stretch of failures is told again')
  const closing = keeper.close()
  await bench.clock.advance(0)
  t.same(bench.last().facts, { n: '6' }, 'and at the end it is tried once more')
  await bench.last().fail()
  await closing
  t.equal(bench.lines.length, 3)
})

t.test('what has no room is told once for as long as that is so', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  for (const [n, leftOut] of [['a'], ['a', 'b'], [], ['a']].entries()) {
    count(keeper, n)
    await bench.clock.advance(10_000)
    await bench.last().done(leftOut)
  }
  t.equal(bench.lines.length, 2)
  t.match(bench.lines, [/no room for everything/, /no room for everything/])
})

t.test('closing waits for the write under way, writes what came since, and ends; again is the same', async (t) => {
  const bench = new Bench()
  const keeper = await bench.open()
  count(keeper, 1)
  await bench.clock.advance(1_000)
  count(keeper, 2)
  let hasEnded = false
  const closing = Promise.all([keeper.close(), keeper.close()]).then(() => (hasEnded = true))
  await bench.clock.advance(100)
  t.equal(bench.writes.length, 1, 'one write at a time, here too')
  await bench.last().done()
  t.same(bench.last().facts, { n: '2' })
  t.equal(hasEnded, false)
  await bench.last().done()
  await closing
  await keeper.close()
  count(keeper, 3)
  await bench.clock.advance(60_000)
  t.equal(bench.writes.length, 2, 'what is noted after the end is lost')
  t.same(bench.lines, [])
})

t.test('a disk that stands still holds up the end for two seconds, and is told', async (t) => {
  for (const isUnderWay of [true, false]) {
    const bench = new Bench()
    const keeper = await bench.open()
    count(keeper, 1)
    if (isUnderWay) await bench.clock.advance(1_000)
    let hasEnded = false
    const closing = keeper.close().then(() => (hasEnded = true))
    await bench.clock.advance(1_999)
    t.equal(hasEnded, false)
    await bench.clock.advance(1)
    await closing
    t.equal(bench.writes.length, 1)
    t.same(bench.lines, ['the notes are not written yet; ending without them'])
  }
})

t.test('what is closed is there when it is opened again; nobody is told of a file that is not there yet', async (t) => {
  const [bench, folder] = [new Bench(), await freshFolder(t)]
  const keeper = await bench.openAt(folder)
  keeper.notes.note('topic', { a: '1', b: '2' })
  keeper.notes.note('topic', { a: null })
  await keeper.close()
  const again = await bench.openAt(folder)
  t.same([...again.notes.noted('topic')], [['b', '2']])
  again.notes.note('topic', { c: '3' })
  await again.close()
  t.same(await inFile(folder), { b: '2', c: '3' })
  t.same(await readdir(folder), ['notes.json'])
  const untouched = await bench.openAt(folder)
  await rm(join(folder, 'notes.json'))
  await untouched.close()
  t.same(await readdir(folder), [], 'where nothing has changed nothing is written')
  t.same(bench.lines, [])
})

t.test('a file that cannot be used is told once, forgotten, and replaced with the next change', async (t) => {
  for (const text of ['', '{"format":1,"top', 'null', '{"format":1,"topics":7}', '{"format":2,"topics":[]}']) {
    const [bench, folder] = [new Bench(), await freshFolder(t)]
    await writeFile(join(folder, 'notes.json'), text)
    const keeper = await bench.openAt(folder)
    t.match(bench.lines, [/the notes of before cannot be used/], JSON.stringify(text))
    t.equal(keeper.notes.all().size, 0)
    count(keeper, 1)
    await keeper.close()
    t.same(await inFile(folder), { n: '1' })
    t.equal(bench.lines.length, 1)
  }
})

t.test('a folder that is gone fails the notes alone, and with it back they are written', async (t) => {
  const bench = new Bench()
  const folder = await freshFolderInFile(t)
  const keeper = await bench.openAt(folder.path)
  count(keeper, 1)
  await folder.take()
  await keeper.close()
  t.same(bench.lines, ['the notes could not be written; the older ones stay'])
  t.same([...keeper.notes.noted('topic')], [['n', '1']])
  await folder.giveBack()
  const again = await bench.openAt(folder.path)
  count(again, 2)
  await again.close()
  t.same(await inFile(folder.path), { n: '2' })
  t.equal(bench.lines.length, 1)
})

/** A folder that can be taken away, a file in its place, and given back. */
async function freshFolderInFile(t: Test) {
  const parent = await freshFolder(t)
  const [path, aside] = [join(parent, 'data'), join(parent, 'aside')]
  await mkdir(path)
  return {
    path,
    async take() {
      await rename(path, aside)
      await writeFile(path, '')
    },
    async giveBack() {
      await rm(path)
      await rename(aside, path)
    },
  }
}
