// The way out of a rollback over the API: its pin is not taken away by surprise, and one request ends it with a good version.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

/** A channel that was rolled back from 15.1.5 to 15.1.4. */
async function rolledBack(t: Parameters<typeof startAdmin>[0], body: object = {}): Promise<AdminSession> {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  await session.done('POST', `${CLOUD}/rollback`, { reason: 'crash loop', ...body })
  return session
}

function polled(session: AdminSession): Promise<string> {
  return session.planes.asAgent('/v1/stable/cloud/version')
}

function warned(body: unknown): unknown {
  return at(body, 'warnings', 0, 'code') ?? null
}

t.test(
  'the pin of a rollback is not taken away while the source is the bad version; an admin may force it',
  async (t) => {
    const session = await rolledBack(t)
    const refused = await session.call('DELETE', `${CLOUD}/pin`, { reason })
    t.match(refused, { status: 422, body: { code: 'guard_refused', guard: 'rollback_end', served: '15.1.4' } })
    t.match(at(refused.body, 'detail'), /15\.1\.5 was rolled back here .*unpin.*force/)
    t.equal(await polled(session), '15.1.4')
    const tried = await session.done('DELETE', `${CLOUD}/pin?dryRun=true`, { reason, force: true })
    t.match(at(tried, 'verdicts', 6), { guard: 'rollback_end', verdict: 'forced' })
    await session.done('DELETE', `${CLOUD}/pin`, { reason, force: true })
    t.equal(await polled(session), '15.1.5')
  },
)

t.test('a version under the pin is accepted with a warning, and the pin can end then', async (t) => {
  const session = await rolledBack(t)
  const moved = await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6' })
  t.match(moved, { effective: { version: '15.1.4' }, warnings: [{ code: 'pinned', message: /15\.1\.4 still.*unpin/ }] })
  t.equal(
    warned(await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6' })),
    'pinned',
    'also where it is so already',
  )
  t.equal(warned(await session.done('GET', CLOUD)), null, 'it is about the write')
  t.strictSame(at(await session.done('DELETE', `${CLOUD}/pin`, { reason }), 'warnings'), [])
  t.equal(await polled(session), '15.1.6')
})

t.test('a version with `unpin` ends the rollback in one entry', async (t) => {
  const session = await rolledBack(t)
  const { seq } = await session.lastEntry()
  const bad = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5', unpin: true })
  t.match(bad, { status: 422, body: { guard: 'rollback_end' } })
  const done = await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true, reason })
  t.match(done, { pin: null, source: { version: '15.1.6' }, effective: { version: '15.1.6' }, warnings: [] })
  t.match(await session.lastEntry(), { seq: seq + 1, kind: 'channel.version' })
  t.equal(await polled(session), '15.1.6')
})

t.test('`unpin` is judged against what is served, not against the source', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/version`, { version: '16.0.0' })
  await session.done('POST', `${CLOUD}/rollback`, { reason, force: true })
  const jump = await session.call('PUT', `${CLOUD}/version`, { version: '17.0.0', unpin: true })
  t.match(jump, { status: 422, body: { guard: 'major-jump', served: '15.1.4' } })
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true })
  t.equal(await polled(session), '15.1.6')
})

t.test('a rollback with `block` puts the version that it leaves on the block list, in the same entry', async (t) => {
  const session = await startAdmin(t)
  for (const name of ['stable/cloud', 'beta']) await session.channel(name, '15.1.4')
  for (const name of ['stable/cloud', 'beta'])
    await session.done('PUT', channelPath(name, '/version'), { version: '15.1.5' })
  const tried = await session.done('POST', `${CLOUD}/rollback?dryRun=true`, { reason, block: true })
  const keys = ['channel/stable/cloud', 'blocked-version/15.1.5']
  t.match(tried, { wouldChange: keys.map((key) => ({ key })), blocked: { version: '15.1.5', servedBy: ['beta'] } })
  const done = await session.done('POST', `${CLOUD}/rollback`, { reason, block: true })
  t.match(done, { effective: { version: '15.1.4' }, blocked: { version: '15.1.5', servedBy: ['beta'] } })
  t.match(await session.lastEntry(), { kind: 'channel.rollback', subjects: keys })
  t.match(await session.done('GET', '/blocked-versions'), {
    items: [{ version: '15.1.5', reason: `rolled back: ${reason}` }],
  })
  const forced = await session.call('DELETE', `${CLOUD}/pin`, { reason, force: true })
  t.match(forced, { status: 422, body: { guard: 'blocked-version' } }, 'no force passes that')
  const beta = await session.done('POST', channelPath('beta', '/rollback'), { reason, block: true })
  t.notOk(at(beta, 'blocked'), 'it is there already')
  t.equal(await polled(session), '15.1.4')
})

t.test('`block` needs role operator and a token for all channels, in a dry run too', async (t) => {
  const session = await rolledBack(t)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true })
  const limited = await session.token('operator', ['stable/*'])
  const back = (body: object, token: string, query = '') =>
    session.call('POST', `${CLOUD}/rollback${query}`, { reason, ...body }, { token })
  for (const query of ['', '?dryRun=true']) {
    t.match(await back({ block: true }, limited, query), {
      status: 403,
      body: { code: 'out_of_scope', missingScope: '*' },
    })
  }
  t.equal((await back({ block: false }, limited, '?dryRun=true')).status, 200)
  const viewer = await session.token('viewer')
  t.match(await back({ block: true }, viewer), { status: 403, body: { code: 'role_too_low' } })
  t.match(await back({ block: true }, await session.token('operator')), {
    status: 200,
    body: { blocked: { version: '15.1.6' } },
  })
})

t.test(
  'a rollback to what is served already blocks what the pin remembers, and nothing where it remembers nothing',
  async (t) => {
    const session = await rolledBack(t)
    const late = await session.done('POST', `${CLOUD}/rollback`, { reason, to: '15.1.4', block: true })
    t.match(late, { blocked: { version: '15.1.5' } })
    const other = await startAdmin(t)
    await other.channel('stable/cloud', '15.1.4')
    const none = await other.call('POST', `${CLOUD}/rollback`, { reason, to: '15.1.4', block: true })
    t.match(none, { status: 400, body: { code: 'invalid_request', errors: [{ field: 'block' }] } })
  },
)

t.test('under a halt a change of what is served warns, and the end of the pin is refused', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  t.equal(warned(await session.done('POST', `${CLOUD}/rollback`, { reason })), 'halted')
  t.equal((await session.call('DELETE', `${CLOUD}/pin`, { reason })).status, 422)
  t.equal(warned(await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6' })), 'halted')
  t.equal(warned(await session.done('DELETE', `${CLOUD}/pin`, { reason })), 'halted')
  t.strictSame(at(await session.done('DELETE', `${CLOUD}/halt`, { reason }), 'warnings'), [])
  t.equal(await polled(session), '15.1.6')
})

t.test(
  'a rollback whose time is over is held, and said to be: to agents, in the answer, in /readyz and in the metrics',
  async (t) => {
    const session = await rolledBack(t)
    const pin = { version: '15.1.4', reason, until: '2026-03-01T01:00:00Z' }
    await session.done('PUT', `${CLOUD}/pin`, pin)
    const metric = async (): Promise<string | undefined> =>
      /^bellwether_held_pins (\d+)$/m.exec((await session.planes.control.inject({ url: '/metrics' })).body)?.[1]
    t.equal(await metric(), '0')
    await session.planes.clock.advance(HOUR_MS)
    t.equal(await polled(session), '15.1.4')
    const held = { code: 'pin_held', message: /15\.1\.5 was rolled back here/ }
    t.match(await session.done('GET', CLOUD), { effective: { because: 'held' }, warnings: [held] })
    const readiness = await session.planes.control.inject({ url: '/readyz' })
    t.match(readiness.json(), {
      warnings: [{ code: 'pin_held', message: /channel stable\/cloud is held \(rollback_end\)/ }],
    })
    t.equal(await metric(), '1')
    await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true })
    t.equal(await metric(), '0')
    t.strictSame((await session.planes.control.inject({ url: '/readyz' })).json().warnings, [])
  },
)
