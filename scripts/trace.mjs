// `npm run trace`: which files and functions of src/ answer one request, by V8's precise coverage of the built server in this process.
//   node scripts/trace.mjs [--list] [--repeats 5]
// A function counts when it has run in every repeat of the request: timers that fire beside one of them do not. A file counts
// when one of its functions does; code that runs while a module is loaded does not.
import { mkdtemp, rm } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { ensureBuilt } from './build.mjs'
import { root } from './child-process.mjs'

const { values: options } = parseArgs({
  options: { list: { type: 'boolean', default: false }, repeats: { type: 'string', default: '5' } },
})
const repeats = Number(options.repeats)
const token = 'a-token-for-one-trace-of-a-request'
const built = pathToFileURL(join(root, 'dist/')).href

await ensureBuilt()
const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-trace-'))
Object.assign(process.env, {
  BELLWETHER_DATA_DIR: dataDir,
  BELLWETHER_ADMIN_TOKEN: token,
  BELLWETHER_POLL_PORT: '0',
  BELLWETHER_CONTROL_PORT: '0',
  BELLWETHER_LOG_LEVEL: 'silent',
})
const session = new Session()
session.connect()
await session.post('Profiler.enable')
// Before the server is loaded: functions compiled earlier are not counted one by one.
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

const control = await startServer()
let exitCode = 0
try {
  await prepare()
  report('PUT /channels/{name}/version', await trace(setVersion))
  report('POST /rollouts/{pipeline}/rollback', await trace(rollBack, promote))
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  exitCode = 1
}
await rm(dataDir, { recursive: true, force: true })
process.exit(exitCode)

/** Starts the server in this process; answers the origin of its control plane, read off the banner that it prints. */
async function startServer() {
  const { runServer } = await import(`${built}boot/server.js`)
  const write = process.stdout.write.bind(process.stdout)
  let printed = ''
  process.stdout.write = (text) => {
    printed += text
    return true
  }
  await runServer()
  process.stdout.write = write
  const origin = /operators use\s+(\S+)/.exec(printed)?.[1]
  if (origin === undefined) throw new Error(`the banner names no control plane:\n${printed}`)
  return origin
}

/** A channel of its own, and a pipeline of one stage. */
async function prepare() {
  for (const name of ['edge', 'stable']) {
    await call('POST', '/channels', { name, source: { kind: 'static', version: '15.1.0' } })
  }
  await call('PUT', '/pipelines/cloud', { requirePackages: false, stages: [{ name: 'canary', channels: ['edge'] }] })
}

function setVersion(index) {
  return call('PUT', '/channels/stable/version', { version: `15.1.${index + 1}` })
}

/** A release on its channel, which an earlier repeat has pinned. */
async function promote(index) {
  if (index > 0) await call('POST', '/rollouts/cloud/unpin', { release: `15.2.${index - 1}`, reason: 'trace' })
  const version = `15.2.${index}`
  await call('POST', '/releases', { version, commit: 'abc0001', kind: 'full', changes: [] })
  await call('POST', '/rollouts/cloud/promote', { release: version, stage: 'canary', force: true, reason: 'trace' })
}

function rollBack(index) {
  return call('POST', '/rollouts/cloud/rollback', { release: `15.2.${index}`, reason: 'trace' })
}

async function call(method, path, body) {
  const response = await fetch(`${control}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status} ${text}`)
}

/** The functions that run in each repeat of `request`, as `file` → names. `before` prepares one repeat. */
async function trace(request, before = async () => {}) {
  let common = null
  for (let index = 0; index < repeats; index += 1) {
    await before(index)
    await session.post('Profiler.takePreciseCoverage') // sets every count to 0
    await request(index)
    const { result } = await session.post('Profiler.takePreciseCoverage')
    const ran = new Map(result.filter(({ url }) => url.startsWith(built)).flatMap(functionsOf))
    common = common === null ? ran : new Map([...common].filter(([id]) => ran.has(id)))
  }
  const files = new Map()
  for (const { file, name } of common.values()) files.set(file, [...(files.get(file) ?? []), name])
  return files
}

function functionsOf({ url, functions }) {
  const file = url.slice(built.length).replace(/\.js$/, '.ts')
  // What begins at 0 is the module itself.
  const called = functions.filter(({ ranges: [{ count, startOffset }] }) => count > 0 && startOffset > 0)
  return called.map(({ functionName, ranges: [{ startOffset }] }) => [
    `${file}:${startOffset}`,
    { file, name: functionName === '' ? '(anonymous)' : functionName },
  ])
}

function report(title, files) {
  const functions = [...files.values()].flat().length
  process.stdout.write(`${title}: ${files.size} files, ${functions} functions\n`)
  if (!options.list) return
  for (const [file, named] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(`  ${file}: ${named.join(', ')}\n`)
  }
}
