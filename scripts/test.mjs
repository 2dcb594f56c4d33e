// `npm test`: every check in order, going on after one that failed, and one line of totals at the end.
// `npm test -- test/channels` runs only the tests at those paths.
import './node-version.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { ensureSystemPackages } = await import('./system-packages.mjs')
await ensureSystemPackages()
const { run } = await import('./child-process.mjs')
const { build, isBuilt } = await import('./build.mjs')
const { createTapReport } = await import('./tap-report.mjs')

const steps = [
  { name: 'type check', check: () => run('tsc', ['--noEmit', '--pretty', 'false']) },
  { name: 'lint', check: () => run('oxlint', ['--type-aware', '--deny-warnings', '--format=unix']) },
  { name: 'format', check: () => run('prettier', ['--check', '--log-level', 'warn', '.']) },
  { name: 'unused code', check: () => run('knip', ['--no-progress']) },
  { name: 'build', check: () => (isBuilt() ? { ok: true, output: '' } : build()) },
  { name: 'OpenAPI drift', check: () => run('tsx', ['scripts/openapi.ts', '--check']) },
  { name: 'OpenAPI lint', check: lintOpenApi },
]

// Tests of crashes make noise there; what explains a failed file stands near the end.
const stderrLinesMax = 60

const paths = process.argv.slice(2)
const totals = { passed: 0, failed: 0, skipped: 0 }

if (paths.length === 0) {
  for (const step of steps) await runStep(step)
} else if (!isBuilt()) {
  print('note: dist/ is older than src/; tests that start the built server use the old one (npm run build)')
}
await runTests()

// On a line of its own: the last line has nothing but these two numbers.
if (totals.skipped > 0) print(`${totals.skipped} skipped`)
print(`${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed === 0 ? 0 : 1

async function runStep({ name, check }) {
  const startedMs = performance.now()
  const { ok, output } = await check()
  count(ok)
  printResult(ok, name, startedMs)
  if (!ok) print(output.trimEnd())
}

function lintOpenApi() {
  // Redocly would otherwise tell its makers about the run, and look for a newer version of itself.
  const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  return run('redocly', ['lint', 'openapi/bellwether.json'], { env })
}

async function runTests() {
  const startedMs = performance.now()
  const report = createTapReport(print)
  const args = ['run', '--disable-coverage', '--reporter=tap', ...paths]
  const result = await run('tap', args, { onStdout: (text) => report.write(text) })
  const tap = report.end() ?? { pass: 0, fail: 0, skip: 0, todo: 0 }

  totals.passed += tap.pass
  totals.failed += tap.fail
  totals.skipped += tap.skip + tap.todo
  const wrong = faultOf(result, tap)
  if (wrong !== null) count(false)
  printResult(result.ok && wrong === null, 'tests', startedMs)
  if (!result.ok && result.errors !== '') print(lastLines(result.errors))
  if (wrong !== null) print(wrong)
}

function lastLines(errors) {
  const lines = errors.trimEnd().split('\n')
  return ['the last that the tests wrote to stderr:', ...lines.slice(-stderrLinesMax)].join('\n')
}

// A run that did not do its work counts as one failure of its own: silence must not pass for success.
function faultOf(result, tap) {
  const ended = result.signal === null ? `exit code ${result.code}` : `signal ${result.signal}`
  if (!result.ok && tap.fail === 0) return `tap ended with ${ended} but counts no failed test`
  if (result.ok && tap.pass === 0) return 'no test ran'
  return null
}

function count(ok) {
  if (ok) totals.passed += 1
  else totals.failed += 1
}

function printResult(ok, name, startedMs) {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  print(`${ok ? 'ok    ' : 'FAILED'}  ${name}  ${seconds} s`)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
