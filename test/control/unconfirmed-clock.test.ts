// While the clock is not confirmed: polls, answers, guards and rules of rollouts take the same pins for ended, and no change takes
// one out whose time has only passed by a clock that may be wrong (ADR 29).
import t, { type Test } from 'tap'
import { recordExpiries } from '../../src/control/core/record-expiries.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath } from '../fixtures/admin-session.ts'
import { HOUR_MS } from '../fixtures/channel-samples.ts'
import { cloud, startRollouts, type RolloutSession } from '../fixtures/rollout-session.ts'

const reason = 'for the test'
const A = channelPath('a')

/** A channel `a` at `source` whose pin to `version` has passed by a clock that is not confirmed any more. */
async function inDoubt(t: Test, source: string, version: string): Promise<RolloutSession> {
  const session = await startRollouts(t)
  await session.channel('a', source)
  return pinnedInDoubt(session, version)
}

async function pinnedInDoubt(session: RolloutSession, version: string): Promise<RolloutSession> {
  const { clock } = session.planes
  const until = new Date(clock.now() + HOUR_MS).toISOString()
  await session.done('PUT', `${A}/pin`, { version, until, reason, force: true })
  clock.doubt = { code: 'clock_unconfirmed', message: 'for the test' }
  await clock.advance(2 * HOUR_MS)
  return session
}

/** What agents, the list and the channel's own page say of it. */
async function shown(session: RolloutSession): Promise<readonly unknown[]> {
  const [one, list] = await Promise.all([session.done('GET', A), session.done('GET', '/channels')])
  return [await session.told('a'), at(one, 'effective', 'version'), at(list, 'items', 0, 'effective', 'version')]
}

/** Confirms the clock again: what has ended is served, and journaled. */
async function confirmed(session: RolloutSession): Promise<void> {
  const { clock, deps } = session.planes
  clock.doubt = null
  await clock.advance(1_000)
  await recordExpiries(deps)
}

t.test('an edit of another field leaves the pin, and says of the channel what agents are told', async (t) => {
  const session = await inDoubt(t, '15.2.0', '15.1.0')
  t.strictSame(await shown(session), ['15.1.0', '15.1.0', '15.1.0'])
  const edited = await session.done('PATCH', A, { description: 'a word' })
  t.hasStrict(edited, { pin: { version: '15.1.0' }, effective: { version: '15.1.0', because: 'pin' } })
  t.strictSame(await shown(session), ['15.1.0', '15.1.0', '15.1.0'])
  await confirmed(session)
  t.strictSame(await shown(session), ['15.2.0', '15.2.0', '15.2.0'], 'its time is over')
  t.equal(at(await session.done('GET', A), 'pin'), null)
})

t.test('guards judge by the version that is served', async (t) => {
  const session = await inDoubt(t, '15.2.0', '16.0.0')
  const refused = await session.call('DELETE', `${A}/pin`, { reason })
  t.equal(refused.status, 422)
  t.hasStrict(refused.body, { guard: 'major-downgrade', served: '16.0.0' })
  const dry = await session.done('PUT', `${A}/pin?dryRun=true`, { version: '16.1.0', reason })
  t.equal(at(dry, 'wouldChange', 0, 'from'), '16.0.0')
})

t.test('a rollback pins a channel that tells the release by such a pin', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['a', 'b'] }])
  await session.register(1)
  await session.step('promote', { stage: 'all' }, 1)
  await session.done('PUT', `${A}/version`, { version: cloud(0), reason, force: true })
  await pinnedInDoubt(session, cloud(1))
  t.equal(await session.told('a'), cloud(1))
  const back = await session.step('rollback', { reason }, 1)
  t.equal(back.status, 200)
  const moves = [
    { channel: 'a', from: cloud(1), to: cloud(0) },
    { channel: 'b', from: cloud(1), to: cloud(0) },
  ]
  t.strictSame(at(back.body, 'moves'), moves)
  t.strictSame([await session.told('a'), await session.told('b')], [cloud(0), cloud(0)])
})

t.test('what a channel has served counts the pin until it has ended', async (t) => {
  const session = await inDoubt(t, '15.2.0', '15.1.0')
  const inUse = async (): Promise<unknown> => {
    const { versions } = (await session.done('GET', `${A}/compatibility?grace=PT30M`)) as { versions: unknown[] }
    return Object.fromEntries(versions.map((one) => [at(one, 'version'), at(one, 'lastServedAt') === null]))
  }
  t.strictSame(await inUse(), { '15.1.0': true }, 'it is served')
  await session.done('PATCH', A, { description: 'a word' })
  t.strictSame(await inUse(), { '15.1.0': true }, 'also after a change')
  await session.planes.clock.advance(2 * HOUR_MS)
  await confirmed(session)
  t.strictSame(await inUse(), { '15.1.0': false, '15.2.0': true })
})
