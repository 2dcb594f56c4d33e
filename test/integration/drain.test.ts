// The end of a server with a drain: what is answered meanwhile, what ends connections, and what skips it.
import t, { type Test } from 'tap'
import { createChannel, dataFolder, jsonOf, run, setVersion, type Running } from '../fixtures/fault-process.ts'
import { head } from '../fixtures/poll-row.ts'
import { openWire, type Wire, type WireAnswer } from '../fixtures/poll-wire.ts'
import { redisTest, until } from '../fixtures/redis-process.ts'
import { startRedis } from '../fixtures/redis-server.ts'

/** Every test starts processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000
/** Far longer than the asking below takes. */
const DRAIN_S = '6'
/** A drain that is over within the test was skipped. */
const ENDLESS_DRAIN_S = '3600'

const PATH = '/v1/stable/cloud/version'

t.setTimeout(FILE_TIMEOUT_MS)

async function start(t: Test, env: Record<string, string>): Promise<Running> {
  const server = await run(t, { dataDir: await dataFolder(t), env })
  await createChannel(server, 'stable/cloud', '15.1.4')
  return server
}

function wireTo(t: Test, url: string): Promise<Wire> {
  const { hostname: host, port } = new URL(url)
  return openWire(t, { host, port: Number(port) })
}

async function ask(wire: Wire): Promise<WireAnswer> {
  wire.send(head(PATH))
  return wire.answer()
}

/** Whether a new connection to the poll port is told that the server is ready. */
async function isReady(t: Test, server: Running): Promise<boolean> {
  const wire = await wireTo(t, server.pollUrl)
  wire.send(head('/readyz', { headers: ['Connection: close'] }))
  const { status, body } = await wire.answer()
  t.equal(body, status === 200 ? 'ok' : 'not ready')
  return status === 200
}

async function drain(t: Test, server: Running): Promise<void> {
  t.ok(await isReady(t, server))
  server.child.kill('SIGTERM')
  // Every process that answers polls has to know.
  for (const process of ['one', 'another', 'a third']) {
    await until(`${process} is not ready`, async () => !(await isReady(t, server)))
  }
}

for (const workers of ['1', '2']) {
  await t.test(
    `with ${workers} poll process(es), a drain answers everything as before, then ends connections`,
    async (t) => {
      const server = await start(t, { BELLWETHER_DRAIN_S: DRAIN_S, BELLWETHER_WORKERS: workers })
      const polling = await wireTo(t, server.pollUrl)
      const idle = await wireTo(t, server.pollUrl)
      for (const wire of [polling, idle]) await ask(wire)
      await drain(t, server)
      t.ok((await ask(polling)).headers.includes('connection: keep-alive'), 'connections are kept')
      t.equal((await ask(await wireTo(t, server.pollUrl))).body, '15.1.4', 'new connections are taken')
      const readiness = await server.control.get('/readyz')
      t.match({ ...readiness, body: jsonOf(readiness) }, { status: 503, body: { ready: false, draining: true } })
      t.equal((await setVersion(server, 'stable/cloud', '15.1.5')).status, 200, 'a write is carried out')
      t.equal((await ask(polling)).body, '15.1.5')
      let last = await ask(polling)
      while (last.headers.includes('connection: keep-alive')) {
        t.equal(last.body, '15.1.5')
        await new Promise((resolve) => setTimeout(resolve, 20))
        last = await ask(polling)
      }
      t.match(last, { status: 200, body: '15.1.5' })
      t.ok(last.headers.includes('connection: close'))
      t.equal(await polling.ended(), '')
      t.equal(await idle.ended(), '')
      t.equal(await server.ended, 0)
      t.notMatch(server.output().stderr, /"level":[56]0/, 'nothing went wrong')
    },
  )
}

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', null],
] as const) {
  const title = second === null ? `${first} does not drain` : `${second} skips the drain that ${first} began`
  await t.test(`${title}; the server ends in order`, async (t) => {
    const server = await start(t, { BELLWETHER_DRAIN_S: ENDLESS_DRAIN_S })
    if (second === null) t.equal(await server.end(first), 0)
    else {
      await drain(t, server)
      t.equal(await server.end(second), 0)
    }
    t.notMatch(server.output().stderr, /"level":[56]0/, 'nothing went wrong')
  })
}

await t.test('a Ctrl-C that comes twice, as it does under npm, ends the server in order', async (t) => {
  const server = await start(t, { BELLWETHER_DRAIN_S: ENDLESS_DRAIN_S })
  server.child.kill('SIGINT')
  await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(await server.end('SIGINT'), 0)
})

await redisTest(t, 'a replica that drains keeps its leases, and gives them back when it ends', async (t) => {
  const redis = await startRedis(t)
  const env = {
    BELLWETHER_REDIS_URL: redis.url,
    BELLWETHER_REPLICA_ID: 'draining',
    BELLWETHER_UPSTREAM_ALLOW: '127.0.0.1',
    BELLWETHER_DRAIN_S: ENDLESS_DRAIN_S,
  }
  const server = await start(t, env)
  const lease = (): Promise<unknown> => redis.call('get', '{bellwether}:lease:upstreams')
  const source = { kind: 'forward', url: 'http://127.0.0.1:1/v1/stable/cloud' }
  t.equal((await server.control.admin('POST', '/channels', { name: 'mirrored', source })).status, 201)
  const isHeld = async (): Promise<boolean> => String(await lease()).startsWith('draining/')
  await until('the replica has the lease', isHeld)
  await drain(t, server)
  t.equal((await setVersion(server, 'stable/cloud', '15.1.5')).status, 200)
  t.ok(await isHeld())
  t.equal(await server.end(), 0)
  t.equal(await lease(), null)
})

await t.test(
  'a process with polls alone has its metrics on a port of their own, and readiness on its poll port',
  async (t) => {
    const dataDir = await dataFolder(t)
    const filled = await run(t, { dataDir })
    await createChannel(filled, 'stable/cloud', '15.1.4')
    await filled.end()
    const env = { BELLWETHER_ROLE: 'poll', BELLWETHER_METRICS_PORT: '0' }
    const server = await run(t, { dataDir, env })
    t.ok(await isReady(t, server))
    t.equal((await ask(await wireTo(t, server.pollUrl))).body, '15.1.4')
    const url = /metrics\s+(\S+)/.exec(server.output().stdout)?.[1] ?? ''
    t.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const scraped = await fetch(url)
    t.match(scraped.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
    const text = await scraped.text()
    t.match(text, /^bellwether_polls_total\{path="fast",status="200"\} 1$/m)
    t.match(text, /^bellwether_channels 1$/m)
    for (const path of ['/', '/readyz', '/admin/v1/channels', PATH]) {
      t.equal((await fetch(new URL(path, url))).status, 404, path)
    }
    t.equal(await server.end(), 0)
    t.notMatch((await run(t, { dataDir })).output().stdout, /metrics/, 'there is none unless it is set')
  },
)
