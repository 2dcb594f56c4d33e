// Rollbacks and compatibility from end to end: what was served when, and where one goes back to.
import t, { type Test } from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { range } from '../../fixtures/store-changes.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'
const DAY_MS = 24 * HOUR_MS

async function served(t: Test, ...versions: readonly string[]): Promise<AdminSession> {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', versions[0] ?? null)
  for (const version of versions.slice(1)) await session.done('PUT', `${CLOUD}/version`, { version })
  return session
}

function rollBack(session: AdminSession, more: object = {}) {
  return session.call('POST', `${CLOUD}/rollback`, { reason, ...more })
}

t.test('each rollback goes back one more version, until there is none: no_earlier_version', async (t) => {
  const session = await served(t, '15.1.1', '15.1.2', '15.1.3')
  for (const version of ['15.1.2', '15.1.1']) {
    const { body, status } = await rollBack(session, { critical: true })
    t.equal(status, 200)
    t.hasStrict(at(body, 'pin'), { version, critical: true, reason, by: 'admin', until: null })
    t.strictSame(at(body, 'effective'), { version, critical: true, because: 'pin', detail: null })
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), version)
    t.hasStrict(await session.lastEntry(), { kind: 'channel.rollback', reason })
  }
  const none = await rollBack(session)
  t.equal(none.status, 409)
  t.equal(at(none.body, 'code'), 'no_earlier_version')
  await session.done('DELETE', `${CLOUD}/pin`, { reason, force: true })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.3')
})

t.test('a rollback goes to a version or a revision that is named, and never to one that was not served', async (t) => {
  const session = await served(t, '15.1.1', '15.1.2', '15.1.3')
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.0', reason })
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.9' })
  const to = async (target: string | number) => {
    const { status, body } = await rollBack(session, { to: target })
    return status === 200 ? at(body, 'effective', 'version') : at(body, 'code')
  }
  t.equal(await to('v15.1.2'), '15.1.2')
  t.equal(await to(1), '15.1.1')
  t.equal(await to(3), '15.1.3')
  t.equal(await to(4), '15.1.0', 'what was pinned then')
  t.equal(await to('15.1.9'), 'no_earlier_version', 'it was never served, only set under a pin')
  t.equal(await to('15.0.9'), 'no_earlier_version')
  t.equal(await to(99), 'no_earlier_version')
  t.equal(await to('15.1'), 'invalid_request')
})

t.test('a rollback finds its way over halts, pins and times without a version', async (t) => {
  const session = await served(t, '15.1.1', '15.1.2')
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  const underHalt = await rollBack(session)
  t.strictSame(at(underHalt.body, 'pin', 'version'), '15.1.1')
  t.equal(at(underHalt.body, 'effective', 'because'), 'halt', 'agents stay until it is resumed')
  await session.done('DELETE', `${CLOUD}/halt`, { reason })
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.1')
  await session.done('DELETE', `${CLOUD}/pin`, { reason, force: true })
  await session.done('PUT', `${CLOUD}/version`, { version: null })
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.3' })
  t.equal(at((await rollBack(session)).body, 'effective', 'version'), '15.1.2')
  const toHalt = await rollBack(session, { to: 3 })
  t.equal(at(toHalt.body, 'code'), 'no_earlier_version', 'no version was served then')
})

t.test('a rollback is guarded like any change', async (t) => {
  const session = await served(t, '14.9.9', '15.0.0')
  const refused = await rollBack(session)
  t.hasStrict(refused.body, { code: 'guard_refused', guard: 'major-downgrade', served: '15.0.0' })
  t.equal((await rollBack(session, { force: true })).status, 200)
  await session.done('DELETE', `${CLOUD}/pin`, { reason, force: true })
  await session.done('PUT', '/blocked-versions/14.9.9', { reason })
  t.equal(at((await rollBack(session, { to: '14.9.9', force: true })).body, 'guard'), 'blocked-version')
})

t.test('a rollback reads a history of more than a page of the journal', async (t) => {
  const session = await served(t, '15.0.0')
  for (const index of range(1, 520)) {
    await session.planes.deps.store.commit({
      ...{
        at: '2026-03-01T00:00:00.000Z',
        actor: 'ann',
        kind: 'channel.edit',
        reason: null,
        requestId: null,
        decidedOn: null,
        reads: [],
      },
      writes: [
        { key: 'channel/stable/cloud', expected: index, body: { ...(await bodyOf(session)), description: `${index}` } },
      ],
    })
  }
  await session.planes.deps.replica.until(({ seq }) => seq === 521)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.0.1' })
  t.equal(at((await rollBack(session)).body, 'effective', 'version'), '15.0.0')
  t.equal(at((await rollBack(session, { to: 1 })).body, 'effective', 'version'), '15.0.0')
})

async function bodyOf(session: AdminSession) {
  return (await session.lastEntry()).changes[0]?.after?.body ?? {}
}

t.test('compatibility has every version within the grace period, and the lowest of them', async (t) => {
  const session = await served(t, '15.1.0')
  const { clock } = session.planes
  await clock.advance(10 * DAY_MS)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.2.0' })
  await clock.advance(10 * DAY_MS)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.3.0' })
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.2.5', reason })
  await clock.advance(DAY_MS)
  const compatibility = (query = '') => session.done('GET', `${CLOUD}/compatibility${query}`)
  t.strictSame(await compatibility(), {
    oldest: '15.1.0',
    versions: [
      { version: '15.1.0', firstServedAt: '2026-03-01T00:00:00.000Z', lastServedAt: '2026-03-11T00:00:00.000Z' },
      { version: '15.2.0', firstServedAt: '2026-03-11T00:00:00.000Z', lastServedAt: '2026-03-21T00:00:00.000Z' },
      { version: '15.3.0', firstServedAt: '2026-03-21T00:00:00.000Z', lastServedAt: '2026-03-21T00:00:00.000Z' },
      { version: '15.2.5', firstServedAt: '2026-03-21T00:00:00.000Z', lastServedAt: null },
    ],
    unknownBefore: null,
  })
  t.equal(at(await compatibility('?grace=P2D'), 'oldest'), '15.2.0')
  t.equal(at(await compatibility('?grace=PT1H'), 'oldest'), '15.2.5')
  t.equal(at(await compatibility('?grace=P0D'), 'oldest'), '15.2.5', 'what is served now always counts')
  t.equal(at(await compatibility('?grace=P999999W'), 'oldest'), '15.1.0')
})

t.test('a halted channel still counts what its agents stay on; one never served has nothing', async (t) => {
  const session = await served(t, '15.1.0')
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  await session.planes.clock.advance(100 * DAY_MS)
  t.equal(at(await session.done('GET', `${CLOUD}/compatibility`), 'oldest'), '15.1.0')
  await session.channel('empty', null)
  t.strictSame(await session.done('GET', '/channels/empty/compatibility'), {
    oldest: null,
    versions: [],
    unknownBefore: null,
  })
})
