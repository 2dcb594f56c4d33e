// Liveness and readiness, as load balancers and operators ask for them.
import t from 'tap'
import { unavailableStore } from '../../src/store/unavailable-store.ts'
import { at } from '../fixtures/admin-json.ts'
import { bearer, startAdmin } from '../fixtures/admin-session.ts'

t.test('both planes say that they live, to GET and HEAD', async (t) => {
  const session = await startAdmin(t)
  for (const plane of [session.planes.control, session.planes.poll]) {
    const reply = await plane.inject('/healthz')
    t.equal(reply.statusCode, 200)
    t.equal(reply.body, 'ok')
    t.equal(reply.headers['content-type'], 'text/plain; charset=utf-8')
    t.equal(reply.headers['cache-control'], 'no-store')
    t.equal((await plane.inject({ method: 'HEAD', url: '/healthz' })).body, '')
  }
})

t.test('the poll plane says whether it is ready in one word, to GET and HEAD', async (t) => {
  for (const [wrapStore, status, body] of [
    [undefined, 200, 'ok'],
    [() => unavailableStore('the disk is gone'), 503, 'not ready'],
  ] as const) {
    const { planes } = await startAdmin(t, wrapStore === undefined ? {} : { wrapStore })
    const reply = await planes.poll.inject('/readyz')
    t.equal(reply.statusCode, status)
    t.equal(reply.body, body)
    t.same(Object.keys(reply.headers).toSorted(), [
      'cache-control',
      'connection',
      'content-length',
      'content-type',
      'date',
      'x-content-type-options',
    ])
    t.equal(reply.headers['cache-control'], 'no-store')
    t.equal((await planes.poll.inject({ method: 'HEAD', url: '/readyz' })).statusCode, status)
  }
})

t.test('a process that drains is ready on neither plane, lives, answers polls and takes writes', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  session.planes.lifecycle.drain()
  t.equal((await session.planes.poll.inject('/readyz')).statusCode, 503)
  const reply = await session.inject({ url: '/readyz' })
  t.equal(reply.status, 503)
  t.hasStrict(reply.body, { ready: false, draining: true, status: 'following', problem: null })
  for (const plane of [session.planes.control, session.planes.poll]) {
    t.equal((await plane.inject('/healthz')).statusCode, 200)
  }
  await session.done('PUT', '/channels/a/version', { version: '15.1.5' })
  t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.5')
})

t.test('a replica that follows its store is ready, and tells where it is', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  await session.channel('b')
  await session.planes.clock.advance(1_500)
  const reply = await session.inject({ url: '/readyz' })
  t.equal(reply.status, 200)
  t.strictSame(reply.body, {
    ready: true,
    draining: false,
    replica: 'this-one',
    status: 'following',
    problem: null,
    epoch: session.planes.deps.replica.state?.epoch,
    seq: 2,
    channels: 2,
    snapshotAgeS: 1.5,
    staleS: 0,
    warnings: [],
  })
})

t.test('a replica whose store is lost stays ready for polls and says what is wrong', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  await session.planes.deps.store.close()
  await session.planes.clock.advance(1_000)
  const reply = await session.inject({ url: '/readyz' })
  t.equal(reply.status, 200)
  t.hasStrict(reply.body, { ready: true, status: 'store unavailable', seq: 1, channels: 1 })
  t.match(at(reply.body, 'problem'), /closed/)
  t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.4')
})

t.test(
  'a replica with nothing to serve is not ready: reads and writes are store_unavailable, whoami is answered',
  async (t) => {
    const session = await startAdmin(t, { wrapStore: () => unavailableStore('the disk is gone') })
    const reply = await session.inject({ url: '/readyz' })
    t.equal(reply.status, 503)
    t.strictSame(reply.body, {
      ready: false,
      draining: false,
      replica: 'this-one',
      epoch: null,
      staleS: 0,
      warnings: [],
      status: 'starting',
      problem: 'the disk is gone',
      seq: null,
      channels: 0,
      snapshotAgeS: null,
    })
    for (const path of [
      '/channels',
      '/channels/a',
      '/channels/a/history',
      '/journal',
      '/blocked-versions',
      '/tokens',
      '/journal/stream',
    ]) {
      const refused = await session.call('GET', path)
      t.equal(refused.status, 503, path)
      t.equal(at(refused.body, 'code'), 'store_unavailable')
      t.notMatch(at(refused.body, 'detail'), /disk/)
    }
    t.equal((await session.call('POST', '/channels', { name: 'a' })).status, 503)
    t.equal((await session.call('GET', '/whoami')).status, 200)
    t.equal((await session.inject({ url: '/admin/v1/openapi.json', headers: bearer() })).status, 200)
  },
)
