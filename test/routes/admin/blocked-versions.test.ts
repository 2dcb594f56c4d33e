// The block list through the API.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const reason = 'it eats data'

t.test(
  'a blocked version is listed, says where it is served, moves no channel, and is refused from then on',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud', '15.1.4')
    await session.channel('a', '15.1.4')
    await session.channel('b', '15.1.3')
    await session.done('PUT', '/channels/b/halt', { reason })
    const reply = await session.call('PUT', '/blocked-versions/v15.1.4', { reason: ` ${reason} ` })
    t.equal(reply.status, 200)
    t.equal(reply.headers['etag'], 'W/"1"')
    t.strictSame(reply.body, {
      version: '15.1.4',
      revision: 1,
      reason,
      by: 'admin',
      at: '2026-03-01T00:00:00.000Z',
      servedBy: ['a', 'stable/cloud'],
    })
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
    t.hasStrict(await session.lastEntry(), {
      kind: 'version.block',
      reason,
      actor: 'admin',
      subjects: ['blocked-version/15.1.4'],
    })
    const refused = await session.call('PUT', '/channels/b/version', { version: '15.1.4' })
    t.equal(at(refused.body, 'guard'), 'blocked-version')
    const { servedBy, ...listed } = { servedBy: [], ...(reply.body as object) } // An object, as was checked above.
    t.ok(servedBy)
    t.strictSame(itemsOf(await session.done('GET', '/blocked-versions')), [listed])
  },
)

t.test('the list is in the order of versions, and build metadata makes another version', async (t) => {
  const session = await startAdmin(t)
  for (const version of ['1.28.2%2Bk3s1', '1.10.0', '1.9.0', '1.28.2+k3s2', '1.9.0-rc.1'])
    await session.done('PUT', `/blocked-versions/${version}`, { reason })
  const listed = itemsOf(await session.done('GET', '/blocked-versions')).map((item) => at(item, 'version'))
  t.strictSame(listed.slice(0, 3), ['1.9.0-rc.1', '1.9.0', '1.10.0'])
  t.strictSame(new Set(listed.slice(3)), new Set(['1.28.2+k3s1', '1.28.2+k3s2']))
  const k3s = { name: 'k3s', source: { kind: 'static', version: '1.28.2' }, allowBuildMetadata: true }
  await session.done('POST', '/channels', k3s)
  t.equal((await session.call('PUT', '/channels/k3s/version', { version: '1.28.2+k3s1' })).status, 422)
  t.equal((await session.call('PUT', '/channels/k3s/version', { version: '1.28.2+k3s3' })).status, 200)
})

t.test('an unblocked version can be set again; one that is not blocked is not_blocked', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.3')
  await session.done('PUT', '/blocked-versions/15.1.4', { reason })
  const reply = await session.call('DELETE', '/blocked-versions/v15.1.4', { reason: 'false alarm' })
  t.equal(reply.status, 204)
  t.hasStrict(await session.lastEntry(), { kind: 'version.unblock', reason: 'false alarm' })
  t.equal((await session.lastEntry()).changes[0]?.after, null)
  await session.done('PUT', channelPath('stable/cloud', '/version'), { version: '15.1.4' })
  const again = await session.call('DELETE', '/blocked-versions/15.1.4', { reason })
  t.equal(again.status, 404)
  t.equal(at(again.body, 'code'), 'not_blocked')
})

t.test('what is no version is refused with the reason why', async (t) => {
  const session = await startAdmin(t)
  for (const version of ['15.1', 'latest', '15.1.4%20', '15.1.04', '%E2%80%AE', '1.2.3%00', 'x'.repeat(600)]) {
    for (const method of ['PUT', 'DELETE'] as const) {
      const reply = await session.call(method, `/blocked-versions/${version}`, { reason })
      t.equal(reply.status, 400, version.slice(0, 20))
      t.equal(at(reply.body, 'errors', 0, 'field'), 'version')
    }
  }
  t.equal((await session.journal()).length, 0)
})

t.test(
  'versions that differ in build metadata alone are listed by their text, and none is lost between pages',
  async (t) => {
    const session = await startAdmin(t)
    const versions = ['15.1.4', '15.1.4+a', '15.1.4+b', '15.1.4+c', '15.1.5']
    for (const version of versions.toReversed()) await session.done('PUT', `/blocked-versions/${version}`, { reason })
    const seen: unknown[] = []
    let next: unknown = null
    do {
      const page = await session.done(
        'GET',
        `/blocked-versions?limit=1${next === null ? '' : `&cursor=${String(next)}`}`,
      )
      const [item] = itemsOf(page)
      seen.push(at(item, 'version'))
      next = at(page, 'next')
      // The place of the next page is in the order alone.
      await session.done('DELETE', `/blocked-versions/${String(at(item, 'version'))}`, { reason })
    } while (next !== null)
    t.strictSame(seen, versions)
  },
)
