// `npm run test:watch [-- FOLDER …]`: after every change, the tests of rules and API that load what has changed.
import './node-version.mjs'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { root } from './child-process.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { readOptions } = await import('./testing/options.mjs')
const { runSuite } = await import('./testing/suite.mjs')
const { testsThatLoad } = await import('./testing/affected.mjs')

/** Editors write a file in several steps, and a formatter writes it again. */
const QUIET_MS = 150
/** What can be run after every change; name others: `npm run test:watch -- test/store`. */
const SLICES = ['unit', 'api']

const chosen = readOptions(process.argv.slice(2))
const changed = new Set()
let timer = null
let running = Promise.resolve()

for (const folder of ['src', 'test', 'bench']) {
  watch(join(root, folder), { recursive: true }, (_event, name) => {
    if (name === null || !name.endsWith('.ts')) return
    changed.add(`${folder}/${name}`)
    clearTimeout(timer)
    timer = setTimeout(() => {
      running = running.then(runChanged)
    }, QUIET_MS)
  })
}
process.stdout.write('waiting for a change in src/, test/ or bench/\n')

async function runChanged() {
  const files = [...changed]
  changed.clear()
  if (files.length === 0) return
  const paths = testsThatLoad(files, chosen.paths, SLICES)
  process.stdout.write(`\n${new Date().toLocaleTimeString()}  ${files.join(', ')}\n`)
  if (paths.length === 0) process.stdout.write('no test of these slices loads that\n')
  else await runSuite({ ...chosen, paths })
}
