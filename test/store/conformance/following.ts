// Following: every entry after a seq, in order, without gap or repeat, for as long as the follower wants.
import type { Test } from 'tap'
import type { JournalEntry, Store } from '../../../src/store/port.ts'
import { commit, follower, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

export async function following(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('followers from different seqs see every entry after theirs while writes run', async (t) => {
    const store = await freshStore(t, makePlace)
    await write(store, 40)
    const starts = [0, 1, 17, 39, 40]
    const early = starts.map((seq) => follower(store, seq))
    const writing = write(store, 60)
    const late = starts.map((seq) => follower(store, seq))
    await writing
    const after = starts.map((seq) => follower(store, seq))
    for (const group of [early, late, after]) {
      for (const [index, start] of starts.entries()) {
        const one = group[index]
        await one?.reached(100)
        t.same(seqs(one?.entries ?? []), range(start + 1, 100))
        await one?.stop()
      }
    }
  })

  await t.test('a follower at the current seq is given the next commit, whole', async (t) => {
    const store = await freshStore(t, makePlace)
    await write(store, 3)
    const one = follower(store, 3)
    const entry = await commit(store, [put('a', 0, { v: 'ä' }), put('b', 0)], { reason: 'why' })
    await one.reached(4)
    t.same(one.entries, [entry])
    await one.stop()
  })

  await t.test('a follower that stopped goes on from its last seq without gap or repeat', async (t) => {
    const store = await freshStore(t, makePlace)
    const seen: JournalEntry[] = []
    const writing = write(store, 150)
    for (const until of [1, 30, 31, 90, 150]) {
      const one = follower(store, seen.length)
      await one.reached(until)
      await one.stop()
      seen.push(...one.entries)
    }
    await writing
    t.same(seqs(seen), range(1, seen.length))
    t.ok(seen.length >= 150)
  })

  await t.test('nothing is given after the signal has aborted, even within a batch', async (t) => {
    const store = await freshStore(t, makePlace)
    await write(store, 20)
    const abort = new AbortController()
    const given: number[] = []
    await store.follow(await positionAt(store, 0), ({ seq }) => given.push(seq) === 7 && abort.abort(), abort.signal)
    t.same(given, range(1, 7))
    await write(store, 1)
    t.same(given, range(1, 7))
  })

  await t.test('following with a signal that has aborted already resolves and gives nothing', async (t) => {
    const store = await freshStore(t, makePlace)
    await write(store, 2)
    await store.follow(await positionAt(store, 0), () => t.fail('given'), AbortSignal.abort())
  })

  await t.test('an error in a follower ends that follower only, with that error', async (t) => {
    const store = await freshStore(t, makePlace)
    const other = follower(store, 0)
    const error = new Error('cannot apply')
    const failing = store.follow(
      await positionAt(store, 0),
      ({ seq }) => {
        if (seq === 3) throw error
      },
      new AbortController().signal,
    )
    const failed = failing.then(
      () => null,
      (reason: unknown) => reason,
    )
    await write(store, 5)
    t.equal(await failed, error)
    await other.reached(5)
    t.same(seqs(other.entries), range(1, 5))
    await other.stop()
  })

  await t.test('a seq that is none is refused', async (t) => {
    const store = await freshStore(t, makePlace)
    const start = await positionAt(store, 0)
    for (const seq of [-1, 0.5, Number.NaN]) {
      await t.rejects(
        store.follow({ ...start, seq }, () => {}, AbortSignal.timeout(0)),
        RangeError,
      )
    }
  })

  await t.test(
    'applying what a follower is given to a loaded state gives the state that is loaded later',
    async (t) => {
      const store = await freshStore(t, makePlace)
      await write(store, 10)
      const start = await store.load()
      const documents = new Map(start.documents.map((document) => [document.key, document]))
      const one = follower(store, start.seq)
      for (let n = 0; n < 30; n += 1) {
        const key = `doc/${n % 7}`
        const revision = documentRevision(await store.load(), key)
        await commit(store, [
          n % 5 === 4 && revision > 0 ? { key, expected: revision, body: null } : put(key, revision),
        ])
      }
      await one.reached(start.seq + 30)
      for (const { key, after } of one.entries.flatMap(({ changes }) => changes)) {
        if (after === null) documents.delete(key)
        else documents.set(key, after)
      }
      const end = await store.load()
      t.same(new Map(end.documents.map((document) => [document.key, document])), documents)
      await one.stop()
    },
  )
}

function documentRevision(state: Awaited<ReturnType<Store['load']>>, key: string): number {
  return state.documents.find((document) => document.key === key)?.revision ?? 0
}

/** Commits `count` new documents, one after the other. */
async function write(store: Store, count: number): Promise<void> {
  const { seq } = await store.load()
  for (const n of range(seq + 1, seq + count)) await commit(store, [put(`written/${n}`, 0)])
}
