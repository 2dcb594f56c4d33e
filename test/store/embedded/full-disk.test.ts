// A full disk, for real: writes are refused and leave nothing behind, reads go on, and with room so do writes.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { readLastKnownGood, writeLastKnownGood } from '../../../src/store/last-known-good.ts'
import { StoreUnavailable, type Store } from '../../../src/store/port.ts'
import { change, digestOf, follower, put, range, seqs } from '../../fixtures/store-changes.ts'
import { freshMount, probe } from '../../fixtures/store-process.ts'

const MOUNT_KB = 2_048
const BALLAST_KB = 512
const COMMITS_MAX = 10_000

async function smallDisk(t: Test): Promise<string | null> {
  const folder = await freshMount(t, MOUNT_KB)
  if (folder === null) t.pass('a full disk', { skip: 'NOT TESTED: this user may not mount a file system' })
  return folder
}

/** Commits until one is refused; answers how many were acknowledged in all. */
async function fill(t: Test, store: Store): Promise<number> {
  let { seq } = await store.load()
  for (;;) {
    if (seq > COMMITS_MAX) throw new Error('the disk is never full')
    const writes = [put(`a/${seq}`, 0, { text: 'x'.repeat(3_000) }), put(`b/${seq}`, 0, { seq })]
    try {
      await store.commit(change(writes))
      seq += 1
    } catch (error) {
      t.ok(error instanceof StoreUnavailable)
      t.match(String(error), /no space left|disk is full/i)
      return seq
    }
  }
}

/** Uses up what room is left, to the last byte. */
async function stuff(folder: string): Promise<void> {
  for (const bytes of [65_536, 4_096, 1]) {
    for (let n = 0; ; n += 1) {
      const written = await writeFile(join(folder, `stuffing-${bytes}-${n}`), Buffer.alloc(bytes)).then(
        () => true,
        () => false,
      )
      if (!written) break
    }
  }
}

await t.test('a full disk refuses a commit without a trace, and room makes the store go on', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const ballast = join(folder, 'ballast')
  await writeFile(ballast, Buffer.alloc(BALLAST_KB * 1024))
  const store = await openEmbeddedStore(folder)
  t.teardown(() => store.close())
  const one = follower(store, 0)

  const acknowledged = await fill(t, store)
  t.ok(acknowledged > 10)
  const before = await digestOf(store)
  const { documents, seq } = await store.load()
  t.equal(seq, acknowledged)
  t.equal(documents.length, acknowledged * 2)
  for (let tries = 0; tries < 20; tries += 1) {
    const writes = [put('c', 0, { text: 'y'.repeat(50_000) }), put('a/0', 1, {})]
    await t.rejects(store.commit(change(writes)), StoreUnavailable)
  }
  t.equal(await digestOf(store), before, 'nothing of a refused commit can be read')
  await one.reached(acknowledged)

  await rm(ballast)
  const result = await store.commit(change([put('c', 0), put('a/0', 1)]))
  t.equal(result.outcome, 'committed')
  const more = await fill(t, store)
  t.ok(more > acknowledged + 1)
  await one.reached(more)
  t.same(seqs(one.entries), range(1, more), 'the follower saw every acknowledged commit and no other')
  await one.stop()

  const full = await digestOf(store)
  await store.close()
  t.same([...(await probe(t, [folder])).values()], [`read ${full}`], 'it opens on the full disk')
})

await t.test('opening on a full disk is refused or works, and never kills the process', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const data = join(folder, 'data')
  const ballast = join(folder, 'ballast')
  await writeFile(ballast, Buffer.alloc(BALLAST_KB * 1024))
  const store = await openEmbeddedStore(data)
  await fill(t, store)
  const digest = await digestOf(store)
  await store.close()
  await stuff(folder)
  t.equal((await probe(t, [data])).get(data), `read ${digest}`)
  await rm(join(data, 'store.mdb-lock'))
  await stuff(folder)
  t.match((await probe(t, [data])).get(data), /^StoreNotOpened .*no space is left on the device \(ENOSPC\)$/)
  const fresh = join(folder, 'fresh')
  t.match((await probe(t, [fresh])).get(fresh), /^StoreNotOpened .*ENOSPC/)
  await rm(ballast)
  t.equal((await probe(t, [data])).get(data), `read ${digest}`)
  t.match((await probe(t, [fresh])).get(fresh), /^read /)
})

await t.test('on a full disk the last known good file stays as it was', async (t) => {
  const folder = await smallDisk(t)
  if (folder === null) return
  const state = { documents: [], seq: 1, mark: 'm', epoch: 'e' }
  await writeLastKnownGood(folder, state, 0)
  const text = 'x'.repeat(MOUNT_KB * 1024)
  const large = { ...state, seq: 2, documents: [{ key: 'a', revision: 1, format: 1, body: { text } }] }
  await t.rejects(writeLastKnownGood(folder, large, 1), { name: 'StoreUnavailable', message: /ENOSPC/ })
  t.match(await readLastKnownGood(folder), { outcome: 'read', state })
  await writeFile(join(folder, 'room'), Buffer.alloc(1024 * 1024), { flag: 'wx' })
  t.pass('and half a file takes no room')
})
