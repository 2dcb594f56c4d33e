// The way out of a rollback, build metadata, and a fix that becomes urgent after its stage was promoted by itself: on a real server
// process, through HTTP alone, with what agents are answered beside what the admin API says.
import t from 'tap'
import { createChannel, dataFolder, jsonOf, run, setVersion, type Running } from '../fixtures/fault-process.ts'
import { until } from '../fixtures/redis-process.ts'
import { startUpstream } from '../fixtures/upstream-server.ts'

/** A machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 180_000
/** A pin ends so soon that the test need not wait long, and so late that it can be set before. */
const PIN_MS = 1_500
const CLOUD = '/channels/stable%2Fcloud'
const reason = 'because'

t.setTimeout(FILE_TIMEOUT_MS)

async function asked(server: Running, method: string, path: string, body?: object) {
  const reply = await server.control.admin(method, path, body)
  return { status: reply.status, body: reply.body === '' ? {} : jsonOf(reply) }
}

async function done(server: Running, method: string, path: string, body?: object): Promise<object> {
  const { status, body: answer } = await asked(server, method, path, body)
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`)
  return answer
}

const served = (server: Running, name = 'stable/cloud'): Promise<string> => server.asAgent(`/v1/${name}/version`)

await t.test('a rollback ends by a good version, never by surprise, and survives a kill', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir })
  await createChannel(server, 'stable/cloud', '15.1.4')
  await setVersion(server, 'stable/cloud', '15.1.5')
  await done(server, 'POST', `${CLOUD}/rollback`, { reason })
  const refused = { status: 422, body: { code: 'guard_refused', guard: 'rollback_end', served: '15.1.4' } }
  t.match(await asked(server, 'DELETE', `${CLOUD}/pin`, { reason }), refused)
  t.match(await asked(server, 'PUT', `${CLOUD}/version`, { version: '15.1.5', unpin: true }), refused)
  const unseen = await done(server, 'PUT', `${CLOUD}/version`, { version: '15.1.5', critical: true })
  t.match(unseen, { warnings: [{ code: 'pinned' }], effective: { version: '15.1.4' } })
  t.equal(await served(server), '15.1.4')
  await server.end('SIGKILL')

  const again = await run(t, { dataDir })
  t.match(await asked(again, 'DELETE', `${CLOUD}/pin`, { reason }), refused, 'it is remembered')
  const ended = await done(again, 'PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true })
  t.match(ended, { pin: null, warnings: [], effective: { version: '15.1.6', because: 'source' } })
  t.equal(await served(again), '15.1.6')
  const back = { reason, block: true }
  t.match(await done(again, 'POST', `${CLOUD}/rollback`, back), { blocked: { version: '15.1.6', servedBy: [] } })
  const forced = await asked(again, 'DELETE', `${CLOUD}/pin`, { reason, force: true })
  t.match(forced, { status: 422, body: { guard: 'blocked-version' } })
})

await t.test('a rollback whose time is over is held: agents, journal, log and /readyz say the same', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir, env: { BELLWETHER_LOG_LEVEL: 'warn' } })
  await createChannel(server, 'stable/cloud', '15.1.4')
  await setVersion(server, 'stable/cloud', '15.1.5')
  await done(server, 'POST', `${CLOUD}/rollback`, { reason })
  const ends = new Date(Date.now() + PIN_MS).toISOString()
  await done(server, 'PUT', `${CLOUD}/pin`, { version: '15.1.4', until: ends, reason })
  const holds = async () => {
    const { items } = jsonOf(await server.control.admin('GET', '/journal?kind=channel.hold'))
    return items as readonly object[]
  }
  const told = new Set<string>()
  await until('the hold is recorded', async () => {
    told.add(await served(server))
    return (await holds()).length > 0
  })
  t.strictSame([...told], ['15.1.4'], 'agents were served nothing else at any time')
  t.match(await done(server, 'GET', CLOUD), {
    effective: { version: '15.1.4', because: 'held' },
    pin: { until: null, held: { guard: 'rollback_end' }, rolledBackFrom: ['15.1.5'] },
    warnings: [{ code: 'pin_held' }],
  })
  t.match(jsonOf(await server.control.get('/readyz')), { warnings: [{ code: 'pin_held' }] })
  t.match((await server.control.get('/metrics')).body, /^bellwether_held_pins 1$/m)
  const logged = (): number =>
    server
      .output()
      .stderr.split('\n')
      .filter((line) => line.includes('held past')).length
  await until('it is logged', async () => logged() > 0)
  t.equal((await holds()).length, 1)
  await done(server, 'PUT', `${CLOUD}/version`, { version: '15.1.6', unpin: true })
  t.equal(await served(server), '15.1.6')
  t.equal(logged(), 1)
})

await t.test(
  'build metadata is let in by channel, from an upstream too, and what was served can come back',
  async (t) => {
    const upstream = await startUpstream(t)
    const env = { BELLWETHER_UPSTREAM_ALLOW: '127.0.0.1', BELLWETHER_UPSTREAM_INTERVAL_S: '1' }
    const server = await run(t, { dataDir: await dataFolder(t), env })
    await createChannel(server, 'stable/cloud', '15.1.4')
    const build = { version: '15.1.5+k3s1' }
    for (const [method, path, body] of [
      ['PUT', `${CLOUD}/version`, build],
      ['PUT', `${CLOUD}/version`, { ...build, reason, force: true }],
      ['PATCH', CLOUD, { source: { kind: 'static', ...build } }],
      ['PUT', `${CLOUD}/pin`, { ...build, reason }],
      ['POST', '/channels', { name: 'k3s', source: { kind: 'static', ...build } }],
    ] as const) {
      const refused = { status: 422, body: { guard: 'build_metadata' } }
      t.match(await asked(server, method, path, body), refused, `${method} ${path}`)
    }
    await done(server, 'PATCH', CLOUD, { allowBuildMetadata: true })
    await done(server, 'PUT', `${CLOUD}/version`, build)
    await done(server, 'PATCH', CLOUD, { allowBuildMetadata: false })
    await done(server, 'PUT', `${CLOUD}/version`, { version: '15.1.6' })
    await done(server, 'POST', `${CLOUD}/rollback`, { reason })
    t.equal(await served(server), build.version, 'a rollback goes back to what was served')

    await done(server, 'POST', '/channels', { name: 'edge', source: { kind: 'forward', url: upstream.url('edge') } })
    await until('the first answer is served', async () => (await served(server, 'edge')) === '15.1.4')
    upstream.serve(build.version)
    const problem = async () => JSON.stringify(await done(server, 'GET', '/channels/edge'))
    await until('the answer is refused', async () => (await problem()).includes('has build metadata'))
    t.equal(await served(server, 'edge'), '15.1.4')
    await done(server, 'PATCH', '/channels/edge', { allowBuildMetadata: true })
    await until('the answer is served', async () => (await served(server, 'edge')) === build.version)
  },
)

await t.test('a fix becomes critical on a stage that was promoted by itself', async (t) => {
  const server = await run(t, { dataDir: await dataFolder(t) })
  for (const name of ['canary', 'everyone']) await createChannel(server, name, '15.1.4')
  const stages = [
    { name: 'canary', channels: ['canary'], auto: true },
    { name: 'everyone', channels: ['everyone'] },
  ]
  await done(server, 'PUT', '/pipelines/cloud', { requirePackages: false, stages })
  await done(server, 'POST', '/releases', {
    ...{ version: '15.1.5', commit: 'aabbccd', kind: 'full', changes: [] },
    security: { embargoed: true, fixes: ['GHSA-1234'] },
  })
  await until('the canary has it', async () => (await served(server, 'canary')) === '15.1.5')
  const critical = (name: string): Promise<string> => server.asAgent(`/v1/${name}/critical`)
  t.equal(await critical('canary'), 'no')
  const urgent = { release: '15.1.5', stage: 'canary', critical: true }
  await done(server, 'POST', '/rollouts/cloud/promote', urgent)
  t.equal(await critical('canary'), 'yes')
  t.match(await asked(server, 'POST', '/rollouts/cloud/promote', urgent), { status: 422 }, 'it is so already')
  t.equal(await critical('everyone'), 'no')
  await done(server, 'POST', '/rollouts/cloud/promote', { ...urgent, stage: 'everyone', critical: false })
  t.equal(await critical('everyone'), 'no')
  await done(server, 'POST', '/rollouts/cloud/promote', { ...urgent, stage: 'everyone' })
  t.equal(await critical('everyone'), 'yes', 'also where all stages are done')
})
