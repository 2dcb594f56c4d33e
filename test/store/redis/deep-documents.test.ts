// A server over a real Redis into which another program writes documents that are nested deeper than any: nothing else is stopped.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLastKnownGood } from '../../../src/store/last-known-good.ts'
import { journalSeqs, otherFaults, prepareOthers } from '../../fixtures/broken-store.ts'
import { startRedisAdmin } from '../../fixtures/redis-planes.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis } from '../../fixtures/redis-server.ts'
import { range } from '../../fixtures/store-changes.ts'

const reason = 'by the test'

function lists(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

/** Above the limit of this build, above that of cjson, above that of JSON.stringify. */
for (const levels of [200, 5_000, 100_000]) {
  await redisTest(t, `documents of ${levels} levels stop nothing, and are repaired`, async (t) => {
    const server = await startRedis(t)
    const first = await startRedisAdmin(t, server)
    await prepareOthers(first.session)
    await first.session.channel('a')
    const after = { key: 'zzz/1', revision: 1, format: 1, body: { x: '@' } }
    const seq = await first.junk.append((entry) =>
      JSON.stringify({ ...entry, changes: [{ key: 'zzz/1', before: null, after }] }).replace('"@"', lists(levels)),
    )
    await first.reached(seq)
    const { dataDir, clock } = first.session.planes
    await first.session.done('PUT', '/channels/a/pin', { version: '15.1.3', reason, until: null })
    await until('the last-known-good file has the pin', async () => {
      await clock.advance(1_000)
      const kept = await readLastKnownGood(dataDir)
      return kept.outcome === 'read' && kept.state.seq === seq + 1
    })
    t.match(
      await readFile(join(dataDir, 'last-known-good.json'), 'utf8'),
      '15.1.3',
      'as a restart without Redis serves it',
    )
    t.same(await journalSeqs(first.session), range(1, seq + 1).toReversed())

    const stored = String(await server.call('HGET', first.junk.key('documents'), 'channel/a'))
    await first.junk.putDocument('channel/a', stored.replace(/\}\}$/, `,"extra":${lists(levels)}}}`))
    const { session } = await startRedisAdmin(t, server)
    t.match(await session.planes.asAgent('/v1/a/version'), /^503 /)
    t.same(await otherFaults(session), [])
    for (const path of ['/channels', '/journal']) t.equal((await session.call('GET', path)).status, 200, path)
    await session.done('PUT', '/blocked-versions/15.7.7', { reason })
    await session.done('POST', '/store/repair', { key: 'channel/a', reason })
    t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.3')
    await session.done('PUT', '/channels/a/pin', { version: '15.1.2', reason, until: null, force: true })
    t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.2')
    t.same(await journalSeqs(session), range(1, seq + 4).toReversed())
  })
}
