// What only a second replica shows: a command that finds everything as it asks, on a replica that is behind its store; and a pipeline
// that is deleted, or takes a channel, while a rollout begins.
import t from 'tap'
import type { Change, Store } from '../../src/store/port.ts'
import { channelPath, AdminSession } from '../fixtures/admin-session.ts'
import { startPlanes } from '../fixtures/planes.ts'
import { wrapped } from '../fixtures/store-wrapped.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

t.test(
  'a replica that is behind does not call an old state unchanged: a halt that was ended meanwhile is made again',
  async (t) => {
    let isHeld = false
    const held: (() => void)[] = []
    const lag = (store: Store): Store =>
      wrapped(store, {
        follow: (after, on, signal, lane) =>
          store.follow(after, (entry) => (isHeld ? void held.push(() => on(entry)) : on(entry)), signal, lane),
      })
    const session = new AdminSession(await startPlanes(t.teardown, { wrapStore: lag }))
    await session.channel('stable/cloud')
    await session.done('PUT', `${CLOUD}/halt`, { reason })
    isHeld = true
    // Another replica ends the halt; this one has not seen it yet.
    const { store, replica } = session.planes.deps
    const document = replica.state?.document('channel/stable/cloud')
    await store.commit({
      ...{ at: '2026-03-01T00:00:00.000Z', actor: 'other', kind: 'channel.resume', reason: null, requestId: null },
      ...{ decidedOn: null, reads: [] },
      writes: [{ key: 'channel/stable/cloud', expected: 2, body: { ...document?.body, halt: null } }],
    })
    const again = session.call('PUT', `${CLOUD}/halt`, { reason })
    await session.planes.asAgent('/v1/stable/cloud/version')
    isHeld = false
    for (const give of held.splice(0)) give()
    const reply = await again
    t.equal(reply.status, 200)
    t.equal(reply.headers['bellwether-seq'], '4', 'an entry was made')
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '404 channel stable/cloud has no target version')
  },
)

t.test('a replica that stays behind answers contended at once, and does not try again and again', async (t) => {
  let isHeld = false
  const lag = (store: Store): Store =>
    wrapped(store, {
      follow: (after, on, signal, lane) =>
        store.follow(after, (entry) => (isHeld ? undefined : on(entry)), signal, lane),
    })
  const session = new AdminSession(await startPlanes(t.teardown, { wrapStore: lag }))
  await session.channel('stable/cloud')
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  isHeld = true
  const { store, replica } = session.planes.deps
  const other = { at: '2026-03-01T00:00:00.000Z', actor: 'other', kind: 'test', reason: null, requestId: null }
  const writes = [{ key: 'other/1', expected: 0, body: {} }]
  await store.commit({ ...other, decidedOn: null, reads: [], writes })
  let waits = 0
  replica.until = async () => {
    waits += 1
    return false
  }
  const reply = await session.call('PUT', `${CLOUD}/halt`, { reason })
  t.hasStrict(reply.body, { status: 409, code: 'contended' })
  t.equal(waits, 1)
})

t.test('a pipeline is not deleted under a rollout that begins meanwhile', async (t) => {
  let between: (() => Promise<unknown>) | null = null
  const interpose = (store: Store): Store =>
    wrapped(store, {
      async commit(change: Change) {
        const run = change.kind === 'pipeline.delete' ? between : null
        between = null
        await run?.()
        return store.commit(change)
      },
    })
  const session = new AdminSession(await startPlanes(t.teardown, { wrapStore: interpose }))
  await session.channel('canary', '15.1.0')
  const stages = [{ name: 'canary', channels: ['canary'] }]
  await session.done('PUT', '/pipelines/cloud', { requirePackages: false, stages })
  const release = { version: '15.2.0', commit: 'aabbcc', kind: 'full', changes: [] }
  between = () => session.done('POST', '/releases', release)
  const reply = await session.call('DELETE', '/pipelines/cloud', { reason })
  t.hasStrict(reply.body, { status: 409, code: 'pipeline_in_use' })
})
