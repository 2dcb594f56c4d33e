// What channels have served within a grace period, where their journal has an edge: channels that were deleted and made
// again, and entries that Redis does not keep any more.
import t, { type Test } from 'tap'
import { channelKey } from '../../src/channels/channel.ts'
import { momentOf } from '../../src/channels/time.ts'
import { restoreHistory } from '../../src/control/restore-history.ts'
import { servedSince } from '../../src/control/served-since.ts'
import { timesOf } from '../../src/serve/trusted-clock.ts'
import { knownState } from '../../src/control/control.ts'
import { writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath } from '../fixtures/admin-session.ts'
import { inHours, NOW, sourceOf } from '../fixtures/channel-samples.ts'
import type { Planes } from '../fixtures/planes.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { redisTest } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'
import { openAt } from '../fixtures/redis-store.ts'
import { commit, put } from '../fixtures/store-changes.ts'
import { cloud, MINUTE_MS, startRollouts, type RolloutSession } from '../fixtures/rollout-session.ts'

const DAY_MS = 86_400_000
const reason = 'for the test'

/** What is known of a channel since some days ago: its versions in order, and the moment before which nothing is. */
async function since(session: RolloutSession, name: string, days: number): Promise<unknown> {
  const { deps, clock } = session.planes
  const state = knownState(deps)
  const document = state.document(channelKey(name))
  if (document === undefined) throw new Error(`there is no channel ${name}`)
  await restoreHistory(deps)
  const { spans, unknownBefore } = servedSince(state, document, clock.now() - days * DAY_MS, timesOf(clock))
  return [spans.map(({ version }) => version), unknownBefore === null ? null : momentOf(unknownBefore)]
}

t.test('what was told before a channel was deleted and made again counts, however often that was', async (t) => {
  const session = await startRollouts(t)
  const { clock } = session.planes
  for (const day of [0, 1, 2]) {
    await session.channel('a', cloud(day))
    await clock.advance(DAY_MS)
    if (day < 2) await session.done('DELETE', channelPath('a'), { reason })
    await clock.advance(DAY_MS)
  }
  t.strictSame(await since(session, 'a', 30), [[cloud(0), null, cloud(1), null, cloud(2)], null])
  t.strictSame(await since(session, 'a', 6), [[cloud(0), null, cloud(1), null, cloud(2)], null])
  t.strictSame(await since(session, 'a', 4.5), [[cloud(0), null, cloud(1), null, cloud(2)], null], 'told last before')
  t.strictSame(await since(session, 'a', 3.5), [[cloud(1), null, cloud(2)], null])
  t.strictSame(await since(session, 'a', 1), [[cloud(2)], null])
})

await redisTest(
  t,
  'what the journal does not tell any more keeps a release that is too new for some agents',
  async (t) => {
    const server = await startRedis(t)
    const start = (after: Planes | null): Promise<RolloutSession> => {
      const store = openAt(t, server.url, { limits: { journalMax: 20, trimMax: 20 } })
      return startRollouts(t, { wrapStore: () => store, ...(after === null ? {} : { after }) })
    }
    let session = await start(null)
    const { clock } = session.planes
    await session.channel('noise', cloud(0))
    await session.pipeline([{ name: 'all', channels: ['all'] }])
    await session.done('PUT', channelPath('all', '/version'), { version: cloud(3), reason })
    await session.register(5, { minAgentVersion: cloud(3) })
    const ask = () => session.done('GET', `/releases/${encodeURIComponent(cloud(5))}/compatibility`)
    t.hasStrict(await ask(), { compatible: false, stages: [{ tooOld: [{ channel: 'all', version: cloud(0) }] }] })
    await clock.advance(2 * DAY_MS)
    for (let n = 0; n < 30; n += 1) {
      await session.done('PUT', channelPath('noise', '/version'), { version: cloud(n % 2), reason, force: true })
    }
    const before = momentOf(clock.now())
    await clock.advance(DAY_MS)
    t.match(
      await since(session, 'all', 14),
      [[cloud(0), cloud(3)], null],
      'a replica that has read it goes on knowing it',
    )
    await session.planes.close()
    session = await start(session.planes)
    t.strictSame(await since(session, 'all', 14), [[cloud(3)], before])
    t.strictSame(await since(session, 'all', 1), [[cloud(3)], null], 'all of that time is known')
    t.strictSame(await since(session, 'noise', 14), [await versionsOf(session, 'noise'), before])
    t.hasStrict(await ask(), { compatible: false, stages: [{ tooOld: [], unknown: [{ channel: 'all', before }] }] })
    const refused = await session.step('promote', { stage: 'all' })
    t.equal(refused.status, 422)
    t.match(at(refused.body, 'blockers'), [
      { code: 'compatibility', message: new RegExp(`all before ${before}; wait`) },
    ])
    const compatibility = () => session.done('GET', channelPath('all', '/compatibility'))
    const told = { version: cloud(3), firstServedAt: before, lastServedAt: null }
    t.strictSame(await compatibility(), { oldest: cloud(3), versions: [told], unknownBefore: before })
    t.equal(at(await session.done('GET', channelPath('all', '/compatibility?grace=P1D')), 'unknownBefore'), null)
    await clock.advance(13 * DAY_MS - MINUTE_MS)
    t.hasStrict(await ask(), { compatible: false })
    await clock.advance(MINUTE_MS)
    t.hasStrict(await ask(), { compatible: true, stages: [{ tooOld: [], unknown: [] }] })
    t.equal((await session.step('promote', { stage: 'all' })).status, 200)
  },
)

/** The versions in a channel's journal as it is kept now, the oldest first. */
async function versionsOf(session: RolloutSession, name: string): Promise<readonly unknown[]> {
  const { entries } = await session.planes.deps.store.journal({ subject: channelKey(name), limit: 500 })
  const bodies = entries.flatMap(({ changes }) => changes.flatMap(({ before, after }) => [after?.body, before?.body]))
  return [...bodies.filter((_, index) => index % 2 === 0), bodies.at(-1)]
    .map((body) => at(body, 'source', 'version'))
    .toReversed()
}

t.test(
  'a channel that was made anew and tells nothing counts with what it told before, however long ago',
  async (t) => {
    const session = await startRollouts(t)
    const { clock } = session.planes
    await session.channel('a', cloud(0))
    await clock.advance(DAY_MS)
    for (let n = 0; n < 2; n += 1) {
      await session.done('DELETE', channelPath('a'), { reason })
      await session.channel('a', null)
      await clock.advance(10 * DAY_MS)
    }
    await session.pipeline([{ name: 'all', channels: ['a'] }])
    await session.register(5, { minAgentVersion: cloud(3) })
    t.hasStrict(await compatible(session), { compatible: false, stages: [{ oldest: cloud(0), unknown: [] }] })
    t.equal(at(await session.done('GET', channelPath('a', '/compatibility')), 'oldest'), cloud(0))
  },
)

/** A server whose store holds channel `a` at these versions, one after the other, and which itself knows it otherwise. */
function regressed(t: Test, versions: readonly string[], known: { version: string; revision: number }) {
  const key = channelKey('a')
  return startRollouts(t, {
    async prepare(store, dataDir) {
      for (const [index, version] of versions.entries()) {
        const { body } = channelDocument('a', index + 1, { source: sourceOf(version) })
        await commit(store, [put(key, index, body)], { at: inHours(0) })
      }
      const documents = [channelDocument('a', known.revision, { source: sourceOf(known.version) })]
      await writeLastKnownGood(dataDir, { documents, seq: 90, mark: 'a-mark', epoch: 'another' }, NOW)
    },
  })
}

for (const { name, versions, known } of [
  { name: 'that has the same revisions of another life', versions: [3, 4, 5], known: { day: 0, revision: 2 } },
  { name: 'that is behind', versions: [3], known: { day: 4, revision: 9 } },
  { name: 'that is far ahead', versions: Array.from({ length: 17 }, (_, n) => n % 2), known: { day: 4, revision: 10 } },
]) {
  for (const how of ['restore', 'accept'] as const) {
    t.test(`what was served before an operator decided over a store ${name} (${how}) is not known`, async (t) => {
      const found = { version: cloud(known.day), revision: known.revision }
      const session = await regressed(t, versions.map(cloud), found)
      await session.planes.clock.advance(DAY_MS)
      await session.done('POST', `/store/${how}`, { reason })
      const { clock } = session.planes
      const decided = momentOf(clock.now())
      await clock.advance(DAY_MS)
      const told = how === 'restore' ? found.version : cloud(versions.at(-1) ?? 0)
      t.strictSame(await since(session, 'a', 14), [[told], decided])
      await session.done('PUT', channelPath('a', '/version'), { version: cloud(6), reason, force: true })
      t.strictSame(await since(session, 'a', 14), [[told, cloud(6)], decided])
      t.equal(at(await session.done('GET', channelPath('a', '/compatibility')), 'unknownBefore'), decided)
      await session.pipeline([{ name: 'all', channels: ['a'] }])
      await session.register(7, { minAgentVersion: cloud(0) })
      t.equal((await session.step('promote', { stage: 'all' })).status, 422)
      await clock.advance(13 * DAY_MS)
      t.strictSame(await since(session, 'a', 14), [[told, cloud(6)], null], 'it is known again')
      t.equal((await session.step('promote', { stage: 'all' })).status, 200)
    })
  }
}

await redisTest(
  t,
  'a deletion is found although the entry that had made the channel is not kept any more',
  async (t) => {
    const server = await startRedis(t)
    const store = openAt(t, server.url, { limits: { journalMax: 40, trimMax: 40 } })
    const session = await startRollouts(t, { wrapStore: () => store, upstreamAllow: ['up.example'] })
    for (const [name, day] of [
      ['noise', 0],
      ['x', 0],
      ['y', 3],
    ] as const) {
      await session.channel(name, cloud(day))
    }
    await session.pipeline([{ name: 'all', channels: ['y', 'x'] }])
    for (let n = 0; n < 50; n += 1) {
      await session.done('PUT', channelPath('noise', '/version'), { version: cloud(n % 2), reason, force: true })
    }
    await session.planes.clock.advance(20 * DAY_MS)
    await session.register(5, { minAgentVersion: cloud(3) })
    t.hasStrict(await compatible(session), { compatible: false })
    for (const name of ['x', 'y']) await session.done('DELETE', channelPath(name), { reason })
    // Both in one entry, which is read for the one and learned for the other.
    await session.done('POST', '/mirror', { url: 'https://up.example/v1', channels: ['x', 'y'], reason })
    t.hasStrict(await compatible(session), { compatible: false })
    for (const name of ['x', 'y']) {
      const source = { kind: 'static', version: cloud(3) }
      await session.done('PATCH', channelPath(name), { source, reason })
    }
    for (let n = 0; n < 7; n += 1) await session.done('PATCH', channelPath('x'), { description: `${n}` })
    t.hasStrict(await compatible(session), { compatible: false })
    t.equal((await session.step('promote', { stage: 'all' })).status, 422)
  },
)

/** Whether release 5 is compatible. */
function compatible(session: RolloutSession): Promise<unknown> {
  return session.done('GET', `/releases/${encodeURIComponent(cloud(5))}/compatibility`)
}
