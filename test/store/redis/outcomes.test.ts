// What a caller is told when Redis or the network fails: that nothing was changed only where that is certain, that nobody
// knows where it is not; every call ends, and a change that is sent again is written once.
import { rm } from 'node:fs/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { StoreOutcomeUnknown, StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { freePort } from '../../fixtures/fault-ports.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { answers, openAt, openImpatient, reached } from '../../fixtures/redis-store.ts'
import { allPages, change, commit, put, range } from '../../fixtures/store-changes.ts'
import { startProxy, type CutMoment, type TcpProxy } from '../../fixtures/tcp-proxy.ts'

const write = (requestId: string) => change([put(`written/${requestId}`, 0)], { requestId })

/** For a Redis that is down: calls do not wait for it. */
const AWAY = { limits: { connectMs: 2_000, readyMs: 200 } }

/** How many entries the journal has for a request. */
async function times(store: RedisStore, id: string): Promise<number> {
  const { entries } = await allPages(store, { limit: 500 })
  return entries.filter(({ requestId }) => requestId === id).length
}

/** A store behind a proxy, whose scripts Redis knows already and that has one document. */
async function behindProxy(
  t: Test,
  open: typeof openAt,
): Promise<{ server: RedisServer; proxy: TcpProxy; store: RedisStore }> {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server.port)
  const store = open(t, `redis://127.0.0.1:${proxy.port}`)
  await retried(store, 'first')
  return { server, proxy, store }
}

const moments: readonly { moment: CutMoment; applied: boolean }[] = [
  { moment: 'before', applied: false },
  { moment: 'during', applied: true },
]
for (const { moment, applied } of moments) {
  await redisTest(
    t,
    `a connection cut ${moment} the work: the outcome is unknown, and the retry writes once`,
    async (t) => {
      const { proxy, store } = await behindProxy(t, openAt)
      const cut = proxy.cutAt(moment, /cut-here/)
      await t.rejects(store.commit(write('cut-here')), StoreOutcomeUnknown)
      await cut
      await answers(store)
      t.equal((await store.committed('cut-here')) !== null, applied)
      t.match(await store.commit(write('cut-here')), { outcome: 'committed', repeated: applied })
      t.equal(await times(store, 'cut-here'), 1)
    },
  )
}

await redisTest(t, 'a connection cut after the answer: the commit was acknowledged and is there', async (t) => {
  const { proxy, store } = await behindProxy(t, openAt)
  const cut = proxy.cutAt('after', /cut-here/)
  t.match(await store.commit(write('cut-here')), { outcome: 'committed', repeated: false })
  await cut
  await answers(store)
  t.match(await store.commit(write('cut-here')), { outcome: 'committed', repeated: true })
  t.equal(await times(store, 'cut-here'), 1)
})

const silences: Readonly<Record<string, (of: { server: RedisServer; proxy: TcpProxy }, on: boolean) => void>> = {
  'a network that passes nothing': ({ proxy }, on) => proxy.blackhole(on),
  'a network that swallows the answers': ({ proxy }, on) => proxy.swallowReplies(on),
  'a Redis that is stopped': ({ server }, on) => (on ? server.pause() : server.resume()),
}
for (const [name, silence] of Object.entries(silences)) {
  await redisTest(t, `${name}: every call ends, and afterwards all is well`, async (t) => {
    const parts = await behindProxy(t, openImpatient)
    const { store } = parts
    silence(parts, true)
    await t.rejects(store.commit(write('silent')), StoreOutcomeUnknown)
    for (const _ of range(1, 3)) {
      await t.rejects(store.load(), StoreUnavailable)
      await t.rejects(store.position(), StoreUnavailable)
      await t.rejects(store.journal({ limit: 1 }), StoreUnavailable)
      await t.rejects(store.committed('silent'), StoreUnavailable)
      await t.rejects(store.coordination.lease('l', 'me', 1_000), StoreUnavailable)
      await t.rejects(store.serverWarnings(), StoreUnavailable)
    }
    silence(parts, false)
    await answers(store)
    await retried(store, 'silent')
    t.equal(await reached(() => times(store, 'silent')), 1)
    t.equal((await reached(() => store.load())).documents.length, 2)
  })
}

/** Sends the write again until it is acknowledged. */
async function retried(store: RedisStore, id: string): Promise<void> {
  await until(`${id} is acknowledged`, async () => {
    try {
      return (await store.commit(write(id))).outcome === 'committed'
    } catch (error) {
      if (error instanceof StoreUnavailable || error instanceof StoreOutcomeUnknown) return false
      throw error
    }
  })
}

await redisTest(t, 'many calls at once on a Redis that is stopped all end, without a warning of Node.js', async (t) => {
  const { server, store } = await behindProxy(t, openImpatient)
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  server.pause()
  const calls = (round: number): Promise<unknown>[] =>
    range(1, 50).flatMap((n) => [store.commit(write(`${round}-${n}`)), store.load()])
  for (const round of [1, 2]) {
    const ended = await Promise.allSettled(calls(round))
    t.ok(ended.every(({ status }) => status === 'rejected'))
  }
  server.resume()
  await answers(store)
  t.same(warnings, [])
})

await redisTest(
  t,
  'a store opens while Redis is down, says that it is unavailable, and finds it when it is there',
  async (t) => {
    const server = await startRedis(t, { keeps: 'aof' })
    await server.stop()
    const store = openAt(t, server.url, AWAY)
    await t.rejects(store.load(), StoreUnavailable)
    await t.rejects(store.commit(write('down')), StoreUnavailable)
    await t.rejects(
      store.follow({ epoch: 'e', seq: 1, mark: 'm' }, () => {}, new AbortController().signal),
      StoreUnavailable,
    )
    await server.start()
    const written = await reached(() => store.commit(write('down')))
    t.match(written, { outcome: 'committed', repeated: false })
  },
)

await redisTest(t, 'a Redis that is killed and started again with its file goes on where it was', async (t) => {
  const server = await startRedis(t, { keeps: 'aof' })
  const store = openAt(t, server.url, AWAY)
  for (const n of range(1, 20)) await reached(() => commit(store, [put(`a/${n}`, 0)]))
  const before = await reached(() => store.load())
  await server.kill()
  await until('the loss is noticed', () =>
    store.position().then(
      () => false,
      () => true,
    ),
  )
  await t.rejects(store.commit(write('down')), StoreUnavailable)
  await server.start()
  const after = await reached(() => store.load(before))
  t.equal(after.documents.length, 20)
  t.equal(after.mark, before.mark)
})

const refusals: Readonly<
  Record<
    string,
    { refuse: (server: RedisServer) => Promise<unknown>; allow: (server: RedisServer) => Promise<unknown> }
  >
> = {
  'has become a replica': {
    refuse: async (server) => server.call('REPLICAOF', '127.0.0.1', await freePort()),
    allow: (server) => server.call('REPLICAOF', 'NO', 'ONE'),
  },
  'has no memory left': {
    refuse: (server) => server.call('CONFIG', 'SET', 'maxmemory', '1'),
    allow: (server) => server.call('CONFIG', 'SET', 'maxmemory', '0'),
  },
  'cannot save to its disk': {
    async refuse(server) {
      await rm(server.folder, { recursive: true })
      await server.call('BGSAVE')
      await until('saving has failed', async () => {
        return String(await server.call('INFO', 'persistence')).includes('rdb_last_bgsave_status:err')
      })
    },
    allow: (server) => server.call('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no'),
  },
  'has too few replicas': {
    refuse: (server) => server.call('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    allow: (server) => server.call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
  },
}
for (const [name, { refuse, allow }] of Object.entries(refusals)) {
  await redisTest(t, `a Redis that ${name} refuses writes: nothing is changed, and reads go on`, async (t) => {
    const server = await startRedis(t, { keeps: 'rdb' })
    const store = openAt(t, server.url)
    await commit(store, [put('kept', 0), put('other', 0)])
    const before = await store.load()
    await refuse(server)
    const secret = 'nothing-for-a-log'
    const changes = [
      change([put('kept', 1, { secret })], { requestId: 'refused' }),
      change([{ key: 'other', expected: 1, body: null }], { requestId: 'refused too' }),
    ]
    for (const one of changes) {
      const error: unknown = await store.commit(one).catch((reason: unknown) => reason)
      t.ok(error instanceof StoreUnavailable, String(error))
      t.notMatch(
        inspect(error, { depth: null, showHidden: true }),
        secret,
        'an error holds nothing that was to be written',
      )
    }
    await answers(store)
    t.same(await store.load(before), before)
    t.equal((await store.journal({ limit: 5 })).entries.length, 1)
    await allow(server)
    await answers(store)
    for (const one of changes) t.match(await store.commit(one), { outcome: 'committed', repeated: false })
  })
}

await redisTest(t, 'a password is used as it was encoded, and is in no error where it is wrong', async (t) => {
  const password = 'p@ss:w/ord %+'
  const server = await startRedis(t, { args: ['--requirepass', password] })
  const store = openAt(t, `redis://:${encodeURIComponent(password)}@127.0.0.1:${server.port}`)
  t.equal((await commit(store, [put('a', 0)])).seq, 1)
  for (const login of [':hunter2@', 'ann:hunter2@', '']) {
    const stranger = openImpatient(t, `redis://${login}127.0.0.1:${server.port}`)
    for (const call of [() => stranger.load(), () => stranger.commit(write('r'))]) {
      // At first it may say that Redis has not answered yet.
      await until('it says what is wrong', async () => {
        const error: unknown = await call().catch((reason: unknown) => reason)
        if (!(error instanceof StoreUnavailable)) t.fail(String(error))
        if (inspect(error, { depth: null, showHidden: true }).includes('hunter2')) t.fail('the password is told')
        return /WRONGPASS|NOAUTH|[Aa]uthentication/.test(String(error))
      })
    }
  }
})

await redisTest(t, 'a database that Redis does not have is an error, and never another database', async (t) => {
  const server = await startRedis(t, { args: ['--databases', '4'] })
  const store = openImpatient(t, `${server.url}/7`)
  await t.rejects(store.load(), StoreUnavailable)
  await t.rejects(store.commit(write('r')), StoreUnavailable)
  t.equal(await server.call('DBSIZE'), 0)
  const third = openAt(t, `${server.url}/3`)
  await commit(third, [put('a', 0)])
  t.equal(await server.call('DBSIZE'), 0, 'database 0 has nothing of it')
})

await redisTest(t, 'closing ends calls that wait for Redis', async (t) => {
  const { server, store } = await behindProxy(t, openAt)
  server.pause()
  const waiting = Promise.allSettled([store.commit(write('r')), store.load(), store.position()])
  await store.close()
  server.resume()
  t.same(
    (await waiting).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  await t.rejects(store.load(), StoreUnavailable)
})

await redisTest(t, 'a key of another program is an error that says so, and is left alone', async (t) => {
  const server = await startRedis(t)
  for (const [name, make] of [
    ['documents', ['SET', '{test}:documents', 'mine']],
    ['revisions', ['SET', '{test}:revisions', 'mine']],
    ['subjects', ['SET', '{test}:subjects', 'mine']],
    ['requests', ['SET', '{test}:requests', 'mine']],
    ['journal', ['SET', '{test}:journal', 'mine']],
  ] as const) {
    const [command, ...args] = make
    await server.call('FLUSHALL')
    await server.call(command, ...args)
    const store = openAt(t, server.url)
    const error: unknown = await store
      .commit(change([put('a', 0), put('b', 0)], { requestId: 'r' }))
      .catch((reason: unknown) => reason)
    t.match(error, { name: /^Store(?:Damaged|Unavailable)$/ }, name)
    t.equal(await server.call('DBSIZE'), 1, `${name}: nothing was written`)
    await store.close()
  }
})
