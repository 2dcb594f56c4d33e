// What time has done is journaled once, and changes nothing that is served.
import { silent } from '../fixtures/silent-log.ts'
import t, { type Test } from 'tap'
import { startExpiryTask } from '../../src/control/expiry-task.ts'
import { recordExpiries } from '../../src/control/core/record-expiries.ts'
import type { Change, Store } from '../../src/store/port.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../fixtures/admin-session.ts'
import { HOUR_MS } from '../fixtures/channel-samples.ts'
import { range } from '../fixtures/store-changes.ts'
import { wrapped } from '../fixtures/store-wrapped.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'
const until = '2026-03-01T01:00:00Z'

async function lapsing(t: Test): Promise<AdminSession> {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const stop = startExpiryTask(session.planes.deps, silent)
  t.teardown(stop)
  return session
}

t.test(
  'a pin that has ended is journaled once, by bellwether, and the channel goes on as its source says',
  async (t) => {
    const session = await lapsing(t)
    await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until, reason })
    await session.planes.clock.advance(HOUR_MS - 1)
    t.equal((await session.journal()).length, 2)
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.2')
    await session.planes.clock.advance(1)
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4', 'at its moment')
    await session.planes.clock.advance(10_000)
    const journal = await session.journal()
    t.equal(journal.length, 3)
    t.hasStrict(journal[2], { kind: 'channel.expire', actor: 'bellwether', requestId: null })
    const channel = await session.done('GET', CLOUD)
    t.hasStrict(channel, { pin: null, revision: 3, updatedBy: 'bellwether' })
    t.equal(at(channel, 'effective', 'because'), 'source')
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  },
)

t.test('many pins that end together are journaled in parts, with turns of the event loop between them', async (t) => {
  const session = await startAdmin(t)
  const names = range(1, 250).map((number) => `c${number}`)
  for (const name of names) {
    await session.channel(name)
    await session.done('PUT', channelPath(name, '/pin'), { version: '15.1.2', until, reason })
  }
  await session.planes.clock.advance(HOUR_MS)
  const { store } = session.planes.deps
  const turns: number[] = []
  let turn = 0
  let isOver = false
  const count = (): void => {
    turn += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const commit = (change: Change): ReturnType<Store['commit']> => {
    turns.push(turn)
    return store.commit(change)
  }
  await recordExpiries({ ...session.planes.deps, store: wrapped(store, { commit }) })
  isOver = true
  t.equal(turns.length, 3)
  t.equal(new Set(turns).size, 3, 'each in a turn of its own')
  const entries = (await session.journal()).filter(({ kind }) => kind === 'channel.expire')
  t.strictSame(
    entries.map(({ changes }) => changes.length),
    [100, 100, 50],
  )
})

t.test('a critical flag that has ended is journaled too', async (t) => {
  const session = await lapsing(t)
  await session.done('PUT', `${CLOUD}/critical`, { critical: true, until, reason })
  await session.planes.clock.advance(HOUR_MS + 5_000)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/critical'), 'no')
  t.equal((await session.lastEntry()).kind, 'channel.expire')
  t.equal(at(await session.done('GET', CLOUD), 'source', 'critical'), false)
})

t.test('a pin that must not end is journaled as held, once, and stays until an operator acts', async (t) => {
  const session = await lapsing(t)
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until, reason })
  await session.done('PUT', '/blocked-versions/15.1.4', { reason })
  await session.planes.clock.advance(HOUR_MS + 10_000)
  const entry = await session.lastEntry()
  t.hasStrict(entry, { seq: 4, kind: 'channel.hold', actor: 'bellwether' })
  t.match(entry.reason, /it stays: 15\.1\.4 is on the block list/)
  await session.done('DELETE', '/blocked-versions/15.1.4', { reason })
  await session.planes.clock.advance(10_000)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.2', 'nothing moves by surprise')
  await session.done('DELETE', `${CLOUD}/pin`, { reason })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
})

t.test('a lapse is taken into the change of an operator who is faster', async (t) => {
  const session = await lapsing(t)
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until, reason })
  session.planes.clock.jump(HOUR_MS)
  const edited = await session.done('PATCH', CLOUD, { description: 'x' })
  t.hasStrict(edited, { pin: null, revision: 3 })
  await session.planes.clock.advance(10_000)
  t.equal((await session.journal()).length, 3)
})

t.test('while the store is down nothing is journaled, and what has lapsed is served as such', async (t) => {
  const session = await lapsing(t)
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until, reason })
  await session.planes.deps.store.close()
  await session.planes.clock.advance(HOUR_MS + 10_000)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
})
