// Asking an upstream, over real sockets: what is believed, and what becomes of everything else that a server can send.
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { UPSTREAM_BODY_BYTES_MAX, UpstreamClient, type UpstreamTarget } from '../../src/control/upstream-client.ts'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { freePort } from '../fixtures/fault-ports.ts'
import { freshFolder } from '../fixtures/store-process.ts'
import { answering, startUpstream, type Answer } from '../fixtures/upstream-server.ts'

/** For a server that will never answer; any time is right. */
const TIMEOUT_MS = 300
/** For one that answers, however busy the machine is. */
const PATIENT_MS = 60_000
/** For one that answers one request and never the other. */
const PARTLY_MS = 5_000
const NOTHING: UpstreamTarget = { version: null, critical: false }

interface ClientOptions {
  readonly allowed?: readonly string[] | null
  readonly timeoutMs?: number
}

function clientFor(t: Test, { allowed = ['127.0.0.1'], timeoutMs = PATIENT_MS }: ClientOptions = {}): UpstreamClient {
  const client = new UpstreamClient(new AllowedHosts(allowed, 'BELLWETHER_UPSTREAM_ALLOW'), timeoutMs)
  t.teardown(() => client.close())
  return client
}

async function asked(t: Test, version: string | Answer, critical?: string | Answer, timeoutMs = PATIENT_MS) {
  const upstream = await startUpstream(t)
  upstream.serve(version, critical)
  return clientFor(t, { timeoutMs }).ask(upstream.url('stable/cloud'), NOTHING)
}

t.test('a version and a flag are taken, in the forms that version servers give them', async (t) => {
  const forms: readonly (readonly [version: string, critical: string, target: UpstreamTarget])[] = [
    ['15.1.4', 'no', { version: '15.1.4', critical: false }],
    ['v15.1.4\n', 'yes\n', { version: '15.1.4', critical: true }],
    [' 15.1.4 ', 'TRUE', { version: '15.1.4', critical: true }],
    ['none', 'yes', { version: null, critical: false }],
  ]
  for (const [version, critical, target] of forms) {
    t.same(await asked(t, version, critical), { outcome: 'answered', ...target }, version)
  }
})

t.test('a halted channel of another Bellwether is one without a version; any other 404 is not', async (t) => {
  const halted = answering(404, 'channel stable/cloud has no target version')
  t.same(await asked(t, halted), { outcome: 'answered', version: null, critical: false })
  const unknown = await asked(t, answering(404, 'unknown channel'))
  t.match(unknown, { outcome: 'problem', kind: 'invalid', message: '/version is answered 404' })
})

t.test('a flag that cannot be had is no; one that makes no sense is a problem', async (t) => {
  const away: readonly Answer[] = [
    answering(404, 'not found'),
    answering(500, 'yes'),
    answering(302, 'yes', { location: 'https://elsewhere.example/' }),
    (_request, response) => void response.destroy(),
    () => {},
  ]
  for (const critical of away) {
    const answer = await asked(t, '15.1.4', critical, PARTLY_MS)
    t.same(answer, { outcome: 'answered', version: '15.1.4', critical: false })
  }
  t.match(await asked(t, '15.1.4', 'maybe'), { outcome: 'problem', kind: 'invalid', message: /\/critical is "maybe"/ })
})

t.test('everything else is a problem in words, and soon', async (t) => {
  const endless: Answer = (_request, response) => {
    response.writeHead(200)
    const more = (): void => {
      while (!response.destroyed && response.write('15.1.4 '.repeat(1_000)));
    }
    response.on('drain', more)
    more()
  }
  const slowBody: Answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '6' })
    response.write('15.1')
  }
  const page = `<html>${'bad gateway '.repeat(10_000)}</html>`
  const brokenPage: Answer = (_request, response) => {
    response.writeHead(503, { 'content-length': '100' })
    response.write('<html>', () => response.destroy())
  }
  const portal = '<!doctype html><title>Please sign in</title><a href="https://portal.example/">Sign in</a>'
  const faults: Readonly<Record<string, readonly [Answer, kind: string, words: RegExp, timeoutMs?: number]>> = {
    'an error': [answering(500, '15.1.4'), 'invalid', /answered 500/],
    'no content': [answering(204, ''), 'invalid', /answered 204/],
    'a redirect': [answering(301, '15.1.4', { location: '/v1/other/version' }), 'invalid', /answered 301/],
    'not modified, though it was not asked': [answering(304, ''), 'invalid', /answered 304/],
    'a captive portal': [answering(200, portal, { 'content-type': 'text/html' }), 'invalid', /doctype html/],
    nothing: [answering(200, ''), 'invalid', /is empty/],
    'a word': [answering(200, 'stable'), 'invalid', /is not a version/],
    'two versions': [answering(200, '15.1.4\n15.1.5'), 'invalid', /white space/],
    'too much': [answering(200, '1'.repeat(UPSTREAM_BODY_BYTES_MAX + 1)), 'invalid', /more than 1024 bytes/],
    'an endless body': [endless, 'invalid', /more than 1024 bytes/],
    'an error with a large page': [answering(502, page), 'invalid', /^\/version is answered 502$/],
    'an error whose page does not end': [brokenPage, 'invalid', /^\/version is answered 503$/],
    'a large page about an unknown channel': [answering(404, page), 'invalid', /^\/version is answered 404$/],
    'an error that is compressed': [
      (_request, response) => void response.writeHead(502, { 'content-encoding': 'gzip' }).end(gzipSync(page)),
      'invalid',
      /^\/version is answered 502$/,
    ],
    compressed: [
      (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('15.1.4')),
      'invalid',
      /encoded/,
    ],
    'a huge head': [answering(200, '15.1.4', { 'x-much': 'x'.repeat(20_000) }), 'unreachable', /overflow/i],
    'no answer': [() => {}, 'unreachable', /not answered in 0\.3 s/, TIMEOUT_MS],
    'a body that does not end': [slowBody, 'unreachable', /not answered in 0\.3 s/, TIMEOUT_MS],
    'the end in the middle': [
      (_request, response) => {
        response.writeHead(200, { 'content-length': '6' })
        response.write('15.1', () => response.destroy())
      },
      'unreachable',
      /./,
    ],
    'what is not HTTP': [(request) => void request.socket.end('15.1.4'), 'unreachable', /parse|expected/i],
  }
  for (const [name, [answer, kind, message, timeoutMs]] of Object.entries(faults)) {
    t.match(await asked(t, answer, 'no', timeoutMs), { outcome: 'problem', kind, message }, name)
  }
})

t.test('a redirect is not followed', async (t) => {
  const other = await startUpstream(t)
  const upstream = await startUpstream(t)
  upstream.serve(answering(302, '', { location: `${other.url('x')}/version` }))
  t.match(await clientFor(t).ask(upstream.url('x'), NOTHING), { outcome: 'problem' })
  t.strictSame(other.requests, [])
})

t.test('nobody there is unreachable', async (t) => {
  const answer = await clientFor(t).ask(`http://127.0.0.1:${await freePort()}/v1/x`, NOTHING)
  t.match(answer, { outcome: 'problem', kind: 'unreachable', message: /ECONNREFUSED/ })
})

t.test('a host that is not allowed is never asked', async (t) => {
  const upstream = await startUpstream(t)
  for (const [allowed, message] of [
    [null, /internal address/],
    [['a.example'], /not among the hosts/],
  ] as const) {
    const answer = await clientFor(t, { allowed }).ask(upstream.url('x'), NOTHING)
    t.match(answer, { outcome: 'problem', kind: 'unreachable', message })
  }
  // Its name says nothing of where it leads; that is found when it is connected to.
  const named = `http://localhost.localdomain:${upstream.port}/v1/x`
  t.match(await clientFor(t, { allowed: null }).ask(named, NOTHING), { outcome: 'problem', kind: 'unreachable' })
  t.strictSame(upstream.requests, [])
})

t.test('a certificate that nobody vouches for is unreachable', async (t) => {
  const folder = await freshFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost'],
    ...['-days', '2', '-keyout', key, '-out', cert],
  ])
  if (made.status !== 0) {
    t.pass('TLS', { skip: 'NOT TESTED: openssl is missing. Install with: apt-get install openssl' })
    return
  }
  const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_request, response) => {
    response.end('15.1.4')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo // It listens on TCP.
  const answer = await clientFor(t).ask(`https://127.0.0.1:${port}/v1/x`, NOTHING)
  t.match(answer, { outcome: 'problem', kind: 'unreachable', message: /self.signed/i })
})

t.test('what has an entity tag is asked for with it, and 304 gives what was answered before', async (t) => {
  const upstream = await startUpstream(t)
  const tagged: Answer = (request, response) => {
    const isSame = request.headers['if-none-match'] === '"15.1.4"'
    if (isSame) response.writeHead(304).end()
    else response.writeHead(200, { etag: '"15.1.4"' }).end('15.1.4')
  }
  upstream.serve(tagged)
  const client = clientFor(t)
  const known = { version: '15.1.4', critical: false }
  t.match(await client.ask(upstream.url('x'), NOTHING), { outcome: 'answered', version: '15.1.4' })
  t.match(await client.ask(upstream.url('x'), known), { outcome: 'answered', version: '15.1.4' })
  t.strictSame(
    upstream.requests.filter(({ path }) => path.endsWith('version')).map(({ condition }) => condition),
    [null, '"15.1.4"', '"15.1.4"'],
  )
  upstream.serve('15.1.5')
  t.match(await client.ask(upstream.url('x'), known), { outcome: 'answered', version: '15.1.5' })
  upstream.serve(answering(304, ''))
  t.match(await client.ask(upstream.url('x'), known), { outcome: 'problem', message: /answered 304/ }, 'without a tag')
})

t.test('version and flag are never of two states', async (t) => {
  const upstream = await startUpstream(t)
  let moved = false
  // It moves to a critical 15.1.5 between the two requests.
  upstream.serve(
    (_request, response) => void response.end(moved ? '15.1.5' : '15.1.4'),
    (_request, response) => {
      moved = true
      response.end('yes')
    },
  )
  const client = clientFor(t)
  t.same(await client.ask(upstream.url('x'), { version: '15.1.4', critical: false }), { outcome: 'changing' })
  t.match(await client.ask(upstream.url('x'), NOTHING), { outcome: 'answered', version: '15.1.5', critical: true })
})

t.test('what is known already costs two requests, and no third', async (t) => {
  const upstream = await startUpstream(t)
  const client = clientFor(t)
  await client.ask(upstream.url('x'), { version: '15.1.4', critical: false })
  t.strictSame(
    upstream.requests.map(({ path }) => path),
    ['/v1/x/version', '/v1/x/critical'],
  )
})
