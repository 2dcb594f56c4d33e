// Data files that are not what was written: each is refused as damaged or gives exactly what was written, no process
// crashes over it, and the file stays as it was found. Opened in processes of their own, because a crash is the risk.
import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { commit, digestOf, put, range, remove } from '../../fixtures/store-changes.ts'
import { freshFolder, probe } from '../../fixtures/store-process.ts'

const PAGE_BYTES = 4_096
const FLIPS = 150
const BROKEN_PAGES = 50

interface Sound {
  readonly bytes: Buffer
  readonly digest: string
}

/** A store with trees of several levels, large values, deleted documents and free pages. */
async function soundStore(t: Test): Promise<Sound> {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(folder)
  const text = (n: number, each: number) => 'x'.repeat(n * each)
  for (const n of range(0, 79)) await commit(store, [put(`channel/${n}`, 0, { n, text: text(n, 40) })])
  for (const n of range(0, 39)) await commit(store, [put(`channel/${n}`, 1, { n, text: text(n, 160) })])
  for (const n of range(0, 9)) await commit(store, [remove(`channel/${n}`, 2)])
  const digest = await digestOf(store)
  await store.close()
  return { bytes: await readFile(join(folder, 'store.mdb')), digest }
}

/** Opens each damaged file and checks what holds for all; answers how many were refused. */
async function judge(t: Test, sound: Sound, files: ReadonlyMap<string, Buffer>): Promise<number> {
  const parent = await freshFolder(t)
  const names = new Map<string, string>()
  for (const [name, bytes] of files) {
    const folder = join(parent, String(names.size))
    await mkdir(folder)
    await writeFile(join(folder, 'store.mdb'), bytes)
    names.set(folder, name)
  }
  let refused = 0
  for (const [folder, found] of await probe(t, [...names.keys()])) {
    const name = names.get(folder) ?? ''
    if (found.startsWith('StoreDamaged')) refused += 1
    else if (found !== `read ${sound.digest}`) t.fail(`${name}: ${found}`)
    const left = await readFile(join(folder, 'store.mdb'))
    if (hash(left) !== hash(files.get(name) ?? Buffer.alloc(0))) t.fail(`${name}: the file was changed`)
  }
  return refused
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function changed(bytes: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

await t.test('a file that is empty, foreign or cut is damaged and left as it is', async (t) => {
  const sound = await soundStore(t)
  const { bytes } = sound
  const files = new Map([
    ['empty', Buffer.alloc(0)],
    ['one byte', Buffer.alloc(1)],
    ['zeros', Buffer.alloc(bytes.length)],
    ['random', randomBytes(bytes.length)],
    ['text', Buffer.from('this is not a store\n'.repeat(1_000))],
    ['the root records zeroed', changed(bytes, (copy) => copy.fill(0, 0, 2 * PAGE_BYTES))],
    ['the first root record zeroed', changed(bytes, (copy) => copy.fill(0, 0, PAGE_BYTES))],
    ['the second root record zeroed', changed(bytes, (copy) => copy.fill(0, PAGE_BYTES, 2 * PAGE_BYTES))],
    ['all behind the root records zeroed', changed(bytes, (copy) => copy.fill(0, 2 * PAGE_BYTES))],
    ['all behind the root records random', Buffer.concat([bytes.subarray(0, 8_192), randomBytes(bytes.length)])],
  ])
  for (const end of [100, PAGE_BYTES, 2 * PAGE_BYTES, 3 * PAGE_BYTES, bytes.length - PAGE_BYTES, bytes.length - 1]) {
    files.set(`cut to ${end} bytes`, bytes.subarray(0, end))
  }
  for (const tenth of range(1, 9)) files.set(`cut to ${tenth}/10`, bytes.subarray(0, (bytes.length * tenth) / 10))
  t.equal(await judge(t, sound, files), files.size)
})

await t.test('a bit flipped anywhere gives what was written or damage, never a crash, never other data', async (t) => {
  const sound = await soundStore(t)
  const pages = sound.bytes.length / PAGE_BYTES
  const flip = (at: number, bit: number) =>
    changed(sound.bytes, (copy) => {
      copy[at] = (copy[at] ?? 0) ^ (1 << bit)
    })
  const anywhere = fc.nat(sound.bytes.length - 1)
  const inRoots = fc.tuple(fc.nat(1), fc.nat(170)).map(([page, at]) => page * PAGE_BYTES + at)
  const inHeads = fc.tuple(fc.nat(pages - 1), fc.nat(60)).map(([page, at]) => page * PAGE_BYTES + at)
  const places = fc.sample(fc.tuple(fc.oneof(anywhere, inRoots, inHeads), fc.nat(7)), FLIPS)
  const files = new Map(places.map(([at, bit]) => [`bit ${bit} of byte ${at}`, flip(at, bit)]))
  t.ok((await judge(t, sound, files)) > FLIPS / 10)
})

await t.test(
  'a page zeroed, filled with noise or written in another place gives what was written or damage',
  async (t) => {
    const sound = await soundStore(t)
    const page = fc.nat(sound.bytes.length / PAGE_BYTES - 1)
    const files = new Map<string, Buffer>()
    for (const [to, from, how] of fc.sample(fc.tuple(page, page, fc.nat(2)), BROKEN_PAGES)) {
      const source = [Buffer.alloc(PAGE_BYTES), randomBytes(PAGE_BYTES), sound.bytes.subarray(from * PAGE_BYTES)][how]
      const broken = changed(sound.bytes, (copy) => source?.copy(copy, to * PAGE_BYTES, 0, PAGE_BYTES))
      files.set(`page ${to} by ${['zeros', 'noise', `page ${from}`][how]}`, broken)
    }
    t.ok((await judge(t, sound, files)) > BROKEN_PAGES / 4)
  },
)

await t.test('a damaged lock file of lmdb does not keep the store from opening', async (t) => {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(folder)
  await commit(store, [put('a', 0)])
  const digest = await digestOf(store)
  await store.close()
  const places: string[] = []
  for (const bytes of [Buffer.alloc(0), randomBytes(100), randomBytes(16_384)]) {
    const place = join(folder, String(bytes.length))
    await mkdir(place)
    await cp(join(folder, 'store.mdb'), join(place, 'store.mdb'))
    await writeFile(join(place, 'store.mdb-lock'), bytes)
    places.push(place)
  }
  t.same([...(await probe(t, places)).values()], Array(3).fill(`read ${digest}`))
})

await t.test('what a crash has left of the making of a store is replaced', async (t) => {
  const folder = await freshFolder(t)
  await writeFile(join(folder, 'store.mdb.new'), randomBytes(5_000))
  await writeFile(join(folder, 'store.mdb.new-lock'), randomBytes(5_000))
  const store = await openEmbeddedStore(folder)
  t.equal((await store.load()).seq, 0)
  await store.close()
  t.equal((await stat(join(folder, 'store.mdb'))).mode & 0o777, 0o600, 'and only its owner reads the file')
})

await t.test('a copy of a sound file opens with the same content', async (t) => {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(join(folder, 'one'))
  await commit(store, [put('a', 0)])
  const digest = await digestOf(store)
  await store.close()
  await mkdir(join(folder, 'two'))
  await cp(join(folder, 'one', 'store.mdb'), join(folder, 'two', 'store.mdb'))
  await rm(join(folder, 'one'), { recursive: true })
  t.equal((await probe(t, [join(folder, 'two')])).get(join(folder, 'two')), `read ${digest}`)
})

await t.test('no history of commits makes a sound file look damaged', async (t) => {
  const size = fc.oneof(fc.nat(300), fc.nat(6_000), fc.nat(60_000))
  const touch = fc.record({ n: fc.nat(40), size, deletes: fc.boolean() })
  const steps = fc.array(fc.uniqueArray(touch, { minLength: 1, maxLength: 20, selector: ({ n }) => n }), {
    minLength: 5,
    maxLength: 40,
  })
  const parent = await freshFolder(t, '/dev/shm').catch(() => freshFolder(t))
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 3 }), async (phases) => {
      const folder = join(parent, String((runs += 1)))
      const revisions = new Map<number, number>()
      for (const phase of [...phases, []]) {
        const store = await openEmbeddedStore(folder)
        for (const touches of phase) {
          const { documents } = await store.load()
          revisions.clear()
          for (const { key, revision } of documents) revisions.set(Number(key), revision)
          const writes = touches.map(({ n, size, deletes }) => {
            const revision = revisions.get(n) ?? 0
            return deletes && revision > 0 ? remove(`${n}`, revision) : put(`${n}`, revision, { x: 'x'.repeat(size) })
          })
          await commit(store, writes)
        }
        await store.close()
      }
      await rm(folder, { recursive: true })
    }),
    { numRuns: 15 },
  )
  t.ok(runs >= 15)
})
