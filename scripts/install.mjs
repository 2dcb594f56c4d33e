// Makes node_modules what package-lock.json says, and does nothing where it is that already. Only Node's own modules
// are imported here: on a fresh clone there are no others.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { root, run } from './child-process.mjs'

const modules = join(root, 'node_modules')
const installedRecord = join(modules, '.package-lock.json')

// `--include=dev`: under NODE_ENV=production npm would leave out the compiler, and nothing could be built.
// `--loglevel`: this output is seen only when the install fails, and then a silent outer npm must not have silenced it.
const options = ['--include=dev', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=notice']

/** Installs from the lockfile where needed; where that fails, shows what npm said and ends the process with 1. */
export async function ensureInstalled() {
  if (isInstalled()) return
  process.stderr.write('installing dependencies…\n')
  const result = await install()
  if (result.ok) return
  process.stderr.write(`${result.output}\nthe install failed; npm's output is above\n`)
  process.exit(1)
}

/**
 * `npm ci`, unless the lockfile was written where the registry has no packages for other systems: then it lacks some
 * of the optional binaries, and `npm ci` refuses it on every system, for `npm install` to complete. That is done here
 * without saving, and as strictly: into an empty node_modules, and only where package.json and lockfile agree.
 */
function install() {
  const manifest = readJson('package.json')
  const lockfile = readJson('package-lock.json')
  const completes = lacksOptionalPackages(lockfile.packages) && agree(manifest, lockfile.packages[''])
  if (!completes) return npm(['ci', ...options])
  if (existsSync(modules)) {
    for (const name of readdirSync(modules)) rmSync(join(modules, name), { recursive: true, force: true })
  }
  return npm(['install', '--no-save', ...options])
}

function lacksOptionalPackages(packages) {
  const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)))
  const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
  return wanted.some((name) => !names.has(name))
}

function agree(manifest, locked) {
  const lists = ['dependencies', 'devDependencies', 'optionalDependencies']
  return lists.every((list) => isDeepStrictEqual(manifest[list] ?? {}, locked[list] ?? {}))
}

/**
 * Whether what npm recorded in node_modules is what the lockfile asks for. Contents are compared, not times: a
 * checkout gives files any time. npm writes its record last, so an interrupted install has none. A lockfile package
 * that is not installed is a fault unless it is optional: those are left out where they are built for another machine.
 */
function isInstalled() {
  const wanted = readJson('package-lock.json').packages
  let installed
  try {
    installed = readJson(installedRecord).packages
  } catch {
    return false // absent or damaged
  }
  for (const [path, { version, integrity, optional, devOptional, link }] of Object.entries(wanted)) {
    if (path === '' || link) continue // the project itself
    const found = installed[path]
    if (found === undefined) {
      if (optional || devOptional) continue
      return false
    }
    if (found.version !== version || found.integrity !== integrity) return false
  }
  return Object.entries(installed).every(
    ([path, entry]) =>
      (wanted[path] !== undefined || entry.optional) && isForThisMachine(entry) && existsSync(join(root, path)),
  )
}

function readJson(path) {
  return JSON.parse(readFileSync(resolve(root, path), 'utf8'))
}

// A node_modules that came from another system (a container's mount, a copied folder) lacks this one's binaries.
function isForThisMachine({ os, cpu }) {
  return allows(os, process.platform) && allows(cpu, process.arch)
}

function allows(list, name) {
  if (list === undefined || list.length === 0) return true
  if (list.includes(`!${name}`)) return false
  return list.includes(name) || list.includes('any') || list.every((entry) => entry.startsWith('!'))
}

// The npm that started this script, where one did: the one in the PATH may belong to another Node.
function npm(args) {
  const started = process.env.npm_execpath ?? ''
  return started.endsWith('npm-cli.js') ? run(process.execPath, [started, ...args]) : run('npm', args)
}
