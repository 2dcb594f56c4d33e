// Whether packages are found, over real sockets: a 200 to HEAD is one, everything else a problem in words.
import t, { type Test } from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { PACKAGE_URL_LENGTH_MAX, PACKAGE_URLS_MAX, PackageClient } from '../../src/control/package-client.ts'
import { freePort } from '../fixtures/fault-ports.ts'
import { answering, startUpstream, type Answer } from '../fixtures/upstream-server.ts'

const TIMEOUT_MS = 300

function clientFor(t: Test, allowed: readonly string[] | null = ['127.0.0.1'], timeoutMs?: number): PackageClient {
  const client = new PackageClient(new AllowedHosts(allowed, 'BELLWETHER_PACKAGES_ALLOW'), timeoutMs)
  t.teardown(() => client.close())
  return client
}

/** A server that answers so, and the URL of a package there. */
async function serving(t: Test, answer: Answer) {
  const server = await startUpstream(t)
  server.serve(answer, answer)
  return { ...server, packageUrl: `http://127.0.0.1:${server.port}/agent-15.1.4.tgz` }
}

async function problemOf(t: Test, answer: Answer): Promise<string | null | undefined> {
  const { packageUrl } = await serving(t, answer)
  const [check, ...more] = await clientFor(t).check([packageUrl])
  t.strictSame(more, [])
  t.equal(check?.url, packageUrl)
  return check?.problem
}

t.test('exactly 200 is found, whatever the head says of a body that was not asked for', async (t) => {
  const methods: (string | undefined)[] = []
  const found: Answer = ({ method }, response) => {
    methods.push(method)
    response.writeHead(200, { 'content-length': '123456789', 'content-encoding': 'gzip' }).end()
  }
  t.equal(await problemOf(t, found), null)
  t.strictSame(methods, ['HEAD'])
  for (const status of [201, 203, 204, 206, 400, 401, 403, 404, 405, 410, 429, 500, 503]) {
    t.equal(await problemOf(t, answering(status, '')), `is answered ${status}`)
  }
})

t.test('a redirect is not followed; the problem says what to do', async (t) => {
  const other = await serving(t, answering(200, ''))
  for (const status of [301, 302, 303, 307, 308]) {
    const problem = await problemOf(t, answering(status, '', { location: `${other.packageUrl}?signature=secret` }))
    t.equal(problem, `is answered ${status}, a redirect; give the URL that it leads to in the end`)
  }
  t.strictSame(other.requests, [])
})

t.test('a server that does not answer in time, hangs up, or speaks no HTTP is a problem', async (t) => {
  const { packageUrl } = await serving(t, () => {})
  const [late] = await clientFor(t, ['127.0.0.1'], TIMEOUT_MS).check([packageUrl])
  t.equal(late?.problem, 'was not answered in 0.3 s')
  t.match(await problemOf(t, (request) => void request.socket.destroy()), /^could not be asked: ./)
  t.match(await problemOf(t, (request) => void request.socket.end('a package')), /^could not be asked: ./)
  t.match(await problemOf(t, answering(200, '', { 'x-much': 'x'.repeat(20_000) })), /^could not be asked: ./)
})

t.test('nobody there is a problem', async (t) => {
  const [check] = await clientFor(t).check([`http://127.0.0.1:${await freePort()}/agent.tgz`])
  t.match(check?.problem, /^could not be asked: .*ECONNREFUSED/)
})

t.test('a URL that may not be asked is a problem, and is not asked', async (t) => {
  const { packageUrl, port, requests } = await serving(t, answering(200, ''))
  const cases: readonly (readonly [url: string, problem: RegExp])[] = [
    [packageUrl, /^is on 127\.0\.0\.1, an internal address; BELLWETHER_PACKAGES_ALLOW must name it$/],
    ['https://10.0.0.1/agent.tgz', /^is on 10\.0\.0\.1, an internal address; BELLWETHER_PACKAGES_ALLOW must name it$/],
    [`http://[::ffff:127.0.0.1]:${port}/`, /an internal address/],
    ['https://user:password@a.example/', /^must not have a user or password in it$/],
    ['ftp://a.example/agent.tgz', /^must begin with https:/],
    ['agent.tgz', /^is not a URL/],
    ['', /^is not a URL/],
    [`https://a.example/${'x'.repeat(PACKAGE_URL_LENGTH_MAX)}`, /^is longer than 1000 characters$/],
  ]
  const checks = await clientFor(t, null).check(cases.map(([url]) => url))
  t.equal(checks.length, cases.length)
  for (const [index, [url, problem]] of cases.entries()) {
    t.match(checks[index], { url, problem })
    t.notMatch(checks[index]?.problem, /user:/)
  }
  // Its name says nothing of where it leads; that is found when it is connected to.
  const [named] = await clientFor(t, null).check([`http://localhost.localdomain:${port}/`])
  t.match(named?.problem, /^could not be asked: /)
  const [other] = await clientFor(t, ['a.example']).check([packageUrl])
  t.match(other?.problem, /not among the hosts that BELLWETHER_PACKAGES_ALLOW names$/)
  t.strictSame(requests, [])
})

t.test('many are asked ten at once, and told in their order', async (t) => {
  const held: (() => void)[] = []
  let most = 0
  const server = await serving(t, ({ url = '' }, response) => {
    const answer = (): void => void response.writeHead(Number(/\d+$/.exec(url)?.[0]) % 2 === 0 ? 200 : 404).end()
    held.push(answer)
    most = Math.max(most, held.length)
    // None is answered before ten wait; then all are, the last first.
    if (held.length === 10) for (const release of held.splice(0).reverse()) release()
  })
  const urls = Array.from({ length: PACKAGE_URLS_MAX }, (_, index) => `${server.packageUrl}/${index}`)
  const checks = await clientFor(t).check(urls)
  t.equal(most, 10)
  t.strictSame(
    checks,
    urls.map((url, index) => ({ url, problem: index % 2 === 0 ? null : 'is answered 404' })),
  )
  t.strictSame(await clientFor(t).check([]), [])
})

t.test('checking while the client is closed ends with a problem', async (t) => {
  const client = clientFor(t)
  const server = await serving(t, () => client.close())
  const [check] = await client.check([server.packageUrl])
  t.match(check?.problem, /^could not be asked: /)
})
