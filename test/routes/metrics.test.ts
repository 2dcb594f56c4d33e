// What this process counts, in Prometheus' text format.
import t from 'tap'
import { channelPath, startAdmin, type AdminSession } from '../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')

async function sample(session: AdminSession, name: string): Promise<string | undefined> {
  const { body, status, headers } = await session.inject({ url: '/metrics' })
  t.equal(status, 200)
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  return String(body)
    .split('\n')
    .find((line) => line.startsWith(`${name} `))
    ?.split(' ')[1]
}

t.test('gauges tell what is served at the moment of the scrape', async (t) => {
  const session = await startAdmin(t)
  t.equal(await sample(session, 'bellwether_channels'), '0')
  await session.channel('a')
  await session.channel('b')
  await session.done('DELETE', '/channels/a')
  t.equal(await sample(session, 'bellwether_channels'), '1')
  t.equal(await sample(session, 'bellwether_applied_seq'), '3')
  t.equal(await sample(session, 'bellwether_following'), '1')
  await session.planes.deps.store.close()
  await session.planes.clock.advance(1_000)
  t.equal(await sample(session, 'bellwether_following'), '0')
  t.equal(await sample(session, 'bellwether_channels'), '1')
})

t.test('changes are counted by their outcome', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  await session.done('PUT', `${CLOUD}/version?dryRun=true`, { version: '15.1.6' })
  await session.call('PUT', `${CLOUD}/version`, { version: '19.0.0' })
  await session.call('PUT', `${CLOUD}/version`, { version: 'x' })
  const total = (outcome: string, kind: string) =>
    sample(session, `bellwether_changes_total{outcome="${outcome}",kind="${kind}"}`)
  t.equal(await total('commit', 'channel.version'), '1')
  t.equal(await total('refusal', 'major-jump'), '1')
  t.equal(await total('refusal', 'not-a-version'), '1')
})

t.test('the process itself is measured too', async (t) => {
  const session = await startAdmin(t)
  t.ok(Number(await sample(session, 'process_resident_memory_bytes')) > 1_000_000)
})
