// SIGTERM and SIGINT: what is under way is answered, streams and files are closed, and the exit code is 0.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { BENCH_TOKEN, spawnBellwether } from '../../bench/bellwether-process.ts'
import { readJournal } from '../../bench/journal.ts'
import { readLastKnownGood } from '../../src/store/last-known-good.ts'
import { createChannel, dataFolder, jsonOf, run, setVersion, type Running } from '../fixtures/fault-process.ts'
import { freePort } from '../fixtures/fault-ports.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

/** Enough for every writer to be in the middle of one when the signal comes. */
const BURST_WRITES = 200

const VERSION_PATH = '/v1/stable/cloud/version'

/** An open journal stream, and everything it has sent. */
async function openStream(server: Running): Promise<{ response: IncomingMessage; text: () => string }> {
  const asked = request(`${server.controlUrl}/admin/v1/journal/stream?after=0`, {
    headers: { authorization: `Bearer ${BENCH_TOKEN}` },
  })
  asked.end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage] // What the event carries.
  let text = ''
  response.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { response, text: () => text }
}

/** A connection to the poll plane, and everything that came over it. */
async function openSocket(url: string): Promise<{ socket: Socket; text: () => string; closed: Promise<unknown> }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  // A reset is an end like any other here; the text tells whether it came too early.
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  return { socket, text: () => text, closed }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  await t.test(
    `${signal} ends streams and idle connections, saves the last known good state, and exits with 0`,
    async (t) => {
      const dataDir = await dataFolder(t)
      const server = await run(t, { dataDir })
      await createChannel(server, 'stable/cloud', '15.1.4')
      const stream = await openStream(server)
      await setVersion(server, 'stable/cloud', '15.1.5')
      t.equal(await server.asAgent(VERSION_PATH), '15.1.5', 'a connection to the poll plane is kept now')
      const streamEnd = once(stream.response, 'end')
      t.equal(await server.end(signal), 0)
      await streamEnd
      t.ok(stream.response.complete, 'the stream has ended, it was not cut')
      t.same(
        [...stream.text().matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
        ['1', '2'],
      )
      const good = await readLastKnownGood(dataDir)
      t.match(good, { outcome: 'read', state: { seq: 2 } })
      t.match(good.outcome === 'read' && good.state.documents.find(({ key }) => key === 'channel/stable/cloud'), {
        revision: 2,
        body: { source: { version: '15.1.5' } },
      })
      t.notMatch(server.output().stderr, /"level":[56]0/, 'nothing went wrong')
    },
  )
}

await t.test('SIGTERM in a burst of writes loses no acknowledged write, and leaves none unanswered', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir })
  const names = Array.from({ length: 16 }, (_, index) => `burst-${index}`)
  for (const name of names) await createChannel(server, name, '1.0.0')
  const acknowledged = new Set<string>()
  const unanswered = new Set<string>()
  const ended: Promise<number | string>[] = []
  /** Sets one version after the other until the server is gone. */
  const write = async (name: string): Promise<void> => {
    for (let patch = 1; ; patch += 1) {
      const version = `1.0.${patch}`
      const status = await setVersion(server, name, version).then(
        (reply) => reply.status,
        () => null,
      )
      if (status === null) unanswered.add(`${name} ${version}`)
      if (status !== 200) return
      acknowledged.add(`${name} ${version}`)
      if (acknowledged.size === BURST_WRITES) ended.push(server.end('SIGTERM'))
    }
  }
  await Promise.all(names.map(write))
  t.same(await Promise.all(ended), [0])

  const after = await run(t, { dataDir })
  const entries = await readJournal(after.control, 0)
  t.same(
    entries.map(({ seq }) => seq),
    entries.map((_, index) => index + 1),
  )
  const journaled = entries.flatMap(({ kind, changes }) =>
    kind === 'channel.version'
      ? changes.map(({ key, after }) => `${key.slice('channel/'.length)} ${versionIn(after?.body['source'])}`)
      : [],
  )
  t.equal(new Set(journaled).size, journaled.length, 'no write is there twice')
  const lost = [...acknowledged].filter((write) => !journaled.includes(write))
  t.same(lost, [], 'every acknowledged write is there')
  const silent = [...unanswered].filter((write) => journaled.includes(write))
  t.same(silent, [], 'no write was carried out and not answered')
})

function versionIn(source: unknown): string {
  return (source as { version: string }).version // Every channel's document has a static source.
}

await t.test(
  'a poll that has begun is answered, and nobody is told a wrong version while the server ends',
  async (t) => {
    const dataDir = await dataFolder(t)
    const server = await run(t, { dataDir })
    await createChannel(server, 'stable/cloud', '15.1.4')
    const { socket, text, closed } = await openSocket(server.pollUrl)
    socket.write(`GET ${VERSION_PATH} HTTP/1.1\r\nHost: a\r\n`)
    // An answer on another connection shows that the server has read what came before.
    t.equal(await server.asAgent(VERSION_PATH), '15.1.4')
    const ended = server.end('SIGTERM')
    const { hostname, port } = new URL(server.pollUrl)
    await refused(hostname, Number(port))
    socket.write('\r\n')
    await closed
    t.equal(await ended, 0)
    t.match(text(), /^HTTP\/1\.1 (200 OK|503 Service Unavailable)\r\n/)
    if (text().startsWith('HTTP/1.1 200')) t.match(text(), /\r\n\r\n15\.1\.4$/)
    else t.match(text(), /cache-control: no-store/i)
  },
)

await t.test('a change that has begun is carried out and acknowledged while the server ends', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir })
  await createChannel(server, 'a', '15.1.4')
  const { socket, text, closed } = await openSocket(server.controlUrl)
  const body = '{"version":"15.1.5"}'
  const head = [
    'PUT /admin/v1/channels/a/version HTTP/1.1',
    ...['Host: a', `Authorization: Bearer ${BENCH_TOKEN}`, 'Content-Type: application/json'],
  ]
  socket.write(head.map((line) => `${line}\r\n`).join(''))
  // An answer on another connection shows that the server has read what came before.
  t.match(jsonOf(await server.control.get('/readyz')), { ready: true })
  const ended = server.end('SIGTERM')
  const { hostname, port } = new URL(server.controlUrl)
  await refused(hostname, Number(port))
  socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`)
  await closed
  t.equal(await ended, 0)
  t.match(text(), /^HTTP\/1\.1 200 OK\r\n/)
  t.match(text(), /^connection: close\r$/im)
  const again = await run(t, { dataDir })
  t.equal(await again.asAgent('/v1/a/version'), '15.1.5')
})

/** Resolves once nobody listens there any more: the server has begun to end. */
async function refused(host: string, port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, host)
    const isRefused = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(false))
      socket.once('error', () => resolve(true))
    })
    socket.destroy()
    if (isRefused) return
  }
}

await t.test('a client that never finishes its request does not keep the server from ending well', async (t) => {
  const dataDir = await dataFolder(t)
  const server = await run(t, { dataDir })
  await createChannel(server, 'stable/cloud', '15.1.4')
  const slow = [await openSocket(server.pollUrl), await openSocket(server.controlUrl)]
  for (const { socket } of slow) socket.write(`GET ${VERSION_PATH} HTTP/1.1\r\nHost: a\r\n`)
  t.equal(await server.asAgent(VERSION_PATH), '15.1.4')
  t.match(jsonOf(await server.control.get('/readyz')), { ready: true })
  t.equal(await server.end('SIGTERM'), 0)
  t.match(await readLastKnownGood(dataDir), { outcome: 'read', state: { seq: 1 } })
})

await t.test('SIGTERM while the server starts, polls being answered already, ends it with 0', async (t) => {
  const dataDir = await dataFolder(t)
  const filled = await run(t, { dataDir })
  await createChannel(filled, 'stable/cloud', '15.1.4')
  await filled.end()
  const port = await freePort()
  const { child, settled } = spawnBellwether({ dataDir, env: { BELLWETHER_POLL_PORT: String(port) } })
  t.teardown(() => child.kill('SIGKILL'))
  const url = `http://127.0.0.1:${port}${VERSION_PATH}`
  let answer: string | null = null
  while (answer === null && child.exitCode === null) {
    answer = await fetch(url).then(
      (response) => response.text(),
      () => null,
    )
  }
  t.equal(answer, '15.1.4')
  child.kill('SIGTERM')
  const launched = await settled
  t.match(launched.outcome === 'ended' ? launched.how : await launched.server.ended, 0)
  const again = await run(t, { dataDir })
  t.equal(await again.asAgent(VERSION_PATH), '15.1.4')
})

await t.test('whoever started the server may go away without taking it along', async (t) => {
  const dataDir = await dataFolder(t)
  const ports = { BELLWETHER_POLL_PORT: String(await freePort()), BELLWETHER_CONTROL_PORT: String(await freePort()) }
  const { child } = spawnBellwether({ dataDir, env: ports })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const exited = once(child, 'exit')
  child.stdout?.destroy()
  const url = `http://127.0.0.1:${ports.BELLWETHER_CONTROL_PORT}/readyz`
  while (!(await isAnswered(url)) && child.exitCode === null);
  // The banner comes after the control plane listens; a round of answers later it has been written, or has failed.
  for (let asked = 0; asked < 20; asked += 1) t.ok(await isAnswered(url))
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.notMatch(log, 'EPIPE')
})

function isAnswered(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => (await response.text(), true),
    () => false,
  )
}
