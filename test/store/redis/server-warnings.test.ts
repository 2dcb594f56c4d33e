// The settings by which a Redis could lose what it was given, told with what to do about them.
import t from 'tap'
import { redisTest } from '../../fixtures/redis-process.ts'
import { startCluster, startRedis, type RedisOptions } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { commit, put } from '../../fixtures/store-changes.ts'

const noConfig = ['--rename-command', 'CONFIG', '']

const settings: Readonly<Record<string, { options: RedisOptions; codes: readonly string[] }>> = {
  'keeps every write': { options: { keeps: 'aof' }, codes: [] },
  'saves now and then': { options: { keeps: 'rdb' }, codes: ['snapshots_only'] },
  'keeps nothing': { options: { keeps: 'nothing' }, codes: ['no_persistence'] },
  'throws away what it likes': {
    options: { keeps: 'aof', args: ['--maxmemory-policy', 'allkeys-lru'] },
    codes: ['eviction'],
  },
  'throws away what ends anyway, and keeps nothing': {
    options: { args: ['--maxmemory-policy', 'volatile-ttl'] },
    codes: ['eviction', 'no_persistence'],
  },
  'keeps every write and does not let CONFIG be asked': {
    options: { keeps: 'aof', args: noConfig },
    codes: [],
  },
  'saves now and then and does not let CONFIG be asked': {
    options: { keeps: 'rdb', args: noConfig },
    codes: ['settings_unknown'],
  },
  'does not let INFO be asked': {
    options: { keeps: 'aof', args: ['--rename-command', 'INFO', ''] },
    codes: ['settings_unknown'],
  },
  'throws away what it likes and does not let CONFIG be asked': {
    options: { keeps: 'aof', args: [...noConfig, '--maxmemory-policy', 'allkeys-random'] },
    codes: ['eviction'],
  },
}
for (const [name, { options, codes }] of Object.entries(settings)) {
  await redisTest(t, `a Redis that ${name}: ${codes.join(' and ') || 'nothing to say'}`, async (t) => {
    const server = await startRedis(t, options)
    const store = openAt(t, server.url)
    const warnings = await store.serverWarnings()
    t.same(warnings.map(({ code }) => code).toSorted(), codes)
    for (const { message } of warnings) t.match(message, /^Redis .*; (?:set|see) .+/)
  })
}

await redisTest(t, 'a setting that is changed is seen at the next look', async (t) => {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  t.same((await store.serverWarnings()).length, 1)
  await server.call('CONFIG', 'SET', 'appendonly', 'yes')
  t.same(await store.serverWarnings(), [])
})

await redisTest(t, 'in a Cluster every warning is told once', async (t) => {
  const cluster = await startCluster(t, { args: ['--maxmemory-policy', 'allkeys-lru'] })
  const store = openAt(t, cluster.url)
  const codes = (await store.serverWarnings()).map(({ code }) => code)
  t.same(codes.toSorted(), ['eviction', 'no_persistence'])
})

await redisTest(
  t,
  'a user who may ask neither INFO nor CONFIG works, and is told by a warning what is not known',
  async (t) => {
    const server = await startRedis(t)
    await server.call('ACL', 'SETUSER', 'bw', 'on', '>secret', '~*', '&*', '+@all', '-config', '-info', '-client')
    const store = openAt(t, server.url.replace('//', '//bw:secret@'))
    t.equal((await commit(store, [put('a', 0)])).seq, 1)
    t.match(await store.serverWarnings(), [{ code: 'settings_unknown', message: /INFO/ }])
    await server.call('ACL', 'SETUSER', 'bw', '+info')
    t.match(await store.serverWarnings(), [{ code: 'settings_unknown', message: /CONFIG/ }])
  },
)
