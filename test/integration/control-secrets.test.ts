// Secrets of a real server: in no log at the finest level, in no answer, and in no file but as a hash.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { at } from '../fixtures/admin-json.ts'
import { startServer, TEST_TOKEN, type ServerProcess } from '../fixtures/server-process.ts'

async function call(
  server: ServerProcess,
  token: string,
  method: string,
  path: string,
  body?: string,
): Promise<number> {
  const response = await fetch(`${server.controlUrl}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body }),
  })
  await response.arrayBuffer()
  return response.status
}

t.test('a token appears nowhere but in the answer that made it', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-secrets-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const server = await startServer(dataDir, { BELLWETHER_LOG_LEVEL: 'trace' })
  t.teardown(() => server.end('SIGKILL'))
  const made = await server.admin('POST', '/tokens', { name: 'ann', role: 'operator' })
  const token = String(at(made.body, 'token'))
  t.match(token, /^bw_/)
  const wrong = `${token.slice(0, -8)}wrong-one`
  for (const [text, method, path, body] of [
    [token, 'GET', '/whoami'],
    [token, 'GET', '/tokens'],
    [token, 'POST', '/channels', '{"name":"a","source":{"kind":"static","version":"1.0.0"}}'],
    [token, 'POST', '/channels', '{broken'],
    [token, 'PUT', '/channels/a/version', '{"version":1}'],
    [token, 'DELETE', '/channels/a'],
    [token, 'GET', '/nowhere'],
    [token, 'GET', '/channels/%zz'],
    [wrong, 'GET', '/whoami'],
    [`${TEST_TOKEN}x`, 'GET', '/whoami'],
  ] as const) {
    t.not(await call(server, text, method, path, body), 500)
  }
  const stream = await fetch(`${server.controlUrl}/admin/v1/journal/stream?after=0`, {
    headers: { authorization: `Bearer ${token}` },
  })
  await stream.body?.cancel()
  for (const path of ['/tokens', '/journal']) {
    const answer = JSON.stringify((await server.admin('GET', path)).body)
    t.notOk(answer.includes(token.slice(16)), path)
    t.notMatch(answer, /"hash":"[0-9a-f]/, path)
  }
  t.equal(await server.end(), 0)
  const { stdout, stderr } = server.output()
  const secrets = [token.slice(16), wrong.slice(16), TEST_TOKEN]
  for (const secret of secrets) t.notOk((stdout + stderr).includes(secret), 'not in what is logged or printed')
  t.notMatch(stderr, /"hash"|[0-9a-f]{64}/, 'nor a hash')
  const files = await readdir(dataDir)
  t.ok(files.includes('last-known-good.json') && files.includes('store.mdb'), files.join())
  for (const file of files) {
    const path = join(dataDir, file)
    if (!(await stat(path)).isFile()) continue
    const bytes = await readFile(path)
    for (const secret of secrets)
      t.notOk(bytes.includes(secret) || bytes.includes(Buffer.from(secret, 'utf16le')), `not in ${file}`)
    if (bytes.includes('ann')) t.equal((await stat(path)).mode & 0o077, 0, `${file} is for its owner alone`)
  }
})

t.test('a token that was made for the first start is in its file alone, and works after a restart', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-secrets-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  let token = ''
  for (const start of [1, 2]) {
    const server = await startServer(dataDir, { BELLWETHER_ADMIN_TOKEN: '', BELLWETHER_LOG_LEVEL: 'trace' })
    t.teardown(() => server.end('SIGKILL'))
    const text = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim()
    if (start === 1) token = text
    t.equal(text, token)
    t.equal((await stat(join(dataDir, 'admin-token'))).mode & 0o777, 0o600)
    t.equal(await call(server, token, 'GET', '/whoami'), 200)
    t.equal(await server.end(), 0)
    const { stdout, stderr } = server.output()
    t.notOk((stdout + stderr).includes(token), 'not in what is logged or printed')
  }
})
