// Cohorts: their numbers as paths write them, and the order in which a ramp reaches them.
import fc from 'fast-check'
import t from 'tap'
import { COHORTS, cohortRanks, parseCohort } from '../../src/channels/cohort.ts'
import { strangeText } from '../fixtures/channel-texts.ts'

const NUMBERS = Array.from({ length: COHORTS }, (_, cohort) => cohort)

t.test('cohorts are numbered 0 to 99, each written in one way', async (t) => {
  t.strictSame(
    NUMBERS.map((cohort) => parseCohort(String(cohort))),
    NUMBERS,
  )
  for (const text of [
    '100',
    '07',
    '00',
    '-1',
    '-0',
    '+1',
    '1.0',
    '1e1',
    '0x1',
    '',
    ' ',
    ' 7',
    '7 ',
    '7\n',
    '٣',
    'cohort',
  ]) {
    t.equal(parseCohort(text), null, JSON.stringify(text))
  }
  for (const name of ['constructor', '__proto__', 'size', 'length']) t.equal(parseCohort(name), null, name)
})

t.test('any text is a cohort only where a number between 0 and 99 is written so', async (t) => {
  fc.assert(
    fc.property(fc.oneof(strangeText(), fc.integer().map(String), fc.nat({ max: 120 }).map(String)), (text) => {
      const cohort = parseCohort(text)
      return cohort === null ? !/^(?:0|[1-9]\d?)$/.test(text) : String(cohort) === text && cohort < COHORTS
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('running ramps depend on it: for one seed the order never comes out differently', async (t) => {
  t.strictSame(cohortRanks('cloud/15.2.0').slice(0, 10), [70, 80, 57, 86, 69, 61, 95, 49, 54, 48])
  t.strictSame(
    cohortRanks('cloud/15.0.0-cloud.20260301T000000.aabbccd').slice(0, 10),
    [40, 59, 80, 81, 56, 29, 48, 26, 45, 42],
  )
  t.strictSame(cohortRanks('cloud/15.2.0'), cohortRanks('cloud/15.2.0'))
})

const seed = fc.oneof(strangeText(), fc.string({ unit: 'binary' }))

t.test('for any seed every cohort has a rank of its own', async (t) => {
  fc.assert(
    fc.property(seed, (text) => {
      const ranks = cohortRanks(text)
      return ranks.length === COHORTS && ranks.toSorted((a, b) => a - b).every((rank, index) => rank === index)
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('a ramp of p % has reached exactly p cohorts, and none is lost while p grows', async (t) => {
  fc.assert(
    fc.property(seed, fc.nat({ max: COHORTS }), fc.nat({ max: COHORTS }), (text, a, b) => {
      const ranks = cohortRanks(text)
      const reached = (percent: number): readonly number[] => NUMBERS.filter((cohort) => (ranks[cohort] ?? 0) < percent)
      const [few, many] = [reached(Math.min(a, b)), reached(Math.max(a, b))]
      return few.length === Math.min(a, b) && many.length === Math.max(a, b) && few.every((one) => many.includes(one))
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('over many rollouts every cohort is among the first tenth of them about as often', async (t) => {
  for (const seedOf of [
    (index: number) => `cloud/15.${index}.0`,
    (index: number) => `cloud/15.0.0-cloud.${20_200_101_000_000 + index * 86_400}.aabbccd`,
    (index: number) => `${index}`,
  ]) {
    const times = NUMBERS.map(() => 0)
    for (let index = 0; index < 1_000; index += 1) {
      for (const [cohort, rank] of cohortRanks(seedOf(index)).entries())
        if (rank < 10) times[cohort] = (times[cohort] ?? 0) + 1
    }
    // Of 1,000, a hundred are expected; five standard deviations are 47.
    t.ok(Math.min(...times) > 50, `at least ${Math.min(...times)} times with ${seedOf(0)}`)
    t.ok(Math.max(...times) < 150, `at most ${Math.max(...times)} times with ${seedOf(0)}`)
  }
})

t.test('two rollouts have two orders, and neighbours are not reached together', async (t) => {
  const [one, other] = [cohortRanks('cloud/15.2.0'), cohortRanks('cloud/15.2.1')]
  const same = NUMBERS.filter((cohort) => one[cohort] === other[cohort]).length
  t.ok(same < 10, `${same} cohorts have the same rank in both`)
  const close = NUMBERS.filter((cohort) => Math.abs((one[cohort] ?? 0) - (one[cohort + 1] ?? 1_000)) < 5).length
  t.ok(close < 25, `${close} cohorts are close to the next one`)
})
