// `npm run check`: types, lint and format at the same time; the quick look before a commit.
import './node-version.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { quickChecks } = await import('./testing/static-checks.mjs')

const results = await Promise.all(
  quickChecks.map(async ({ name, check }) => {
    const { ok, output } = await check()
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${name}\n${ok ? '' : `${output.trimEnd()}\n`}`)
    return ok
  }),
)
process.exitCode = results.every(Boolean) ? 0 : 1
