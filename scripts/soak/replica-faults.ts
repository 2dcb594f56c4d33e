// What can happen to one server, whatever its store is: killed, stopped, restarted, with a wrong clock, with damaged files.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Random } from '../../bench/random.ts'
import type { Fleet } from '../../test/fixtures/fleet.ts'
import type { FaultKind } from './fault-plan.ts'

/** A server is down for at most this long, so that it misses some writes. */
const DOWN_MAX_MS = 2_000
/** About as long as a start takes. */
const START_MAX_MS = 800
/** Longer than every limit of the servers (test/fixtures/impatient-server.mjs). */
const STOPPED_MAX_MS = 4_500
const CLOCK = fileURLToPath(new URL('../../test/fixtures/shifted-clock.mjs', import.meta.url))
/** From some minutes to 40 days. */
const CLOCK_OFFSETS_MS = [-3_456_000_000, -3_600_000, -400_000, 400_000, 3_600_000, 3_456_000_000]

/** What becomes of a file. */
const damages: Readonly<Record<string, (text: string) => string>> = {
  torn: (text) => text.slice(0, text.length >> 1),
  edited: (text) => text.replace('1.0.', '6.6.'),
  foreign: () => '{"channels":{"fleet/0":"6.6.6"}}',
  empty: () => '',
  binary: () => '\u0000\ufffd\u0001'.repeat(1_000),
}

export function replicaFaults(fleet: Fleet): readonly FaultKind[] {
  /** A fault that ends one replica, does something while it is down, and starts it again. */
  const restart = (
    kind: string,
    weight: number,
    signal: NodeJS.Signals,
    draw: (random: Random) => {
      readonly meanwhile?: (index: number) => Promise<unknown>
      readonly env?: Readonly<Record<string, string>>
    } = () => ({}),
  ): FaultKind => ({
    kind,
    weight,
    draw(random) {
      const index = random.next(fleet.size)
      const downMs = random.chance(0.5) ? 0 : random.next(DOWN_MAX_MS)
      const { meanwhile, env = {} } = draw(random)
      return {
        part: `replica ${index}`,
        async cause() {
          const how = await fleet.processes.stop(index, signal)
          if (signal === 'SIGTERM' && how !== 0) throw new Error(`replica ${index} ended with ${how} after SIGTERM`)
          await meanwhile?.(index)
          await sleep(downMs)
          await fleet.processes.startAgain(index, env)
        },
      }
    },
  })
  const damage = (name: string) => (random: Random) => {
    const change = damages[random.pick(Object.keys(damages))]
    return { meanwhile: (index: number) => damageFile(join(fleet.dataDir(index), name), change ?? String) }
  }
  return [
    restart('kill -9 of a server', 5, 'SIGKILL'),
    restart('restart of a server', 2, 'SIGTERM'),
    restart('kill -9 of a server that starts', 1, 'SIGKILL', (random) => {
      const afterMs = random.next(START_MAX_MS)
      return { meanwhile: (index) => fleet.processes.startAndKill(index, afterMs) }
    }),
    restart('wrong clock from the start', 1, 'SIGKILL', (random) => ({
      env: {
        NODE_OPTIONS: `--import=${CLOCK}`,
        CLOCK_OFFSET_MS: String(random.pick(CLOCK_OFFSETS_MS)),
      },
    })),
    restart('damaged last-known-good file', 1, 'SIGKILL', damage('last-known-good.json')),
    restart('damaged file of notes', 0.5, 'SIGKILL', damage('notes.json')),
    {
      kind: 'SIGSTOP of a server',
      weight: 3,
      draw(random) {
        const index = random.next(fleet.size)
        const stoppedMs = 100 + random.next(STOPPED_MAX_MS)
        return {
          part: `replica ${index}`,
          async cause() {
            const { child } = fleet.server(index)
            child.kill('SIGSTOP')
            await sleep(stoppedMs)
            child.kill('SIGCONT')
          },
        }
      },
    },
  ]
}

/** Changes the text of a file; one that is not there yet is made of what the change makes of nothing. */
async function damageFile(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '')
  await writeFile(path, change(text))
}
