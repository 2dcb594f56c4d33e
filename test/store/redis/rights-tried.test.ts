// How a Redis before 7.0 is asked for rights, which has no other way than to try: by commands that change nothing. The scripts
// are run here as such a Redis runs them, whatever Redis there is.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { announceKeys, keysOf, writtenKeys } from '../../../src/store/redis/keys.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { runCommit, withoutRightsCheck } from '../../fixtures/redis-scripts.ts'
import { isOld, startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { commit, put } from '../../fixtures/store-changes.ts'

const KEYS = keysOf('test')

interface Tried {
  readonly server: RedisServer
  /** A connection of a user who may do everything at first. */
  readonly user: Redis
  readonly commits: () => Promise<unknown>
  readonly contents: () => Promise<string>
}

async function tried(t: Test): Promise<Tried> {
  const server = await startRedis(t)
  const store = openAt(t, server.url)
  for (const n of [1, 2, 3]) await commit(store, [put(`a/${n}`, 0)], { requestId: `r-${n}` })
  const { epoch } = await store.position()
  await server.call('ACL', 'SETUSER', 'bw', 'on', '>secret', '~*', '&*', '+@all')
  const user = new Redis({ host: '127.0.0.1', port: server.port, username: 'bw', password: 'secret' })
  t.teardown(() => user.disconnect())
  return {
    server,
    user,
    commits: () =>
      runCommit(user, withoutRightsCheck('commit'), {
        ...{ epoch, mark: 'tried', requestId: 'tried', keep: 2 },
        writes: [
          ['a/1', 1, '{}'],
          ['a/2', 1, ''],
          ['b', 0, '{}'],
        ],
      }),
    async contents() {
      const names = await server.call('KEYS', '*')
      if (!Array.isArray(names)) throw new Error('no list of keys')
      const dumps = names.map(String).toSorted()
      return JSON.stringify(await Promise.all(dumps.map(async (key) => [key, String(await server.call('DUMP', key))])))
    },
  }
}

const scripts = [
  ['commit', writtenKeys(KEYS), ['xadd', 'hset', 'hdel', 'zadd', 'zrem', 'xtrim', 'xsetid']],
  ['start-epoch', writtenKeys(KEYS), ['xadd', 'hset', 'hdel', 'zadd', 'zrem', 'xdel', 'xsetid']],
  ['announce', announceKeys(KEYS), ['hset', 'zadd', 'zrem', 'hdel']],
] as const
for (const [name, keys, commands] of scripts) {
  await redisTest(
    t,
    `${name}: every right is tried, nothing is changed by it, and a missing one is named`,
    async (t) => {
      const { server, user, contents } = await tried(t)
      const ask = () => user.call('EVAL', withoutRightsCheck(name), keys.length, ...keys, 'prove')
      const before = await contents()
      t.same(await ask(), ['allowed'])
      for (const command of commands) {
        await server.call('ACL', 'SETUSER', 'bw', `-${command}`)
        t.match(await ask(), ['forbidden', command.toUpperCase()])
        await server.call('ACL', 'SETUSER', 'bw', `+${command}`)
      }
      for (const key of keys) {
        await server.call(
          'ACL',
          'SETUSER',
          'bw',
          'resetkeys',
          ...keys.filter((other) => other !== key).map((k) => `~${k}`),
        )
        // Redis refuses this itself, before the script begins.
        await t.rejects(ask(), { message: /^NOPERM/ }, key)
        await server.call('ACL', 'SETUSER', 'bw', '~*')
      }
      t.equal(await contents(), before)
      await server.call('FLUSHALL')
      t.same(await ask(), ['allowed'])
      t.equal(await server.call('DBSIZE'), 0, 'no key is made')
    },
  )
}

await redisTest(t, 'a commit is made where all is allowed, and refused whole where one right is missing', async (t) => {
  const { server, commits, contents } = await tried(t)
  const before = await contents()
  for (const command of ['xadd', 'hset', 'hdel', 'zadd', 'zrem', 'xtrim']) {
    await server.call('ACL', 'SETUSER', 'bw', `-${command}`)
    t.match(await commits(), ['forbidden'])
    t.equal(await contents(), before, command)
    await server.call('ACL', 'SETUSER', 'bw', `+${command}`)
  }
  t.match(await commits(), ['committed'])
})

const refusals: Readonly<Record<string, readonly [string, string, RegExp]>> = {
  'has no memory left': ['maxmemory', '1', /\bOOM\b/],
  'has too few replicas': ['min-replicas-to-write', '1', /\bNOREPLICAS\b/],
}
for (const [what, [setting, value, error]] of Object.entries(refusals)) {
  await redisTest(t, `a Redis that ${what} refuses at the first try, with its own word`, async (t) => {
    const { server, commits, contents } = await tried(t)
    const before = await contents()
    await server.call('CONFIG', 'SET', setting, value)
    // An older Redis does not look at its replicas within a script.
    if (setting === 'min-replicas-to-write' && (await isOld(server))) return
    await t.rejects(commits(), { message: error })
    await server.call('CONFIG', 'SET', setting, '0')
    t.equal(await contents(), before)
    t.match(await commits(), ['committed'])
  })
}
