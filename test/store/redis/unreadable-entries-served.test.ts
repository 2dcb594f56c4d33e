// A server whose journal in Redis has entries that cannot be read: what it answers, names, and holds back.
import t from 'tap'
import { channelBody, channelKey } from '../../../src/channels/channel.ts'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { listening, openStream } from '../../fixtures/admin-stream.ts'
import { channelOf, sourceOf } from '../../fixtures/channel-samples.ts'
import { startRedisAdmin } from '../../fixtures/redis-planes.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startRedis } from '../../fixtures/redis-server.ts'

const reason = 'because'

/** A document of channel `name` at a revision that serves a version, as Redis keeps it. */
function textOf(name: string, revision: number, version: string): string {
  const body = channelBody(channelOf({ name, source: sourceOf(version) }))
  return JSON.stringify({ revision, format: 1, key: channelKey(name), body })
}

await redisTest(
  t,
  'an entry that cannot be read is named, and what it has changed is read from the documents',
  async (t) => {
    const { session, junk, logged, reached } = await startRedisAdmin(t, await startRedis(t))
    const { asAgent } = session.planes
    await session.channel('a', '15.1.4')
    await session.channel('b', '15.1.4')
    const port = await listening(session)
    const stream = await openStream(port, { query: '?after=1' })
    await junk.putDocument(channelKey('a'), textOf('a', 2, '15.1.5'))
    const seq = await junk.append(() => '{"kind":"newer"}', { subject: channelKey('a') })
    await reached(seq)
    t.equal(await asAgent('/v1/a/version'), '15.1.5')
    t.equal(await asAgent('/v1/b/version'), '15.1.4')

    const { body } = await session.inject({ url: '/readyz' })
    t.match(body, {
      ready: true,
      status: 'following',
      warnings: [{ code: 'unreadable_entry', message: /journal entry 3 cannot be read: its seq/ }],
    })
    const metrics = await session.planes.control.inject('/metrics')
    t.match(metrics.body, /^bellwether_unreadable_entries 1$/m)
    t.equal(logged.filter(({ message }) => message === 'a journal entry cannot be read').length, 1)

    const page = await session.done('GET', '/journal?limit=2')
    t.match(page, { items: [{ seq: 2 }], unreadable: [{ seq: 3, detail: String }] })
    const history = await session.done('GET', `${channelPath('a')}/history`)
    t.match(history, { items: [{ seq: 1 }], unreadable: [{ seq: 3 }], next: null })
    t.same(at(await session.done('GET', `${channelPath('b')}/history`), 'unreadable'), [])

    await session.done('PUT', `${channelPath('a')}/version`, { version: '15.1.6', reason })
    t.equal(await asAgent('/v1/a/version'), '15.1.6')
    await stream.until(({ events }) => events.at(-1)?.id === 4)
    t.same(
      stream.events.map(({ id, event }) => [id, event]),
      [
        [2, 'entry'],
        [3, 'unreadable'],
        [4, 'entry'],
      ],
    )
    t.match(stream.events[1]?.data, { seq: 3, detail: String })
    stream.close()
  },
)

await redisTest(t, 'what channels served before an entry that cannot be read counts as unknown', async (t) => {
  const server = await startRedis(t)
  const first = await startRedisAdmin(t, server)
  for (const name of ['a', 'b']) await first.session.channel(name, '15.1.4')
  await first.session.done('PUT', `${channelPath('a')}/version`, { version: '15.1.5', reason })
  await first.session.done('PUT', `${channelPath('a')}/version`, { version: '15.1.6', reason })
  const compatibility = (name: string) => first.session.done('GET', `${channelPath(name)}/compatibility`)
  t.match(await compatibility('a'), { oldest: '15.1.4', unknownBefore: null })

  await first.junk.rewrite((seq, fields) => (seq === 4 ? { ...fields, entry: 'not json' } : fields))
  const second = await startRedisAdmin(t, server)
  const restored = await second.session.done('GET', `${channelPath('a')}/compatibility`)
  t.match(restored, { unknownBefore: String, versions: [{ version: '15.1.6' }] })
  t.match(at((await second.session.inject({ url: '/readyz' })).body, 'warnings'), [{ code: 'unreadable_entry' }])

  const rollback = await second.session.call('POST', `${channelPath('a')}/rollback`, { reason })
  t.match(rollback.body, { code: 'no_earlier_version' }, 'what was served before is not guessed')
})
