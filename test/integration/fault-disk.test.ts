// A full disk under a running server: polls go on, writes are refused and change nothing, and with room all is well.
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Reply } from '../../bench/client.ts'
import { readJournal } from '../../bench/journal.ts'
import { createChannel, dataFolder, jsonOf, run, setVersion, type Running } from '../fixtures/fault-process.ts'
import { freshMount } from '../fixtures/store-process.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

const MOUNT_KB = 3_072
const BALLAST_KB = 1_024
const WRITES_MAX = 10_000
/** A description of this many characters uses the disk up in some hundred writes. */
const DESCRIPTION = 'x'.repeat(1_000)

async function smallDisk(t: Test): Promise<string | null> {
  const folder = await freshMount(t, MOUNT_KB)
  if (folder === null) t.pass('a full disk', { skip: 'NOT TESTED: this user may not mount a file system' })
  return folder
}

/** Uses up what room is left, to the last byte. */
async function stuff(folder: string): Promise<string[]> {
  const files: string[] = []
  for (const bytes of [65_536, 4_096, 1]) {
    for (let isRoom = true; isRoom;) {
      const file = join(folder, `stuffing-${files.length}`)
      isRoom = await writeFile(file, Buffer.alloc(bytes)).then(
        () => true,
        () => false,
      )
      files.push(file)
    }
  }
  return files
}

/** Moves the channel from version to version until that is refused; answers the last version that was acknowledged. */
async function fill(t: Test, server: Running, name: string, from: number): Promise<number> {
  for (let patch = from; patch < WRITES_MAX; patch += 1) {
    const change = { source: { kind: 'static', version: `1.0.${patch + 1}` }, description: DESCRIPTION }
    const reply = await server.control.admin('PATCH', `/channels/${name}`, change)
    if (reply.status === 200) continue
    t.equal(reply.status, 503)
    t.match(reply.headers['content-type'], /^application\/problem\+json/)
    t.match(jsonOf(reply), { code: 'store_unavailable', status: 503 })
    return patch
  }
  throw new Error('the disk is never full')
}

/** Repeats a write until the store refuses it; answers how many were acknowledged. */
async function untilRefused(write: (n: number) => Promise<Reply>): Promise<number> {
  for (let n = 0; n < WRITES_MAX; n += 1) {
    const { status, body } = await write(n)
    if (status === 503) return n
    if (status !== 200 && status !== 201) throw new Error(`write ${n} was answered ${status} ${body}`)
  }
  throw new Error('the disk is never full')
}

await t.test('on a full disk writes get 503, polls go on, and with room writes work again', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const dataDir = join(folder, 'data')
  const ballast = join(folder, 'ballast')
  await writeFile(ballast, Buffer.alloc(BALLAST_KB * 1_024))
  const server = await run(t, { dataDir })
  await createChannel(server, 'a', '1.0.0')
  await createChannel(server, 'b', '1.0.0')

  const last = await fill(t, server, 'a', 0)
  t.ok(last > 10)
  t.equal(await server.asAgent('/v1/a/version'), `1.0.${last}`)
  // Smaller writes may still find room; each kind is tried until it does not.
  const pinned = await untilRefused((n) =>
    server.control.admin('PUT', '/channels/b/pin', { version: `1.0.${n}`, reason: DESCRIPTION }),
  )
  const created = await untilRefused((n) =>
    server.control.admin('POST', '/channels', { name: `new-${n}`, description: DESCRIPTION }),
  )
  const blocked = await untilRefused((n) =>
    server.control.admin('PUT', `/blocked-versions/9.9.${n}`, { reason: DESCRIPTION }),
  )
  t.equal(await server.asAgent('/v1/a/version'), `1.0.${last}`)
  t.equal(await server.asAgent('/v1/b/version'), `1.0.${Math.max(pinned - 1, 0)}`)
  t.equal(await server.asAgent(`/v1/new-${created}/version`), '404 unknown channel')
  t.match(jsonOf(await server.control.get('/readyz')), { ready: true, channels: 2 + created })
  t.equal((await readJournal(server.control, 0)).length, 2 + last + pinned + created + blocked)

  await rm(ballast)
  const more = await fill(t, server, 'a', last)
  t.ok(more > last)
  t.equal(await server.asAgent('/v1/a/version'), `1.0.${more}`)
  const entries = await readJournal(server.control, 0)
  t.equal(entries.length, 2 + more + pinned + created + blocked, 'one entry for each acknowledged write, and no other')
  t.equal(await server.end(), 0)

  const again = await run(t, { dataDir })
  t.equal(await again.asAgent('/v1/a/version'), `1.0.${more}`)
  t.equal(await again.asAgent('/v1/b/version'), `1.0.${Math.max(pinned - 1, 0)}`)
  t.same(await readJournal(again.control, 0), entries)
})

await t.test('a last known good state that finds no room is a warning, and the older file stays whole', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const dataDir = join(folder, 'data')
  const first = await run(t, { dataDir })
  await createChannel(first, 'a', '1.0.0')
  t.equal(await first.end(), 0)
  const path = join(dataDir, 'last-known-good.json')

  const server = await run(t, { dataDir })
  // The first change is in the file at once, the second is not before some time has passed, or the end. On a busy machine the
  // disk may be full too late for that; then once more.
  let older = await readFile(path)
  let files: string[] = []
  let patch = 1
  for (let isPending = false; !isPending;) {
    for (const file of files) await rm(file, { force: true })
    t.equal((await setVersion(server, 'a', `1.0.${patch}`)).status, 200)
    const before = older
    while (older.equals(before)) older = await readFile(path)
    patch += 1
    t.equal((await setVersion(server, 'a', `1.0.${patch}`)).status, 200)
    files = await stuff(folder)
    isPending = (await readFile(path)).equals(older)
    if (!isPending) older = await readFile(path)
    patch += isPending ? 0 : 1
  }
  const latest = `1.0.${patch}`
  t.equal(await server.asAgent('/v1/a/version'), latest)
  t.equal(await server.end(), 0)
  const { stderr } = server.output()
  t.match(stderr, /"level":40.*the last-known-good file could not be written; the older one stays/)
  t.notMatch(stderr, /"level":[56]0/)
  t.ok((await readFile(path)).equals(older))

  for (const file of files) await rm(file, { force: true })
  const again = await run(t, { dataDir })
  t.equal(await again.asAgent('/v1/a/version'), latest, 'the store had it all the time')
})

await t.test('a log that finds no room does not end the server', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const dataDir = join(folder, 'data')
  await mkdir(dataDir)
  const log = openSync(join(folder, 'log'), 'a')
  t.teardown(() => closeSync(log))
  const server = await run(t, { dataDir, stderr: log })
  await createChannel(server, 'a', '1.0.0')
  const files = await stuff(folder)
  const last = await fill(t, server, 'a', 0)
  for (let refused = 0; refused < 50; refused += 1) t.equal(await fill(t, server, 'a', last), last)
  t.equal(await server.asAgent('/v1/a/version'), `1.0.${last}`)
  for (const file of files) await rm(file, { force: true })
  t.equal((await setVersion(server, 'a', `1.0.${last + 1}`)).status, 200)
  t.equal(await server.end(), 0)
  t.match(await readFile(join(folder, 'log'), 'utf8'), 'the store is unavailable')
})

await t.test('a log that finds no room on its own disk costs nothing but the log', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const log = openSync(join(folder, 'log'), 'a')
  t.teardown(() => closeSync(log))
  await stuff(folder)
  const server = await run(t, { dataDir: await dataFolder(t), stderr: log })
  await createChannel(server, 'a', '1.0.0')
  t.equal((await setVersion(server, 'a', '1.0.1')).status, 200)
  t.equal(await server.asAgent('/v1/a/version'), '1.0.1')
  t.equal(await server.end(), 0)
})
