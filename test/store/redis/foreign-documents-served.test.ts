// A server under which another program changes documents in Redis: the rollback of a rollout goes on, the log names each document, and
// what is served is what is stored.
import t from 'tap'
import { channelKey } from '../../../src/channels/channel.ts'
import { releaseKey } from '../../../src/rollouts/release.ts'
import { startRedisAdmin } from '../../fixtures/redis-planes.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis } from '../../fixtures/redis-server.ts'
import { cloud, RolloutSession } from '../../fixtures/rollout-session.ts'

const reason = 'because'

const forms: Readonly<Record<string, (text: string) => string>> = {
  'a higher revision': (text) => text.replace(/"revision":(\d+)/, '"revision":1$1'),
  'a lower revision': (text) => text.replace(/"revision":\d+/, '"revision":1'),
  'a format of no build': (text) => text.replace('"format":1', '"format":99'),
  'two revisions': (text) => text.replace(/\}$/, ',"revision":1}'),
}

for (const [what, of] of Object.entries(forms)) {
  await redisTest(t, `${what} in a channel and its release: the rollout is rolled back`, async (t) => {
    const server = await startRedis(t)
    const { session: admin, junk, logged } = await startRedisAdmin(t, server)
    const session = new RolloutSession(t, admin.planes)
    await session.pipeline([{ name: 'canary', channels: ['c1', 'c2'] }])
    t.equal((await session.register(1)).status, 201)
    const promoted = await session.step('promote', { stage: 'canary', reason }, 1)
    t.equal(promoted.status, 200, JSON.stringify(promoted.body))
    t.equal(await session.told('c1'), cloud(1))
    for (const key of [channelKey('c1'), releaseKey(cloud(1))]) {
      await junk.putDocument(key, of(String(await server.call('HGET', junk.key('documents'), key))))
    }
    const { status, body } = await session.call('POST', '/rollouts/cloud/rollback', { release: cloud(1), reason })
    t.equal(status, 200, JSON.stringify(body))
    for (const channel of ['c1', 'c2']) t.equal(await session.told(channel), cloud(0))
    const named = logged.filter(({ message }) => message.startsWith('another program has changed a document'))
    t.match(
      named.map(({ fields }) => fields),
      [{ key: String }],
    )
    await session.done('PUT', '/channels/c1/version', { version: cloud(0), reason, force: true })
  })
}

await redisTest(t, 'a document that a command has only read is loaded again, and named', async (t) => {
  const server = await startRedis(t)
  const { session, junk, logged } = await startRedisAdmin(t, server)
  await session.channel('default', '15.1.0')
  await session.channel('a', '15.1.0')
  const key = channelKey('default')
  const text = String(await server.call('HGET', junk.key('documents'), key))
  await junk.putDocument(key, text.replace('"revision":1', '"revision":2'))
  // It is made from what `default` serves.
  await session.done('DELETE', '/channels/a', { reason })
  await until('the replica has what is stored', async () => {
    await session.planes.clock.advance(1_000)
    return session.planes.deps.replica.state?.stored(key)?.revision === 2
  })
  t.same(
    logged.flatMap(({ fields, message }) => (message.includes('another program') ? [[fields, message]] : [])),
    [[{ key }, 'another program has changed a document in the store; the whole state is loaded again']],
  )
  t.equal(await session.planes.asAgent('/v1/default/version'), '15.1.0')
  await session.done('PUT', '/channels/default/version', { version: '15.1.1', reason })
})
