// One round: a fresh world, its faults, then quiet, and the proof that nothing was wrong. Everything about it is forgotten then.
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../bench/random.ts'
import type { Run } from '../../test/fixtures/fleet-checker.ts'
import type { ProcessRecord } from '../../test/fixtures/fleet-processes.ts'
import type { Fleet, ReplicaRecord } from '../../test/fixtures/fleet.ts'
import { Teardowns } from '../../test/fixtures/teardown.ts'
import type { CausedFault, Evidence, RoundViolation } from './evidence.ts'
import { Parts, planFaults, type PlannedFault } from './fault-plan.ts'
import type { StartWorld } from './world.ts'

/** How soon after the last fault every server must follow its store again: many times what its limits allow. */
const SETTLE_MAX_MS = 60_000
const SETTLE_STEP_MS = 100
/** The server has no better word for it: it must not happen. */
const FATAL = /"level":60/
const VIOLATIONS_MAX = 20

export interface RoundOptions {
  readonly start: StartWorld
  readonly seed: number
  readonly durationMs: number
  readonly pauseMs: number
  /** Ends the faults early; the round is settled and checked all the same. */
  readonly stop: AbortSignal
  readonly onFault: (kind: string, isCaused: boolean) => void
  /** Changes what was observed before it is checked: for the test of this program. */
  readonly tamper?: (run: Run) => Run
}

export interface RoundResult extends Evidence {
  readonly refusals: ReadonlyMap<string, number>
}

export async function playRound(options: RoundOptions): Promise<RoundResult> {
  const t = new Teardowns()
  const faults: CausedFault[] = []
  const violations: RoundViolation[] = []
  let fleet: Fleet | null = null
  let run: Run | null = null
  try {
    const random = seededRandom(options.seed)
    const world = await options.start(t, random)
    fleet = world.fleet
    const plan = planFaults(random, world.kinds, options)
    violations.push(...(await causeAll(plan, options, faults)))
    await settle(fleet)
    const checked = await fleet.check(options.tamper)
    run = checked.run
    violations.push(...checked.violations)
  } catch (error) {
    violations.push({ kind: 'not settled', detail: textOf(error) })
  }
  // Before the teardown ends them all.
  const processes = fleet?.processes.records ?? []
  violations.push(...processFaults(processes))
  const refusals = fleet?.refusals ?? new Map<string, number>()
  const internal = refusals.get('internal_error') ?? 0
  if (internal > 0) violations.push({ kind: 'internal error', detail: `${internal} requests were answered 500` })
  const records = processes.map((record) => ({ ...record }))
  await t.end().catch((error: unknown) => violations.push({ kind: 'not ended', detail: textOf(error) }))
  return { violations: violations.slice(0, VIOLATIONS_MAX), faults, processes: records, run, refusals }
}

/** Causes every fault at its time; what must not have come of one is a violation. */
async function causeAll(
  plan: readonly PlannedFault[],
  { stop, onFault }: RoundOptions,
  faults: CausedFault[],
): Promise<readonly RoundViolation[]> {
  const violations: RoundViolation[] = []
  const parts = new Parts()
  const under: Promise<void>[] = []
  const begunMs = performance.now()
  for (const { kind, part, atMs, cause } of plan) {
    await sleep(Math.max(0, begunMs + atMs - performance.now()), null, { signal: stop }).catch(() => null)
    if (stop.aborted) break
    const causing = parts.have(part, async () => {
      const fromMs = performance.now()
      let outcome = 'caused'
      try {
        const isCaused = (await cause()) ?? true
        onFault(kind, isCaused)
        if (!isCaused) outcome = 'did not come about'
      } catch (error) {
        outcome = textOf(error)
        violations.push({ kind: 'fault not survived', detail: `${kind}, ${part}: ${outcome}` })
      }
      faults.push({ kind, part, plannedMs: atMs, fromMs, toMs: performance.now(), outcome })
    })
    under.push(causing)
  }
  await Promise.all(under)
  return violations
}

/** Waits until every server follows and serves again. */
async function settle(fleet: Fleet): Promise<void> {
  const deadline = performance.now() + SETTLE_MAX_MS
  for (let last: readonly (ReplicaRecord | string)[] = []; ; await sleep(SETTLE_STEP_MS)) {
    if (performance.now() > deadline) throw new Error(`not within ${SETTLE_MAX_MS} ms: ${JSON.stringify(last)}`)
    const indices = Array.from({ length: fleet.size }, (_, index) => index)
    last = await Promise.all(indices.map((index) => fleet.record(index).catch(textOf)))
    if (last.every((record) => typeof record !== 'string' && record.status === 'following')) return
  }
}

function processFaults(processes: readonly ProcessRecord[]): readonly RoundViolation[] {
  return processes.flatMap(({ id, server, isAsked, how }) => {
    const { stderr } = server.output()
    const found: RoundViolation[] = []
    if (how !== null && !isAsked) found.push({ kind: 'unexpected end', detail: `${id} (pid ${server.pid}): ${how}` })
    const fatal = stderr.split('\n').find((line) => FATAL.test(line))
    if (fatal !== undefined) found.push({ kind: 'fatal log', detail: `${id} (pid ${server.pid}): ${fatal}` })
    return found
  })
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
