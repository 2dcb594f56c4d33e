// What channels have served within a grace period, where their journal has an edge: channels that were deleted and made
// again, and entries that Redis does not keep any more.
import t from 'tap'
import { channelKey } from '../../src/channels/channel.ts'
import { momentOf } from '../../src/channels/time.ts'
import { servedSince } from '../../src/control/served-since.ts'
import { knownState } from '../../src/control/control.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath } from '../fixtures/admin-session.ts'
import type { Planes } from '../fixtures/planes.ts'
import { redisTest } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'
import { openAt } from '../fixtures/redis-store.ts'
import { cloud, MINUTE_MS, startRollouts, type RolloutSession } from '../fixtures/rollout-session.ts'

const DAY_MS = 86_400_000
const reason = 'for the test'

/** What is known of a channel since some days ago: its versions in order, and the moment before which nothing is. */
async function since(session: RolloutSession, name: string, days: number): Promise<unknown> {
  const { deps, clock } = session.planes
  const state = knownState(deps)
  const document = state.document(channelKey(name))
  if (document === undefined) throw new Error(`there is no channel ${name}`)
  const found = await servedSince(deps, state, [document], clock.now() - days * DAY_MS)
  const { spans, unknownBefore } = found.get(channelKey(name)) ?? { spans: [], unknownBefore: 0 }
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
      await session.done('PUT', channelPath('noise', '/version'), { version: cloud(n % 2), reason })
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
