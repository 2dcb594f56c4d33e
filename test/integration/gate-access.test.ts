// Gates of a real server from outside: a real Prometheus that has not the whole answer, and servers over HTTPS and on this machine
// that record who sends them which secret.
import { execFile } from 'node:child_process'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { at, type Fields } from '../fixtures/admin-json.ts'
import { dataFolder } from '../fixtures/fault-process.ts'
import { freePort } from '../fixtures/fault-ports.ts'
import { secretsFolder } from '../fixtures/gate-secret-files.ts'
import { prometheusTest, startPrometheus } from '../fixtures/prometheus-process.ts'
import { until } from '../fixtures/redis-process.ts'
import { cloud, commitOf, listAt } from '../fixtures/rollout-session.ts'
import { runServer, startServer, type ServerProcess } from '../fixtures/server-process.ts'
import { startUpstream } from '../fixtures/upstream-server.ts'

const run = promisify(execFile)
const WAIT_MS = 60_000
const TOKEN = 'top-s3cret-t0ken'
const PASSWORD = 'an0ther s3cret'

t.setTimeout(240_000)

/** Calls the admin API, where it must succeed. */
async function done(server: ServerProcess, method: string, path: string, body?: object): Promise<unknown> {
  const reply = await server.admin(method, path, body)
  if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

/** Sends a release to a canary that soaks under one gate. */
async function rollOut(server: ServerProcess, name: string, gate: Fields): Promise<void> {
  await done(server, 'POST', '/channels', { name, source: { kind: 'static', version: cloud(1) } })
  const rule = { name: 'errors', query: 'errors{v="{release}"} or vector(1)', op: '<', threshold: 5, everySeconds: 5 }
  const stages = [{ name: 'canary', channels: [name], soakMinutes: 600, gates: [{ ...rule, failures: 1, ...gate }] }]
  await done(server, 'PUT', `/pipelines/${name}`, { requirePackages: false, stages })
}

async function start(server: ServerProcess, ...names: readonly string[]): Promise<void> {
  await done(server, 'POST', '/releases', { version: cloud(2), commit: commitOf(2), kind: 'full', changes: [] })
  for (const name of names) await done(server, 'POST', `/rollouts/${name}/promote`, { stage: 'canary' })
}

/** The last sample of the rollout's gate, once there is one. */
async function sampled(server: ServerProcess, name: string): Promise<unknown> {
  let sample: unknown
  const look = async (): Promise<boolean> => {
    const rollout = await done(server, 'GET', `/rollouts/${name}/${cloud(2)}`)
    sample = at(rollout, 'stages', 0, 'gates', 0, 'samples', 0)
    return sample !== undefined
  }
  await until(`the gate of ${name} is evaluated`, look, WAIT_MS)
  return sample
}

await prometheusTest(
  t,
  'a gate that passes on half of an answer pauses: its Prometheus cannot read all it should',
  async (t) => {
    const [whole, partial] = [
      await startPrometheus(t),
      await startPrometheus(t, `http://127.0.0.1:${await freePort()}/api/v1/read`),
    ]
    const reply = await fetch(`${partial.url}/api/v1/query?query=${encodeURIComponent('up or vector(1)')}`)
    t.match(
      await reply.json(),
      { status: 'success', warnings: [/remote_read|refused/] },
      'Prometheus says so beside the value',
    )
    const server = await startServer(await dataFolder(t), { BELLWETHER_GATES_ALLOW: '127.0.0.1' })
    t.teardown(() => server.end('SIGKILL'))
    const query = 'sum(up{v!="{release}"} or vector(1))'
    await rollOut(server, 'whole', { url: whole.url, query })
    await rollOut(server, 'partial', { url: partial.url, query })
    await start(server, 'whole', 'partial')
    t.match(await sampled(server, 'whole'), { verdict: 'passed', detail: null })
    t.match(await sampled(server, 'partial'), { value: null, verdict: 'error', detail: /^partial answer: .*refused/ })
    let paused: unknown = null
    await until(
      'the rollout is paused',
      async () => {
        paused = at(await done(server, 'GET', `/rollouts/partial/${cloud(2)}`), 'paused')
        return paused !== null
      },
      WAIT_MS,
    )
    t.match(paused, {
      gate: 'errors',
      reason: /^gate errors failed once: it could not be evaluated \(partial answer: .*refused/,
    })
    t.equal(at(await done(server, 'GET', `/rollouts/whole/${cloud(2)}`), 'paused'), null)
  },
)

interface Recorded {
  readonly port: number
  /** The Authorization of every request. */
  readonly sent: (string | undefined)[]
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const ANSWER = JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [1, '1'] } })

async function startTls(t: Test, folder: string, handler: Handler): Promise<Recorded> {
  const sent: (string | undefined)[] = []
  const [key, cert] = await Promise.all([readFile(join(folder, 'key.pem')), readFile(join(folder, 'cert.pem'))])
  const server = createServer({ key, cert }, (request, response) => {
    sent.push(request.headers.authorization)
    handler(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  return { port: (server.address() as AddressInfo).port, sent } // It listens on TCP.
}

/** Every file below a folder of data that has one of these texts. */
async function filesWith(folder: string, texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if (!(await stat(path)).isFile()) continue
    const bytes = await readFile(path)
    if (texts.some((text) => bytes.includes(text) || bytes.includes(Buffer.from(text, 'utf16le')))) found.push(name)
  }
  return found
}

t.test(
  'a secret goes to its host over TLS, and nowhere else: no redirect, log, journal, answer or file has it',
  async (t) => {
    const tls = await dataFolder(t)
    const cert = join(tls, 'cert.pem')
    try {
      const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
      const subject = ['-subj', '/CN=gate', '-addext', 'subjectAltName=IP:127.0.0.1']
      await run('openssl', ['req', '-x509', ...ec, ...subject, '-keyout', join(tls, 'key.pem'), '-out', cert])
    } catch (error) {
      t.pass('TLS', { skip: `NOT TESTED: openssl is missing. Install with: apt-get install openssl: ${String(error)}` })
      return
    }
    const good = await startTls(t, tls, (_request, response) => response.end(ANSWER))
    const [elsewhere, plain] = [
      await startTls(t, tls, (_request, response) => response.end(ANSWER)),
      await startUpstream(t),
    ]
    const echo = await startTls(t, tls, (request, response) => {
      const error = `not allowed: ${request.headers.authorization} ${PASSWORD} ann:${PASSWORD}`
      response.writeHead(401).end(JSON.stringify({ status: 'error', error }))
    })
    const moved = await startTls(t, tls, (request, response) => {
      response.writeHead(307, { location: `https://127.0.0.1:${elsewhere.port}${request.url}` }).end()
    })
    const local: (string | undefined)[] = []
    const recorded: Handler = (request, response) => {
      local.push(request.headers.authorization)
      response.end(ANSWER)
    }
    plain.serve(recorded, recorded)
    const bearer = `hosts: 127.0.0.1:${good.port},127.0.0.1:${moved.port},127.0.0.1:${plain.port}\nbearer: ${TOKEN}\n`
    const folder = await secretsFolder(t, {
      good: bearer,
      echo: `hosts: 127.0.0.1:${echo.port}\nbasic: ann:${PASSWORD}\n`,
    })
    const dataDir = await dataFolder(t)
    const settings = { BELLWETHER_GATES_ALLOW: '127.0.0.1', NODE_EXTRA_CA_CERTS: cert, BELLWETHER_LOG_LEVEL: 'trace' }
    const server = await startServer(dataDir, { ...settings, BELLWETHER_GATE_SECRETS_DIR: folder })
    t.teardown(() => server.end('SIGKILL'))
    const on = (port: number) => ({ url: `https://127.0.0.1:${port}`, query: 'errors' })
    await rollOut(server, 'good', { ...on(good.port), secret: 'good' })
    await rollOut(server, 'bare', on(good.port))
    await rollOut(server, 'echo', { ...on(echo.port), secret: 'echo' })
    await rollOut(server, 'moved', { ...on(moved.port), secret: 'good' })
    await rollOut(server, 'local', { ...on(0), url: `http://127.0.0.1:${plain.port}`, secret: 'good' })
    const refused = await rollOut(server, 'elsewhere', { ...on(elsewhere.port), secret: 'good' }).catch(String)
    t.match(refused, /400 .*stages\/0\/gates\/0\/secret.*is not for 127\.0\.0\.1:/)
    await start(server, 'good', 'echo', 'moved', 'local', 'bare')
    t.match(await sampled(server, 'good'), { verdict: 'passed' })
    t.match(await sampled(server, 'local'), { verdict: 'passed' })
    t.match(await sampled(server, 'bare'), { verdict: 'passed' })
    t.match(await sampled(server, 'moved'), { verdict: 'error', detail: /answered 307, a redirect/ })
    t.match(await sampled(server, 'echo'), {
      verdict: 'error',
      detail: /answered 401: not allowed: Basic \[secret\] \[secret\] \[secret\]$/,
    })
    t.strictSame(new Set(good.sent), new Set([`Bearer ${TOKEN}`, undefined]))
    t.strictSame(new Set(local), new Set([`Bearer ${TOKEN}`]))
    t.strictSame(new Set(moved.sent), new Set([`Bearer ${TOKEN}`]))
    t.strictSame(elsewhere.sent, [], 'no other host has been asked at all')
    const answers = ['/journal?limit=500', '/pipelines', '/rollouts/echo', '/rollouts/good', '/replicas'].map(
      async (path) => JSON.stringify(await done(server, 'GET', path)),
    )
    const secrets = [TOKEN, PASSWORD, Buffer.from(`ann:${PASSWORD}`).toString('base64')]
    const shown = (await Promise.all(answers)).join('\n')
    t.match(shown, '"secret":"echo"')
    t.equal(await server.end(), 0)
    const { stdout, stderr } = server.output()
    for (const secret of secrets) t.notOk(`${shown}${stdout}${stderr}`.includes(secret), 'in no answer, log or output')
    t.strictSame(await filesWith(dataDir, secrets), [])

    // The same store, without the secrets.
    const without = await startServer(dataDir, settings)
    t.teardown(() => without.end('SIGKILL'))
    await until(
      'the gate says that its secret is missing',
      async () => {
        const rollout = await done(without, 'GET', `/rollouts/good/${cloud(2)}`)
        return /the secret is not known: this server has no secrets/.test(String(at(rollout, 'paused', 'reason')))
      },
      WAIT_MS,
    )
    t.equal(await without.end(), 0)
    const warnings = without
      .output()
      .stderr.split('\n')
      .filter((line) => line.includes('a gate cannot be evaluated'))
    t.match(
      warnings.find((line) => line.includes('"pipeline":"good"')),
      /"secret":"good".*BELLWETHER_GATE_SECRETS_DIR is not set/,
    )

    // With the secrets, and an environment that has certificates not checked.
    const unchecked = {
      BELLWETHER_GATE_SECRETS_DIR: folder,
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_EXTRA_CA_CERTS: '',
    }
    good.sent.length = 0
    const careless = await startServer(dataDir, { ...settings, ...unchecked })
    t.teardown(() => careless.end('SIGKILL'))
    let last: unknown = null
    await until(
      'the gate does not trust its server',
      async () => {
        const rollout = await done(careless, 'GET', `/rollouts/good/${cloud(2)}`)
        last = listAt(at(rollout, 'stages', 0, 'gates', 0), 'samples').at(-1)
        return String(at(last, 'detail')).includes('TLS')
      },
      WAIT_MS,
    )
    t.match(last, { verdict: 'error', detail: /the TLS connection was not trusted: DEPTH_ZERO_SELF_SIGNED_CERT/ })
    await until('a gate without a secret is asked', async () => good.sent.length > 0, WAIT_MS)
    t.strictSame(new Set(good.sent), new Set([undefined]), 'which sends none')
  },
)

t.test('a server does not start without its secrets, and says which file is wrong', async (t) => {
  const folder = await secretsFolder(t, { good: `hosts: a.example\nbearer: ${TOKEN}`, bare: TOKEN, 'Bad name': '' })
  const env = { BELLWETHER_GATE_SECRETS_DIR: folder }
  const ended = await runServer(await dataFolder(t), env)
  t.equal(ended.code, 1)
  t.strictSame(ended.stderr.trim().split('\n'), [
    'bellwether: BELLWETHER_GATE_SECRETS_DIR: "Bad name" is no name of a secret: 1 to 63 of a-z, 0-9, ".", "_" and "-", the first a letter or digit',
    'bellwether: BELLWETHER_GATE_SECRETS_DIR: "bare" line 1 must begin with "hosts:", "bearer:" or "basic:"',
  ])
  t.notOk(`${ended.stdout}${ended.stderr}`.includes(TOKEN))
  await rm(folder, { recursive: true })
  const missing = await runServer(await dataFolder(t), env)
  t.match(missing, { code: 1, stderr: 'bellwether: BELLWETHER_GATE_SECRETS_DIR cannot be read: ENOENT\n' })
  await writeFile(folder, '')
  const file = await runServer(await dataFolder(t), env)
  t.match(file, { code: 1, stderr: 'bellwether: BELLWETHER_GATE_SECRETS_DIR cannot be read: ENOTDIR\n' })
})
