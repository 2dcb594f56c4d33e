// What is thrown where nobody catches it ends the process, but not without a reason in the log and everything kept.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createChannel, dataFolder, jsonOf, run } from '../fixtures/fault-process.ts'
import { until } from '../fixtures/redis-process.ts'

const PRELOAD = fileURLToPath(new URL('../fixtures/thrown-on-signal.mjs', import.meta.url))
const REASON = {
  timer: /thrown by the test/,
  microtask: /thrown by the test/,
  rejection: /thrown by the test/,
  nothing: /no error: undefined/,
}

function throwing(how: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${PRELOAD}`, THROWN: how }
}

for (const [how, reason] of Object.entries(REASON)) {
  await t.test(`a fault in a ${how} is logged, ends the process with 1, and loses nothing`, async (t) => {
    const dataDir = await dataFolder(t)
    const server = await run(t, { dataDir, env: throwing(how) })
    await createChannel(server, 'a', '15.1.4')
    t.equal(await server.end('SIGURG'), 1)
    const lines = server
      .output()
      .stderr.split('\n')
      .filter((line) => line.includes('a fault of the server; ending'))
    t.equal(lines.length, 1)
    t.match(lines[0], reason)
    t.match(JSON.parse(lines[0] ?? ''), { level: 60, err: { stack: String } })
    t.match(await readFile(join(dataDir, 'last-known-good.json'), 'utf8'), '15.1.4')
    const again = await run(t, { dataDir })
    t.equal(await again.asAgent('/v1/a/version'), '15.1.4')
  })
}

await t.test('a fault in a poll worker is in the log of the primary, which replaces it', async (t) => {
  const env = { BELLWETHER_WORKERS: '2', ...throwing('timer') }
  const server = await run(t, { dataDir: await dataFolder(t), env })
  await createChannel(server, 'a', '15.1.4')
  const worker = await workerOf(server.pid)
  process.kill(worker, 'SIGURG')
  const lineWith = (words: string) =>
    server
      .output()
      .stderr.split('\n')
      .find((line) => line.includes(words))
  await until('the fault is logged', () => lineWith('a fault of the poll worker; ending') !== undefined)
  t.match(lineWith('a fault of the poll worker; ending'), /thrown by the test.*setTimeout|thrown by the test.*at /)
  await until('it is replaced', async () => {
    const { items } = jsonOf(await server.control.admin('GET', '/replicas')) as { items: { pollProcesses: number }[] }
    return lineWith('a poll worker has died; it is replaced') !== undefined && items[0]?.pollProcesses === 2
  })
  t.equal(await server.asAgent('/v1/a/version'), '15.1.4')
})

/** A child of the process. */
async function workerOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return Number(children.trim().split(' ')[0])
}
