// Poll workers as an operator runs them: one port, several processes, changes served by all when they are acknowledged, and
// processes that die, hang or cannot listen.
import { readFileSync, readdirSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import {
  createChannel,
  dataFolder,
  jsonOf,
  run,
  runToEnd,
  setVersion,
  type Running,
} from '../fixtures/fault-process.ts'
import { makeCertificate } from '../../bench/certificate.ts'
import { head } from '../fixtures/poll-row.ts'
import { openWire, type Wire } from '../fixtures/poll-wire.ts'
import { until } from '../fixtures/redis-process.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000
const WORKERS = 3
const PATH = '/v1/stable/cloud/version'
/** So many connections end up at each of a few workers, as good as surely. */
const CONNECTIONS = 30

t.setTimeout(FILE_TIMEOUT_MS)

async function start(t: Test, env: Record<string, string> = {}): Promise<Running> {
  const server = await run(t, { dataDir: await dataFolder(t), env: { BELLWETHER_WORKERS: String(WORKERS), ...env } })
  await createChannel(server, 'stable/cloud', '15.1.0')
  return server
}

function workersOf({ pid }: Running): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((other) => other > 0 && parentOf(other) === pid && commandOf(other).includes('poll-worker'))
}

function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null // It has ended meanwhile.
  }
}

/** What runs from source has a compiler for a child, too. */
function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
}

/** Waits until the primary has heard of the end of `victim`, and so many workers answer polls. */
async function untilReplaced(server: Running, victim: number): Promise<void> {
  await until('the worker is gone', () => parentOf(victim) === null)
  await until('it is replaced', async () => {
    const { items } = jsonOf(await server.control.admin('GET', '/replicas')) as { items: { pollProcesses: number }[] }
    return items[0]?.pollProcesses === WORKERS
  })
}

function addressOf(server: Running) {
  const { hostname, port } = new URL(server.pollUrl)
  return { host: hostname, port: Number(port) }
}

async function ask(wire: Wire): Promise<string> {
  wire.send(head(PATH))
  return (await wire.answer()).body
}

await t.test('an acknowledged change is served by every worker, on every connection', async (t) => {
  const server = await start(t)
  t.equal(workersOf(server).length, WORKERS)
  const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => openWire(t, addressOf(server))))
  for (let patch = 1; patch <= 50; patch += 1) {
    t.equal((await setVersion(server, 'stable/cloud', `15.1.${patch}`)).status, 200)
    const answers = new Set(await Promise.all(wires.map(ask)))
    if (answers.size !== 1 || !answers.has(`15.1.${patch}`)) t.fail(`${[...answers].join(', ')} after 15.1.${patch}`)
  }
  t.equal(await server.end(), 0)
})

await t.test('no secret is in the environment of a worker, the first or one that replaces it', async (t) => {
  const server = await start(t, {
    BELLWETHER_GITHUB_WEBHOOK_SECRET: 'very-secret-0001-of-the-webhook',
    SOMETHING_OF_THE_PLATFORM: 'very-secret-0002',
    BELLWETHER_POLL_MAX_AGE_S: '17',
  })
  const check = (): void => {
    const workers = workersOf(server)
    t.equal(workers.length, WORKERS)
    for (const worker of workers) {
      const names = readFileSync(`/proc/${worker}/environ`, 'utf8').split('\0')
      t.strictSame(
        names.filter((one) => /very-secret|TOKEN|SECRET|REDIS|DATA_DIR/i.test(one)),
        [],
      )
      t.ok(names.includes('BELLWETHER_POLL_MAX_AGE_S=17'), 'it has what it needs')
    }
  }
  t.match(
    readFileSync(`/proc/${server.pid}/environ`, 'utf8'),
    /very-secret-0001.*|very-secret-0002/,
    'the primary has them',
  )
  check()
  const [victim = 0] = workersOf(server)
  process.kill(victim, 'SIGKILL')
  await untilReplaced(server, victim)
  check()
  const answer = await fetch(server.pollUrl + PATH)
  t.equal(answer.headers.get('cache-control'), 'public, max-age=17')
})

await t.test('a worker that is killed is replaced, and no poll fails on another one', async (t) => {
  const server = await start(t)
  const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => openWire(t, addressOf(server))))
  await Promise.all(wires.map(ask))
  const [victim = 0, ...others] = workersOf(server)
  process.kill(victim, 'SIGKILL')
  const outcomes = await Promise.allSettled(wires.map(ask))
  const answered = outcomes.filter(({ status }) => status === 'fulfilled').length
  t.ok(answered > 0 && outcomes.every((outcome) => outcome.status === 'rejected' || outcome.value === '15.1.0'))
  await untilReplaced(server, victim)
  const now = workersOf(server)
  t.ok(others.every((pid) => now.includes(pid)) && !now.includes(victim))
  t.equal((await setVersion(server, 'stable/cloud', '15.1.1')).status, 200)
  const fresh = await Promise.all(Array.from({ length: CONNECTIONS }, () => openWire(t, addressOf(server))))
  t.same([...new Set(await Promise.all(fresh.map(ask)))], ['15.1.1'], 'the new one has what came before and after')
})

await t.test('a worker that hangs does not serve what was before an acknowledged change', async (t) => {
  const server = await start(t)
  const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => openWire(t, addressOf(server))))
  await Promise.all(wires.map(ask))
  const [victim = 0] = workersOf(server)
  process.kill(victim, 'SIGSTOP')
  t.equal((await setVersion(server, 'stable/cloud', '15.1.1')).status, 200)
  t.notOk(workersOf(server).includes(victim), 'it is gone')
  const outcomes = await Promise.allSettled(wires.map(ask))
  t.ok(outcomes.every((outcome) => outcome.status === 'rejected' || outcome.value === '15.1.1'))
  t.match(server.output().stderr, /does not take a change/)
})

await t.test('what all workers have counted is one sum, also of those that are gone', async (t) => {
  const server = await start(t)
  for (let polls = 0; polls < 40; polls += 1) {
    const wire = await openWire(t, addressOf(server))
    await ask(wire)
    wire.destroy()
  }
  const counted = async (): Promise<number> => {
    const { body } = await server.control.get('/metrics')
    return Number(/bellwether_polls_total\{path="fast",status="200"\} (\d+)/.exec(body)?.[1])
  }
  await until('all are counted', async () => (await counted()) >= 40)
  const [victim = 0] = workersOf(server)
  process.kill(victim, 'SIGKILL')
  await untilReplaced(server, victim)
  t.equal(await counted(), 40)
  t.match((await server.control.get('/metrics')).body, `bellwether_poll_processes ${WORKERS}`)
})

await t.test('workers end with the primary, however it ends', async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const server = await start(t)
    const workers = workersOf(server)
    t.equal(await server.end(signal), signal === 'SIGTERM' ? 0 : signal)
    await until('the workers are gone', () => workers.every((pid) => parentOf(pid) === null))
    const socket = connect(addressOf(server))
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException] // What the event carries.
    t.equal(error.code, 'ECONNREFUSED')
  }
})

await t.test('a port that is taken ends the start with one line', async (t) => {
  const taken = createServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo // A TCP server that listens has one.
  const env = { BELLWETHER_WORKERS: '2', BELLWETHER_POLL_PORT: String(port) }
  const { code, lines } = await runToEnd(t, { dataDir: await dataFolder(t), env })
  t.equal(code, 1)
  t.match(lines.at(-1), `bellwether: the poll plane cannot listen: port ${port} on 127.0.0.1 is in use`)
})

await t.test('workers share what TLS needs', async (t) => {
  const files = makeCertificate(await dataFolder(t), 'worker')
  if (files === null) {
    t.pass('TLS', { skip: 'NOT TESTED: openssl is missing. Install with: apt-get install openssl' })
    return
  }
  const env = { BELLWETHER_POLL_TLS_CERT: files.cert, BELLWETHER_POLL_TLS_KEY: files.key }
  const server = await start(t, env)
  t.match(server.pollUrl, /^https:/)
  const { connect: connectTls } = await import('node:tls')
  let session: Buffer | undefined
  for (let polls = 0; polls < CONNECTIONS; polls += 1) {
    const socket = connectTls({ ...addressOf(server), rejectUnauthorized: false, session })
    socket.once('session', (ticket) => (session ??= ticket))
    await once(socket, 'secureConnect')
    t.equal(socket.isSessionReused(), polls > 0)
    socket.write(head(PATH, { headers: ['Connection: close'] }))
    let text = ''
    for await (const some of socket) text += String(some)
    t.match(text, /15\.1\.0$/)
  }
})
