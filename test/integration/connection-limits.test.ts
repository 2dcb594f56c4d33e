// A server whose limit of open files is low, and strangers who open as many connections as they can on both ports: operators get
// through, and agents do.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../fixtures/redis-process.ts'
import { startServer } from '../fixtures/server-process.ts'

const OPEN_FILES_MAX = 300
/** Far more than the limit lets in. */
const STRANGERS = 300
/** Each that was ended comes again, at some moment of this time: idle connections, and no flood of new ones. */
const AGAIN_FIRST_MS = 4_000
const AGAIN_SPREAD_MS = 12_000
const FILE_TIMEOUT_MS = 300_000

t.setTimeout(FILE_TIMEOUT_MS)

/** Opens connections that ask nothing; each that the server ends is opened again, for as long as the test runs. */
function crowd(t: Test, url: string): { readonly open: () => number } {
  const { hostname: host, port } = new URL(url)
  const sockets = new Set<Socket>()
  let isOver = false
  t.teardown(() => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  })
  const open = (): void => {
    if (isOver) return
    const socket = connect({ host, port: Number(port) })
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      // In an order of their own: together they would be a flood, which is another matter.
      const at = (sockets.size * 7_919) % AGAIN_SPREAD_MS
      void pause(AGAIN_FIRST_MS + at, null, { ref: false }).then(open)
    })
  }
  for (let count = 0; count < STRANGERS; count += 1) open()
  return { open: () => sockets.size }
}

function inTime(): RequestInit {
  return { signal: AbortSignal.timeout(10_000) }
}

t.test('requests that come together on the control port, and answers that are not read, hold up nothing', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-connections-'))
  const server = await startServer(dataDir)
  t.teardown(async () => {
    await server.end()
    await rm(dataDir, { recursive: true, force: true })
  })
  const { port } = new URL(server.controlUrl)
  const stranger = connect(Number(port), '127.0.0.1')
  const ended = new Promise((resolve) => stranger.once('close', resolve))
  stranger.on('error', () => {})
  stranger.write('GET /admin/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000))
  await ended
  t.equal((await fetch(`${server.controlUrl}/readyz`, inTime())).status, 200)
  const together = connect(Number(port), '127.0.0.1')
  together.write('GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(8))
  let text = ''
  together.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await until('a few requests together are answered', async () => text.split('HTTP/1.1 200').length === 9)
  together.destroy()
})

t.test('strangers who fill both ports with idle connections lock out nobody: open_files_limited', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-connections-'))
  const server = await startServer(dataDir, {}, OPEN_FILES_MAX)
  t.teardown(async () => {
    await server.end()
    await rm(dataDir, { recursive: true, force: true })
  })
  t.match(server.output().stderr, /"code":"open_files_limited"/)
  const crowds = [crowd(t, server.pollUrl), crowd(t, server.controlUrl)]
  await pause(1_000)
  const source = { kind: 'static', version: '15.1.4' }
  let created = 0
  await until('an operator makes a channel', async () => {
    created = (await server.admin('POST', '/channels', { name: 'stable/cloud', source }).catch(() => ({ status: 0 })))
      .status
    return created !== 0
  })
  t.equal(created, 201)
  const ready = { warnings: [] as unknown }
  await until('the readiness is answered', async () => {
    const answer = await fetch(`${server.controlUrl}/readyz`, inTime()).catch(() => null)
    Object.assign(ready, await answer?.json())
    return answer !== null
  })
  t.match(ready.warnings, [{ code: 'open_files_limited', message: /RLIMIT_NOFILE/ }])
  let body = ''
  await until('an agent is answered', async () => {
    const answer = await fetch(`${server.pollUrl}/v1/stable/cloud/version`, inTime()).catch(() => null)
    body = (await answer?.text()) ?? ''
    return answer !== null
  })
  t.equal(body, '15.1.4')
  // Its file is written anew, and the store is asked: both take descriptors.
  const moves = () => server.admin('PUT', '/channels/stable%2Fcloud/version', { version: '15.1.5' })
  await until('the channel is moved', async () => (await moves().catch(() => ({ status: 0 }))).status === 200)
  t.ok(crowds.every(({ open }) => open() > 0))
  t.notMatch(server.output().stderr, /EMFILE/)
})
