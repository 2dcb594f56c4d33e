// Runs the static checks and the test files beside each other, prints what came of them, and the totals as the last line.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isBuilt } from '../build.mjs'
import { testEnvironment } from './environment.mjs'
import { runTasks } from './scheduler.mjs'
import { AFTER_API, memoryFolder, testFiles } from './slices.mjs'
import { staticChecks } from './static-checks.mjs'
import { TestProcesses } from './test-processes.mjs'

const SLOWEST_SHOWN = 20

/** Gives whether all went well. */
export async function runSuite(options) {
  const isWhole = options.paths.length === 0 && options.slices.length === 0 && !options.isFull
  const files = chosenFiles(options)
  const totals = { pass: 0, fail: 0, skip: 0, todo: 0 }
  const add = (counts) => {
    for (const kind of Object.keys(totals)) totals[kind] += counts[kind]
  }
  const startsServers = files.some(({ slice }) => slice.name === 'faults')
  if (!isWhole && startsServers && !isBuilt())
    print('note: dist/ is older than src/; tests that start a server run its source, which is slow')
  if (options.isSeedChosen) print(`seed ${options.seed}`)

  const checks = isWhole ? staticChecks : []
  const tasks = checks.map((check) => ({ cost: 1, lane: 'static checks', run: async () => add(await runCheck(check)) }))
  const isApiWhole =
    options.paths.length === 0 && options.grep === undefined && files.some(({ slice }) => slice.name === 'api')
  const recordsDir = isApiWhole && !options.isFull ? mkdtempSync(join(tmpdir(), 'bellwether-test-')) : null
  const processes = new TestProcesses({ env: testEnvironment(options, recordsDir), print })
  const results = []
  const last = []
  let ran = 0
  const tmpDirs = { memory: memoryFolder(), disk: tmpdir() }
  for (const { path, slice } of files) {
    const tmpDir = slice.inMemory ? tmpDirs.memory : tmpDirs.disk
    const run = async () => {
      const result = await processes.run({ path, tmpDir, timeoutMs: slice.timeoutMs, title: options.grep ?? null })
      ran += result.ran
      results.push(result)
      add(result.counts)
    }
    if (path === AFTER_API) last.push(run)
    else tasks.push({ cost: slice.cost, lane: null, run })
  }
  await runTasks(tasks, options.cores)
  for (const run of last) await run()
  for (const fault of await processes.end()) {
    print(`FAILED  ${fault}`)
    totals.fail += 1
  }
  if (recordsDir !== null) rmSync(recordsDir, { recursive: true })
  // Silence must not pass for success.
  if (ran === 0 || (totals.pass === 0 && totals.fail === 0)) {
    print(options.grep === undefined ? 'FAILED  no test ran' : `FAILED  no test has "${options.grep}" in its title`)
    totals.fail += 1
  }
  if (options.showSlowest) printSlowest(results)
  // On a line of its own: the last line has nothing but these two numbers.
  if (totals.skip + totals.todo > 0) print(`${totals.skip + totals.todo} skipped`)
  print(`${totals.pass} passed, ${totals.fail} failed`)
  return totals.fail === 0
}

function chosenFiles({ paths, slices, isFull }) {
  const isChosen = (path) => paths.some((chosen) => path === chosen || path.startsWith(`${chosen}/`))
  return testFiles()
    .filter(({ path, slice }) => slices.length === 0 || slices.includes(path === AFTER_API ? 'api' : slice.name))
    .filter(({ path }) => paths.length === 0 || isChosen(path))
    .filter(({ hasFullForm, isFullOnly }) => (isFull ? hasFullForm : !isFullOnly || paths.length > 0))
}

async function runCheck({ name, check }) {
  const startedMs = performance.now()
  const { ok, output } = await check()
  print(`${ok ? 'ok    ' : 'FAILED'}  ${name}  ${seconds(performance.now() - startedMs)}`)
  if (!ok) print(output.trimEnd())
  return { pass: ok ? 1 : 0, fail: ok ? 0 : 1, skip: 0, todo: 0 }
}

function printSlowest(results) {
  print('slowest files:')
  const slowest = results.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST_SHOWN)
  for (const { path, ms } of slowest) print(`  ${seconds(ms).padStart(8)}  ${path}`)
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
