// Stops with one clear line where Node is too old. It is imported before everything else, so it and its importers
// keep to syntax that an old Node can still read.
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const needed = /(\d+)\.(\d+)/.exec(manifest.engines.node).slice(1).map(Number)
const found = process.versions.node.split('.').map(Number)

if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  process.stderr.write(`Bellwether needs Node ${needed.join('.')} or newer; this is Node ${process.versions.node}\n`)
  process.exit(1)
}
