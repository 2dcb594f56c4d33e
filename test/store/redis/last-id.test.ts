// Ids that another program has appended to the journal's stream, above which Redis lets nothing be appended: a restore mends what is
// left there, a commit mends what is gone again.
import t, { type Test } from 'tap'
import { StoreDamaged, StoreUnavailable, type StoreState } from '../../../src/store/port.ts'
import type { RedisStore } from '../../../src/store/redis/redis-store.ts'
import { followLasting } from '../../fixtures/redis-follower.ts'
import { redisTest } from '../../fixtures/redis-process.ts'
import { leastRights } from '../../fixtures/redis-rights.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openAt } from '../../fixtures/redis-store.ts'
import { allPages, change, commit, NOON, put, range, seqs } from '../../fixtures/store-changes.ts'

const JOURNAL = '{test}:journal'
const MAX = '18446744073709551615'
const ENTRIES = 4

interface Filled {
  readonly server: RedisServer
  /** Opened by a user who has the least rights. */
  readonly store: RedisStore
  readonly state: StoreState
}

async function filled(t: Test): Promise<Filled> {
  const server = await startRedis(t)
  await server.call('ACL', 'SETUSER', 'least', 'reset', 'on', '>secret', ...(await leastRights('test')))
  const store = openAt(t, server.url.replace('//', '//least:secret@'))
  for (const n of range(1, ENTRIES)) await commit(store, [put(`a/${n}`, 0)], { requestId: `r-${n}` })
  return { server, store, state: await store.load() }
}

async function restore(store: RedisStore, { epoch, seq, mark, documents }: StoreState): Promise<number> {
  const error: unknown = await store.position().catch((why: unknown) => why)
  if (!(error instanceof StoreDamaged) || error.found === null) throw new Error(String(error))
  const known = { epoch, seq, mark }
  const decision = { at: NOON, actor: 'ann', kind: 'store.restore', reason: 'why', requestId: 'decision' }
  return (await store.startEpoch({ ...decision, known, found: error.found, restore: { ...known, documents } })).seq
}

const foreign: Readonly<Record<string, readonly string[]>> = {
  'the highest time': [`${MAX}-0`],
  'the highest id': [`${MAX}-${MAX}`],
  'several of them': ['9007199254740993-0', `${MAX}-0`, `${MAX}-${MAX}`],
  'one that numbers cannot be counted on from': ['9007199254740991-0'],
  'one that is within the seqs, and the highest': [`${ENTRIES + 3}-0`, `${MAX}-0`],
  'one beside the newest entry, and the highest': [`${ENTRIES}-7`, `${MAX}-0`],
  'one beside the newest entry': [`${ENTRIES}-7`],
  'the time of now': ['1772000000000-0'],
}

for (const [what, ids] of Object.entries(foreign)) {
  await redisTest(t, `${what}: the store is damaged until it is restored, and then goes on`, async (t) => {
    const { server, store, state } = await filled(t)
    for (const id of ids) await server.call('XADD', JOURNAL, id, 'entry', 'junk', 'subject', 'a/1', 'request', 'r-1')
    await t.rejects(store.commit(change([put('b', 0)])), StoreDamaged)
    const seq = await restore(store, state)
    t.same((await store.load()).documents.length, ENTRIES)
    const one = followLasting(t, store, await store.position())
    const entry = await commit(store, [put('b', 0)], { decidedOn: await store.position() })
    t.equal(entry.seq, seq + 1)
    await one.reached(seq + 1)
    const { entries } = await allPages(store, { limit: 500 })
    t.same(seqs(entries), [seq + 1, seq, ...range(1, ENTRIES).toReversed()], 'nothing of it is left')
    t.match(await store.committed('r-1'), { seq: 1 }, 'and nothing else is gone')
    t.match(await store.commit(change([put('a/1', 0)], { requestId: 'r-1' })), { repeated: true })
  })
}

await redisTest(t, 'a last id that has no entry is set back by the next commit', async (t) => {
  const { server, store, state } = await filled(t)
  for (const id of [`${MAX}-0`, `${MAX}-${MAX}`]) {
    await server.call('XADD', JOURNAL, id, 'entry', 'junk')
    await server.call('XDEL', JOURNAL, id)
    const { seq } = await store.position()
    t.equal((await commit(store, [put(`b/${id}`, 0)])).seq, seq + 1)
  }
  const one = followLasting(t, store, state)
  await one.reached(ENTRIES + 2)
})

await redisTest(t, 'without the right to set it back, a commit and a restore change nothing and name it', async (t) => {
  const { server, store, state } = await filled(t)
  const refused = { name: 'StoreUnavailable', message: /does not allow XSETID .*docs\/redis\.md/ }
  await server.call('ACL', 'SETUSER', 'least', '-xsetid')
  t.match(await store.serverWarnings(), [{ code: 'missing_rights', message: /XSETID/ }, { code: 'no_persistence' }])
  t.equal((await commit(store, [put('a/1', 1)])).seq, ENTRIES + 1, 'which other commits do not need')
  await server.call('XADD', JOURNAL, `${MAX}-0`, 'entry', 'junk')
  const before = String(await server.call('DUMP', JOURNAL))
  await t.rejects(restore(store, state), refused)
  t.equal(String(await server.call('DUMP', JOURNAL)), before)
  await server.call('XDEL', JOURNAL, `${MAX}-0`)
  await t.rejects(store.commit(change([put('b', 0)])), refused)
  await t.rejects(store.commit(change([put('b', 0)])), StoreUnavailable)
  await server.call('ACL', 'SETUSER', 'least', '+xsetid')
  t.equal((await commit(store, [put('b', 0)])).seq, ENTRIES + 2)
})
