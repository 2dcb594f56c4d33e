// The servers of the poll bench, each a process of its own on one core: Bellwether as an operator starts it, and what else
// one could build or take.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BENCH_TOKEN, builtEntry, startBellwether } from '../bellwether-process.ts'
import { channelName, fillStore } from '../channel-store.ts'
import type { CertificateFiles } from '../certificate.ts'
import { Client } from '../client.ts'
import { startRedis } from '../redis-process.ts'
import { BODY, HEADERS, POLL_PATH } from '../servers/answer.ts'

export interface Subject {
  readonly name: string
  readonly url: string
  /** Of the processes whose processor time counts. */
  readonly pids: readonly number[]
  /** Polls whose answers are not looked at would prove little. */
  readonly path: string
  readonly stop: () => Promise<unknown>
}

/** Where servers are started: on which core, null for any; with which Node.js. */
export interface Place {
  readonly core: number | null
  readonly node: string
  readonly folder: string
}

export async function benchFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-polls-'))
  // nginx gives up root before it reads its files.
  await chmod(folder, 0o755)
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface BellwetherOptions {
  readonly name?: string
  /** Beside the one that is polled. */
  readonly channels?: number
  readonly env?: Readonly<Record<string, string>>
}

export async function bellwether(
  place: Place,
  options: BellwetherOptions = {},
): Promise<Subject & { controlUrl: string }> {
  const { name = 'bellwether', channels = 0, env = {} } = options
  const dataDir = await mkdtemp(join(place.folder, 'data-'))
  if (channels > 0) await fillStore(dataDir, channels)
  const { core, node } = place
  const server = await startBellwether({ dataDir, core, node, entry: builtEntry(), env })
  const control = new Client(server.controlUrl, 1, BENCH_TOKEN)
  await control.admin('POST', '/channels', { name: 'stable/cloud', source: { kind: 'static', version: BODY } })
  control.close()
  const path = channels > 0 ? `/v1/${channelName(0)}/version` : POLL_PATH
  const { controlUrl, pollUrl: url } = server
  return { name, url, controlUrl, pids: [server.pid, ...childrenOf(server.pid)], path, stop: () => server.end() }
}

/** One of bench/servers, with its arguments. */
export async function fixture(
  place: Place,
  file: string,
  name: string,
  args: readonly string[] = [],
): Promise<Subject> {
  const path = fileURLToPath(new URL(`../servers/${file}.ts`, import.meta.url))
  const child = spawnOn(place, [place.node, '--import', 'tsx', path, ...args])
  const ended = once(child, 'exit')
  const [line] = (await Promise.race([once(child.stdout ?? child, 'data'), ended])) as [Buffer | number] // One or the other.
  if (typeof line === 'number') throw new Error(`${name} ended with ${line}`)
  const stop = (): Promise<unknown> => (child.kill('SIGTERM'), ended)
  return { name, url: line.toString().trim(), pids: [child.pid ?? 0], path: POLL_PATH, stop }
}

export async function fastifyRedis(place: Place): Promise<Subject> {
  const redis = await startRedis(place.folder)
  const subject = await fixture(place, 'fastify-redis', 'fastify + redis', [redis.url])
  return { ...subject, stop: async () => [await subject.stop(), await redis.end()] }
}

/** nginx as Debian has it, with one worker: from a static file (its default way), or from its configuration. */
export async function nginx(
  place: Place,
  way: 'static' | 'return',
  tls: CertificateFiles | null = null,
): Promise<Subject> {
  const folder = await mkdtemp(join(place.folder, 'nginx-'))
  await chmod(folder, 0o755)
  const file = join(folder, 'html', POLL_PATH)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, BODY)
  const port = 21_000 + Math.floor(Math.random() * 8_000)
  const config = join(folder, 'nginx.conf')
  await writeFile(config, nginxConfig(folder, port, way, tls))
  const child = spawnOn(place, ['nginx', '-p', folder, '-c', config, '-e', 'stderr'])
  child.once('error', () => {})
  while (childrenOf(child.pid ?? 0).length === 0 && child.exitCode === null)
    await new Promise((wait) => setTimeout(wait, 20))
  if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`)
  const ended = once(child, 'exit')
  return {
    name: `nginx ${way}${tls === null ? '' : ' (TLS)'}`,
    url: `${tls === null ? 'http' : 'https'}://127.0.0.1:${port}`,
    pids: childrenOf(child.pid ?? 0),
    path: POLL_PATH,
    stop: () => (child.kill('SIGQUIT'), ended),
  }
}

function nginxConfig(folder: string, port: number, way: 'static' | 'return', tls: CertificateFiles | null): string {
  const { 'Content-Type': type = '', 'Content-Length': _length, ETag: tag, ...others } = HEADERS
  // A static file has an ETag, a Last-Modified and an Accept-Ranges of nginx's own.
  const headers = Object.entries(way === 'static' ? others : { ...others, ETag: tag })
  const lines = headers.map(([name, value]) => `add_header ${name} '${value}';`)
  const answer = way === 'static' ? `root ${folder}/html;` : `return 200 '${BODY}';`
  const listen = tls === null ? `listen 127.0.0.1:${port};` : `listen 127.0.0.1:${port} ssl;`
  const ssl =
    tls === null ? '' : `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}; ssl_session_cache shared:s:1m;`
  return `daemon off; worker_processes 1; pid ${folder}/pid;
events { worker_connections 20000; }
http {
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000000; keepalive_timeout 65;
  types { } default_type '${type}'; ssl_protocols TLSv1.2 TLSv1.3;
  server { ${listen} ${ssl} location / { ${lines.join(' ')} ${answer} } }
}
`
}

function spawnOn({ core }: Place, command: readonly string[]): ChildProcess {
  const [program = '', ...args] = core === null ? command : ['taskset', '-c', String(core), ...command]
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return text
      .split(' ')
      .filter((word) => word !== '')
      .map(Number)
  } catch {
    return [] // It has ended.
  }
}

/** Whether a program is there to be run. */
export function isInstalled(program: string, argument = '-v'): boolean {
  return spawnSync(program, [argument]).error === undefined
}
