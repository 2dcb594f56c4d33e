// A real Redis in each state in which it refuses writes: seen in INFO, and by the writes that fail, until one is carried out.
import { mkdir, rmdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { isOld, startRedis, type RedisOptions, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { commit, put } from '../../fixtures/store-changes.ts'

interface State {
  readonly options?: RedisOptions
  /** What the reason begins with. */
  readonly code: RegExp
  readonly begin: (server: RedisServer, t: Test) => Promise<void>
  readonly end: (server: RedisServer) => Promise<void>
}

const lastSave = async (server: RedisServer, status: string): Promise<boolean> =>
  String(await server.call('INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`)

const states: Readonly<Record<string, State>> = {
  'has no memory left': {
    code: /^OOM /,
    begin: async (server) => void (await server.call('CONFIG', 'SET', 'maxmemory', '1kb')),
    end: async (server) => void (await server.call('CONFIG', 'SET', 'maxmemory', '0')),
  },
  'has too few replicas': {
    code: /^NOREPLICAS /,
    begin: async (server) => void (await server.call('CONFIG', 'SET', 'min-replicas-to-write', '1')),
    end: async (server) => void (await server.call('CONFIG', 'SET', 'min-replicas-to-write', '0')),
  },
  'could not save its snapshot': {
    options: { keeps: 'rdb' },
    code: /^MISCONF /,
    async begin(server) {
      await mkdir(join(server.folder, 'dump.rdb'))
      await server.call('BGSAVE')
      await until('the snapshot fails', () => lastSave(server, 'err'))
    },
    async end(server) {
      await rmdir(join(server.folder, 'dump.rdb'))
      await server.call('BGSAVE')
      await until('the snapshot is saved', () => lastSave(server, 'ok'))
    },
  },
  'cannot write its append-only file': {
    // Not always: Redis would end.
    options: { args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] },
    code: /^MISCONF /,
    async begin(server) {
      await symlink('/dev/full', join(server.folder, 'appendonlydir', 'appendonly.aof.2.incr.aof'))
      await server.call('BGREWRITEAOF')
      await until('the append-only file cannot be written', async () => {
        await server.call('SET', 'another', 'write').catch(() => null)
        return String(await server.call('INFO', 'persistence')).includes('aof_last_write_status:err')
      })
    },
    end: async (server) => void (await server.call('CONFIG', 'SET', 'appendonly', 'no')),
  },
  'is a replica': {
    code: /^READONLY /,
    async begin(server, t) {
      const primary = await startRedis(t)
      await server.call('REPLICAOF', '127.0.0.1', primary.port)
      await until('it follows its primary', async () =>
        String(await server.call('INFO', 'replication')).includes('master_link_status:up'),
      )
    },
    end: async (server) => void (await server.call('REPLICAOF', 'NO', 'ONE')),
  },
}

const reasonOf = (store: RedisStore): string => {
  const [warning, ...others] = store.writeWarnings()
  if (warning === undefined) return 'none'
  if (warning.code !== 'refuses_writes' || others.length > 0) return JSON.stringify([warning, ...others])
  return /^Redis refuses writes \((.*)\); see docs\/redis\.md$/s.exec(warning.message)?.[1] ?? warning.message
}

for (const [name, { options = {}, code, begin, end }] of Object.entries(states)) {
  await redisTest(t, `a Redis that ${name} is seen to refuse writes, by itself and in INFO`, async (t) => {
    const server = await startRedis(t, options)
    if (await isOld(server)) return void t.pass('scripts', { skip: 'NOT TESTED: Redis before 7.0 has other rules' })
    const [looking, announcing, leading, writing] = [1, 2, 3, 4].map(() => openAt(t, server.url)) as [
      ...[RedisStore, RedisStore, RedisStore, RedisStore], // So many are made.
    ]
    await commit(writing, [put('a', 0)])
    await announcing.coordination.announce('one', {}, 60_000)
    for (const store of [looking, announcing, leading, writing]) t.equal(reasonOf(store), 'none')
    await begin(server, t)

    await looking.serverWarnings()
    t.match(reasonOf(looking), code)
    await t.rejects(announcing.coordination.announce('one', {}, 60_000), StoreUnavailable)
    t.match(reasonOf(announcing), code)
    await t.rejects(leading.coordination.lease('l', 'me', 60_000), StoreUnavailable)
    t.match(reasonOf(leading), code)
    const refused: unknown = await commit(writing, [put('b', 0)]).catch((reason: unknown) => reason)
    if (!(refused instanceof StoreUnavailable)) return void t.fail(String(refused))
    t.match(refused.reason, code)
    t.notMatch(refused.reason, /script:/, 'only what Redis says of itself')
    t.match(reasonOf(writing), code)

    await end(server)
    for (const store of [looking, announcing]) await store.coordination.announce('one', {}, 60_000)
    t.ok(await leading.coordination.lease('l', 'me', 60_000))
    await writing.load()
    t.match(reasonOf(writing), code, 'a read does not say that it takes writes')
    await commit(writing, [put('c', 0)], { decidedOn: null })
    for (const store of [looking, announcing, leading, writing]) t.equal(reasonOf(store), 'none')
  })
}

await redisTest(
  t,
  'a Redis that still loads is seen to refuse, and what it cannot be asked is a warning',
  async (t) => {
    const args = ['--enable-debug-command', 'local', '--key-load-delay', '2000']
    const server = await startRedis(t, { args: [...args, '--loading-process-events-interval-bytes', '1024'] })
    const store = openAt(t, server.url)
    await commit(store, [put('a', 0)])
    await server.call('DEBUG', 'POPULATE', 5_000, 'key', 100)
    const loaded = server.call('DEBUG', 'RELOAD').catch(() => null)
    await until('it loads', async () => /LOADING/.test(String(await store.load().catch(String))))
    const warnings = await store.serverWarnings()
    t.match(
      warnings.find(({ code }) => code === 'settings_unchecked'),
      { message: /LOADING/ },
    )
    t.match(reasonOf(store), /^LOADING /)
    await loaded
    await store.coordination.announce('one', {}, 60_000)
    t.equal(reasonOf(store), 'none')
    t.strictSame(
      (await store.serverWarnings()).map(({ code }) => code),
      ['no_persistence'],
    )
  },
)

await redisTest(t, 'memory that is nearly full is a warning of its own, before anything is refused', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  await server.call('SET', 'much', 'x'.repeat(20_000_000))
  const used = Number(/used_memory:(\d+)/.exec(String(await server.call('INFO', 'memory')))?.[1])
  await server.call('CONFIG', 'SET', 'maxmemory', Math.ceil(used * 1.05))
  await store.serverWarnings()
  t.match(store.writeWarnings(), [{ code: 'memory_nearly_full', message: /of \d+ bytes of maxmemory/ }])
  await commit(store, [put('a', 0)])
  t.equal(store.writeWarnings().length, 1, 'a write that is carried out does not empty the memory')
  await server.call('DEL', 'much')
  await store.serverWarnings()
  t.strictSame(store.writeWarnings(), [])
})
