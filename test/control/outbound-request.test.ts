// What is told of a server that could not be asked: why, and never the address that its name was resolved to or the names that
// its certificate is made out to, which are in the log alone. What becomes of each answer is in the tests of the clients.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { freePort } from '../fixtures/fault-ports.ts'
import { askOnce, type Told } from '../fixtures/outbound-ask.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const ADDRESS = /127\.0\.0|::1/
const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('../fixtures/outbound-child.ts', import.meta.url))

/** The problem of a server that is not there, and what the log says of it. */
async function asked(t: Test, addresses: readonly string[] | null): Promise<{ message: string; logged: string }> {
  return failedIn(t, await askOnce(`http://inside.example:${await freePort()}/`, addresses))
}

function failedIn(t: Test, { kind, message, lines }: Told): { message: string; logged: string } {
  t.equal(kind, 'failed')
  t.equal(lines.length, 1)
  return { message, logged: JSON.stringify(lines) }
}

t.test('a connection that fails is told without the address; the log has it', async (t) => {
  const { message, logged } = await asked(t, ['127.0.0.2'])
  t.equal(message, 'could not be asked: connect ECONNREFUSED')
  t.match(logged, /"host":"inside\.example:\d+"/)
  t.match(logged, /connect ECONNREFUSED 127\.0\.0\.2:\d+/)
})

t.test('so it is where a name has several addresses', async (t) => {
  const { message, logged } = await asked(t, ['127.0.0.2', '127.0.0.3'])
  // A machine that is busy may give the first one up before it has refused.
  t.match(message, /^could not be asked: connect E[A-Z]+(?:; connect E[A-Z]+)?$/)
  for (const address of ['127.0.0.2', '127.0.0.3']) t.match(logged, address)
})

t.test('and where the address is why a host is refused', async (t) => {
  const { message, logged } = await asked(t, null)
  t.equal(message, 'could not be asked: localhost has an internal address; BELLWETHER_PACKAGES_ALLOW must name it')
  t.match(logged, ADDRESS)
})

t.test('a certificate that is not trusted is told by a code; the log has what it is made out to', async (t) => {
  const folder = await freshFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const names = 'DNS:a.internal,DNS:inside.example,IP:10.0.0.7'
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  try {
    const subject = ['-subj', '/CN=a.internal', '-addext', `subjectAltName=${names}`]
    await run('openssl', ['req', '-x509', ...ec, '-days', '2', ...subject, '-keyout', key, '-out', cert])
  } catch (error) {
    t.pass('TLS', { skip: `NOT TESTED: openssl is missing. Install with: apt-get install openssl: ${String(error)}` })
    return
  }
  const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (_request, response) => {
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo // It listens on TCP.
  const trusting = async (host: string): Promise<Told> => {
    const env = { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: cert }
    const { stdout } = await run(process.execPath, ['--import', 'tsx', CHILD, `https://${host}:${port}/`], { env })
    return JSON.parse(stdout) as Told // The child prints one.
  }

  const stranger = failedIn(t, await askOnce(`https://inside.example:${port}/`, ['127.0.0.1']))
  t.equal(stranger.message, 'could not be asked: the TLS connection was not trusted: DEPTH_ZERO_SELF_SIGNED_CERT')
  t.match(stranger.logged, /self-signed certificate/)

  const other = failedIn(t, await trusting('other.example'))
  t.equal(other.message, 'could not be asked: the TLS connection was not trusted: ERR_TLS_CERT_ALTNAME_INVALID')
  t.match(other.logged, /DNS:a\.internal.*IP Address:10\.0\.0\.7/)

  t.equal((await trusting('inside.example')).kind, 'reply', 'it is made out to that name')
})
