// A start that cannot succeed ends with code 1 and says in one line what to do, and leaves nothing in the way of the next.
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { LaunchOptions } from '../../bench/bellwether-process.ts'
import { createChannel, dataFolder, jsonOf, run, runToEnd, setVersion } from '../fixtures/fault-process.ts'
import { takenPort } from '../fixtures/fault-ports.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

const CHANNEL = 'stable/cloud'
const VERSION_PATH = '/v1/stable/cloud/version'

/** Starts and ends a server, to prove that nothing is in the way of one. */
async function startsWell(t: Test, options: LaunchOptions): Promise<void> {
  const server = await run(t, options)
  t.match((await server.poll.get('/healthz')).status, 200)
  t.equal(await server.end(), 0)
}

await t.test('a second server on the data folder is refused, and the first one goes on', async (t) => {
  const dataDir = await dataFolder(t)
  const first = await run(t, { dataDir })
  await createChannel(first, CHANNEL, '15.1.4')
  const second = await runToEnd(t, { dataDir })
  t.equal(second.code, 1)
  t.match(second.lines, [/^bellwether: .*in use by another Bellwether: stop that one, or set BELLWETHER_DATA_DIR/])
  t.equal(second.lines.length, 1)
  t.equal((await setVersion(first, CHANNEL, '15.1.5')).status, 200)
  t.equal(await first.asAgent(VERSION_PATH), '15.1.5')
  t.equal(await first.end(), 0)
  await startsWell(t, { dataDir })
})

/** What is said of a fault; the log tells of planes that were opened before, and of a low limit on open files. */
function besideLog(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.startsWith('{"level":'))
}

for (const plane of ['POLL', 'CONTROL', 'METRICS'] as const) {
  await t.test(`a ${plane.toLowerCase()} port that is in use is said, and frees the data folder`, async (t) => {
    const dataDir = await dataFolder(t)
    const { port, free } = await takenPort(t)
    const env = { [`BELLWETHER_${plane}_PORT`]: String(port) }
    const { code, lines, stdout } = await runToEnd(t, { dataDir, env })
    t.equal(code, 1)
    const [line, ...more] = besideLog(lines)
    t.match(line, `the ${plane.toLowerCase()} plane cannot listen: port ${port} on 127.0.0.1 is in use`)
    t.match(line, `set BELLWETHER_${plane}_PORT`)
    t.same(more, [])
    t.equal(stdout, '', 'nothing says that it runs')
    await free()
    await startsWell(t, { dataDir, env })
  })
}

await t.test('an address that is not of this machine is said', async (t) => {
  const dataDir = await dataFolder(t)
  const { code, lines } = await runToEnd(t, { dataDir, env: { BELLWETHER_POLL_HOST: '203.0.113.1' } })
  t.equal(code, 1)
  t.same(besideLog(lines), [
    'bellwether: the poll plane cannot listen: 203.0.113.1 is no address of this machine; set BELLWETHER_POLL_HOST',
  ])
})

await t.test('a data folder that cannot be made is said, and the file in its place is left alone', async (t) => {
  const folder = await dataFolder(t)
  const file = join(folder, 'data')
  await writeFile(file, 'content')
  for (const dataDir of [file, join(file, 'below')]) {
    const { code, lines } = await runToEnd(t, { dataDir })
    t.equal(code, 1)
    t.equal(lines.length, 1)
    t.match(lines[0], `bellwether: The store cannot be opened at ${dataDir}: `)
  }
  t.equal(await readFile(file, 'utf8'), 'content')
  await rm(file)
  await startsWell(t, { dataDir: file })
})

await t.test('an admin token that cannot be read is said', async (t) => {
  const dataDir = await dataFolder(t)
  await mkdir(join(dataDir, 'admin-token'))
  const { code, lines } = await runToEnd(t, { dataDir, env: { BELLWETHER_ADMIN_TOKEN: '' } })
  t.equal(code, 1)
  t.equal(besideLog(lines).length, 1)
  t.match(besideLog(lines)[0], `bellwether: the admin token in ${join(dataDir, 'admin-token')} cannot be used: `)
  await rm(join(dataDir, 'admin-token'), { recursive: true })
  await startsWell(t, { dataDir, env: { BELLWETHER_ADMIN_TOKEN: '' } })
})

await t.test('every mistake in the configuration has its line, and nothing is made', async (t) => {
  const dataDir = join(await dataFolder(t), 'data')
  const env = {
    BELLWETHER_ROLE: 'both',
    BELLWETHER_POLL_PORT: '70000',
    BELLWETHER_POL_HOST: '127.0.0.1',
    BELLWETHER_ADMIN_TOKEN: 'short-secret',
  }
  const { code, lines } = await runToEnd(t, { dataDir, env })
  t.equal(code, 1)
  t.equal(lines.length, 4)
  for (const name of Object.keys(env)) {
    t.equal(lines.filter((line) => line.startsWith(`bellwether: ${name} `)).length, 1, `one line about ${name}`)
  }
  t.notMatch(lines.join('\n'), 'short-secret')
  await t.rejects(stat(dataDir), { code: 'ENOENT' })
  await startsWell(t, { dataDir })
})

await t.test('a start without a token makes one for the owner alone, and the next start takes it', async (t) => {
  const dataDir = await dataFolder(t)
  const env = { BELLWETHER_ADMIN_TOKEN: '' }
  const path = join(dataDir, 'admin-token')
  const first = await run(t, { dataDir, env })
  const token = (await readFile(path, 'utf8')).trim()
  t.match(token, /^bw_admin_[A-Za-z0-9_-]{43}$/)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.match(first.output().stdout, path)
  t.notMatch(first.output().stdout + first.output().stderr, token, 'it is shown nowhere')
  await first.end()
  await chmod(path, 0o644)
  const second = await run(t, { dataDir, env }, token)
  t.equal((await stat(path)).mode & 0o777, 0o600, 'rights that somebody has widened are taken back')
  t.equal((await second.control.admin('GET', '/whoami')).status, 200)
  t.equal((await readFile(path, 'utf8')).trim(), token)
})

await t.test('the roles poll and control open only their own listener', async (t) => {
  const dataDir = await dataFolder(t)
  const all = await run(t, { dataDir })
  await createChannel(all, CHANNEL, '15.1.4')
  await all.end()

  const closed = await takenPort(t)
  const poll = await run(t, {
    dataDir,
    env: { BELLWETHER_ROLE: 'poll', BELLWETHER_CONTROL_PORT: String(closed.port), BELLWETHER_ADMIN_TOKEN: '' },
  })
  t.equal(poll.controlUrl, '')
  t.equal(await poll.asAgent(VERSION_PATH), '15.1.4')
  for (const path of ['/admin/v1/channels', '/metrics', '/admin/v1/docs']) {
    t.equal((await poll.poll.get(path)).status, 404, `${path} is not on the poll plane`)
  }
  await t.rejects(stat(join(dataDir, 'admin-token')), { code: 'ENOENT' }, 'a poll replica needs no token')
  t.equal(await poll.end(), 0)

  const control = await run(t, {
    dataDir,
    env: { BELLWETHER_ROLE: 'control', BELLWETHER_POLL_PORT: String(closed.port) },
  })
  t.equal(control.pollUrl, '')
  t.match(jsonOf(await control.control.admin('GET', '/channels/stable%2Fcloud')), { effective: { version: '15.1.4' } })
  t.equal((await control.control.get(VERSION_PATH)).status, 404, 'nobody polls the control plane')
  t.equal(await control.end(), 0)
})
