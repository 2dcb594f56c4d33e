// Another program writes into the documents in Redis: a real server that starts on them serves every other channel, answers 503
// for the one that cannot be read, and has it mended by an ordinary write.
import t from 'tap'
import { createChannel, dataFolder, jsonOf, run, setVersion } from '../fixtures/fault-process.ts'
import { junkDocuments } from '../fixtures/junk-documents.ts'
import { redisTest } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'

const DOCUMENTS = '{bellwether}:documents'
const KEY = 'channel/broken'
const WEBAPI = '/webapi/automaticupgrades/channel/broken/version'

for (const [what, change] of Object.entries(junkDocuments)) {
  await redisTest(t, `${what} takes nothing else along, and is mended by setting a version`, async (t) => {
    const redis = await startRedis(t, { keeps: 'aof' })
    const options = { dataDir: await dataFolder(t), env: { BELLWETHER_REDIS_URL: redis.url } }
    const first = await run(t, options)
    for (const name of ['default', 'other', 'broken']) await createChannel(first, name, '15.1.4')
    await first.end('SIGKILL')
    await redis.call('HSET', DOCUMENTS, KEY, change(String(await redis.call('HGET', DOCUMENTS, KEY))))

    const server = await run(t, options)
    t.equal(await server.asAgent('/v1/other/version'), '15.1.4')
    for (const path of ['/v1/broken/version', '/v1/broken/critical', WEBAPI]) {
      t.equal(await server.asAgent(path), '503 channel broken cannot be read')
    }
    const readiness = jsonOf(await server.control.get('/readyz'))
    t.equal(readiness['ready'], true)
    t.match(unreadableIn(readiness), [{ message: /channel\/broken/ }])
    const refused = await server.control.admin('PUT', '/channels/broken/version', { version: '14.0.0' })
    t.match(jsonOf(refused), { guard: 'major-downgrade' }, 'judged against the last version that can be read')
    t.equal((await setVersion(server, 'broken', '15.1.5')).status, 200)
    t.equal(await server.asAgent('/v1/broken/version'), '15.1.5')
    await server.end('SIGKILL')

    const again = await run(t, options)
    t.equal(await again.asAgent('/v1/broken/version'), '15.1.5')
    t.same(unreadableIn(jsonOf(await again.control.get('/readyz'))), [])
  })
}

/** The warnings that name a document. */
function unreadableIn(readiness: Readonly<Record<string, unknown>>): readonly unknown[] {
  const warnings = readiness['warnings'] as readonly { readonly code: string }[] // The route's schema.
  return warnings.filter(({ code }) => code === 'unreadable_document')
}
