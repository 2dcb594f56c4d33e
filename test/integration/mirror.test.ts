// A whole server follows another one, both as processes: set, rolled back, critical, halted and resumed there, and it shows
// here; killed there, and here the last good target stays and says why.
import t from 'tap'
import { createChannel, dataFolder, jsonOf, run, setVersion } from '../fixtures/fault-process.ts'
import { until } from '../fixtures/redis-process.ts'

const CLOUD = '/channels/stable%2Fcloud'
const reason = 'because'

await t.test('an edge server follows its origin, and goes on without it', async (t) => {
  const origin = await run(t, { dataDir: await dataFolder(t) })
  await createChannel(origin, 'stable/cloud', '15.1.3')
  const env = { BELLWETHER_UPSTREAM_ALLOW: '127.0.0.1', BELLWETHER_UPSTREAM_INTERVAL_S: '1' }
  const edge = await run(t, { dataDir: await dataFolder(t), env })
  const mirror = { url: origin.pollUrl, channels: ['stable/cloud', 'nowhere'] }
  t.equal((await edge.control.admin('POST', '/mirror', mirror)).status, 200)
  const shows = (path: string, wanted: string) =>
    until(`the edge answers ${wanted}`, async () => (await edge.asAgent(`/v1/stable/cloud/${path}`)) === wanted)
  await shows('version', '15.1.3')
  t.equal(await edge.asAgent('/v1/nowhere/version'), '503 channel nowhere has no answer from its upstream yet')

  await setVersion(origin, 'stable/cloud', '15.1.4')
  await shows('version', '15.1.4')
  await origin.control.admin('POST', `${CLOUD}/rollback`, { reason, critical: true })
  await shows('version', '15.1.3')
  await shows('critical', 'yes')
  await origin.control.admin('PUT', `${CLOUD}/halt`, { reason })
  await shows('version', '404 channel stable/cloud has no target version')
  await shows('critical', 'no')
  await origin.control.admin('DELETE', `${CLOUD}/halt`, { reason })
  await shows('version', '15.1.3')

  await origin.end('SIGKILL')
  const channel = async () => jsonOf(await edge.control.admin('GET', CLOUD))
  await until('the edge says what is wrong', async () => JSON.stringify(await channel()).includes('ECONNREFUSED'))
  t.match(await channel(), { source: { problem: { kind: 'unreachable' } }, effective: { version: '15.1.3' } })
  t.equal(await edge.asAgent('/v1/stable/cloud/version'), '15.1.3')
  t.match(
    (await edge.control.get('/metrics')).body,
    /^bellwether_upstream_problem\{channel="stable\/cloud",kind="unreachable"\} 1$/m,
  )
})
