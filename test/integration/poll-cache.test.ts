// A cache in front that normalises paths: whatever spelling of a path is asked for first, the path itself is answered as the
// server answers it. A real nginx before a real server.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { seededRandom } from '../../bench/random.ts'
import { nginxTest, startNginx } from '../fixtures/nginx-process.ts'
import { respell } from '../fixtures/poll-spellings.ts'
import type { Address } from '../fixtures/poll-wire.ts'
import { startServer } from '../fixtures/server-process.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const SPELLINGS = sized(250, 5_000)
const WEBAPI = '/webapi/automaticupgrades/channel'
/** Answered 200, and 404 for a channel that is halted, and for one that nobody knows. */
const PATHS = ['stable/cloud', 'halted', 'nope', 'stable/cloud/cohort/7'].flatMap((name) =>
  ['version', 'critical'].flatMap((value) => [
    `/v1/${name}/${value}`,
    `/v1${WEBAPI}/${name}/${value}`,
    `${WEBAPI}/${name}/${value}`,
  ]),
)
/** Those that were found to poison a cache. */
const KNOWN = [
  ...['/v1//stable/cloud/version', '/v1/stable//cloud/version', '//v1/stable/cloud/version'],
  ...['/v1/stable%2Fcloud/version', '/v1/./stable/cloud/version', '/v1/x/../stable/cloud/version'],
  ...['/v1/%73table/cloud/version', '/v1/stable/cloud//version', '/v1/stable/cloud/version#x'],
].map((spelling) => ({ path: '/v1/stable/cloud/version', spelling }))

interface Answered {
  readonly status: number
  readonly body: string
  readonly header: (name: string) => string | null
}

/** Asks for a target as it is, which no HTTP client would send. */
async function ask({ host, port }: Address, target: string, as: string): Promise<Answered> {
  const socket = connect({ host, port })
  socket.setEncoding('latin1')
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${as}\r\nConnection: close\r\n\r\n`, 'latin1')
  let text = ''
  for await (const some of socket) text += some as string // Text, since an encoding is set.
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const header = (name: string): string | null => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? null
  return { status: Number(head.slice(9, 12)), body, header }
}

async function startOrigin(t: Test): Promise<Address> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-cache-'))
  const server = await startServer(dataDir, { BELLWETHER_POLL_MAX_AGE_S: '3600' })
  t.teardown(async () => {
    await server.end()
    await rm(dataDir, { recursive: true, force: true })
  })
  for (const name of ['stable/cloud', 'halted']) {
    const source = { kind: 'static', version: '15.1.4' }
    t.equal((await server.admin('POST', '/channels', { name, source })).status, 201)
  }
  t.equal((await server.admin('PUT', '/channels/halted/halt', { reason: 'a test' })).status, 200)
  const { hostname: host, port } = new URL(server.pollUrl)
  return { host, port: Number(port) }
}

await nginxTest(t, 'no spelling of a path poisons the answer of the path itself', async (t) => {
  const origin = await startOrigin(t)
  const cache = await startNginx(t, origin)
  const random = seededRandom(SEED)
  const tries = [...KNOWN, ...Array.from({ length: SPELLINGS }, () => anySpelling())]
  const seen = { sameKey: 0, stored: 0 }
  for (const [index, { path, spelling }] of tries.entries()) {
    // A host of its own for each try: the key begins with it, so nothing is cached yet.
    const host = `try-${index}.example`
    const first = await ask(cache, spelling, host)
    const plain = await ask(cache, path, host)
    const right = await ask(origin, path, host)
    const isSame = plain.status === right.status && plain.body === right.body
    if (!isSame) t.same([plain.status, plain.body], [right.status, right.body], `${path} after ${spelling}`)
    if (first.header('X-Path') === path) seen.sameKey += 1
    if (plain.header('X-Cache') === 'HIT') seen.stored += 1
  }
  t.ok(seen.sameKey > tries.length / 4, `${seen.sameKey} of ${tries.length} spellings have the key of the path`)
  t.ok(seen.stored > 0, `${seen.stored} are answered as the path, so the cache has kept them for it`)

  function anySpelling() {
    const path = random.pick(PATHS)
    return { path, spelling: respell(path, random) }
  }
})

await nginxTest(t, 'this cache is one that an origin can poison', async (t) => {
  const origin = createServer((request, response) => {
    const isPlain = request.url === '/v1/stable/cloud/version'
    response.writeHead(isPlain ? 200 : 404, { 'Cache-Control': 'public, max-age=3600' }).end(isPlain ? '15.1.4' : 'no')
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  t.teardown(() => origin.close())
  const { port } = origin.address() as AddressInfo // It listens on TCP.
  const cache = await startNginx(t, { host: '127.0.0.1', port })
  t.equal((await ask(cache, '/v1//stable/cloud/version', 'a.example')).status, 404)
  const plain = await ask(cache, '/v1/stable/cloud/version', 'a.example')
  t.equal(plain.status, 404)
  t.equal(plain.header('X-Cache'), 'HIT')
})

await nginxTest(t, 'a 404 of a channel is kept by a cache as long as its 200, any other 404 never', async (t) => {
  const cache = await startNginx(t, await startOrigin(t))
  const kept = ['/v1/stable/cloud/version', '/v1/halted/version', '/v1/nope/version', `${WEBAPI}/nope/critical`]
  const never = ['/v1/Nope/version', '/', '/v1/stable/cloud', '/v1/nope/cohort/100/version', '/favicon.ico']
  for (const [paths, second] of [
    [kept, 'HIT'],
    [never, 'MISS'],
  ] as const) {
    for (const path of paths) {
      t.equal((await ask(cache, path, 'b.example')).header('X-Cache'), 'MISS', path)
      t.equal((await ask(cache, path, 'b.example')).header('X-Cache'), second, path)
    }
  }
})
