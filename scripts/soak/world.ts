// A world: servers that are polled and written to, and what can be done to them. Each round has one of its own.
import { seededRandom, type Random } from '../../bench/random.ts'
import type { Fleet, FleetOptions, Pace } from '../../test/fixtures/fleet.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import type { FaultKind } from './fault-plan.ts'

export interface World {
  readonly fleet: Fleet
  readonly kinds: readonly FaultKind[]
}

export type StartWorld = (t: Teardown, random: Random) => Promise<World>

/** Some hundred requests a second in all, so that a night costs less than half of two cores. */
const PACE: Pace = {
  pollPauseMs: 25,
  cohortPollPauseMs: 250,
  writePauseMs: 120,
  decisionPauseMs: 300,
  releasePauseMs: 2_000,
}

/** What the fleets of all worlds have in common. */
export function soakFleet(random: Random): Omit<FleetOptions, 'urls'> {
  return {
    pace: PACE,
    env: { BELLWETHER_LOG_LEVEL: 'warn' },
    hasPipeline: true,
    isDetached: true,
    // Of its own: how often it is asked depends on the machine, and the plan of the faults must not.
    decides: seededRandom(random.next(2 ** 32)),
  }
}
