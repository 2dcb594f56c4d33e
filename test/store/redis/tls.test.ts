// Redis behind TLS: only with a certificate that is trusted and made out to the name that was asked for.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, type RedisServer } from '../../fixtures/redis-server.ts'
import { openImpatient } from '../../fixtures/redis-store.ts'
import { freshFolder } from '../../fixtures/store-process.ts'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('../../fixtures/redis-child.ts', import.meta.url))

/** A server with a certificate of its own, made out to `names`; null where openssl or this Redis cannot do that. */
async function startTls(t: Test, names: string): Promise<{ server: RedisServer; certificate: string } | null> {
  const folder = await freshFolder(t)
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', '/CN=bellwether-test', '-addext', `subjectAltName=${names}`]
  try {
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'],
      ...['-keyout', key, '-out', certificate, ...subject],
    ])
    const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate]
    const argsFor = (port: number): string[] => {
      return ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...files]
    }
    return { server: await startRedis(t, { argsFor }), certificate }
  } catch (error) {
    t.pass('TLS', { skip: `NOT TESTED: openssl or a Redis with TLS is missing: ${String(error)}` })
    return null
  }
}

async function commitFrom(url: string, certificate: string): Promise<string> {
  const env = { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: certificate }
  const { stdout } = await run(process.execPath, ['--import', 'tsx', CHILD, url, 'a'], { env })
  return stdout.trim()
}

await redisTest(t, 'a Redis whose certificate is trusted is used, and one whose is not is unavailable', async (t) => {
  const tls = await startTls(t, 'IP:127.0.0.1')
  if (tls === null) return
  const url = `rediss://127.0.0.1:${tls.server.port}`
  const stranger = openImpatient(t, url)
  // At first it may say that Redis has not answered yet.
  await until('it says what is wrong', async () => {
    const error: unknown = await stranger.load().catch((reason: unknown) => reason)
    if (!(error instanceof StoreUnavailable)) t.fail(String(error))
    return /self.signed certificate/.test(String(error))
  })
  t.equal(await commitFrom(url, tls.certificate), 'committed 1')
  t.match(await commitFrom(`redis://127.0.0.1:${tls.server.port}`, tls.certificate), /^StoreUnavailable/, 'without TLS')
})

await redisTest(t, 'a certificate that is made out to somebody else is refused', async (t) => {
  const tls = await startTls(t, 'DNS:elsewhere.example')
  if (tls === null) return
  const url = `rediss://127.0.0.1:${tls.server.port}`
  t.match(await commitFrom(url, tls.certificate), /^StoreUnavailable: .*(?:does not match|not in the cert)/)
})

await redisTest(t, 'a node of a Cluster is asked for by its name, and the reason names it', async (t) => {
  const tls = await startTls(t, 'DNS:elsewhere.example')
  if (tls === null) return
  const url = `rediss+cluster://localhost:${tls.server.port}`
  t.match(await commitFrom(url, tls.certificate), /^StoreUnavailable: .*localhost.*(?:does not match|not in the cert)/)
})
