// Creating and deleting channels where agents follow `default` meanwhile, and many lapses at once.
import t from 'tap'
import { recordExpiries } from '../../src/control/core/record-expiries.ts'
import { startPlanes } from '../fixtures/planes.ts'

const WEBAPI = '/v1/webapi/automaticupgrades/channel'

t.test('a channel is not deleted where that would take webapi agents majors down, unless forced', async (t) => {
  const { admin, asAgent } = await startPlanes(t.teardown)
  await admin('POST', '/channels', { name: 'cloud', source: { kind: 'static', version: '16.0.0' } })
  await admin('POST', '/channels', { name: 'default', source: { kind: 'static', version: '14.0.0' } })
  await admin('PUT', '/channels/cloud/halt', { reason: 'looking' })
  const dry = await admin('DELETE', '/channels/cloud?dryRun=true')
  t.match(dry.json(), { status: 422, code: 'guard_refused', guard: 'major-downgrade' })
  const refused = await admin('DELETE', '/channels/cloud')
  t.match(refused.json(), { status: 422, guard: 'major-downgrade' })
  t.equal(await asAgent(`${WEBAPI}/cloud/version`), 'none')
  t.equal((await admin('DELETE', '/channels/cloud', { reason: 'retired', force: true })).statusCode, 204)
  t.equal(await asAgent(`${WEBAPI}/cloud/version`), 'v14.0.0')
})

t.test('a new channel is guarded against what its agents were told as agents of default', async (t) => {
  const { admin, asAgent } = await startPlanes(t.teardown)
  await admin('POST', '/channels', { name: 'default', source: { kind: 'static', version: '14.0.0' } })
  const source = { kind: 'static', version: '9.0.0' }
  t.match((await admin('POST', '/channels', { name: 'new', source })).json(), { guard: 'major-downgrade' })
  t.equal(await asAgent(`${WEBAPI}/new/version`), 'v14.0.0')
  t.equal((await admin('POST', '/channels', { name: 'new' })).statusCode, 201)
  t.match((await admin('PUT', '/channels/new/version', { version: '9.0.0' })).json(), { guard: 'major-downgrade' })
  t.equal((await admin('PUT', '/channels/new/version', { version: '14.0.1' })).statusCode, 200)
})

t.test(
  'many channels that lapse together are journaled in few commits, and a version can be blocked meanwhile',
  async (t) => {
    const { admin, asAgent, clock, deps } = await startPlanes(t.teardown)
    const writes = Array.from({ length: 250 }, (_, index) => `c${index}`)
    for (const name of writes) {
      const source = { kind: 'static', version: '1.0.0', critical: true, criticalUntil: '2026-03-01T00:00:10Z' }
      await admin('POST', '/channels', { name, source })
    }
    await clock.advance(10_000)
    t.equal(await asAgent('/v1/c7/critical'), 'no')
    const before = deps.replica.state?.seq ?? 0
    const blocked = await admin('PUT', '/blocked-versions/1.0.0', { reason: 'pulled' })
    t.equal(blocked.statusCode, 200, blocked.body)
    t.equal((deps.replica.state?.seq ?? 0) - before, 4, 'three commits of lapses, and the block')
    await recordExpiries(deps)
    t.equal((deps.replica.state?.seq ?? 0) - before, 4, 'nothing is left to journal')
  },
)
