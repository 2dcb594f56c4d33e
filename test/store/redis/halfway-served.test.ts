// A half write in Redis, as operators and agents meet it: agents are served what was before, writes say what is wrong, and an
// admin's restore makes the store whole.
import t, { type Test } from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { endingAfter, runCommit } from '../../fixtures/redis-scripts.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'

const CLOUD = channelPath('stable/cloud')
const AGENT = '/v1/stable/cloud/version'
const reason = 'a write has ended halfway'

async function session(t: Test): Promise<{ server: RedisServer; admin: AdminSession }> {
  const server = await startRedis(t)
  await server.call('ACL', 'SETUSER', 'bw', 'on', '>secret', '~*', '&*', '+@all')
  const store = openAt(t, server.url.replace('//', '//bw:secret@'))
  const admin = await startAdmin(t, { wrapStore: () => store })
  await admin.channel('stable/cloud', '15.1.4')
  return { server, admin }
}

/** Ends a change of stable/cloud to another version before its last write. */
async function tear(server: RedisServer, admin: AdminSession, writes: number): Promise<void> {
  const { epoch } = await admin.planes.deps.store.position()
  const [name, text] = await documentOf(server)
  const { revision, body } = JSON.parse(text) as { revision: number; body: object } // As commit.lua has written it.
  const changed = JSON.stringify(body).replaceAll('15.1.4', '15.9.9')
  const change = { epoch, mark: 'torn', requestId: 'torn', writes: [[name, revision, changed]] } as const
  t.match(await runCommit(server, endingAfter('commit', writes), change), ['halfway'])
}

async function documentOf(server: RedisServer): Promise<readonly [string, string]> {
  const all = await server.call('HGETALL', '{test}:documents')
  if (!Array.isArray(all)) throw new Error('no documents')
  const at = all.findIndex((text, index) => index % 2 === 1 && String(text).includes('15.1.4'))
  return [String(all[at - 1]), String(all[at])]
}

await redisTest(
  t,
  'a user who loses a right: writes say that nothing was changed, and agents are served that',
  async (t) => {
    const { server, admin } = await session(t)
    await server.call('ACL', 'SETUSER', 'bw', '-zadd')
    const reply = await admin.call('PUT', `${CLOUD}/version`, { version: '15.2.0' })
    t.equal(reply.status, 503)
    t.match(reply.body, { code: 'store_unavailable', detail: /nothing was changed/ })
    t.equal(await admin.planes.asAgent(AGENT), '15.1.4')
    await server.call('ACL', 'SETUSER', 'bw', '+zadd')
    await admin.done('PUT', `${CLOUD}/version`, { version: '15.2.0' })
    t.equal(await admin.planes.asAgent(AGENT), '15.2.0')
  },
)

for (const writes of [1, 2, 3]) {
  await redisTest(
    t,
    `after ${writes} writes of a change: not served, not accepted (store_damaged), restored`,
    async (t) => {
      const { server, admin } = await session(t)
      const { replica } = admin.planes.deps
      await tear(server, admin, writes)
      await until('the replica has noticed', () => replica.fault !== null)
      t.equal(await admin.planes.asAgent(AGENT), '15.1.4')
      const refused = await admin.call('PUT', `${CLOUD}/version`, { version: '15.2.0' })
      t.equal(refused.status, 503)
      t.match(refused.body, { code: 'store_unavailable', detail: /store\/restore/ })
      const accepted = await admin.call('POST', '/store/accept', { reason })
      t.equal(accepted.status, 409)
      t.equal(at(accepted.body, 'code'), 'store_damaged')

      t.match(await admin.done('POST', '/store/restore?dryRun=true', { reason }), {
        dryRun: true,
        known: {},
        found: {},
      })
      t.match(await admin.done('POST', '/store/restore', { reason }), { following: true })
      t.equal(await admin.planes.asAgent(AGENT), '15.1.4')
      t.match(await admin.lastEntry(), { kind: 'store.restore', reason })
      await admin.done('PUT', `${CLOUD}/version`, { version: '15.2.0' })
      t.equal(await admin.planes.asAgent(AGENT), '15.2.0')
    },
  )
}

await redisTest(t, 'a damaged store that is whole again is not restored over', async (t) => {
  const { server, admin } = await session(t)
  const { replica } = admin.planes.deps
  const [name, text] = await documentOf(server)
  await server.call('HDEL', '{test}:documents', name)
  await until('the replica has noticed', () => replica.fault !== null)
  await server.call('HSET', '{test}:documents', name, text)
  const reply = await admin.call('POST', '/store/restore', { reason })
  t.equal(reply.status, 409)
  t.match(at(reply.body, 'code'), /^(?:contended|not_regressed)$/)
  t.equal((await admin.planes.deps.store.load()).documents.length > 0, true)
})
