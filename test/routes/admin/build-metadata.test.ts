// Build metadata over the API: the permission, and what the channel's history allows beyond what its document remembers.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'

const K3S = channelPath('k3s')
const BUILD = '1.28.2+k3s1'
const reason = 'because'

t.test('a channel says whether it allows build metadata, and is refused a version with it until it does', async (t) => {
  const session = await startAdmin(t)
  await session.channel('k3s', '1.28.2')
  t.equal(at(await session.done('GET', K3S), 'allowBuildMetadata'), false)
  const refused = await session.call('PUT', `${K3S}/version`, { version: BUILD, reason, force: true })
  t.match(refused, { status: 422, body: { code: 'guard_refused', guard: 'build_metadata', served: '1.28.2' } })
  const body = { allowBuildMetadata: true, source: { kind: 'static', version: `v${BUILD}` } }
  t.match(await session.done('PATCH', K3S, body), { allowBuildMetadata: true, servedBuilds: [BUILD] })
  t.equal(await session.planes.asAgent('/v1/k3s/version'), BUILD)
  t.equal(at(await session.done('PATCH', K3S, { allowBuildMetadata: false }), 'effective', 'version'), BUILD)
  t.equal(at(await session.done('PATCH', K3S, { allowBuildMetadata: false }), 'unchanged'), true)
})

t.test(
  'what the history of a channel has is let in by hand, also where its document does not remember it',
  async (t) => {
    const session = await startAdmin(t)
    const source = { kind: 'static', version: BUILD }
    await session.done('POST', '/channels', { name: 'k3s', source, allowBuildMetadata: true })
    await session.done('DELETE', K3S, { reason })
    await session.channel('k3s', '1.28.2')
    t.notOk(at(await session.done('GET', K3S), 'servedBuilds'))
    t.equal((await session.call('PUT', `${K3S}/version`, { version: '1.28.2+k3s2' })).status, 422, 'another build')
    for (const [method, rest, body] of [
      ['PUT', '/version', { version: `v${BUILD}` }],
      ['PUT', '/pin', { version: BUILD, reason }],
      ['PATCH', '', { source }],
      ['POST', '/rollback', { to: BUILD, reason }],
    ] as const) {
      const tried = await session.done(method, `${K3S}${rest}?dryRun=true`, body)
      t.match(at(tried, 'wouldChange', 0), { from: '1.28.2', to: BUILD }, `${method} ${rest}`)
    }
  },
)
