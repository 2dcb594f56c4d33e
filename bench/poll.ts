// How fast polls are answered, beside what else one could take or build, in turns on one core.
//   npx tsx bench/poll.ts [--only keep-alive,tls] [--rounds 5] [--seconds 2] [--connections 64]
//     [--generator wrk|autocannon] [--node24 PATH] [--save]
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Generator } from './polls/generators.ts'
import { showOutcome, thisMachine, versionsOf, type Report } from './polls/report.ts'
import { scenarios, type Outcome } from './polls/scenarios.ts'
import { benchFolder, isInstalled } from './polls/subjects.ts'
import { pinSelf } from './process-figures.ts'

const RESULTS = fileURLToPath(new URL('results/', import.meta.url))
const SERVER_CORE = 0
const GENERATOR_CORE = 1

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(scenarios).join(',') },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    generator: { type: 'string', default: isInstalled('wrk') ? 'wrk' : 'autocannon' },
    node24: { type: 'string' },
    save: { type: 'boolean', default: false },
  },
})
const only = options.only.split(',')
const unknown = only.filter((name) => scenarios[name] === undefined)
if (unknown.length > 0)
  throw new Error(`there is no ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}`)

const nodes = [process.execPath, ...(options.node24 === undefined ? [] : [options.node24])]
const settings = {
  generator: options.generator as Generator, // Another word is refused by the first scenario.
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
  connections: Number(options.connections),
}
const { folder, remove } = await benchFolder()
const isPinned = availableParallelism() > 1 && pinSelf(GENERATOR_CORE)
const runs: Record<string, Outcome> = {}
try {
  for (const node of nodes) {
    const version = versionsOf([node])['node'] ?? ''
    say(`\nNode.js ${version}, ${settings.rounds} rounds of ${settings.seconds} s, ${settings.generator}`)
    say(isPinned ? `servers on core ${SERVER_CORE}, the generator on core ${GENERATOR_CORE}` : 'not pinned to cores')
    const place = { core: isPinned ? SERVER_CORE : null, node, folder }
    const outcomes: Outcome[] = []
    for (const name of only) {
      const outcome = await scenarios[name]?.({ place, ...settings })
      if (outcome === undefined) continue
      say(showOutcome(outcome))
      outcomes.push(outcome)
    }
    runs[version.split('.')[0] ?? ''] = {
      rows: outcomes.flatMap(({ rows }) => rows),
      ratios: outcomes.flatMap(({ ratios }) => ratios),
      figures: outcomes.flatMap(({ figures }) => figures),
      skipped: outcomes.flatMap(({ skipped }) => skipped),
    }
  }
  if (options.node24 === undefined) say('\nSKIPPED a second run with Node.js 24: give it with --node24 PATH')
  if (options.save) {
    const about = { at: new Date().toISOString(), machine: thisMachine(), versions: versionsOf(nodes) }
    const report: Report = { ...about, ...settings, runs }
    await mkdir(RESULTS, { recursive: true })
    await writeFile(`${RESULTS}poll.json`, `${JSON.stringify(report, null, 2)}\n`)
  }
} finally {
  await remove()
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
