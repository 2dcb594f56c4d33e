// What makes the load: wrk where it is installed, autocannon as what everybody can repeat, and our own for what neither
// does: connections that are taken up again over TLS, and polls at a fixed rate.
import autocannon from 'autocannon'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { channelName } from '../channel-store.ts'
import { BODY } from '../servers/answer.ts'
import { quantile } from '../summary.ts'

export type Generator = 'wrk' | 'autocannon'

export interface LoadOptions {
  readonly generator: Generator
  readonly connections: number
  readonly seconds: number
  readonly folder: string
  /** Polls sent before an answer is waited for. */
  readonly pipelined?: number
  /** A new connection for each poll. */
  readonly isClosing?: boolean
  /** Asked for at random, instead of the one path. */
  readonly channels?: number
  readonly threads?: number
  /** What every answer must be, where that is not BODY; only autocannon looks. */
  readonly body?: string
}

/** Answers that came and were right; a failure throws. */
export async function load(url: string, path: string, options: LoadOptions): Promise<number> {
  return options.generator === 'wrk' ? loadWithWrk(url, path, options) : loadWithAutocannon(url, path, options)
}

async function loadWithAutocannon(url: string, path: string, options: LoadOptions): Promise<number> {
  const { connections, seconds, pipelined = 1, isClosing = false, channels = 0, threads = 1, body = BODY } = options
  const paths = channels === 0 ? [] : randomPaths(channels)
  const result = await autocannon({
    url: `${url}${path}`,
    connections,
    duration: seconds,
    pipelining: pipelined,
    ...(threads > 1 ? { workers: threads } : {}),
    ...(channels === 0 ? { expectBody: body } : { requests: paths.map((each) => ({ path: each })) }),
    // Not reconnectRate: with that autocannon counts no answer at all.
    ...(isClosing ? { headers: { connection: 'close' } } : {}),
  })
  const failed = result.errors + result.timeouts + result.non2xx + result.mismatches
  if (failed > 0) throw new Error(`${failed} polls of ${url} failed`)
  return result['2xx']
}

async function loadWithWrk(url: string, path: string, options: LoadOptions): Promise<number> {
  const { connections, seconds, folder, pipelined = 1, isClosing = false, channels = 0, threads = 1 } = options
  const script = join(folder, 'load.lua')
  await writeFile(script, wrkScript(pipelined, channels))
  const args = ['-t', String(threads), '-c', String(connections), '-d', `${seconds}s`, '-s', script]
  if (isClosing) args.push('-H', 'Connection: close')
  const child = spawn('wrk', [...args, `${url}${path}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number] // What the event carries.
  if (code !== 0) throw new Error(`wrk ended with ${code}`)
  return readWrk(output)
}

/** The number of answers in wrk's report; throws where it tells of errors. */
export function readWrk(output: string): number {
  const failures = /^ *(?:Socket errors|Non-2xx).*$/m.exec(output)
  if (failures !== null) throw new Error(`wrk: ${failures[0].trim()}`)
  const answers = /^ *(\d+) requests in /m.exec(output)?.[1]
  if (answers === undefined) throw new Error(`wrk has said no number of requests: ${output}`)
  return Number(answers)
}

function wrkScript(pipelined: number, channels: number): string {
  if (channels > 0) {
    const paths = randomPaths(channels).map((path) => `wrk.format("GET", "${path}")`)
    return `init = function()\n requests = {${paths.join(',\n')}}\n at = 0\nend
request = function()\n at = at % #requests + 1\n return requests[at]\nend\n`
  }
  return `init = function()\n local one = {}\n for i = 1, ${pipelined} do one[i] = wrk.format() end
 all = table.concat(one)\nend\nrequest = function() return all end\n`
}

/** Enough to touch far more memory than a processor's cache holds. */
const RANDOM_PATHS = 20_000

function randomPaths(channels: number): readonly string[] {
  return Array.from({ length: RANDOM_PATHS }, () => `/v1/${channelName(Math.floor(Math.random() * channels))}/version`)
}

export interface TlsLoad {
  readonly version: 'TLSv1.2' | 'TLSv1.3'
  readonly isResumed: boolean
  readonly seconds: number
}

/** Connections under way at once. */
const TLS_AT_ONCE = 8

/** One poll on each new TLS connection; gives how many were answered. */
export async function loadOverTls(
  url: string,
  path: string,
  { version, isResumed, seconds }: TlsLoad,
): Promise<number> {
  const { hostname: host, port } = new URL(url)
  const options = { host, port: Number(port), rejectUnauthorized: false, minVersion: version, maxVersion: version }
  const text = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  const poll = async (session: Buffer | undefined): Promise<Buffer | undefined> => {
    const socket = connectTls(session === undefined ? options : { ...options, session })
    let next: Buffer | undefined
    socket.on('session', (ticket) => (next = ticket))
    let isReused = false
    socket.on('secureConnect', () => {
      isReused = socket.isSessionReused()
      socket.write(text)
    })
    let answer = ''
    for await (const some of socket) answer += String(some)
    if (!answer.endsWith(`\r\n\r\n${BODY}`)) throw new Error(`${url} answered ${JSON.stringify(answer)}`)
    if (session !== undefined && !isReused) throw new Error(`${url} did not take a session up again`)
    return next ?? session
  }
  let polls = 0
  const session = isResumed ? await poll(undefined) : undefined
  const until = performance.now() + seconds * 1_000
  const work = async (): Promise<void> => {
    while (performance.now() < until) {
      await poll(session)
      polls += 1
    }
  }
  await Promise.all(Array.from({ length: TLS_AT_ONCE }, work))
  return polls
}

export interface RateResult {
  readonly p50Us: number
  readonly p99Us: number
}

/** Polls at a fixed rate over kept connections: each is timed from when it was due, so that no wait is left out. */
export async function loadAtRate(url: string, path: string, perSecond: number, seconds: number): Promise<RateResult> {
  const { hostname: host, port } = new URL(url)
  const idle: Socket[] = await Promise.all(Array.from({ length: 64 }, () => open(host, Number(port))))
  const all = [...idle]
  const text = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const times: number[] = []
  const startedMs = performance.now()
  let sent = 0
  for (const socket of all) socket.on('data', () => answered(socket))
  const due = new Map<Socket, number>()
  function answered(socket: Socket): void {
    times.push((performance.now() - (due.get(socket) ?? NaN)) * 1_000)
    idle.push(socket)
  }
  while (performance.now() < startedMs + seconds * 1_000) {
    const behind = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond) - sent
    for (let count = 0; count < behind; count += 1) {
      const socket = idle.pop()
      if (socket === undefined) break
      due.set(socket, startedMs + (sent / perSecond) * 1_000)
      socket.write(text, 'latin1')
      sent += 1
    }
    // A timer is too coarse for it; the generator has a core of its own.
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const socket of all) socket.destroy()
  const sorted = times.toSorted((a, b) => a - b)
  return { p50Us: quantile(sorted, 0.5), p99Us: quantile(sorted, 0.99) }
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connectTcp({ host, port, noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Opens connections that make one poll each and then stay; the answer ends them. */
export async function idleConnections(url: string, path: string, count: number): Promise<() => Promise<void>> {
  const { hostname: host, port } = new URL(url)
  const sockets: Socket[] = []
  while (sockets.length < count) {
    const some = await Promise.all(Array.from({ length: 100 }, () => open(host, Number(port))))
    for (const socket of some) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      await once(socket, 'data')
    }
    sockets.push(...some)
  }
  return async () => {
    for (const socket of sockets) socket.destroy()
    await pause(500)
  }
}
