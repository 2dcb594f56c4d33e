// A disk of its own for a server, which can be full for a while. Only where this user may mount one.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet } from '../../test/fixtures/fleet.ts'
import { freshMount } from '../../test/fixtures/store-process.ts'
import type { Teardown } from '../../test/fixtures/teardown.ts'
import type { FaultKind } from './fault-plan.ts'

/** Room for the store of one round many times over. */
const DISK_KB = 131_072
const FULL_MAX_MS = 3_000
/** The last bytes are used up too. */
const PIECES_BYTES = [1_048_576, 65_536, 4_096, 1]

/** A folder on a disk of its own; null where this user may not mount a file system. */
export function mountSmallDisk(t: Teardown): Promise<string | null> {
  return freshMount(t, DISK_KB)
}

/** The disk of replica 0 is full for a while; in some cases the server is killed while it is. */
export function diskFaults(fleet: Fleet, folder: string): readonly FaultKind[] {
  const full = (kind: string, isKilled: boolean): FaultKind => ({
    kind,
    weight: 1,
    draw(random) {
      const fullMs = random.next(FULL_MAX_MS)
      return {
        part: 'replica 0',
        async cause() {
          const files = await stuff(folder)
          await sleep(fullMs)
          if (isKilled) await fleet.processes.stop(0, 'SIGKILL')
          for (const file of files) await rm(file, { force: true })
          if (isKilled) await fleet.processes.startAgain(0)
        },
      }
    },
  })
  return [full('full disk', false), full('full disk and kill -9', true)]
}

/** Uses up what room is left, to the last byte. */
async function stuff(folder: string): Promise<readonly string[]> {
  const files: string[] = []
  for (const bytes of PIECES_BYTES) {
    for (let isRoom = true; isRoom;) {
      const file = join(folder, `stuffing-${files.length}`)
      files.push(file)
      isRoom = await writeFile(file, Buffer.alloc(bytes)).then(
        () => true,
        () => false,
      )
    }
  }
  return files
}
