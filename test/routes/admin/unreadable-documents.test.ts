// Documents that this build cannot act on: each fails closed, alone, is named, and is mended by a write.
import t, { type Test } from 'tap'
import { channelBody, channelKey } from '../../../src/channels/channel.ts'
import type { JsonObject } from '../../../src/store/port.ts'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { channelOf, NOW } from '../../fixtures/channel-samples.ts'
import { brokenForms, storedForms } from '../../fixtures/stored-forms.ts'
import { commit, put, revisionOf } from '../../fixtures/store-changes.ts'

const reason = 'written by a newer build'
const AT = { at: new Date(NOW).toISOString() }
const CHANNEL = channelPath('broken')

/** Puts a body at a key as another program would: past every rule of this one. */
async function write(session: AdminSession, key: string, body: JsonObject): Promise<void> {
  const { store, replica } = session.planes.deps
  const { seq } = await commit(store, [put(key, replica.state?.revisionOf(key) ?? 0, body)], AT)
  await replica.until((state) => state.seq >= seq)
}

/** A channel at 15.1.4 whose document then becomes what this build does not know. */
async function broken(t: Test, { wasReadable = true } = {}): Promise<AdminSession> {
  const session = await startAdmin(t)
  await session.channel('default', '15.0.0')
  await session.channel('other', '15.1.0')
  if (wasReadable) await session.channel('broken', '15.1.4')
  await write(session, channelKey('broken'), {
    ...channelBody(channelOf({ name: 'broken' })),
    source: { kind: 'scheduled' },
  })
  return session
}

t.test('a channel that cannot be read answers 503 on every path of it, and every other one as before', async (t) => {
  const session = await broken(t)
  const { asAgent } = session.planes
  for (const path of ['/v1/broken', '/v1/broken/cohort/7', '/webapi/automaticupgrades/channel/broken']) {
    t.equal(await asAgent(`${path}/version`), '503 channel broken cannot be read')
    t.equal(await asAgent(`${path}/critical`), '503 channel broken cannot be read')
  }
  t.equal(await asAgent('/v1/other/version'), '15.1.0')
  const response = await session.planes.poll.inject('/v1/broken/version')
  t.equal(response.headers['cache-control'], 'no-store')
})

t.test('it is named in readiness, which stays green, in the metrics, and to whoever reads it', async (t) => {
  const session = await broken(t)
  const { body } = await session.inject({ url: '/readyz' })
  t.hasStrict(body, { ready: true, status: 'following' })
  t.match(at(body, 'warnings'), [
    {
      code: 'unreadable_document',
      message: /channel\/broken cannot be read: source\/kind must be one of static, forward, not another text/,
    },
  ])
  const metrics = await session.planes.control.inject('/metrics')
  t.match(metrics.body, /^bellwether_unreadable_documents 1$/m)
  t.hasStrict((await session.call('GET', CHANNEL)).body, { code: 'document_unreadable' })
  t.same(
    (at(await session.done('GET', '/channels'), 'items') as unknown[]).map((item) => at(item, 'name')), // Its schema.
    ['default', 'other'],
  )
})

t.test('without a token only channels are named: other keys may be under an embargo', async (t) => {
  const session = await broken(t)
  for (const key of ['release/15.2.7', 'release/15.2.8', 'token/abc']) await write(session, key, { state: 'junk' })
  const ready = JSON.stringify((await session.inject({ url: '/readyz' })).body)
  t.match(ready, 'channel/broken')
  t.match(ready, '2 of the kind release')
  t.match(ready, '1 of the kind token')
  t.notMatch(ready, /15\.2\.[78]|token\/abc/)
  const first = await session.done('GET', '/store/unreadable?limit=2')
  t.match(at(first, 'items'), [{ key: 'channel/broken', detail: /^source\/kind/ }, { key: 'release/15.2.7' }])
  const second = await session.done('GET', `/store/unreadable?limit=2&cursor=${String(at(first, 'next'))}`)
  t.match(second, { items: [{ key: 'release/15.2.8' }, { key: 'token/abc' }], next: null })
  t.match((await session.call('GET', '/store/unreadable?cursor=x')).body, { code: 'invalid_request' })
  for (const token of [await session.token('operator'), await session.token('admin', ['broken'])]) {
    t.equal((await session.call('GET', '/store/unreadable', undefined, { token })).status, 403)
  }
})

t.test('setting a version mends it, judged against its last version that can be read', async (t) => {
  const session = await broken(t)
  const refused = await session.call('PUT', `${CHANNEL}/version`, { version: '14.0.0', reason })
  t.hasStrict(refused.body, { code: 'guard_refused', guard: 'major-downgrade', served: '15.1.4' })
  const mended = await session.done('PUT', `${CHANNEL}/version`, { version: '15.1.5', reason })
  t.equal(at(mended, 'revision'), 3)
  t.equal(await session.planes.asAgent('/v1/broken/version'), '15.1.5')
  t.same(at((await session.inject({ url: '/readyz' })).body, 'warnings'), [])
})

t.test('without a version that can be read it takes an admin and force', async (t) => {
  const session = await broken(t, { wasReadable: false })
  const token = await session.token('operator')
  for (const [method, path, body] of [
    ['PUT', `${CHANNEL}/version`, { version: '15.1.5', reason }],
    ['POST', '/channels', { name: 'broken', source: { kind: 'static', version: '15.1.5' } }],
    ['PUT', `${CHANNEL}/halt`, { reason }],
  ] as const) {
    const reply = await session.call(method, path, body, { token })
    t.hasStrict(reply.body, { status: 409, code: 'document_unreadable' }, path)
  }
  const forced = await session.call('PUT', `${CHANNEL}/version`, { version: '15.1.5', reason, force: true }, { token })
  t.equal(forced.status, 403)
  await session.done('PUT', `${CHANNEL}/version`, { version: '15.1.5', reason, force: true })
  t.equal(await session.planes.asAgent('/v1/broken/version'), '15.1.5')
})

t.test('it is deleted as any other channel, and a mirror does not write over it', async (t) => {
  const session = await broken(t)
  const mirror = await session.call('POST', '/mirror', { url: 'https://93.184.216.34', channels: ['broken'] })
  t.hasStrict(mirror.body, { code: 'document_unreadable' })
  t.equal((await session.call('DELETE', CHANNEL, { reason, force: true })).status, 204)
  t.equal(await session.planes.asAgent('/v1/broken/version'), '404 unknown channel')
})

t.test('an entry of the block list that cannot be read blocks its version, until it is taken off', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await write(session, 'blocked-version/15.1.5', { version: 7 })
  const path = `${channelPath('stable/cloud')}/version`
  t.hasStrict((await session.call('PUT', path, { version: '15.1.5' })).body, { guard: 'blocked-version' })
  t.equal((await session.call('DELETE', '/blocked-versions/15.1.5', { reason })).status, 204)
  await session.done('PUT', path, { version: '15.1.5' })
})

t.test('a token that cannot be read lets nobody in, and can be revoked', async (t) => {
  const session = await startAdmin(t)
  const token = await session.token('admin')
  const id = token.split('_')[1] ?? ''
  const stored = session.planes.deps.replica.state?.document(`token/${id}`)?.body ?? {}
  await write(session, `token/${id}`, { ...stored, role: 'superadmin' })
  t.equal((await session.call('GET', '/whoami', undefined, { token })).status, 401)
  t.same(at(await session.done('GET', '/tokens'), 'items'), [])
  t.equal((await session.call('DELETE', `/tokens/${id}`, { reason })).status, 204)
})

t.test('while a release cannot be read nobody but admins reads what people have written', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${channelPath('stable/cloud')}/version`, { version: '15.1.5', reason: 'fixes the leak' })
  const token = await session.token('viewer')
  const history = async (): Promise<string> =>
    JSON.stringify((await session.call('GET', `${channelPath('stable/cloud')}/history`, undefined, { token })).body)
  t.match(await history(), 'fixes the leak')
  await write(session, 'release/15.2.0', { version: '15.2.0', changes: 'fixes the leak' })
  t.notMatch(await history(), 'fixes the leak')
  const journal = await session.call('GET', '/journal', undefined, { token })
  t.notMatch(JSON.stringify(journal.body), 'fixes the leak')
  t.match(JSON.stringify(await session.done('GET', '/journal')), 'fixes the leak')
  await session.done('POST', '/store/repair', { key: 'release/15.2.0', reason, force: true })
  t.match(await history(), 'fixes the leak')
})

t.test('store/repair writes the last readable version back, or with force takes the document away', async (t) => {
  const session = await broken(t)
  const repair = (key: string, more: object = {}) => session.call('POST', '/store/repair', { key, reason, ...more })
  t.hasStrict((await repair('channel/other')).body, { status: 409, code: 'document_readable' })
  const would = await session.done('POST', '/store/repair?dryRun=true', { key: 'channel/broken', reason })
  t.match(would, { key: 'channel/broken', from: 'journal', dryRun: true, wouldChange: [{ to: '15.1.4' }] })
  t.same((await repair('channel/broken')).body, { key: 'channel/broken', from: 'journal' })
  t.equal(await session.planes.asAgent('/v1/broken/version'), '15.1.4')
  t.match(await session.lastEntry(), { kind: 'store.repair', actor: 'admin', reason })

  await write(session, 'rollout/cloud/15.2.0', { state: 'junk' })
  t.hasStrict((await repair('rollout/cloud/15.2.0')).body, { status: 409, code: 'document_unreadable' })
  t.same((await repair('rollout/cloud/15.2.0', { force: true })).body, { key: 'rollout/cloud/15.2.0', from: 'nothing' })
  t.equal(await revisionOf(session.planes.deps.store, 'rollout/cloud/15.2.0'), 0)
})

t.test('a version that was blocked meanwhile does not come back by a repair', async (t) => {
  const session = await broken(t)
  await session.done('PUT', '/blocked-versions/15.1.4', { reason })
  const reply = await session.call('POST', '/store/repair', { key: 'channel/broken', reason })
  t.hasStrict(reply.body, { status: 409, code: 'document_unreadable' })
  t.match(at(reply.body, 'detail'), /15\.1\.4, which is on the block list/)
  await session.done('PUT', `${CHANNEL}/version`, { version: '15.1.5', reason })
  t.equal(await session.planes.asAgent('/v1/broken/version'), '15.1.5')
})

t.test('whatever one member of any document becomes, nothing else changes and nothing fails', async (t) => {
  const session = await startAdmin(t)
  await session.channel('other', '15.1.0')
  const pages = ['/channels', '/releases', '/pipelines', '/rollouts', '/blocked-versions', '/tokens', '/replicas']
  const own = ['/channels/broken', '/channels/broken/history', '/channels/broken/compatibility', '/releases/15.2.0']
  for (const { key, body } of storedForms) await write(session, key, body)
  t.same(session.planes.deps.replica.state?.unreadable.size, 0, 'as they are written they can be read')
  let forms = 0
  for (const { key, body } of storedForms) {
    const faults: string[] = []
    for (const form of brokenForms(body)) {
      await write(session, key, form.body)
      forms += 1
      for (const path of forms % 10 === 0 ? [...pages, ...own, '/journal?limit=5'] : ['/journal?limit=1']) {
        // Past the contract: members that this build does not know are shown as they are.
        const { statusCode } = await session.planes.admin('GET', path)
        if (statusCode >= 500) faults.push(`${form.what}: ${path} ${statusCode}`)
      }
      const answer = await session.planes.asAgent(`/v1/${key.split('/')[1] ?? ''}/version`)
      if (!/^(?:15\.1\.[234]|503 channel|404 )/.test(answer)) faults.push(`${form.what}: served ${answer}`)
      if ((await session.planes.asAgent('/v1/other/version')) !== '15.1.0') faults.push(`${form.what}: other`)
    }
    await write(session, key, body)
    t.same(faults, [], key)
  }
  t.ok(forms > 500, `${forms} forms`)
  t.same(session.planes.deps.replica.state?.unreadable.size, 0, 'and can be read again')
})
