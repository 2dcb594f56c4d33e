// A Bellwether server in a process of its own, as an operator starts it, on free ports: for the benches, and for the
// tests that kill it. Built where the build is as new as the source, else straight from the source.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const BENCH_TOKEN = 'a-bench-token-of-more-than-32-characters'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILT = join(ROOT, 'dist', 'main.js')

export interface LaunchOptions {
  readonly dataDir: string
  /** Settings beside the defaults: free ports, BENCH_TOKEN as the admin token, and no drain. */
  readonly env?: Readonly<Record<string, string>>
  /** Where its log goes: to `output`, or to an open file. */
  readonly stderr?: 'pipe' | number
  /** The one core it may run on; any unless told. */
  readonly core?: number | null
  readonly entry?: readonly string[]
  /** The Node.js to run it with; the one that runs this unless told. */
  readonly node?: string
  /** Out of reach of the terminal's Ctrl-C, for a program that goes on after one; killed with that program. */
  readonly isDetached?: boolean
}

const detached = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of detached) child.kill('SIGKILL')
})

export interface BellwetherProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** `http://…` without a slash at the end; empty where the role has no such plane. */
  readonly pollUrl: string
  readonly controlUrl: string
  readonly output: () => { readonly stdout: string; readonly stderr: string }
  /** How it ended, once it has: its exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<number | string>
}

/** What a launch came to: a server that listens, or one that has ended before. */
export type Launched =
  | { readonly outcome: 'listening'; readonly server: BellwetherProcess }
  | { readonly outcome: 'ended'; readonly how: number | string; readonly stdout: string; readonly stderr: string }

/** Whether the build is at least as new as every source file. */
function isBuildCurrent(): boolean {
  const built = statSync(BUILT, { throwIfNoEntry: false })?.mtimeMs
  if (built === undefined) return false
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  return sources.every((name) => !/\.(?:ts|lua)$/.test(name) || statSync(join(ROOT, 'src', name)).mtimeMs <= built)
}

/** The arguments that make Node.js run the server: the build where it is current, else the source. */
export function currentEntry(): readonly string[] {
  return isBuildCurrent() ? [BUILT] : ['--import', 'tsx', join(ROOT, 'src', 'main.ts')]
}

/** The arguments that run another program over the same server: it is given the folder of its modules and how they end. */
export function entryOver(program: string): readonly string[] {
  return isBuildCurrent()
    ? [program, join(ROOT, 'dist'), '.js']
    : ['--import', 'tsx', program, join(ROOT, 'src'), '.ts']
}

/** The same for figures that are about the build: it is made anew where it is not current. */
export function builtEntry(): readonly string[] {
  if (!isBuildCurrent()) {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, encoding: 'utf8' })
    if (status !== 0) throw new Error(`the build failed: ${stderr}`)
  }
  // As `npm start` runs it.
  return ['--v8-pool-size=1', BUILT]
}

/** Starts a server without waiting for it; `settled` tells what it came to. */
export function spawnBellwether(options: LaunchOptions): { child: ChildProcess; settled: Promise<Launched> } {
  const { dataDir, env = {}, stderr = 'pipe', core = null, entry = currentEntry(), node = process.execPath } = options
  const { isDetached = false } = options
  const command = [...(core === null ? [] : ['taskset', '-c', String(core)]), node, ...entry]
  // Nothing of the caller's own environment gets in but what a program needs to run at all.
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(command[0] ?? '', command.slice(1), {
    cwd: ROOT,
    env: {
      PATH,
      HOME,
      BELLWETHER_DATA_DIR: dataDir,
      BELLWETHER_POLL_PORT: '0',
      BELLWETHER_CONTROL_PORT: '0',
      // Nothing that ends a server here has a load balancer to wait for.
      BELLWETHER_DRAIN_S: '0',
      BELLWETHER_ADMIN_TOKEN: BENCH_TOKEN,
      ...env,
    },
    stdio: ['ignore', 'pipe', stderr],
    detached: isDetached,
  })
  if (isDetached) {
    detached.add(child)
    child.once('exit', () => detached.delete(child))
  }
  return { child, settled: settle(child) }
}

/** Starts a server and waits until it listens; rejects with what it said where it ends before that. */
export async function startBellwether(options: LaunchOptions): Promise<BellwetherProcess> {
  const launched = await spawnBellwether(options).settled
  if (launched.outcome === 'listening') return launched.server
  throw new Error(`the server ended with ${launched.how}: ${launched.stderr}`)
}

async function settle(child: ChildProcess): Promise<Launched> {
  const texts = { stdout: '', stderr: '' }
  child.stderr?.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()))
  // close and not exit: only then has everything been read that it wrote.
  const ended = once(child, 'close').then((): number | string => child.signalCode ?? child.exitCode ?? -1)
  const listening = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      texts.stdout += chunk.toString()
      // The banner is written in one piece once every plane listens.
      if (/^Bellwether .*\n.+\n$/s.test(texts.stdout)) resolve()
    })
  })
  const how = await Promise.race([listening.then(() => null), ended])
  if (how !== null) return { outcome: 'ended', how, ...texts }
  const server: BellwetherProcess = {
    child,
    pid: child.pid ?? 0,
    pollUrl: /agents poll\s+(\S+)/.exec(texts.stdout)?.[1] ?? '',
    controlUrl: /operators use\s+(\S+)/.exec(texts.stdout)?.[1] ?? '',
    output: () => ({ ...texts }),
    ended,
    end(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return ended
    },
  }
  return { outcome: 'listening', server }
}
