// What was acknowledged outlives kill -9: every seq the process printed is there, whole, and the store goes on.
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { allPages, range, seqs } from '../../fixtures/store-changes.ts'
import { freshFolder, startChild } from '../../fixtures/store-process.ts'

const ROUNDS = 20

await t.test('twenty kills in the middle of commits lose nothing acknowledged and tear nothing', async (t) => {
  const folder = await freshFolder(t)
  let acknowledged = 0
  for (const round of range(1, ROUNDS)) {
    const child = startChild(t, 'commit', [folder])
    // Each round is cut elsewhere: after other commits, and another part of a millisecond into the next one.
    await child.printed(3 + ((round * 7) % 40))
    for (let turns = (round * 97) % 400; turns > 0; turns -= 1) await nextTurn()
    child.process.kill('SIGKILL')
    const { signal } = await child.ended
    t.equal(signal, 'SIGKILL')
    acknowledged = Math.max(acknowledged, ...child.lines.map(Number))

    const store = await openEmbeddedStore(folder)
    const { documents, seq } = await store.load()
    t.ok(seq === acknowledged || seq === acknowledged + 1, `${seq} entries, ${acknowledged} acknowledged`)
    const left = documents.find(({ key }) => key === 'left')
    const right = documents.find(({ key }) => key === 'right')
    t.equal(left?.revision, seq)
    t.same({ ...left, key: '' }, { ...right, key: '' }, 'both documents of a commit, or none')
    const { entries } = await allPages(store, { limit: 500 })
    t.same(seqs(entries), range(1, seq).reverse())
    t.ok(entries.every(({ changes, seq }) => changes.length === 2 && changes[1]?.after?.revision === seq))
    await store.close()
  }
  t.ok(acknowledged > ROUNDS * 3)
})
