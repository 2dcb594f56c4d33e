// A poll worker's snapshots: the same bytes as the primary's, and served only when they are complete.
import t from 'tap'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import type { Snapshot } from '../../src/serve/snapshot.ts'
import type { ChannelFacts } from '../../src/workers/messages.ts'
import { WorkerSnapshots } from '../../src/workers/worker-snapshots.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { stateOf, WORLDS } from '../fixtures/poll-worlds.ts'

const STAMP = { seq: 1, epoch: 'one', at: NOW }
const calm = { version: '15.1.4', critical: false, because: 'source', detail: null } as const

/** As they come over the channel between two processes. */
function factsOf(snapshot: Snapshot): readonly ChannelFacts[] {
  const facts = [...snapshot.channels()].map(({ name, revision, target, ramp }) => [name, revision, target, ramp])
  return JSON.parse(JSON.stringify(facts)) as readonly ChannelFacts[] // What it was made of a line before.
}

await t.test('every answer is the same as the primary would give', (t) => {
  for (const world of WORLDS) {
    const state = stateOf(world)
    if (state === null) continue
    const { snapshot } = new ReplicaState(state, 10, NOW)
    const holder = new SnapshotHolder()
    const snapshots = new WorkerSnapshots(holder, 10)
    snapshots.prepare(factsOf(snapshot))
    snapshots.serve({ seq: snapshot.seq, epoch: snapshot.epoch, at: snapshot.at }, true)
    t.equal(holder.current?.size, snapshot.size)
    for (const channel of snapshot.channels()) t.same(holder.current?.find(channel.name), channel, channel.name)
    t.same(holder.current?.common, snapshot.common)
  }
  t.end()
})

await t.test('nothing is served before it is complete, and changes leave the rest as it was', (t) => {
  const holder = new SnapshotHolder()
  const snapshots = new WorkerSnapshots(holder, 10)
  snapshots.prepare([['a', 1, calm, null]])
  snapshots.prepare([['b', 1, calm, null]])
  t.equal(holder.current, null)
  snapshots.serve(STAMP, true)
  const before = holder.current
  snapshots.prepare([['b', 2, { ...calm, version: '15.1.5' }, null]])
  snapshots.prepare([['a', 1, null, null]])
  t.equal(holder.current, before)
  snapshots.serve({ ...STAMP, seq: 2 }, false)
  t.equal(holder.current?.find('a'), undefined)
  t.equal(holder.current?.find('b')?.version.body, '15.1.5')
  t.match(holder.current, { seq: 2, size: 1 })
  t.equal(before?.find('b')?.version.body, '15.1.4')
  t.end()
})

await t.test('a whole state leaves nothing of the one before, and changes of nothing are a fault', (t) => {
  const holder = new SnapshotHolder()
  const snapshots = new WorkerSnapshots(holder, 10)
  t.throws(() => snapshots.serve(STAMP, false), { message: 'changes came before the state that they change' })
  snapshots.prepare([['a', 1, calm, null]])
  snapshots.serve(STAMP, true)
  snapshots.prepare([['b', 1, calm, null]])
  snapshots.serve({ ...STAMP, epoch: 'two' }, true)
  t.match(holder.current, { size: 1, epoch: 'two' })
  t.equal(holder.current?.find('a'), undefined)
  t.end()
})
