// Builds src/ into dist/, and knows whether dist/ is current. A build appears whole or not at all: it is made in a
// folder beside dist/ and renamed into place, so an interrupted one is never taken for complete.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root, run } from './child-process.mjs'

const dist = join(root, 'dist')
const stampName = '.built-from' // in dist/: the fingerprint of what it was built from
const stagingPrefix = 'dist-'
const abandonedAfterMs = 3_600_000 // no build takes an hour: such a folder was left by one that was killed

/** Builds where dist/ is not current; where that fails, shows the compiler's output and ends the process with 1. */
export async function ensureBuilt() {
  if (isBuilt()) return
  process.stderr.write('building…\n')
  const result = await build()
  if (result.ok) return
  process.stderr.write(`${result.output}\nthe build failed; the compiler's output is above\n`)
  process.exit(1)
}

/** Whether dist/ was built from exactly the sources that are here now. */
export function isBuilt() {
  try {
    return readFileSync(join(dist, stampName), 'utf8') === fingerprint()
  } catch {
    return false
  }
}

/** Builds unconditionally, without network; types are not checked where something else does that. Answers `{ ok, output }`; a failed build leaves dist/ as it was. */
export async function build({ checksTypes = true } = {}) {
  removeAbandoned()
  // Taken before the compiler reads: a file that changes meanwhile makes the result stale, never wrongly current.
  const stamp = fingerprint()
  const staging = join(root, `${stagingPrefix}${process.pid}`)
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging)
  const clear = () => rmSync(staging, { recursive: true, force: true })
  process.once('exit', clear) // a signal ends the process without coming back here
  try {
    const result = await run(process.execPath, [
      join(root, 'node_modules/typescript/bin/tsc'),
      ...['-p', 'tsconfig.build.json', '--outDir', staging, '--noEmitOnError', '--pretty', 'false'],
      ...(checksTypes ? [] : ['--noCheck']),
    ])
    if (!result.ok) return result
    copyAssets(staging)
    writeFileSync(join(staging, stampName), stamp)
    replaceDist(staging)
    return result
  } finally {
    clear()
    process.off('exit', clear)
  }
}

// Everything in src/ that the compiler does not translate (Lua scripts, the console's pages) is read at run time
// from beside the compiled module.
function copyAssets(staging) {
  for (const path of filesUnder('src')) {
    if (path.endsWith('.ts')) continue
    const target = join(staging, path.slice('src/'.length))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(root, path), target)
  }
}

function replaceDist(staging) {
  const old = `${staging}-old`
  rmSync(old, { recursive: true, force: true })
  try {
    renameSync(dist, old)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error // no dist/ yet
  }
  try {
    renameSync(staging, dist)
  } catch (error) {
    if (!isBuilt()) throw error // else a build beside this one, of the same sources, was first: as good
  }
  rmSync(old, { recursive: true, force: true })
}

function removeAbandoned() {
  const before = Date.now() - abandonedAfterMs
  for (const name of readdirSync(root)) {
    if (!name.startsWith(stagingPrefix)) continue
    const path = join(root, name)
    if (statSync(path).mtimeMs < before) rmSync(path, { recursive: true, force: true })
  }
}

function fingerprint() {
  const hash = createHash('sha256')
  const inputs = [
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build.mjs',
    ...filesUnder('src'),
  ]
  for (const path of inputs) {
    const content = readFileSync(join(root, path))
    hash.update(`${path}\n${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}

function filesUnder(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .toSorted()
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const result = await build()
  process.stderr.write(result.output)
  process.exitCode = result.ok ? 0 : 1
}
