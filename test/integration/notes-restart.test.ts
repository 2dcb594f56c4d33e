// A real server under a gated soaking is ended, killed and started again: what its gates have found is still known, unless
// the file of it is damaged, which keeps nothing from starting.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { at } from '../fixtures/admin-json.ts'
import { dataFolder } from '../fixtures/fault-process.ts'
import { until } from '../fixtures/redis-process.ts'
import { listAt } from '../fixtures/rollout-session.ts'
import { startServer, type ServerProcess } from '../fixtures/server-process.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

const CLOCK = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url))
/** The longest interval there is: how long anything takes here decides nothing. */
const EVERY_SECONDS = 3_600
const EVERY_MS = EVERY_SECONDS * 1_000
const BEFORE = '15.0.0'
const RELEASE = '15.0.1'

/** A Prometheus that says of everything that it is zero. */
async function startGateServer(t: Test): Promise<string> {
  const result = [{ metric: {}, value: [0, '0'] }]
  const answer = JSON.stringify({ status: 'success', data: { resultType: 'vector', result } })
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => void server.close(() => resolve()))
  })
  const { port } = server.address() as AddressInfo // It listens on TCP.
  return `http://127.0.0.1:${port}`
}

/** A server whose wall clock is that much ahead. */
async function start(t: Test, dataDir: string, aheadMs: number): Promise<ServerProcess> {
  const server = await startServer(dataDir, {
    BELLWETHER_GATES_ALLOW: '127.0.0.1',
    NODE_OPTIONS: `--import=${CLOCK}`,
    CLOCK_OFFSET_MS: String(aheadMs),
  })
  t.teardown(() => server.end('SIGKILL'))
  return server
}

async function beginSoaking(server: ServerProcess, url: string): Promise<void> {
  const gate = { name: 'errors', url, query: 'errors', op: '<', threshold: 1, everySeconds: EVERY_SECONDS }
  const stage = { name: 'canary', channels: ['canary'], auto: true, soakMinutes: 40_000, gates: [gate] }
  const release = { version: RELEASE, commit: 'abcdef0', kind: 'full', changes: [] }
  for (const [method, path, body] of [
    ['POST', '/channels', { name: 'canary', source: { kind: 'static', version: BEFORE } }],
    ['PUT', '/pipelines/cloud', { requirePackages: false, stages: [stage] }],
    ['POST', '/releases', release],
  ] as const) {
    const { status, body: answer } = await server.admin(method, path, body)
    if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`)
  }
}

async function stageOf(server: ServerProcess): Promise<unknown> {
  return at((await server.admin('GET', `/rollouts/cloud/${RELEASE}`)).body, 'stages', 0)
}

/** The stage once its gate was evaluated so often. */
async function sampled(server: ServerProcess, times: number): Promise<unknown> {
  let stage: unknown
  await until(`the gate is evaluated ${times} times`, async () => {
    stage = await stageOf(server)
    return at(stage, 'state') === 'soaking' && listAt(stage, 'gates', 0, 'samples').length >= times
  })
  return stage
}

async function restarts(server: ServerProcess): Promise<unknown> {
  return listAt((await server.admin('GET', '/journal?kind=rollout.restart')).body, 'items').length
}

async function noted(dataDir: string): Promise<string> {
  return readFile(join(dataDir, 'notes.json'), 'utf8').catch(() => '')
}

t.test('a soaking outlives servers that are killed and ended, until nobody has watched for too long', async (t) => {
  const [dataDir, url] = [await dataFolder(t), await startGateServer(t)]
  const first = await start(t, dataDir, 0)
  await beginSoaking(first, url)
  const begun = await sampled(first, 1)
  await until('it is noted', async () => (await noted(dataDir)).includes('passed'))
  t.equal((await stat(join(dataDir, 'notes.json'))).mode & 0o777, 0o600)
  t.equal(await first.end('SIGKILL'), 'SIGKILL')

  const second = await start(t, dataDir, EVERY_MS)
  const later = await sampled(second, 2)
  t.same(at(later, 'gates', 0, 'samples', 0), at(begun, 'gates', 0, 'samples', 0), 'the one from before the kill')
  t.equal(at(later, 'since'), at(begun, 'since'))
  t.equal(await second.end('SIGTERM'), 0)

  const third = await start(t, dataDir, 2 * EVERY_MS)
  t.equal(at(await sampled(third, 3), 'since'), at(begun, 'since'), 'ended at once, it has written what it had')
  t.equal(await restarts(third), 0)
  t.equal(await third.end('SIGTERM'), 0)

  const fourth = await start(t, dataDir, 5 * EVERY_MS)
  await until('the soaking has begun anew', async () => (await restarts(fourth)) === 1)
  t.not(at(await stageOf(fourth), 'since'), at(begun, 'since'))
  t.equal(await fourth.end('SIGTERM'), 0)
})

t.test('a damaged file of notes is told once, and costs the soaking alone', async (t) => {
  const [dataDir, url] = [await dataFolder(t), await startGateServer(t)]
  const first = await start(t, dataDir, 0)
  await beginSoaking(first, url)
  await sampled(first, 1)
  await first.end('SIGTERM')
  const text = await noted(dataDir)
  await writeFile(join(dataDir, 'notes.json'), text.slice(0, text.length >> 1))

  const second = await start(t, dataDir, 5 * EVERY_MS)
  await until('the soaking has begun anew', async () => (await restarts(second)) === 1)
  await sampled(second, 1)
  t.equal(await (await fetch(`${second.pollUrl}/v1/canary/version`)).text(), RELEASE)
  t.equal(await second.end('SIGTERM'), 0)
  t.equal(second.output().stderr.match(/the notes of before cannot be used/g)?.length, 1)
  t.notSame(await noted(dataDir), text.slice(0, text.length >> 1), 'it is replaced')
})
