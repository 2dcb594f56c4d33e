// One process at a time has the folder, and a folder that cannot be used is said in one clear sentence.
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { StoreNotOpened } from '../../../src/store/port.ts'
import { commit, put, revisionOf } from '../../fixtures/store-changes.ts'
import { freshFolder, freshMount, mayRunAs, probe, remount, startChild } from '../../fixtures/store-process.ts'

/** On every Linux the user that may do nothing. */
const NOBODY = 65_534

const IN_USE = /in use by another Bellwether: stop that one, or set BELLWETHER_DATA_DIR to another folder$/

await t.test('a second process on the folder is refused until the first has closed it', async (t) => {
  const folder = await freshFolder(t)
  const holder = startChild(t, 'hold', [folder])
  await holder.printed(1)
  const refused = await openEmbeddedStore(folder).catch((error: unknown) => error)
  t.ok(refused instanceof StoreNotOpened)
  t.match(String(refused), IN_USE)
  t.match(String(refused), folder)
  holder.process.stdin.end()
  t.same(await holder.ended, { code: 0, signal: null })
  const store = await openEmbeddedStore(folder)
  t.equal(await revisionOf(store, 'held'), 1)
  await store.close()
})

await t.test('a process that is killed frees its folder', async (t) => {
  const folder = await freshFolder(t)
  const holder = startChild(t, 'hold', [folder])
  await holder.printed(1)
  holder.process.kill('SIGKILL')
  await holder.ended
  const store = await openEmbeddedStore(folder)
  t.equal(await revisionOf(store, 'held'), 1)
  await store.close()
})

await t.test('a second store in one process is refused too, also by another name of the folder', async (t) => {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(folder)
  await commit(store, [put('a', 0)])
  const other = join(await freshFolder(t), 'link')
  await symlink(folder, other)
  for (const place of [folder, `${folder}/.`, other]) {
    await t.rejects(openEmbeddedStore(place), { name: 'StoreNotOpened', message: IN_USE })
  }
  await commit(store, [put('a', 1)])
  await store.close()
  const again = await openEmbeddedStore(other)
  t.equal(await revisionOf(again, 'a'), 2, 'the refused openings have disturbed nothing')
  await again.close()
})

await t.test('a folder that is missing is made, with all above it', async (t) => {
  const folder = join(await freshFolder(t), 'a', 'b', 'c')
  const store = await openEmbeddedStore(folder)
  await commit(store, [put('a', 0)])
  await store.close()
})

await t.test('a file in place of the folder, or above it, is said', async (t) => {
  const folder = await freshFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, 'content')
  await t.rejects(openEmbeddedStore(file), { name: 'StoreNotOpened', message: /file: it is not a folder \(EEXIST\)$/ })
  await t.rejects(openEmbeddedStore(join(file, 'below')), {
    name: 'StoreNotOpened',
    message: /below: a part of the path is not a folder \(ENOTDIR\)$/,
  })
  t.equal(await readFile(file, 'utf8'), 'content')
})

await t.test('a folder in place of the data file is said', async (t) => {
  const folder = await freshFolder(t)
  await mkdir(join(folder, 'store.mdb'))
  await t.rejects(openEmbeddedStore(folder), { name: 'StoreNotOpened', message: /EISDIR/ })
  await rm(join(folder, 'store.mdb'), { recursive: true })
  await (await openEmbeddedStore(folder)).close()
})

await t.test('a read-only file system is said', async (t) => {
  const folder = await freshMount(t, 1024)
  if (folder === null || !remount(folder, 'ro')) {
    t.pass('a read-only file system', { skip: 'NOT TESTED: this user may not mount a file system' })
    return
  }
  await t.rejects(openEmbeddedStore(join(folder, 'data')), {
    name: 'StoreNotOpened',
    message: /data: the file system is read-only \(EROFS\)$/,
  })
  remount(folder, 'rw')
  const store = await openEmbeddedStore(folder)
  await commit(store, [put('a', 0)])
  await store.close()
  remount(folder, 'ro')
  await t.rejects(openEmbeddedStore(folder), { name: 'StoreNotOpened', message: /\(EROFS\)$/ })
})

await t.test('a folder or a file of another user is said', async (t) => {
  const asRoot = process.getuid?.() === 0
  if (asRoot && !mayRunAs(NOBODY)) {
    t.pass('another user', { skip: 'NOT TESTED: another user may not run this project' })
    return
  }
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(join(folder, 'theirs'))
  await commit(store, [put('secret', 0)])
  await store.close()
  await chmod(folder, 0o755)
  await chmod(join(folder, 'theirs'), 0o755)
  await mkdir(join(folder, 'closed'), { mode: 0o555 })
  const places = [join(folder, 'closed'), ...(asRoot ? [join(folder, 'theirs')] : [])]
  for (const [place, found] of await probe(t, places, asRoot ? NOBODY : undefined)) {
    t.equal(found, `StoreNotOpened The store cannot be opened at ${place}: this user may not write there (EACCES)`)
  }
})
