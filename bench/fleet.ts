// The fleet simulation: what fleets of 10 thousand to 10 million agents ask of the origin, how soon they follow a rollback,
// and how many cores that takes. `--save` writes bench/results/fleet.json and the charts of docs/sizing.md.
//   npx tsx bench/fleet.ts [--seed 1] [--agents-max 10000000] [--save]
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { lineChart } from './chart.ts'
import {
  followedAfterS,
  simulate,
  TIMERS,
  type Cdn,
  type FleetOptions,
  type FleetRun,
  type Timers,
} from './fleet/model.ts'
import type { Report } from './polls/report.ts'

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000]
const CDN: Cdn = { edges: 5, maxAgeS: 10 }
/** The share of a fleet does not depend on its size where it is large: curves over a day are of this many. */
const SAMPLE_AGENTS = 200_000
const AGENTS_PER_ADDRESS = 1_000
const DAY_S = 86_400
const ROLLBACK_AT_S = 4_000

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    'agents-max': { type: 'string', default: '10000000' },
    save: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const RESULTS = fileURLToPath(new URL('results/', import.meta.url))
const CHARTS = fileURLToPath(new URL('../docs/charts/', import.meta.url))

/** Microseconds of processor time for one question, as the poll bench has measured them here; else what is assumed. */
interface Costs {
  readonly source: string
  readonly newConnectionUs: number
  readonly tlsNewUs: number
  readonly tlsResumedUs: number
}

async function readCosts(): Promise<Costs> {
  const assumed = { source: 'assumed', newConnectionUs: 160, tlsNewUs: 1_050, tlsResumedUs: 570 }
  try {
    const { runs } = JSON.parse(await readFile(`${RESULTS}poll.json`, 'utf8')) as Report // Written by the poll bench.
    const rows = runs['20']?.rows.filter(({ server }) => server === 'bellwether') ?? []
    const cost = (scenario: string): number =>
      rows.find((row) => row.scenario.startsWith(scenario))?.cpuUs.median ?? NaN
    return {
      source: 'bench/results/poll.json',
      newConnectionUs: cost('new connection'),
      tlsNewUs: cost('TLSv1.3, new'),
      tlsResumedUs: cost('TLSv1.3, resumed'),
    }
  } catch {
    return assumed
  }
}

function run(timers: Timers, more: Partial<FleetOptions>): FleetRun {
  const usual = { start: 'spread', cdn: null, agentsPerAddress: AGENTS_PER_ADDRESS, window: null, seed } as const
  return simulate({ ...usual, agents: SAMPLE_AGENTS, timers, seconds: 8_000, rollbackAtS: ROLLBACK_AT_S, ...more })
}

const costs = await readCosts()
const lines: string[] = []
const say = (line: string): void => void (lines.push(line), process.stdout.write(`${line}\n`))

interface Size {
  readonly agents: number
  readonly updaters: string
  readonly meanPerS: number
  readonly peakPerS: number
  readonly peakBehindCdnPerS: number
  readonly peakOfOneAddressPerS: number
}

const sizes: Size[] = []
say('requests a second at the origin; a poll is two of them')
say(`| agents | updaters | mean | peak after everything restarts | the same behind a CDN | peak of one address |`)
say('|---|---|---|---|---|---|')
for (const agents of SIZES.filter((size) => size <= Number(values['agents-max']))) {
  for (const timers of [TIMERS.systemd, TIMERS.managed]) {
    const restarted = run(timers, { agents, start: 'restart', seconds: 2_400, rollbackAtS: 2_400 })
    const behind = run(timers, { agents, start: 'restart', seconds: 1_200, rollbackAtS: 1_200, cdn: CDN })
    const size: Size = {
      agents,
      updaters: timers.name,
      meanPerS: (2 * agents) / timers.everyS,
      peakPerS: maxOf(restarted.originPerS),
      peakBehindCdnPerS: maxOf(behind.originPerS),
      peakOfOneAddressPerS: maxOf(restarted.addressPerS),
    }
    sizes.push(size)
    const figures = [size.meanPerS, size.peakPerS, size.peakBehindCdnPerS, size.peakOfOneAddressPerS].map(count)
    say(`| ${count(agents)} | ${timers.name} | ${figures.join(' | ')} |`)
  }
}

say('')
say(
  `cores at ${costs.newConnectionUs.toFixed(0)} µs a new connection, ${costs.tlsNewUs.toFixed(0)} µs over TLS, ` +
    `${costs.tlsResumedUs.toFixed(0)} µs resumed (${costs.source})`,
)
say('| agents | updaters | HTTP: mean | HTTP: peak | TLS: mean | TLS: peak | TLS resumed: peak |')
say('|---|---|---|---|---|---|---|')
for (const { agents, updaters, meanPerS, peakPerS } of sizes) {
  const { newConnectionUs, tlsNewUs, tlsResumedUs } = costs
  const cores = [meanPerS * newConnectionUs, peakPerS * newConnectionUs, meanPerS * tlsNewUs, peakPerS * tlsNewUs]
  const shown = [...cores, peakPerS * tlsResumedUs].map((us) => (us / 1e6).toFixed(us < 1e5 ? 3 : 1))
  say(`| ${count(agents)} | ${updaters} | ${shown.join(' | ')} |`)
}

say('')
say('time until a share of the fleet has followed a rollback, in minutes')
say('| updaters | rollback | 50 % | 99 % | 100 % |')
say('|---|---|---|---|---|')
const follows: { name: string; run: FleetRun; minutes: readonly (number | null)[] }[] = []
for (const [name, timers, more] of [
  ['critical', TIMERS.systemd, {}],
  ['critical, CDN', TIMERS.systemd, { cdn: CDN }],
  ['critical', TIMERS.managed, {}],
  ['critical, CDN', TIMERS.managed, { cdn: CDN }],
  ['critical', TIMERS.kube, {}],
  ['in windows over the day', TIMERS.systemd, { window: 'own', seconds: ROLLBACK_AT_S + 2 * DAY_S }],
  ['in one window for all', TIMERS.systemd, { window: 'first', seconds: ROLLBACK_AT_S + 2 * DAY_S }],
] as const) {
  const found = run(timers, more)
  const minutes = [0.5, 0.99, 1].map((share) => toMinutes(followedAfterS(found, SAMPLE_AGENTS, share)))
  follows.push({ name: `${timers.name}, ${name}`, run: found, minutes })
  say(`| ${timers.name} | ${name} | ${minutes.map((at) => (at === null ? '–' : at.toFixed(1))).join(' | ')} |`)
}

if (values.save) {
  await mkdir(RESULTS, { recursive: true })
  await mkdir(CHARTS, { recursive: true })
  const result = { seed, costs, cdn: CDN, sizes, follows: follows.map(({ name, minutes }) => ({ name, minutes })) }
  await writeFile(`${RESULTS}fleet.json`, `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(`${CHARTS}fleet-restart.svg`, restartChart())
  await writeFile(`${CHARTS}fleet-rollback.svg`, rollbackChart())
}

function restartChart(): string {
  const agents = 1_000_000
  const series = [TIMERS.systemd, TIMERS.managed].flatMap((timers) =>
    [null, CDN].map((cdn) => {
      const { originPerS } = run(timers, { agents, start: 'restart', seconds: 4_800, rollbackAtS: 4_800, cdn })
      return { name: `${timers.name}${cdn === null ? '' : ', CDN'}`, points: everyTenth(originPerS) }
    }),
  )
  return lineChart({
    title: 'One million agents restart at once: requests at the origin',
    xLabel: 'minutes after the restart',
    yLabel: 'requests a second',
    series,
  })
}

/** The mean of every ten seconds, over minutes. */
function everyTenth(perS: Uint32Array): readonly (readonly [number, number])[] {
  return Array.from({ length: Math.floor(perS.length / 10) }, (_, index) => {
    const some = perS.subarray(index * 10, index * 10 + 10)
    return [(index * 10) / 60, some.reduce((sum, each) => sum + each, 0) / 10]
  })
}

function rollbackChart(): string {
  const series = follows
    .filter(({ name }) => name.includes('critical'))
    .map(({ name, run: { followedByS } }) => ({
      name,
      points: Array.from({ length: 240 }, (_, index): readonly [number, number] => {
        const at = index * 10
        return [at / 60, ((followedByS[at] ?? 0) / SAMPLE_AGENTS) * 100]
      }),
    }))
  return lineChart({
    title: 'A critical rollback: how soon a fleet has followed',
    xLabel: 'minutes after the rollback',
    yLabel: '% of the fleet',
    series,
  })
}

function maxOf(perS: Uint32Array): number {
  return perS.reduce((most, each) => Math.max(most, each), 0)
}

function toMinutes(seconds: number | null): number | null {
  return seconds === null ? null : seconds / 60
}

function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 })
}
