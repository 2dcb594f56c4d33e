// Problem documents for what goes wrong inside: a store that fails, a replica that lags, a fault, an overload.
import { mock } from 'node:test'
import t from 'tap'
import { StoreDamaged } from '../../../src/store/port.ts'
import { at, isObject } from '../../fixtures/admin-json.ts'
import { adminRoutes, prepareForRoutes, writeRoutes } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'
import { eventually } from '../../fixtures/poll-clock.ts'
import { put, commit } from '../../fixtures/store-changes.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

t.test('with the store closed every write is store_unavailable, dry or not, and polls and reads go on', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  await session.channel('other', '15.1.4')
  const viewer = await session.token('viewer')
  await session.planes.deps.store.close()
  await session.planes.clock.advance(10_000)
  for (const { method, path, body, id: operation } of writeRoutes) {
    for (const query of ['', '?dryRun=true']) {
      const reply = await session.call(method, path.replace('{id}', id) + query, body)
      t.equal(reply.status, 503, `${operation}${query}`)
      t.equal(at(reply.body, 'code'), 'store_unavailable')
      t.equal(reply.headers['retry-after'], '5')
      t.match(at(reply.body, 'detail'), /nothing was changed/)
    }
  }
  for (const path of ['/channels', CLOUD, '/blocked-versions', '/tokens', '/whoami'])
    t.equal((await session.call('GET', path)).status, 200, path)
  for (const path of ['/journal', `${CLOUD}/history`, `${CLOUD}/compatibility`])
    t.equal((await session.call('GET', path)).status, 503, path)
  t.equal((await session.call('GET', '/channels', undefined, { token: viewer })).status, 200)
  t.equal(await session.planes.asAgent('/v1/other/version'), '15.1.4')
})

t.test('a commit that fails changes nothing that is served, and says so', async (t) => {
  let failing = false
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        commit: (change) =>
          failing ? Promise.reject(new StoreDamaged('page 7 of /data/store.mdb is bad')) : store.commit(change),
      }),
  })
  await session.channel('stable/cloud')
  failing = true
  const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(reply.status, 503)
  t.equal(at(reply.body, 'code'), 'store_unavailable')
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  failing = false
  t.equal((await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })).status, 200)
})

t.test(
  'a change that is durable but not served in time is not_served_yet, and does not invite to repeat it',
  async (t) => {
    let stalled = false
    const session = await startAdmin(t, {
      wrapStore: (store) =>
        wrapped(store, {
          follow: (after, on, signal) => store.follow(after, (entry) => void (stalled || on(entry)), signal),
        }),
    })
    await session.channel('stable/cloud')
    const id = await session.token('viewer')
    stalled = true
    for (const [method, path, body] of [
      ['PUT', `${CLOUD}/version`, { version: '15.1.5' }],
      ['PUT', '/blocked-versions/9.9.9', { reason }],
      ['POST', '/tokens', { name: 'a', role: 'viewer' }],
      ['DELETE', `/tokens/${id.split('_')[1] ?? ''}`, undefined],
    ] as const) {
      const { seq } = await session.lastEntry()
      const pending = session.call(method, path, body)
      await eventually(async () => (await session.lastEntry()).seq > seq)
      await session.planes.clock.advance(5_000)
      const reply = await pending
      t.equal(reply.status, 503, path)
      t.hasStrict(reply.body, { code: 'not_served_yet', seq: (await session.lastEntry()).seq })
      t.equal(reply.headers['retry-after'], undefined)
    }
    t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  },
)

t.test('a change that always loses to others is contended, and nothing of it is written', async (t) => {
  let rivals = 0
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        async commit(change) {
          const key = change.writes[0]?.key ?? ''
          if (change.actor === 'admin' && rivals > 0) {
            const { revision = 0, body = {} } = (await store.load()).documents.find((one) => one.key === key) ?? {}
            await commit(store, [put(key, revision, body)], { actor: 'rival' })
          }
          return store.commit(change)
        },
      }),
  })
  await session.channel('stable/cloud')
  rivals = 1
  const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(reply.status, 409)
  t.equal(at(reply.body, 'code'), 'contended')
  t.match(at(reply.body, 'detail'), /nothing was written/)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.4')
  t.ok((await session.journal()).slice(1).every(({ actor }) => actor === 'rival'))
})

t.test('a change that lost to one this replica cannot see is contended after one wait', async (t) => {
  let stalled = false
  let commits = 0
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        commit: (change) => store.commit(change).finally(() => (commits += 1)),
        follow: (after, on, signal) => store.follow(after, (entry) => void (stalled || on(entry)), signal),
      }),
  })
  await session.channel('stable/cloud')
  stalled = true
  const body = (await session.lastEntry()).changes[0]?.after?.body ?? {}
  await commit(session.planes.deps.store, [put('channel/stable/cloud', 1, body)])
  const pending = session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  await eventually(() => commits === 3)
  await session.planes.clock.advance(5_000)
  const reply = await pending
  t.equal(at(reply.body, 'code'), 'contended')
  t.equal(commits, 3, 'it was tried once')
})

t.test('a change whose replica loses the store right after serving it is not called undone', async (t) => {
  let breaking = false
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        follow: (after, on, signal) =>
          store.follow(
            after,
            (entry) => {
              on(entry)
              if (breaking) throw new Error('gone')
            },
            signal,
          ),
      }),
  })
  await session.channel('stable/cloud')
  breaking = true
  const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(reply.status, 200, JSON.stringify(reply.body))
  t.equal(at(reply.body, 'effective', 'version'), '15.1.5')
})

t.test('a fault is internal_error, and shows nothing of what went wrong', async (t) => {
  const secret = 'connect ECONNREFUSED /var/data/store.mdb password=hunter2'
  const faults = [
    new Error(secret),
    new TypeError(secret),
    Object.assign(new Error(secret), { statusCode: 404 }),
    Object.assign(new Error(secret), { statusCode: 200 }),
    Object.assign(new Error(secret), { code: 'FST_ERR_VALIDATION' }),
    secret,
    undefined,
    null,
  ]
  let fault: unknown = null
  let faulty = false
  const fail = (): Promise<never> => Promise.reject(fault)
  const session = await startAdmin(t, {
    wrapStore: (store) =>
      wrapped(store, {
        commit: (change) => (faulty ? fail() : store.commit(change)),
        journalInParts: (query) => (faulty ? fail() : store.journalInParts(query)),
      }),
  })
  const id = await prepareForRoutes(session)
  faulty = true
  for (const one of faults) {
    fault = one
    for (const { method, path, body, id: operation, undecided } of adminRoutes) {
      if (undecided === true) continue
      const isJournal = /History|Journal/.test(operation) && operation !== 'streamJournal'
      if (method === 'GET' && !isJournal) continue
      const reply = await session.call(method, path.replace('{id}', id), body)
      t.equal(reply.status, 500, `${operation} ${String(one).slice(0, 20)}`)
      t.ok(isObject(reply.body))
      t.hasStrict(reply.body, { code: 'internal_error', title: 'Something went wrong in the server' })
      t.notMatch(JSON.stringify([reply.body, reply.headers]), /hunter2|ECONN|store\.mdb|stack/)
      t.match(at(reply.body, 'detail'), String(at(reply.body, 'requestId')))
    }
  }
})

t.test(
  'a server whose event loop stood still for five seconds is overloaded; one that did for one is not',
  async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const session = await startAdmin(t)
    // The timers move on and the loop has not turned: so it looks to the server after a stall.
    mock.timers.tick(1_000)
    t.equal((await session.call('GET', '/whoami')).status, 200)
    mock.timers.tick(4_000)
    const reply = await session.call('GET', '/whoami')
    t.equal(reply.status, 503)
    t.equal(at(reply.body, 'code'), 'overloaded')
    t.ok(reply.headers['retry-after'])
    for (const url of ['/healthz', '/readyz', '/metrics']) t.equal((await session.inject({ url })).status, 200, url)
  },
)
