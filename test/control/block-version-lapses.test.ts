// Blocking and unblocking while expiries are not journaled yet: what time has decided must not be decided again.
import t from 'tap'
import { startPlanes } from '../fixtures/planes.ts'

t.test('blocking what is served since a pin ended does not bring the pin back', async (t) => {
  const planes = await startPlanes(t.teardown)
  const { admin, asAgent, clock } = planes
  await admin('POST', '/channels', { name: 'cloud', source: { kind: 'static', version: '14.0.0' } })
  const pin = { version: '13.0.0', until: '2026-03-01T00:00:10Z', reason: 'r', force: true }
  t.equal((await admin('PUT', '/channels/cloud/pin', pin)).statusCode, 200)
  t.equal(await asAgent('/v1/cloud/version'), '13.0.0')
  // Nothing journals lapses here (startExpiryTask is not started), as while the store was down.
  await clock.advance(10_000)
  t.equal(await asAgent('/v1/cloud/version'), '14.0.0')
  const blocked = await admin('PUT', '/blocked-versions/14.0.0', { reason: 'pulled' })
  t.equal(blocked.statusCode, 200, blocked.body)
  t.strictSame(blocked.json().servedBy, ['cloud'])
  t.equal(await asAgent('/v1/cloud/version'), '14.0.0', 'blocking moves no channel')
  t.match((await admin('GET', '/channels/cloud')).json(), { pin: null, effective: { because: 'source' } })
})

t.test('unblocking does not end a pin that was held at its moment', async (t) => {
  const { admin, asAgent, clock } = await startPlanes(t.teardown)
  await admin('POST', '/channels', { name: 'cloud', source: { kind: 'static', version: '14.0.0' } })
  await admin('PUT', '/channels/cloud/pin', { version: '14.0.1', until: '2026-03-01T00:00:10Z', reason: 'r' })
  await admin('PUT', '/blocked-versions/14.0.0', { reason: 'pulled' })
  await clock.advance(10_000)
  t.equal(await asAgent('/v1/cloud/version'), '14.0.1', 'its end would serve a blocked version')
  await admin('DELETE', '/blocked-versions/14.0.0', { reason: 'was fine' })
  t.equal(await asAgent('/v1/cloud/version'), '14.0.1', 'only an operator ends it now')
  t.match((await admin('GET', '/channels/cloud')).json(), {
    pin: { until: null, held: { guard: 'blocked-version' } },
    effective: { because: 'held' },
  })
})

t.test('a rollback goes past a blocked version to the one before it', async (t) => {
  const { admin, asAgent } = await startPlanes(t.teardown)
  await admin('POST', '/channels', { name: 'cloud', source: { kind: 'static', version: '14.0.0' } })
  await admin('PUT', '/channels/cloud/version', { version: '14.0.1' })
  await admin('PUT', '/channels/cloud/version', { version: '14.0.2' })
  await admin('PUT', '/blocked-versions/14.0.1', { reason: 'pulled' })
  const rolledBack = await admin('POST', '/channels/cloud/rollback', { reason: 'crashes' })
  t.equal(rolledBack.statusCode, 200, rolledBack.body)
  t.equal(await asAgent('/v1/cloud/version'), '14.0.0')
})
