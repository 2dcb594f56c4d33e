// What channels have served is kept as the journal is applied and read back once after a start: no question reads the
// journal, and no entry is read once per channel.
import t from 'tap'
import { channelKey } from '../../src/channels/channel.ts'
import { momentOf } from '../../src/channels/time.ts'
import { releaseCompatibility } from '../../src/control/release-compatibility.ts'
import { restoreHistories, restoreHistory } from '../../src/control/restore-history.ts'
import { releaseRecord } from '../../src/control/releases.ts'
import { knownState } from '../../src/control/control.ts'
import { StoreUnavailable, type JournalQuery, type Store } from '../../src/store/port.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath } from '../fixtures/admin-session.ts'
import { sourceOf } from '../fixtures/channel-samples.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { cloud, startRollouts, type RolloutSession } from '../fixtures/rollout-session.ts'
import { silent } from '../fixtures/silent-log.ts'
import { change, put } from '../fixtures/store-changes.ts'
import { wrapped } from '../fixtures/store-wrapped.ts'
import { sized } from '../fixtures/test-form.ts'

const HOUR_MS = 3_600_000
const CHANNELS = sized(300, 900)
const STEPS = 60
const names = Array.from({ length: CHANNELS }, (_, n) => `fleet/${n}`)

/** Counts what is read of a store's journal. */
class Reads {
  pages = 0
  entries = 0
  isAway = false

  watch(store: Store): Store {
    return wrapped(store, {
      journal: async (query: JournalQuery) => {
        if (this.isAway) throw new StoreUnavailable('the test says so')
        const page = await store.journal(query)
        this.pages += 1
        this.entries += page.entries.length
        return page
      },
    })
  }
}

/** Moves all channels from version to version, an hour apart, ending at `endMs`. */
async function fill(store: Store, endMs: number, steps: number): Promise<void> {
  for (let step = 1; step <= steps; step += 1) {
    const moment = momentOf(endMs - (steps - step) * HOUR_MS)
    const source = sourceOf(cloud(step % 28))
    const writes = names.map((name) =>
      put(channelKey(name), step - 1, channelDocument(name, step, { source, updatedAt: moment }).body),
    )
    await store.commit(change(writes, { at: moment }))
  }
}

function compatible(session: RolloutSession): Promise<unknown> {
  return session.done('GET', `/releases/${encodeURIComponent(cloud(28))}/compatibility`)
}

t.test(
  'a fleet with thousands of steps is restored reading each entry once, and asked about reading none',
  async (t) => {
    const reads = new Reads()
    const session = await startRollouts(t, {
      wrapStore: (store) => reads.watch(store),
      prepare: (store, _, clock) => fill(store, clock.now(), STEPS),
    })
    t.equal(reads.entries, STEPS, 'each entry was read once')
    await session.pipeline([{ name: 'all', channels: names }])
    await session.register(28, { minAgentVersion: cloud(20) })
    const before = reads.pages
    const found = await compatible(session)
    t.hasStrict(found, { compatible: false, stages: [{ oldest: cloud(0), unknown: [] }] })
    t.equal((await session.step('promote', { stage: 'all' })).status, 422)
    const channel = await session.done('GET', channelPath(names[0] ?? '', '/compatibility?grace=PT10H'))
    t.match(channel, { unknownBefore: null })
    t.equal((at(channel, 'versions') as unknown[]).length, 11)
    t.equal(reads.pages, before, 'no question has read the journal')
  },
)

t.test('until it was read what was before the start is not known, which holds a promotion back', async (t) => {
  const reads = new Reads()
  reads.isAway = true
  const session = await startRollouts(t, {
    wrapStore: (store) => reads.watch(store),
    prepare: (store, _, clock) => fill(store, clock.now() - HOUR_MS, 2),
  })
  const { clock, deps } = session.planes
  const start = momentOf(clock.now())
  await session.pipeline([{ name: 'all', channels: names.slice(0, 2) }])
  await session.register(28, { minAgentVersion: cloud(1) })
  const unknown = names.slice(0, 2).map((channel) => ({ channel, before: start }))
  t.hasStrict(await compatible(session), { compatible: false, stages: [{ unknown }] })
  const refused = await session.step('promote', { stage: 'all' })
  t.match(at(refused.body, 'blockers'), [{ code: 'compatibility', message: /not known/ }])
  const isRestored = async (): Promise<unknown> =>
    /^bellwether_history_restored (\d)$/m.exec(String((await session.inject({ url: '/metrics' })).body))?.[1]
  t.equal(await isRestored(), '0')
  reads.isAway = false
  const stop = restoreHistories(deps, silent)
  await clock.advance(1_000)
  await stop()
  t.equal(await isRestored(), '1')
  t.hasStrict(await compatible(session), { compatible: true, stages: [{ unknown: [] }] })
  t.equal((await session.step('promote', { stage: 'all' })).status, 200)
})

t.test('after a start from the last known good state, what was before is read once the store is back', async (t) => {
  const first = await startRollouts(t)
  await first.channel('a', cloud(0))
  await first.planes.clock.advance(HOUR_MS)
  await first.done('PUT', channelPath('a', '/version'), { version: cloud(1), reason: 'for the test' })
  await first.planes.close()
  let isAway = true
  const session = await startRollouts(t, {
    after: first.planes,
    wrapStore: (store) =>
      wrapped(store, {
        async load(known) {
          if (isAway) throw new StoreUnavailable('the test says so')
          return store.load(known)
        },
      }),
  })
  const { clock, deps } = session.planes
  const ask = () => session.done('GET', channelPath('a', '/compatibility'))
  t.equal((await session.call('GET', channelPath('a', '/compatibility'))).status, 503, 'others may know more')
  isAway = false
  await clock.advance(10_000)
  t.equal(deps.replica.status, 'following')
  await restoreHistory(deps)
  t.match(await ask(), { versions: [{ version: cloud(0) }, { version: cloud(1) }], unknownBefore: null })
})

t.test(
  'the journal is read back over the longest grace period in use, and further once that is asked for',
  async (t) => {
    const reads = new Reads()
    const days = 100
    const session = await startRollouts(t, {
      wrapStore: (store) => reads.watch(store),
      async prepare(store, _, clock) {
        for (let day = 0; day < days; day += 1) {
          const moment = momentOf(clock.now() - (days - day) * 24 * HOUR_MS)
          const { body } = channelDocument('a', day + 1, { source: sourceOf(cloud(day % 28)), updatedAt: moment })
          await store.commit(change([put(channelKey('a'), day, body)], { at: moment }))
        }
      },
    })
    t.ok(reads.entries < 50, `${reads.entries} entries for 14 days`)
    const ask = (grace: string) => session.done('GET', channelPath('a', `/compatibility?grace=${grace}`))
    t.match(await ask('P14D'), { unknownBefore: null })
    t.match(await ask('P80D'), { unknownBefore: String })
    await restoreHistory(session.planes.deps)
    t.match(await ask('P80D'), { unknownBefore: null })
    t.ok(reads.entries <= days, `${reads.entries} entries, none twice`)
  },
)

t.test('a journal that cannot be read is told once, and read as soon as it can be', async (t) => {
  let fault: Error | null = new Error('an entry is not what was written')
  const session = await startRollouts(t, {
    wrapStore: (store) =>
      wrapped(store, {
        async journal(query) {
          if (fault !== null) throw fault
          return store.journal(query)
        },
      }),
    prepare: (store, _, clock) => fill(store, clock.now() - HOUR_MS, 2),
  })
  const { clock, deps } = session.planes
  const told: string[] = []
  const stop = restoreHistories(deps, { ...silent, warn: (_, message) => void told.push(message) })
  await clock.advance(3_000)
  t.match(told, ['what channels served could not be restored; promotions wait for it'])
  t.equal(told.length, 1)
  fault = null
  await clock.advance(1_000)
  await stop()
  t.match(await session.done('GET', channelPath(names[0] ?? '', '/compatibility')), { unknownBefore: null })
})

t.test('work for an answer that nobody waits for any more ends', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['a'] }])
  await session.register(28, { minAgentVersion: cloud(1) })
  const { deps } = session.planes
  const release = releaseRecord(knownState(deps), cloud(28))?.release
  if (release === undefined) throw new Error('the release is not registered')
  t.equal(await releaseCompatibility(deps, release, { pipeline: null, grace: null }, () => true), null)
})
