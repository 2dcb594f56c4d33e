// `npm run soak -- [--minutes 60] [--seed N]`: random faults for as long as asked, over three replicas on Redis and beside them
// over one embedded server, and the proof after every round that no poll was wrong and no acknowledged write was lost.
// Exit code 1 for a violation, 2 for wrong options. `--help` lists the options; docs/soak.md says how to use it.
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseOptions, USAGE, type SoakOptions } from './soak/options.ts'
import { soak } from './soak/soak.ts'

/** A terminal's Ctrl-C can come in more than once. */
const IMPATIENT_AFTER_MS = 2_000

const options = readOptions()
if (options.isHelp) process.stdout.write(USAGE)
else if (options.worlds.includes('redis') && spawnSync('redis-server', ['--version']).status !== 0) {
  process.stderr.write('redis-server is not there: install it, or run with --only embedded\n')
  process.exitCode = 2
} else process.exitCode = await run(options)

function readOptions(): SoakOptions {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function run({ seed, ...chosen }: SoakOptions): Promise<number> {
  const stop = new AbortController()
  let stoppedMs = Infinity
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (performance.now() - stoppedMs > IMPATIENT_AFTER_MS) process.exit(1)
      stoppedMs = Math.min(stoppedMs, performance.now())
      stop.abort()
      print('no more faults; the rounds under way are settled and checked')
    })
  }
  const evidenceFolder = join(tmpdir(), `bellwether-soak-${seed}`)
  print(`seed ${seed}; whatever is kept of a violation is kept in ${evidenceFolder}`)
  const totals = await soak({ ...chosen, seed, evidenceFolder, stop: stop.signal, print })
  return totals.violations === 0 ? 0 : 1
}

function print(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`)
}
