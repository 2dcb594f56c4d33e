// One server on its embedded store, and what can happen to it.
import { Fleet } from '../../test/fixtures/fleet.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import { replicaFaults } from './replica-faults.ts'
import { SOAK_PACE, type World } from './world.ts'

/** Enough that a kill comes in the middle of several writes. */
const OPERATORS = 3

export async function startEmbeddedWorld(t: Teardown): Promise<World> {
  const fleet = await Fleet.start(t, { urls: [null], pace: SOAK_PACE, env: { BELLWETHER_LOG_LEVEL: 'warn' } })
  fleet.write(OPERATORS)
  return { fleet, kinds: replicaFaults(fleet) }
}
