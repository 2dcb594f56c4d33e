// The whole run: each world goes through its rounds beside the other, until the time is over or it is told to stop.
import { join } from 'node:path'
import { seededRandom } from '../../bench/random.ts'
import type { Run } from '../../test/fixtures/fleet-checker.ts'
import { startEmbeddedWorld } from './embedded-world.ts'
import { keepEvidence } from './evidence.ts'
import type { SoakOptions, WorldName } from './options.ts'
import { startRedisWorld } from './redis-world.ts'
import { playRound, type RoundResult } from './round.ts'
import { Totals } from './totals.ts'
import type { StartWorld } from './world.ts'

const STARTS: Readonly<Record<WorldName, StartWorld>> = { redis: startRedisWorld, embedded: startEmbeddedWorld }
/** Of all faults, where both worlds run: three replicas and Redis stand more of them than one server. */
const SHARES: Readonly<Record<WorldName, number>> = { redis: 0.6, embedded: 0.4 }
/** Rounds of which everything is kept; a fault that shows in every round must not fill the disk. */
const EVIDENCE_MAX = 10
const SEEDS = 2 ** 32

export interface SoakRun extends Pick<SoakOptions, 'minutes' | 'roundsMax' | 'roundSeconds' | 'faultsPerMinute'> {
  readonly worlds: readonly WorldName[]
  readonly seed: number
  /** Where a folder is made for each round with violations. */
  readonly evidenceFolder: string
  readonly stop: AbortSignal
  readonly print: (line: string) => void
  readonly tamper?: (run: Run) => Run
}

export async function soak(options: SoakRun): Promise<Totals> {
  const totals = new Totals()
  const begunMs = performance.now()
  const endMs = begunMs + options.minutes * 60_000
  await Promise.all(options.worlds.map((world) => playWorld(world, endMs, options, totals)))
  options.print(totals.text(performance.now() - begunMs))
  return totals
}

async function playWorld(world: WorldName, endMs: number, options: SoakRun, totals: Totals): Promise<void> {
  const { roundsMax, roundSeconds, faultsPerMinute, worlds, stop, print, tamper } = options
  const pauseMs = 60_000 / (faultsPerMinute * shareOf(world, worlds))
  const seeds = seededRandom(options.seed)
  let seed = options.seed
  for (let round = 1; round <= roundsMax && !stop.aborted; round += 1, seed = seeds.next(SEEDS)) {
    const leftMs = endMs - performance.now()
    if (leftMs <= 0) return
    const begunMs = performance.now()
    const result = await playRound({
      start: STARTS[world],
      seed,
      durationMs: Math.min(leftMs, roundSeconds * 1_000),
      pauseMs,
      stop,
      onFault: (kind, isCaused) => totals.addFault(world, kind, isCaused),
      ...(tamper === undefined ? {} : { tamper }),
    })
    totals.addRound(world)
    totals.addRefusals(result.refusals)
    if (result.run !== null) totals.addRun(result.run)
    totals.addViolations(result.violations.length)
    const seconds = Math.round((performance.now() - begunMs) / 1_000)
    print(
      `${world} round ${round}, seed ${seed}: ${result.faults.length} faults in ${seconds} s, ` +
        `${result.violations.length} violations; ` +
        `so far ${totals.faults} faults, ${totals.polls} polls, ${totals.violations} violations`,
    )
    if (result.violations.length > 0) await tell(world, seed, result, options)
  }
}

function shareOf(world: WorldName, worlds: readonly WorldName[]): number {
  return worlds.length === 1 ? 1 : SHARES[world]
}

let kept = 0

/** Prints each violation, and keeps what is needed to find its cause. */
async function tell(
  world: WorldName,
  seed: number,
  result: RoundResult,
  { print, evidenceFolder, worlds, faultsPerMinute, roundSeconds }: SoakRun,
): Promise<void> {
  for (const { kind, detail } of result.violations) print(`VIOLATION ${kind}: ${detail}`)
  const pace = `--faults-per-minute ${faultsPerMinute * shareOf(world, worlds)} --round-seconds ${roundSeconds}`
  print(`again: npm run soak -- --only ${world} --rounds 1 --seed ${seed} ${pace}`)
  if (kept >= EVIDENCE_MAX) return
  kept += 1
  const folder = join(evidenceFolder, `${world}-${seed}`)
  await keepEvidence(folder, result)
  print(`kept in ${folder}`)
}
