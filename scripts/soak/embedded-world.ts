// One server on its embedded store, on a disk of its own where that can be, and what can happen to it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Random } from '../../bench/random.ts'
import { Fleet } from '../../test/fixtures/fleet.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import { diskFaults, mountSmallDisk } from './disk-faults.ts'
import { replicaFaults } from './replica-faults.ts'
import { soakFleet, type World } from './world.ts'

/** Enough that a kill comes in the middle of several writes. */
const OPERATORS = 3

export async function startEmbeddedWorld(t: Teardown, random: Random): Promise<World> {
  const disk = await mountSmallDisk(t)
  const dataDir = disk === null ? null : join(disk, 'data')
  if (dataDir !== null) await mkdir(dataDir)
  const fleet = await Fleet.start(t, { urls: [null], ...soakFleet(random), dataDirOf: () => dataDir })
  fleet.write(OPERATORS)
  fleet.release()
  return { fleet, kinds: [...replicaFaults(fleet), ...(disk === null ? [] : diskFaults(fleet, disk))] }
}
