// The holder: the newest snapshot, and no way back.
import t from 'tap'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { Snapshot } from '../../src/serve/snapshot.ts'

function snapshot(seq: number, epoch = 'one'): Snapshot {
  return Snapshot.of([], { seq, epoch, at: 0 }, 10)
}

await t.test('there is nothing before the first snapshot', (t) => {
  t.equal(new SnapshotHolder().current, null)
  t.end()
})

await t.test('the newest snapshot is served', (t) => {
  const holder = new SnapshotHolder()
  for (const next of [snapshot(0), snapshot(1), snapshot(1), snapshot(7)]) {
    holder.swap(next)
    t.equal(holder.current, next)
  }
  t.end()
})

await t.test('an older snapshot of the same epoch is refused, and what was served stays', (t) => {
  const holder = new SnapshotHolder()
  const newest = snapshot(7)
  holder.swap(newest)
  for (const seq of [6, 1, 0]) {
    t.throws(() => holder.swap(snapshot(seq)), {
      name: 'RangeError',
      message: `a snapshot at seq ${seq} must not replace one at seq 7`,
    })
    t.equal(holder.current, newest)
  }
  t.end()
})

await t.test('another epoch may begin anew', (t) => {
  const holder = new SnapshotHolder()
  holder.swap(snapshot(7))
  const restored = snapshot(1, 'two')
  holder.swap(restored)
  t.equal(holder.current, restored)
  t.throws(() => holder.swap(snapshot(0, 'two')), RangeError)
  t.end()
})

await t.test('nobody but the holder replaces what is served', (t) => {
  const holder = new SnapshotHolder()
  holder.swap(snapshot(1))
  t.throws(() => Object.assign(holder, { current: null }), TypeError)
  t.equal(holder.current?.seq, 1)
  t.end()
})

await t.test('every snapshot is brought to other processes, where there are any', async (t) => {
  const holder = new SnapshotHolder()
  holder.swap(snapshot(1))
  t.equal(holder.spreading, null)
  const brought: number[] = []
  holder.spreadBy(async ({ seq }) => void brought.push(seq))
  for (const seq of [2, 3]) {
    holder.swap(snapshot(seq))
    t.not(holder.spreading, null)
    await holder.spreading
  }
  t.throws(() => holder.swap(snapshot(1)), RangeError)
  t.same(brought, [2, 3], 'and none that is refused')
})
