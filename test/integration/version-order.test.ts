// Which version agents may be given next, on real processes: what is lower for agents is refused by hand and by a pipeline, releases of
// two schemes wait for a person, and a channel that follows another server takes what it says first.
import t, { type Test } from 'tap'
import type { Reply } from '../../bench/client.ts'
import { createChannel, dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { until } from '../fixtures/redis-process.ts'

const CLOUD = '15.0.0-cloud.20260101T000000.abcdef0'
const OLD_CLOUD = '14.0.0-cloud.20260101T000000.abcdef0'
const STABLE = '/channels/stable%2Fcloud'
const reason = 'because'

interface Fleet {
  readonly server: Running
  /** Calls the admin API as an admin, or with a token that is given. */
  ask(method: string, path: string, body: object, secret?: string): Promise<Reply>
  /** Calls it, and throws where that is not answered 200 or 201. */
  must(method: string, path: string, body: object): Promise<Record<string, unknown>>
  served(): Promise<string>
}

/** A server whose fleet follows one channel, which a pipeline moves. */
async function serving(t: Test, version: string): Promise<Fleet> {
  const server = await run(t, { dataDir: await dataFolder(t) })
  await createChannel(server, 'stable/cloud', version)
  const ask: Fleet['ask'] = (method, path, body, secret) =>
    server.control.admin(method, path, body, secret === undefined ? {} : { authorization: `Bearer ${secret}` })
  const fleet: Fleet = {
    server,
    ask,
    async must(method, path, body) {
      const reply = await ask(method, path, body)
      if (reply.status !== 200 && reply.status !== 201) throw new Error(`${path}: ${reply.status} ${reply.body}`)
      return jsonOf(reply)
    },
    served: () => server.asAgent('/v1/stable/cloud/version'),
  }
  const stages = [{ name: 'everyone', channels: ['stable/cloud'] }]
  await fleet.must('PUT', '/pipelines/cloud', { requirePackages: false, stages })
  return fleet
}

function register({ must }: Fleet, version: string): Promise<unknown> {
  return must('POST', '/releases', { version, commit: 'abcdef0', kind: 'full' })
}

function promote({ ask }: Fleet, release: string, more: object = {}, secret?: string): Promise<Reply> {
  return ask('POST', '/rollouts/cloud/promote', { release, stage: 'everyone', ...more }, secret)
}

async function operatorOf({ must }: Fleet): Promise<string> {
  return String((await must('POST', '/tokens', { name: 'olga', role: 'operator' }))['token'])
}

await t.test(
  'a fleet at 15.4.2 is not served a 15.0.0-cloud release by hand or by a pipeline, but by force',
  async (t) => {
    const fleet = await serving(t, '15.4.2')
    const { ask, must, served } = fleet
    await register(fleet, CLOUD)
    for (const [method, path, body] of [
      ['PUT', `${STABLE}/version`, { version: CLOUD }],
      ['PATCH', STABLE, { source: { kind: 'static', version: CLOUD } }],
    ] as const) {
      const refused = await ask(method, path, body)
      t.equal(refused.status, 422)
      t.match(jsonOf(refused), { code: 'guard_refused', guard: 'downgrade', served: '15.4.2' })
    }
    t.match(jsonOf(await promote(fleet, CLOUD)), { code: 'held_back', blockers: [{ code: 'newer' }] })
    // While nothing is served agents stay on what they have, so a pipeline must not take them down then either.
    await must('PUT', `${STABLE}/version`, { version: null })
    t.match(jsonOf(await promote(fleet, CLOUD)), {
      blockers: [{ code: 'guard', message: /lower by semver than 15\.4\.2/ }],
    })
    await must('PUT', `${STABLE}/version`, { version: '15.4.2' })
    t.equal(await served(), '15.4.2')

    const force = { force: true, reason }
    const operator = await operatorOf(fleet)
    t.equal((await ask('PUT', `${STABLE}/version`, { version: CLOUD, ...force }, operator)).status, 403)
    t.equal((await promote(fleet, CLOUD, force, operator)).status, 403)
    t.match(jsonOf(await promote(fleet, CLOUD, { force: true })), {
      code: 'invalid_request',
      errors: [{ field: 'reason' }],
    })
    t.equal(await served(), '15.4.2')
    t.equal((await promote(fleet, CLOUD, force)).status, 200)
    t.equal(await served(), CLOUD)
    await must('PUT', `${STABLE}/version`, { version: '15.4.2' })
    await must('PUT', `${STABLE}/version`, { version: '15.4.1', ...force })
    t.equal(await served(), '15.4.1')
  },
)

await t.test('pins and rollbacks go down without force, and so does what ends them', async (t) => {
  const fleet = await serving(t, '15.4.2')
  const { ask, must, served } = fleet
  const operator = await operatorOf(fleet)
  const down = async (method: string, path: string, body: object, version: string): Promise<void> => {
    const reply = await ask(method, path, { reason, ...body }, operator)
    t.equal(reply.status, 200, `${method} ${path}: ${reply.body}`)
    t.equal(await served(), version)
  }
  await down('PUT', `${STABLE}/pin`, { version: CLOUD }, CLOUD)
  await down('PUT', `${STABLE}/pin`, { version: '15.4.9' }, '15.4.9')
  await down('DELETE', `${STABLE}/pin`, {}, '15.4.2')
  await must('PUT', `${STABLE}/version`, { version: '15.4.3' })
  await down('POST', `${STABLE}/rollback`, {}, '15.4.2')
  await down('PUT', `${STABLE}/version`, { version: '15.4.0' }, '15.4.2')
  await down('DELETE', `${STABLE}/pin`, {}, '15.4.0')
  await down('PUT', `${STABLE}/halt`, {}, '404 channel stable/cloud has no target version')
  await must('PUT', `${STABLE}/version`, { version: '15.3.9' })
  await down('DELETE', `${STABLE}/halt`, {}, '15.3.9')
  await register(fleet, '15.5.0')
  t.equal((await promote(fleet, '15.5.0', {}, operator)).status, 200)
  await down('POST', '/rollouts/cloud/rollback', {}, '15.3.9')
  await down('POST', '/rollouts/cloud/unpin', {}, '15.3.9')
})

await t.test('14.3.6 over a 14.0.0-cloud release is held, and passes with the force of an admin', async (t) => {
  const fleet = await serving(t, OLD_CLOUD)
  await register(fleet, '14.3.6')
  const operator = await operatorOf(fleet)
  t.match(jsonOf(await promote(fleet, '14.3.6', {}, operator)), {
    code: 'held_back',
    blockers: [{ code: 'newer', message: /neither that nor 14\.3\.6 is the newer release; an admin may force it/ }],
  })
  t.equal((await promote(fleet, '14.3.6', { force: true, reason }, operator)).status, 403)
  t.equal(await fleet.served(), OLD_CLOUD)
  t.equal((await promote(fleet, '14.3.6', { force: true, reason })).status, 200)
  t.equal(await fleet.served(), '14.3.6')
})

await t.test('a later release of a lower major ends no rollout of a higher one', async (t) => {
  const fleet = await serving(t, OLD_CLOUD)
  const [higher, lower] = ['15.0.0-cloud.20260105T000000.abcdef0', '14.0.0-cloud.20260106T000000.abcdef0']
  await register(fleet, higher)
  await register(fleet, lower)
  t.equal((await promote(fleet, lower)).status, 200)
  t.match(jsonOf(await fleet.server.control.admin('GET', `/rollouts/cloud/${higher}`)), { state: 'running' })
  t.equal((await promote(fleet, higher, { force: true, reason })).status, 200)
  t.equal(await fleet.served(), higher)
})

await t.test('a channel beside default follows a server of a lower major from its first answer on', async (t) => {
  const origin = await run(t, { dataDir: await dataFolder(t) })
  await createChannel(origin, 'stable/cloud/v13', '13.4.13')
  const env = { BELLWETHER_UPSTREAM_ALLOW: '127.0.0.1', BELLWETHER_UPSTREAM_INTERVAL_S: '1' }
  const edge = await run(t, { dataDir: await dataFolder(t), env })
  await createChannel(edge, 'default', '15.4.2')
  const webapi = '/v1/webapi/automaticupgrades/channel/stable/cloud/v13/version'
  t.equal(await edge.asAgent(webapi), 'v15.4.2')
  const source = { kind: 'forward', url: `${origin.pollUrl}/v1/stable/cloud/v13` }
  const made = await edge.control.admin('POST', '/channels', { name: 'stable/cloud/v13', source })
  t.equal(made.status, 201)
  t.match(jsonOf(made), {
    warnings: [{ code: 'default_replaced', message: /were served 15\.4\.2, the version of the channel default/ }],
  })
  const shows = (wanted: string) =>
    until(`webapi agents are told ${wanted}`, async () => (await edge.asAgent(webapi)) === wanted)
  await shows('v13.4.13')
  t.equal(await edge.asAgent('/v1/stable/cloud/v13/version'), '13.4.13')
  await origin.control.admin('PUT', '/channels/stable%2Fcloud%2Fv13/pin', { version: '13.4.12', reason })
  await shows('v13.4.12')
  await origin.control.admin('PUT', '/channels/stable%2Fcloud%2Fv13/pin', { version: '12.0.0', reason, force: true })
  const channel = async () => jsonOf(await edge.control.admin('GET', '/channels/stable%2Fcloud%2Fv13'))
  await until('the second answer is judged', async () => JSON.stringify(await channel()).includes('a lower major'))
  t.equal(await edge.asAgent(webapi), 'v13.4.12')

  const own = { name: 'stable/cloud/v14', source: { kind: 'static', version: '14.3.6' } }
  const refused = await edge.control.admin('POST', '/channels', own)
  t.match(jsonOf(refused), { status: 422, guard: 'major-downgrade' })
  const forced = await edge.control.admin('POST', '/channels', { ...own, force: true, reason })
  t.equal(forced.status, 201)
  t.equal(await edge.asAgent('/v1/stable/cloud/v14/version'), '14.3.6')
})
