// A store that has gone back: writes are refused, and an admin restores the replica's state or accepts the store's.
import t, { type Test } from 'tap'
import { channelKey } from '../../../src/channels/channel.ts'
import { writeLastKnownGood } from '../../../src/store/last-known-good.ts'
import { NewerFormat, StoreDamaged } from '../../../src/store/port.ts'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { NOW, sourceOf } from '../../fixtures/channel-samples.ts'
import { channelDocument } from '../../fixtures/poll-worlds.ts'
import { commit, put } from '../../fixtures/store-changes.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'restored from an old backup'

/** The store has stable/cloud at 15.1.1, the replica has served 15.1.9 at seq 9 of an epoch that the store does not know. */
function regressed(t: Test): Promise<AdminSession> {
  return startAdmin(t, {
    async prepare(store, dataDir) {
      const at = { at: new Date(NOW).toISOString() }
      const stored = channelDocument('stable/cloud', 1, { source: sourceOf('15.1.1') })
      await commit(store, [put(channelKey('stable/cloud'), 0, stored.body)], at)
      await commit(store, [put(channelKey('gone'), 0, channelDocument('gone', 1).body)], at)
      const documents = [channelDocument('stable/cloud', 4, { source: sourceOf('15.1.9') })]
      await writeLastKnownGood(dataDir, { documents, seq: 9, mark: 'a-mark', epoch: 'another' }, NOW)
    },
  })
}

t.test('a store that has gone back is neither served nor written: store_regressed, on every write', async (t) => {
  const session = await regressed(t)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.9')
  for (const query of ['', '?dryRun=true']) {
    const reply = await session.call('PUT', `${CLOUD}/version${query}`, { version: '15.2.0' })
    t.equal(reply.status, 503)
    t.equal(at(reply.body, 'code'), 'store_regressed')
  }
  const ready = await session.inject({ url: '/readyz' })
  t.hasStrict(ready.body, { ready: true, status: 'store regressed', seq: 9, epoch: 'another' })
  t.match(at(ready.body, 'problem'), /at seq 2 of epoch .*does not have seq 9 of epoch another/)
  const metrics = await session.planes.control.inject('/metrics')
  t.match(metrics.body, /^bellwether_store_regressed 1$/m)
  t.equal((await session.planes.deps.store.load()).seq, 2)
})

t.test('restore writes what the replica knows over the store, as a new epoch above both histories', async (t) => {
  const session = await regressed(t)
  const would = await session.done('POST', '/store/restore?dryRun=true', { reason })
  t.hasStrict(would, { dryRun: true, known: { epoch: 'another', seq: 9 }, found: { seq: 2 } })
  const reply = await session.call('POST', '/store/restore', { reason })
  t.equal(reply.status, 200)
  t.hasStrict(reply.body, { seq: 10, following: true })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.9')
  t.match(await session.lastEntry(), { seq: 10, kind: 'store.restore', actor: 'admin', reason })
  t.equal(at(await session.done('GET', CLOUD), 'revision'), 4)
  t.equal((await session.call('GET', channelPath('gone'))).status, 404)
  t.equal(at(await session.done('PUT', `${CLOUD}/version`, { version: '15.2.0' }), 'revision'), 5)
  t.hasStrict((await session.inject({ url: '/readyz' })).body, { status: 'following', problem: null, seq: 11 })
})

t.test('accept takes the store as it is, as a new epoch above both histories', async (t) => {
  const session = await regressed(t)
  const reply = await session.call('POST', '/store/accept', { reason })
  t.hasStrict(reply.body, { seq: 10, following: true })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.1')
  t.match(await session.lastEntry(), { seq: 10, kind: 'store.accept', reason, changes: [] })
  t.equal((await session.call('GET', channelPath('gone'))).status, 200)
  t.equal(at(await session.done('PUT', `${CLOUD}/version`, { version: '15.2.0' }), 'revision'), 2)
})

t.test('the seqs that no history has any more do no harm, and cannot be followed from: journal_trimmed', async (t) => {
  const session = await regressed(t)
  await session.done('POST', '/store/restore', { reason })
  t.strictSame(
    (await session.journal()).map(({ seq }) => seq),
    [1, 2, 10],
  )
  const history = await session.done('GET', `${CLOUD}/history`)
  t.equal(at(history, 'items', 0, 'kind'), 'store.restore')
  const old = await session.call('GET', '/journal/stream?after=5')
  t.equal(old.status, 410)
  t.equal(at(old.body, 'code'), 'journal_trimmed')
})

t.test('the same decision sent again is made once', async (t) => {
  const session = await regressed(t)
  const headers = { 'idempotency-key': 'decide-once' }
  const first = await session.call('POST', '/store/restore', { reason }, { headers })
  const again = await session.call('POST', '/store/restore', { reason }, { headers })
  t.strictSame([again.status, again.body], [200, first.body])
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.equal((await session.call('POST', '/store/accept', { reason }, { headers })).status, 422)
  t.equal((await session.journal()).length, 3)
})

t.test(
  'restore is refused where another replica knows more (replica_behind), unless forced; accept is not',
  async (t) => {
    const session = await regressed(t)
    const { coordination } = session.planes.deps
    await coordination.announce('ahead', { id: 'ahead', epoch: 'another', seq: 12 }, 5_000)
    await coordination.announce('elsewhere', { id: 'elsewhere', epoch: 'a third', seq: 99 }, 5_000)
    const reply = await session.call('POST', '/store/restore', { reason })
    t.equal(reply.status, 409)
    t.hasStrict(reply.body, { code: 'replica_behind', ahead: ['ahead'] })
    t.equal((await session.call('POST', '/store/restore', { reason, force: true })).status, 200)
  },
)

t.test('where nothing has gone back there is nothing to decide: not_regressed', async (t) => {
  const session = await startAdmin(t)
  for (const decision of ['restore', 'accept']) {
    const reply = await session.call('POST', `/store/${decision}`, { reason })
    t.equal(reply.status, 409)
    t.equal(at(reply.body, 'code'), 'not_regressed')
    t.equal((await session.call('POST', `/store/${decision}`, { reason: ' ' })).status, 400)
  }
})

t.test('a store that changes between look and decision is contended, and nothing is written', async (t) => {
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        async startEpoch(start) {
          await commit(store, [put('other', 0)])
          return store.startEpoch(start)
        },
      }),
    async prepare(_store, dataDir) {
      await writeLastKnownGood(dataDir, { documents: [], seq: 9, mark: 'a-mark', epoch: 'another' }, NOW)
    },
  })
  const reply = await session.call('POST', '/store/accept', { reason })
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'contended')
  t.equal((await session.planes.deps.store.load()).seq, 1)
})

t.test('a damaged store can be restored and not accepted: store_damaged', async (t) => {
  let damage: StoreDamaged | null = null
  const whenWhole = <T>(action: () => Promise<T>): Promise<T> => (damage === null ? action() : Promise.reject(damage))
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        load: (known) => whenWhole(() => store.load(known)),
        position: () => whenWhole(() => store.position()),
        follow: (after, on, signal) =>
          store.follow(
            after,
            (entry) => {
              if (damage !== null) throw damage
              on(entry)
            },
            signal,
          ),
        async startEpoch(start) {
          t.match(start, { found: { seq: 99 }, known: { seq: 1 }, restore: { documents: [{}] } })
          damage = null
          return store.startEpoch({ ...start, found: await store.position() })
        },
      }),
  })
  await session.channel('stable/cloud', '15.1.4')
  const { store, replica } = session.planes.deps
  damage = new StoreDamaged('the store is damaged', { found: { epoch: 'e', seq: 99, mark: 'm' } })
  await commit(store, [put('something', 0)])
  for (let turn = 0; replica.fault === null && turn < 1_000; turn += 1) await new Promise((done) => setImmediate(done))
  const write = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(write.status, 503)
  t.match(write.body, { code: 'store_unavailable', detail: /POST store\/restore/ })
  const accepted = await session.call('POST', '/store/accept', { reason })
  t.equal(accepted.status, 409)
  t.equal(at(accepted.body, 'code'), 'store_damaged')
  t.equal((await session.call('POST', '/store/restore', { reason })).status, 200)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  t.equal((await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })).status, 200)
})

t.test('a store that a newer Bellwether has written to is not followed and not written: newer_format', async (t) => {
  let newer = false
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        load: (known) => (newer ? Promise.reject(new NewerFormat('the store is newer')) : store.load(known)),
        follow: (after, on, signal) =>
          store.follow(
            after,
            (entry) => {
              if (newer) throw new NewerFormat(`journal entry ${entry.seq} is newer`)
              on(entry)
            },
            signal,
          ),
      }),
  })
  await session.channel('stable/cloud', '15.1.4')
  newer = true
  const { store, replica } = session.planes.deps
  const document = (await store.load().catch(() => null)) ?? null
  t.equal(document, null)
  await commit(store, [put('something', 0)])
  for (let turn = 0; replica.fault === null && turn < 1_000; turn += 1) await new Promise((done) => setImmediate(done))
  t.equal(replica.status, 'newer format')
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(reply.status, 503)
  t.equal(at(reply.body, 'code'), 'newer_format')
  t.match((await session.planes.control.inject('/metrics')).body, /^bellwether_newer_format 1$/m)
})
