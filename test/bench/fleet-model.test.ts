// The fleet simulation against what can be reckoned without it.
import t from 'tap'
import { followedAfterS, simulate, TIMERS, type FleetOptions } from '../../bench/fleet/model.ts'

const AGENTS = 20_000

function run(more: Partial<FleetOptions> = {}) {
  return simulate({
    ...{ agents: AGENTS, timers: TIMERS.systemd, start: 'spread', cdn: null, agentsPerAddress: 100, window: null },
    ...{ seconds: 10_000, rollbackAtS: 4_000, seed: 1, ...more },
  })
}

function sum(perS: Uint32Array): number {
  return perS.reduce((total, each) => total + each, 0)
}

await t.test('the same seed gives the same run, another one another', (t) => {
  const curves = (seed: number): string => JSON.stringify([run({ seed }).originPerS, run({ seed }).followedByS])
  t.ok(curves(1) === curves(1))
  t.ok(curves(1) !== curves(2))
  t.end()
})

await t.test('a fleet that is spread asks two questions for each agent and period', (t) => {
  for (const timers of Object.values(TIMERS)) {
    const { originPerS } = run({ timers })
    const expected = (2 * AGENTS) / timers.everyS
    const mean = sum(originPerS.subarray(2_000)) / 8_000
    t.ok(Math.abs(mean / expected - 1) < 0.02, `${timers.name}: ${mean} and ${expected}`)
  }
  t.end()
})

await t.test('after a restart nobody asks before the timer, and all have asked when it is over', (t) => {
  const { firstS, jitterS } = TIMERS.systemd
  const { originPerS } = run({ start: 'restart', seconds: firstS + jitterS + 1 })
  t.equal(sum(originPerS.subarray(0, firstS - jitterS - 1)), 0)
  t.equal(sum(originPerS), 2 * AGENTS)
  const peak = Math.max(...originPerS)
  const flat = (2 * AGENTS) / (2 * jitterS)
  t.ok(peak > flat && peak < 2 * flat, `a peak of ${peak} over an even ${flat}`)
  t.end()
})

await t.test('behind a CDN each edge asks once in max-age, however many agents there are', (t) => {
  const cdn = { edges: 5, maxAgeS: 10 }
  for (const agents of [AGENTS, 5 * AGENTS]) {
    const { originPerS } = run({ agents, cdn })
    for (let at = 0; at + 10 <= originPerS.length; at += 10) {
      if (sum(originPerS.subarray(at, at + 10)) > 2 * cdn.edges) t.fail(`second ${at}`)
    }
  }
  t.end()
})

await t.test('a critical rollback is followed within a wait, through a CDN within max-age more', (t) => {
  const { everyS, jitterS } = TIMERS.systemd
  for (const cdn of [null, { edges: 5, maxAgeS: 10 }]) {
    const found = run({ cdn })
    const last = followedAfterS(found, AGENTS, 1)
    t.ok(last !== null && last <= everyS + jitterS + 2, `${last} s`)
    const half = followedAfterS(found, AGENTS, 0.5) ?? NaN
    t.ok(Math.abs(half - everyS / 2) < 60, `half of them after ${half} s`)
  }
  t.end()
})

await t.test('a rollback that is not critical waits for the window of each agent', (t) => {
  const seconds = 4_000 + 2 * 86_400
  const own = run({ agents: 2_400, window: 'own', seconds })
  const hours = (followedAfterS(own, 2_400, 0.99) ?? NaN) / 3_600
  t.ok(hours > 22 && hours < 25, `${hours} hours`)
  const first = run({ agents: 2_400, window: 'first', seconds })
  // The rollback comes in the second hour of the day; the first of the next day begins 82,400 s later.
  t.ok((followedAfterS(first, 2_400, 0.01) ?? NaN) >= 82_400)
  t.ok((followedAfterS(first, 2_400, 1) ?? NaN) <= 82_400 + 3_600)
  t.end()
})

await t.test('one address asks as often as its agents do', (t) => {
  const { addressPerS, originPerS } = run({ agentsPerAddress: AGENTS })
  t.ok(Buffer.from(addressPerS.buffer).equals(Buffer.from(originPerS.buffer)))
  const few = sum(run({ agentsPerAddress: 100 }).addressPerS)
  t.ok(Math.abs(few / sum(originPerS) - 100 / AGENTS) < 0.002)
  t.end()
})
