// `npm run soak` in small: both worlds stand their faults, and what must not be is reported, with everything to find its cause.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { FaultKind } from '../../scripts/soak/fault-plan.ts'
import { startEmbeddedWorld } from '../../scripts/soak/embedded-world.ts'
import { planFaults } from '../../scripts/soak/fault-plan.ts'
import { parseOptions } from '../../scripts/soak/options.ts'
import { playRound } from '../../scripts/soak/round.ts'
import { soak } from '../../scripts/soak/soak.ts'
import { seededRandom } from '../../bench/random.ts'
import { dataFolder } from '../fixtures/fault-process.ts'
import type { Run } from '../fixtures/fleet-checker.ts'
import { isRedisMissing } from '../fixtures/redis-process.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const ROUND_S = sized(4, 60)

/** A write that the embedded world's run says was acknowledged, and that its journal does not have. */
function lose(run: Run): Run {
  if (run.finals.length > 1) return run
  const written = run.attempts.find(({ outcome }) => outcome === 'acknowledged')
  if (written === undefined) throw new Error('nothing was acknowledged')
  return { ...run, attempts: [...run.attempts, { ...written, marker: 'lost' }] }
}

t.test(
  'a round of each world stands its faults, and a write that is lost in one is reported with all that was seen',
  async (t) => {
    if (isRedisMissing(t)) return
    const lines: string[] = []
    const evidenceFolder = await dataFolder(t)
    const totals = await soak({
      ...{ minutes: 10, roundsMax: 1, roundSeconds: ROUND_S, faultsPerMinute: 60, worlds: ['redis', 'embedded'] },
      seed: SEED,
      evidenceFolder,
      stop: new AbortController().signal,
      print: (line) => void lines.push(line),
      tamper: lose,
    })
    const text = lines.join('\n')
    t.equal(totals.violations, 1, text)
    t.match(text, /VIOLATION lost write: lost was acknowledged/)
    t.match(text, `--only embedded --rounds 1 --seed ${SEED} --faults-per-minute 24`)
    t.match(text, /^redis round 1, seed \d+: \d+ faults in \d+ s, 0 violations/m)
    t.ok(totals.faults >= 2)
    t.ok(totals.polls > 100)
    for (const words of [/^faults +\d/m, /^rounds, redis +1$/m, /^writes acknowledged +\d/m, /^violations +1$/m]) {
      t.match(lines.at(-1), words)
    }
    t.strictSame(await readdir(evidenceFolder), [`embedded-${SEED}`])
    const folder = join(evidenceFolder, `embedded-${SEED}`)
    const names = ['asks', 'attempts', 'faults', 'journal', 'observations', 'violations'].map((name) => `${name}.jsonl`)
    const kept = await readdir(folder)
    t.strictSame(
      names.filter((name) => !kept.includes(name)),
      [],
    )
    t.match(await readFile(join(folder, 'violations.jsonl'), 'utf8'), /"kind":"lost write"/)
  },
)

t.test('a server that ends by itself is reported, and so is a fault that is not survived', async (t) => {
  const result = await playRound({
    async start(teardown, random) {
      const world = await startEmbeddedWorld(teardown, random)
      const { fleet } = world
      const once = (kind: string, cause: () => Promise<void>): FaultKind => {
        let isDue = true
        const causeOnce = async (): Promise<boolean> => {
          if (!isDue) return false
          isDue = false
          await cause()
          return true
        }
        return { kind, weight: 1, draw: () => ({ part: 'replica 0', cause: causeOnce }) }
      }
      const ends = once('an end', async () => {
        await fleet.server(0).end('SIGKILL')
        await fleet.processes.startAgain(0)
      })
      return { fleet, kinds: [ends, once('a loss', () => Promise.reject(new Error('it is lost')))] }
    },
    ...{ seed: SEED, durationMs: 1_000, pauseMs: 100, stop: new AbortController().signal, onFault: () => {} },
  })
  t.match(result.violations.map(({ kind, detail }) => `${kind}: ${detail}`).toSorted(), [
    /^fault not survived: a loss, replica 0: it is lost$/,
    /^unexpected end: replica-0 \(pid \d+\): SIGKILL$/,
  ])
  t.equal(result.violations.length, 2)
})

t.test('a seed gives the same faults each time, as many as were asked for', async (t) => {
  const kinds: readonly FaultKind[] = ['one', 'two', 'three'].map((kind) => ({
    kind,
    weight: kind.length,
    draw: (random) => ({ part: `part ${random.next(9)}`, cause: () => Promise.resolve() }),
  }))
  const plan = (seed: number) =>
    planFaults(seededRandom(seed), kinds, { durationMs: 600_000, pauseMs: 3_000 }).map(
      ({ kind, part, atMs }) => `${kind} ${part} ${atMs}`,
    )
  t.strictSame(plan(SEED), plan(SEED))
  t.notSame(plan(SEED), plan(SEED + 1))
  t.ok(plan(SEED).length > 180 && plan(SEED).length < 220)
})

t.test('a wrong option is named, and what it takes', async (t) => {
  for (const [args, message] of [
    [['--minutes', 'long'], /--minutes takes a number above 0/],
    [['--minutes', '0'], /--minutes takes/],
    [['--rounds', '1.5'], /--rounds takes a whole number/],
    [['--seed', ''], /--seed takes a whole number/],
    [['--faults-per-minute', '1000'], /--faults-per-minute takes a number above 0, at most/],
    [['--only', 'mars'], /--only takes one of: redis, embedded/],
    [['--nonsense'], /--nonsense/],
    [['5'], /5/],
  ] as const) {
    t.throws(() => parseOptions(args), message, args.join(' '))
  }
  t.match(parseOptions(['--only', 'redis', '--seed', '5']), { worlds: ['redis'], seed: 5, minutes: 60 })
})
