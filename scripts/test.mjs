// `npm test`: every check, and one line of totals at the end. `npm test -- --help` says what else it can do.
import './node-version.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { readOptions, USAGE } = await import('./testing/options.mjs')
const { runSuite } = await import('./testing/suite.mjs')

const options = readOptions(process.argv.slice(2))
if (options.isHelp) process.stdout.write(USAGE)
else {
  const { ensureSystemPackages } = await import('./system-packages.mjs')
  await ensureSystemPackages()
  process.exitCode = (await runSuite(options)) ? 0 : 1
}
