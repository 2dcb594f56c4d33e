// What is checked without running a test: types, lint, format, unused code, the build, and the form of the API document.
import { build, isBuilt } from '../build.mjs'
import { run } from '../child-process.mjs'

/** What was found of files that have not changed since is kept with the installed packages; prettier does the same. */
const incremental = ['--incremental', '--tsBuildInfoFile', 'node_modules/.cache/tsc/types.json']

/** The quick ones, for every commit. Each check gives `{ ok, output }`. */
export const quickChecks = [
  { name: 'type check', check: () => run('tsc', ['--noEmit', '--pretty', 'false', ...incremental]) },
  { name: 'lint', check: () => run('oxlint', ['--type-aware', '--deny-warnings', '--format=unix']) },
  { name: 'format', check: () => run('prettier', ['--check', '--cache', '--log-level', 'warn', '.']) },
]

/** The build comes first, as tests start the built server; types are the type check's business. */
export const staticChecks = [
  { name: 'build', check: async () => (isBuilt() ? { ok: true, output: '' } : build({ checksTypes: false })) },
  ...quickChecks,
  { name: 'unused code', check: () => run('knip', ['--no-progress']) },
  { name: 'OpenAPI lint', check: lintOpenApi },
]

function lintOpenApi() {
  // Redocly would otherwise tell its makers about the run, and look for a newer version of itself.
  const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  return run('redocly', ['lint', 'openapi/bellwether.json'], { env })
}
