// Which test files belong to which slice of the suite, and how the files of a slice are run.
import { accessSync, constants, readFileSync, readdirSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../child-process.mjs'

/**
 * A file belongs to the first slice whose pattern its path matches. `cost` is the share of a core that one file keeps busy,
 * `inMemory` says whether its temporary files may be in tmpfs: those that are about disks and crashes must be on a real one.
 * `timeoutMs` is far above what a file takes on a machine that is busy.
 */
export const slices = [
  // Pure rules, and the rules of the house.
  {
    name: 'unit',
    matches: /^test\/(?:channels|house|lib|rollouts|scripts|(?:config|errors)\.)/,
    cost: 1,
    inMemory: true,
    timeoutMs: 300_000,
  },
  // Both listeners and everything behind them in the test's own process.
  { name: 'api', matches: /^test\/(?:app|control|routes|serve)\//, cost: 1, inMemory: true, timeoutMs: 300_000 },
  // Every implementation of the store, with real Redis servers.
  { name: 'stores', matches: /^test\/store\//, cost: 0.5, inMemory: true, timeoutMs: 300_000 },
  // Processes that are started, killed, cut off and starved. They wait more than they work.
  { name: 'faults', matches: /^test\//, cost: 0.5, inMemory: false, timeoutMs: 600_000 },
]

/** Those that take longest, so that none of them is begun last: all others would have ended long before. */
const LONG = [
  'test/integration/rollout-prometheus.test.ts',
  'test/integration/redis-fault-rollouts.test.ts',
  'test/integration/redis-fault-restart.test.ts',
  'test/integration/redis-fault-network.test.ts',
  'test/integration/redis-fault-replica.test.ts',
  'test/integration/poll-workers.test.ts',
  'test/control/rollouts.property.test.ts',
]

/** What is tried only in the full form: a clone that installs everything takes longer than all rules together. */
const FULL_ONLY = new Set(['test/integration/fresh-clone.test.ts'])

/** Asks what a whole run of the API slice has caused, so it is run behind it. */
export const AFTER_API = 'test/house/errors-caused.test.ts'

/** In tmpfs a flush costs nothing; a small one (64 MB in a container) would fill up. */
const MEMORY_FOLDER = '/dev/shm'
const MEMORY_FREE_BYTES_MIN = 512 * 1024 * 1024

/** Every test file as `{ path, slice, hasFullForm, isFullOnly }`, slice by slice, those that take long first. */
export function testFiles() {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .toSorted()
    .map((path) => {
      const slice = slices.find(({ matches }) => matches.test(path))
      const isFullOnly = FULL_ONLY.has(path)
      return { path, slice, isFullOnly, hasFullForm: isFullOnly || hasFullForm(path) }
    })
  const inOrder = [...LONG.flatMap((path) => files.filter((file) => file.path === path)), ...files]
  return slices.flatMap((slice) => [...new Set(inOrder)].filter((file) => file.slice === slice))
}

/** Where temporary files go that need no real disk. */
export function memoryFolder() {
  try {
    accessSync(MEMORY_FOLDER, constants.W_OK)
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER)
    if (bavail * bsize >= MEMORY_FREE_BYTES_MIN) return MEMORY_FOLDER
  } catch {
    // Not every system has one.
  }
  return tmpdir()
}

/** Whether a file does more in `npm run test:full` than in `npm test`. */
function hasFullForm(path) {
  return readFileSync(join(root, path), 'utf8').includes('/test-form.ts')
}
