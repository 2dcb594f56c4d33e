// A damaged store: polls go on from the last known good state, writes are refused, and the file is left as it is.
import { copyFile, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createChannel, dataFolder, jsonOf, run, runToEnd, setVersion } from '../fixtures/fault-process.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

const VERSION_PATH = '/v1/stable/cloud/version'

/** A data folder that a server has left in good order, with three channels, one of them halted and one pinned. */
async function filledFolder(t: Test): Promise<string> {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir })
  await createChannel(server, 'stable/cloud', '15.1.4')
  await createChannel(server, 'beta', '16.0.0')
  await createChannel(server, 'halted', '14.0.0')
  await server.control.admin('PUT', '/channels/beta/pin', { version: '16.0.0-rc.1', critical: true, reason: 'a test' })
  await server.control.admin('PUT', '/channels/halted/halt', { reason: 'a test' })
  t.equal(await server.end(), 0)
  return dataDir
}

/** Puts other bytes over all pages but the first two, which say where everything is. */
async function damage(dataDir: string): Promise<void> {
  const path = join(dataDir, 'store.mdb')
  const { size } = await stat(path)
  const file = await open(path, 'r+')
  try {
    await file.write(Buffer.alloc(size - 8_192, 0x5a), 0, size - 8_192, 8_192)
  } finally {
    await file.close()
  }
}

await t.test('with a last known good file polls go on, readiness says so, and writes get 503', async (t) => {
  const dataDir = await filledFolder(t)
  await damage(dataDir)
  const before = await readFile(join(dataDir, 'store.mdb'))
  const good = await readFile(join(dataDir, 'last-known-good.json'))
  const server = await run(t, { dataDir })

  t.equal(await server.asAgent(VERSION_PATH), '15.1.4')
  t.equal(await server.asAgent('/v1/beta/version'), '16.0.0-rc.1')
  t.equal(await server.asAgent('/v1/beta/critical'), 'yes')
  t.equal(await server.asAgent('/v1/halted/version'), '404 channel halted has no target version')
  t.equal(await server.asAgent('/v1/nobody/version'), '404 unknown channel')

  const ready = await server.control.get('/readyz')
  t.equal(ready.status, 200)
  t.match(jsonOf(ready), { ready: true, status: 'serving last known good', problem: /damaged/, channels: 3 })
  t.match((await server.control.get('/metrics')).body, /^bellwether_following 0$/m)

  const writes = [
    setVersion(server, 'stable/cloud', '15.1.5'),
    server.control.admin('POST', '/channels', { name: 'new' }),
    server.control.admin('POST', '/tokens', { name: 'ann', role: 'viewer' }),
    server.control.admin('PUT', '/blocked-versions/1.0.0', { reason: 'a test' }),
    server.control.admin('DELETE', '/channels/beta'),
    server.control.admin('GET', '/journal'),
  ]
  for (const reply of await Promise.all(writes)) {
    t.equal(reply.status, 503)
    t.match(reply.headers, { 'content-type': /^application\/problem\+json/, 'retry-after': /^\d+$/ })
    t.match(jsonOf(reply), { code: 'store_unavailable' })
  }
  t.equal((await server.control.admin('GET', '/channels')).status, 200, 'what is known can be read')
  t.equal(await server.asAgent(VERSION_PATH), '15.1.4')
  t.equal(await server.end(), 0)
  t.ok((await readFile(join(dataDir, 'store.mdb'))).equals(before), 'the damaged file is untouched')
  t.ok((await readFile(join(dataDir, 'last-known-good.json'))).equals(good), 'and so is the good one')
})

await t.test('without a last known good file the start ends with one line that says what to do', async (t) => {
  const dataDir = await filledFolder(t)
  await damage(dataDir)
  const path = join(dataDir, 'store.mdb')
  const before = await readFile(path)
  await rm(join(dataDir, 'last-known-good.json'))
  const { code, lines, stdout } = await runToEnd(t, { dataDir })
  t.equal(code, 1)
  t.equal(lines.length, 1, 'one line, and no log')
  t.match(lines[0], /^bellwether: .*damaged/)
  t.match(lines[0], `restore ${dataDir} from a backup`, 'it says what to do')
  t.equal(stdout, '')
  t.ok((await readFile(path)).equals(before), 'the damaged file is untouched')
  await rm(path)
  const fresh = await run(t, { dataDir })
  t.equal(await fresh.asAgent(VERSION_PATH), '404 unknown channel')
})

await t.test('a last known good file that is damaged as well is not served', async (t) => {
  const dataDir = await filledFolder(t)
  await damage(dataDir)
  const path = join(dataDir, 'last-known-good.json')
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace('15.1.4', '15.1.9'))
  const { code, lines } = await runToEnd(t, { dataDir })
  t.equal(code, 1)
  t.equal(lines.length, 1)
  t.match(lines[0], /^bellwether: .*damaged.*last-known-good\.json .*checksum/)
})

await t.test('with the store restored from a backup the next start follows it again', async (t) => {
  const dataDir = await filledFolder(t)
  const backup = join(dataDir, 'backup.mdb')
  await copyFile(join(dataDir, 'store.mdb'), backup)
  await damage(dataDir)
  const damaged = await run(t, { dataDir })
  t.equal((await setVersion(damaged, 'stable/cloud', '15.1.5')).status, 503)
  await damaged.end()
  await copyFile(backup, join(dataDir, 'store.mdb'))
  const server = await run(t, { dataDir })
  t.match(jsonOf(await server.control.get('/readyz')), { status: 'following', problem: null })
  t.equal((await setVersion(server, 'stable/cloud', '15.1.5')).status, 200)
  t.equal(await server.asAgent(VERSION_PATH), '15.1.5')
})
