// A newcomer's first minute, for real: the files of this checkout in an empty folder, `npm start`, the first write and
// the first poll pasted from what it prints, a stop, and a second start.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const FIRST_START_TIMEOUT_MS = 240_000 // the install may have to download everything
const WARM_START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 60_000
const PASTE_TIMEOUT_MS = 60_000
const LOOK_AGAIN_MS = 50

const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ERR_SOCKET_TIMEOUT/
const checkout = fileURLToPath(new URL('../..', import.meta.url))

// `npm start` in a folder, with an environment like a newcomer's: nothing of this server's settings, of the test
// runner or of the npm that started it.
class Server {
  printed = ''
  readonly #npm: ChildProcess
  readonly #closed: Promise<unknown>
  #isClosed = false

  constructor(t: Test, folder: string) {
    const kept = Object.entries(process.env).filter(
      ([name]) => !/^_?(BELLWETHER|TAP|npm|NODE_OPTIONS|INIT_CWD)/.test(name),
    )
    const own = { BELLWETHER_POLL_PORT: '0', BELLWETHER_CONTROL_PORT: '0', BELLWETHER_DRAIN_S: '0' }
    const env = { ...Object.fromEntries(kept), ...own }
    const npm = spawn('npm', ['start'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [npm.stdout, npm.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.printed += text
      })
    }
    this.#npm = npm
    this.#closed = once(npm, 'close').then(() => {
      this.#isClosed = true
    })
    t.teardown(() => this.stop())
  }

  /** What is printed once the banner is whole; null where the process ended or the time was over before. */
  async banner(timeoutMs: number): Promise<string | null> {
    const deadline = Date.now() + timeoutMs
    while (curlCommands(this.printed).length < 2) {
      if (this.#isClosed || Date.now() > deadline) return null
      await setTimeout(LOOK_AGAIN_MS)
    }
    return this.printed
  }

  async stop(): Promise<number | null> {
    this.#npm.kill('SIGTERM')
    await Promise.race([this.#closed, setTimeout(STOP_TIMEOUT_MS, undefined, { ref: false })])
    return this.#npm.exitCode
  }
}

t.test('a fresh clone serves the version that was pasted into it, also after a restart', async (t) => {
  // Outside the checkout: inside it, a package that the clone lacks would be found in the checkout's node_modules.
  const folder = mkdtempSync(join(tmpdir(), 'bellwether-fresh-clone-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  copyWorkingTree(folder)

  const first = new Server(t, folder)
  const banner = await first.banner(FIRST_START_TIMEOUT_MS)
  if (banner === null && first.printed.includes('the install failed') && NO_NETWORK.test(first.printed)) {
    t.pass('npm start', { skip: 'SKIPPED: npm has neither network nor cache here, so no fresh clone can be tried' })
    return
  }
  t.not(banner, null, 'npm start prints its banner', { printed: first.printed })
  const version = setFirstVersion(t, banner ?? '', folder)
  t.equal(await first.stop(), 0, 'it stops on SIGTERM with exit code 0')

  const second = new Server(t, folder)
  const address = /agents poll +(\S+)/.exec((await second.banner(WARM_START_TIMEOUT_MS)) ?? '')?.[1]
  t.not(address, undefined, 'the second npm start prints its banner', { printed: second.printed })
  t.notMatch(second.printed, /^(installing|building)/m, 'the second start neither installs nor builds')
  const { stdout } = paste(`curl -sSf ${address}/v1/stable/cloud/version`, folder)
  t.equal(stdout, version, 'the version is still there after the restart')
  t.equal(await second.stop(), 0, 'it stops on SIGTERM with exit code 0 again')
})

/** Does what the banner says, exactly as it says it, and answers the version that was set. */
function setFirstVersion(t: Test, banner: string, folder: string): string | undefined {
  t.match(banner, /^ +agents poll +http:\/\/\S+:\d+$/m, 'the address for agents is printed')
  t.match(banner, /^ +operators use +http:\/\/\S+:\d+( |$)/m, 'the address for operators is printed')
  const tokenFile = /admin token +(\S+)/.exec(banner)?.[1] ?? 'none'
  t.ok(existsSync(join(folder, tokenFile)), 'the admin token is where it is said to be', { tokenFile })

  const [write, poll] = curlCommands(banner)
  const version = /"version":"([^"]+)"/.exec(write ?? '')?.[1]
  const written = paste(write ?? 'false', folder)
  t.equal(written.status, 0, 'the printed write runs', { stderr: written.stderr })
  t.match(written.stdout, `"${version}"`, 'its answer has the version')
  const polled = paste(poll ?? 'false', folder)
  t.equal(polled.stdout, version, 'the printed poll answers the bare version, without a newline', {
    stderr: polled.stderr,
  })
  return version
}

// What `git clone` would bring, and what is not committed yet: the test is of the tree as it stands.
function copyWorkingTree(folder: string): void {
  const list = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: checkout, encoding: 'utf8' })
  for (const path of list.split('\0')) {
    if (path === '' || !existsSync(join(checkout, path))) continue // deleted, and the deletion not committed yet
    cpSync(join(checkout, path), join(folder, path))
  }
}

/** Every curl command that is printed, as a reader copies it: from `curl` to the first line without a backslash. */
function curlCommands(text: string): readonly string[] {
  return text.match(/^ *curl (?:.*\\\n)*.*[^\\\n]\n/gm) ?? []
}

function paste(command: string, folder: string) {
  return spawnSync('sh', [], { cwd: folder, input: command, encoding: 'utf8', timeout: PASTE_TIMEOUT_MS })
}
