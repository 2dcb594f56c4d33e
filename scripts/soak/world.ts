// A world: servers that are polled and written to, and what can be done to them. Each round has one of its own.
import type { Random } from '../../bench/random.ts'
import type { Fleet, Pace } from '../../test/fixtures/fleet.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import type { FaultKind } from './fault-plan.ts'

export interface World {
  readonly fleet: Fleet
  readonly kinds: readonly FaultKind[]
}

export type StartWorld = (t: Teardown, random: Random) => Promise<World>

/** Some hundred requests a second in all, so that a night costs less than half of two cores. */
export const SOAK_PACE: Pace = { pollPauseMs: 50, cohortPollPauseMs: 250, writePauseMs: 120 }
