// Another program writes into the documents in Redis: a real server that starts on them serves every other channel, answers 503
// for the one that cannot be read, and has it mended by an ordinary write.
import { readFile } from 'node:fs/promises'
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

/** ARGV: 1 a document's key, 2 what its text begins with, 3 bytes that follow. */
const LARGE = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. string.rep('x', tonumber(ARGV[3])))"

const LARGE_BYTES = 200 * 1024 * 1024
/** Far below the junk, and above what a start takes from one run to the next. */
const MORE_BYTES_MAX = 60 * 1024 * 1024

/** What a process has in memory now, and the most that it ever had. */
async function memoryOf(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytesOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
  return { now: bytesOf('VmRSS'), peak: bytesOf('VmHWM') }
}

await redisTest(t, 'a document of 200 MB is not read, takes nothing else along, and is mended', async (t) => {
  const redis = await startRedis(t)
  const options = { dataDir: await dataFolder(t), env: { BELLWETHER_REDIS_URL: redis.url } }
  const first = await run(t, options)
  for (const name of ['default', 'other', 'broken']) await createChannel(first, name, '15.1.4')
  await first.end('SIGKILL')
  const usual = await run(t, options)
  await usual.control.get('/readyz')
  const { peak: usualPeak } = await memoryOf(usual.pid)
  await usual.end('SIGKILL')
  // One begins as a document does, and one does not.
  const text = String(await redis.call('HGET', DOCUMENTS, KEY)).slice(0, -1)
  await redis.call('EVAL', LARGE, 1, DOCUMENTS, KEY, `${text},"more":"`, LARGE_BYTES)
  await redis.call('EVAL', LARGE, 1, DOCUMENTS, 'token/large', '', LARGE_BYTES)
  await redis.call('HINCRBY', '{bellwether}:meta', 'count', 1)

  const server = await run(t, options)
  t.equal(await server.asAgent('/v1/other/version'), '15.1.4')
  t.equal(await server.asAgent('/v1/broken/version'), '503 channel broken cannot be read')
  const named = unreadableIn(jsonOf(await server.control.get('/readyz')))
  t.match(
    named.find((warning) => JSON.stringify(warning).includes(KEY)),
    { message: /it has 2097\d+ bytes/ },
  )
  t.equal(named.length, 2)
  t.equal((await setVersion(server, 'broken', '15.1.5')).status, 200)
  t.equal(await server.asAgent('/v1/broken/version'), '15.1.5')
  const repair = { key: 'token/large', reason: 'junk', force: true }
  t.equal((await server.control.admin('POST', '/store/repair', repair)).status, 200)
  t.same(unreadableIn(jsonOf(await server.control.get('/readyz'))), [])
  const { peak } = await memoryOf(server.pid)
  t.ok(peak - usualPeak < MORE_BYTES_MAX, `${Math.round((peak - usualPeak) / 1024 / 1024)} MB more than usual`)
  t.comment(`at most ${peak >> 20} MB, ${usualPeak >> 20} MB without`)
})
