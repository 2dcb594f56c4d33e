// The programs beside Node that the tests start. What is missing is installed where this machine lets it be (Debian, and the
// user may); else it is said exactly what to install, and the tests that need it say so again and are skipped.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './child-process.mjs'

const packages = [
  { command: 'curl', name: 'curl' },
  { command: 'git', name: 'git' },
  { command: 'nginx', name: 'nginx-light' },
  { command: 'openssl', name: 'openssl' },
  { command: 'prometheus', name: 'prometheus' },
  { command: 'redis-server', name: 'redis-server' },
  { command: 'redis-sentinel', name: 'redis-sentinel' },
]

/** Installs what is missing, or says what to install; never fails. */
export async function ensureSystemPackages() {
  const missing = packages.filter(({ command }) => !isInPath(command)).map(({ name }) => name)
  if (missing.length === 0) return
  const line = `apt-get install ${missing.join(' ')}`
  if (process.getuid?.() !== 0 || !isInPath('apt-get')) {
    process.stderr.write(`the tests need what is missing here; install it: sudo ${line}\n`)
    return
  }
  process.stderr.write(`installing ${missing.join(', ')}…\n`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const updated = await run('apt-get', ['update'], { env })
  const installed = await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env })
  if (installed.ok) return
  process.stderr.write(`${updated.ok ? '' : updated.output}${installed.output}\n`)
  process.stderr.write(`could not install them; the tests that need them are skipped: ${line}\n`)
}

function isInPath(command) {
  // Debian keeps servers where the PATH of some users does not look.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return folders.some((folder) => existsSync(join(folder, command)))
}
