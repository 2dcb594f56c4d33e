// Cloud release versions: their parts, their order by time, what is none, and how they are made; which release is newer.
import fc from 'fast-check'
import t from 'tap'
import {
  compareCloudReleases,
  compareReleases,
  releaseOrder,
  makeCloudVersion,
  parseCloudRelease,
  type CloudRelease,
} from '../../src/rollouts/cloud-version.ts'
import { majorOf } from '../../src/channels/version.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'
import { mistakeOf } from '../fixtures/rollout-samples.ts'

function releaseOf(text: string): CloudRelease {
  const release = parseCloudRelease(text)
  if (release.outcome === 'parsed') return release.value
  throw new Error(release.message)
}

function whyNoRelease(text: string): string {
  const release = parseCloudRelease(text)
  if (release.outcome === 'unparsed') return release.message
  throw new Error(`${text} is a Cloud release`)
}

t.test('a Cloud release is read into its major, its time and its commit', async (t) => {
  const expected = {
    version: '15.0.0-cloud.20230712T123633.aabbcc',
    major: 15,
    cutAt: Date.UTC(2023, 6, 12, 12, 36, 33),
    commit: 'aabbcc',
  }
  t.strictSame(releaseOf('15.0.0-cloud.20230712T123633.aabbcc'), expected)
  t.strictSame(releaseOf('v15.0.0-cloud.20230712T123633.aabbcc'), expected)
  t.equal(releaseOf('15.0.0-cloud.20240229T000000.1234567').commit, '1234567')
  t.equal(releaseOf(`15.0.0-cloud.20240229T235959.${'a'.repeat(40)}`).commit, 'a'.repeat(40))
})

t.test('Cloud releases are ordered by when they were cut, across majors', async (t) => {
  const cut = [
    '16.0.0-cloud.20230101T000000.aabbcc',
    '14.0.0-cloud.20230712T123633.ffffff',
    '15.0.0-cloud.20230712T123634.aabbcc',
    '9.0.0-cloud.20240101T000000.000000a',
  ].map(releaseOf)
  t.strictSame([...cut].reverse().sort(compareCloudReleases), cut)
})

t.test('Cloud releases cut in the same second are ordered by semver, and one equals itself', async (t) => {
  const lower = releaseOf('14.0.0-cloud.20230712T123633.ffffff')
  const higher = releaseOf('15.0.0-cloud.20230712T123633.aabbcc')
  const other = releaseOf('15.0.0-cloud.20230712T123633.aabbcd')
  t.ok(compareCloudReleases(lower, higher) < 0)
  t.ok(compareCloudReleases(higher, lower) > 0)
  t.ok(compareCloudReleases(higher, other) < 0)
  t.equal(compareCloudReleases(higher, higher), 0)
})

t.test('a timestamp that is no date and time is refused', async (t) => {
  for (const stamp of [
    '20230231T000000',
    '20230229T000000',
    '20231301T000000',
    '20230100T000000',
    '20230712T240000',
    '20230712T126000',
    '20230712T120060',
  ]) {
    const text = `15.0.0-cloud.${stamp}.aabbcc`
    t.equal(whyNoRelease(text), `"${text}" has a timestamp that is no date and time`)
  }
})

t.test('a version of another form is not a Cloud release', async (t) => {
  const others = [
    '15.1.4',
    '15.1.0-cloud.20230712T123633.aabbcc',
    '15.0.1-cloud.20230712T123633.aabbcc',
    '15.0.0-cloud.20230712T123633.AABBCC',
    '15.0.0-cloud.20230712T123633.aabbc',
    '15.0.0-cloud.20230712T123633.aabbcg',
    `15.0.0-cloud.20230712T123633.${'a'.repeat(41)}`,
    '15.0.0-cloud.20230712123633.aabbcc',
    '15.0.0-cloud.20230712T123633.aabbcc.1',
    '15.0.0-cloud.20230712T123633.aabbcc+meta',
    '15.0.0-cloud.20230712T123633',
  ]
  for (const text of others) t.match(whyNoRelease(text), /is not a Cloud release; one is like 15\.0\.0-cloud/, text)
})

t.test('what semver refuses is refused with the reason of version.ts', async (t) => {
  t.match(whyNoRelease('15.0.0-cloud.20230712T123633.012345'), /all-digit identifier "012345" with a leading zero/)
  t.match(whyNoRelease('15.0-cloud.20230712T123633.aabbcc'), /does not have three numbers/)
  t.match(whyNoRelease(''), /is empty/)
})

t.test('every real time and commit round-trips, unless semver refuses its commit', async (t) => {
  const cut = fc.integer({ min: 0, max: 253_402_300_799 })
  const commit = fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'f'), minLength: 6, maxLength: 10 })
  fc.assert(
    fc.property(fc.nat({ max: 99 }), cut, commit, (major, seconds, hash) => {
      const stamp = new Date(seconds * 1_000).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
      const answer = parseCloudRelease(`${major}.0.0-cloud.${stamp}.${hash}`)
      if (answer.outcome === 'unparsed') return /^0\d+$/.test(hash)
      return answer.value.cutAt === seconds * 1_000 && answer.value.major === major && answer.value.commit === hash
    }),
  )
  t.pass()
})

t.test('any text as a Cloud release is read or refused in one short line', async (t) => {
  fc.assert(
    fc.property(strangeText(), (text) => {
      const answer = parseCloudRelease(text)
      return answer.outcome === 'parsed' || isOneShortLine(answer.message)
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

const CUT_AT = Date.UTC(2023, 6, 12, 12, 36, 33, 999)
const SECONDS_MAX = 253_402_300_799

/** The version that is made of a commit; throws where none is. */
function made(commit: string, major = 15): string {
  const version = makeCloudVersion(major, CUT_AT, commit)
  if (version.outcome === 'parsed') return version.value
  throw new Error(version.message)
}

t.test('a whole commit is shortened to seven characters, a part of one is taken as it is', async (t) => {
  t.equal(made(`aabbccd${'0'.repeat(33)}`), '15.0.0-cloud.20230712T123633.aabbccd')
  t.equal(made('aabbcc'), '15.0.0-cloud.20230712T123633.aabbcc')
  t.equal(made('aabbccddeeff'), '15.0.0-cloud.20230712T123633.aabbccddeeff')
  t.equal(made('123456', 9), '9.0.0-cloud.20230712T123633.123456')
  t.equal(made(`1234567${'0'.repeat(33)}`), '15.0.0-cloud.20230712T123633.1234567')
})

t.test('a whole commit that semver would refuse in short is lengthened up to its first letter', async (t) => {
  t.equal(made(`0123456a${'0'.repeat(32)}`), '15.0.0-cloud.20230712T123633.0123456a')
  t.equal(made(`${'0'.repeat(39)}a`), `15.0.0-cloud.20230712T123633.${'0'.repeat(39)}a`)
})

t.test('a commit of digits alone that begins with a zero is refused, and the refusal says what to give', async (t) => {
  for (const commit of ['012345', '0123456', '000000', '0'.repeat(40)]) {
    const mistake = mistakeOf(makeCloudVersion(15, CUT_AT, commit))
    t.match(mistake, /^commit .*only digits and begins with a zero.*give more of the commit's characters.*a letter/)
  }
  t.equal(made('012345a'), '15.0.0-cloud.20230712T123633.012345a', 'one character more is enough')
})

t.test('a commit or a major that can be none is refused by its name', async (t) => {
  for (const commit of ['', 'aabbc', 'AABBCC', 'aabbcg', ' aabbcc', 'a'.repeat(41), 'x'.repeat(1_000)]) {
    const mistake = mistakeOf(makeCloudVersion(15, CUT_AT, commit))
    t.match(mistake, /^commit must be 6 to 40 of 0-9 and a-f/)
    t.ok(isOneShortLine(mistake), mistake)
  }
  for (const major of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    t.match(mistakeOf(makeCloudVersion(major, CUT_AT, 'aabbcc')), /^major must be a whole number/, String(major))
  }
})

t.test('whatever version is made is read back into what it was made of', async (t) => {
  const hex = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 6, maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...'0019'.split('')), minLength: 6, maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...'00123456789a'.split('')), minLength: 40, maxLength: 40 }),
  )
  const seen = { parsed: 0, refused: 0, lengthened: 0 }
  fc.assert(
    fc.property(fc.nat({ max: 999 }), fc.nat({ max: SECONDS_MAX }), hex, (major, seconds, commit) => {
      const version = makeCloudVersion(major, seconds * 1_000 + (seconds % 1_000), commit)
      seen[version.outcome] += 1
      if (version.outcome === 'refused') return /^0\d+$/.test(commit)
      const value = releaseOf(version.value)
      if (value.commit.length > 7 && commit.length === 40) seen.lengthened += 1
      const isShort = commit.length === 40 ? value.commit.length >= 7 : value.commit === commit
      return value.cutAt === seconds * 1_000 && value.major === major && commit.startsWith(value.commit) && isShort
    }),
    { numRuns: 2_000 },
  )
  t.ok(seen.parsed > 500 && seen.refused > 100 && seen.lengthened > 20, JSON.stringify(seen))
})

t.test('lists have Cloud releases in the order in which they were cut, whatever their majors', async (t) => {
  const older = '16.0.0-cloud.20230101T000000.aabbcc'
  const newer = '15.0.0-cloud.20230712T123633.aabbcc'
  t.ok(compareReleases(older, newer) < 0)
  t.ok(compareReleases(newer, older) > 0)
})

t.test(
  'releases of one scheme are newer or older; others, a later one of a lower major and builds of one version are unordered',
  async (t) => {
    for (const [older, newer] of [
      ['15.0.0-cloud.20230101T000000.aabbcc', '15.0.0-cloud.20230712T123633.aabbcc'],
      ['15.0.0-cloud.20230101T000000.aabbcc', '16.0.0-cloud.20230712T123633.aabbcc'],
      ['15.0.0-cloud.20230101T000000.aabbcc', '16.0.0-cloud.20230101T000000.aabbcc'],
      ['15.1.4', '15.1.10'],
      ['14.9.9', '15.0.0-rc.1'],
      ['1.28.2+k3s10', '1.28.3+k3s9'],
    ] as const) {
      t.equal(releaseOrder(newer, older), 'newer', `${newer} ${older}`)
      t.equal(releaseOrder(older, newer), 'older', `${older} ${newer}`)
      t.equal(releaseOrder(newer, newer), 'same')
    }
    for (const [a, b] of [
      ['15.4.2', '15.0.0-cloud.20230712T123633.aabbcc'],
      ['14.3.6', '14.0.0-cloud.20230712T123633.aabbcc'],
      ['16.0.0', '15.0.0-cloud.20230712T123633.aabbcc'],
      ['15.0.0-cloud.1', '15.0.0-cloud.20230712T123633.aabbcc'],
      ['16.0.0-cloud.20230101T000000.aabbcc', '15.0.0-cloud.20230712T123633.aabbcc'],
      // Nothing tells which one was built later.
      ['15.0.0-cloud.20230101T000000.aabbcc', '15.0.0-cloud.20230101T000000.aabbcd'],
      ['1.28.2+k3s9', '1.28.2+k3s10'],
      ['1.28.2', '1.28.2+k3s1'],
    ] as const) {
      t.equal(releaseOrder(a, b), 'unordered')
      t.equal(releaseOrder(b, a), 'unordered')
    }
  },
)

t.test('other releases are ordered by semver, prereleases and all', async (t) => {
  const order = ['14.9.9', '15.0.0-rc.1', '15.0.0-rc.2', '15.0.0', '15.1.9', '15.1.10', '16.0.0']
  t.strictSame([...order].reverse().sort(compareReleases), order)
})

t.test('no two versions are equally new, even where semver makes no difference', async (t) => {
  t.equal(compareReleases('15.1.4', '15.1.4'), 0)
  t.ok(compareReleases('1.28.2+k3s1', '1.28.2+k3s2') < 0)
  t.ok(compareReleases('1.28.2+k3s2', '1.28.2+k3s1') > 0)
  t.ok(compareReleases('1.28.2', '1.28.2+k3s1') < 0)
})

const someCloudVersion = fc
  .tuple(fc.constantFrom(14, 15, 16), fc.nat({ max: 5 }), fc.constantFrom('aabbcc', 'bbccdd', '1234567'))
  .map(([major, second, commit]) => `${major}.0.0-cloud.20230712T12363${second}.${commit}`)
const somePlainVersion = fc
  .tuple(
    fc.constantFrom(14, 15, 16),
    fc.constantFrom('0.0', '0.1', '1.0'),
    fc.constantFrom('', '-rc.1', '-cloud.1', '+a', '+b'),
  )
  .map(([major, rest, suffix]) => `${major}.${rest}${suffix}`)

function isTotalOrder([a, b, c]: readonly [string, string, string]): boolean {
  const [ab, bc, ac] = [compareReleases(a, b), compareReleases(b, c), compareReleases(a, c)]
  const isTransitive = ab > 0 || bc > 0 || ac <= 0
  return Math.sign(compareReleases(b, a)) === -Math.sign(ab) && (ab === 0) === (a === b) && isTransitive
}

t.test('what is newer than a newer release is newer, never of a lower major, and lists have it later', async (t) => {
  const version = fc.oneof(someCloudVersion, somePlainVersion)
  const seen = new Map<string, number>()
  const back = { newer: 'older', older: 'newer', same: 'same', unordered: 'unordered' } as const
  fc.assert(
    fc.property(fc.tuple(version, version, version), ([a, b, c]) => {
      const [ab, bc, ac] = [releaseOrder(a, b), releaseOrder(b, c), releaseOrder(a, c)]
      seen.set(ab, (seen.get(ab) ?? 0) + 1)
      const isTransitive = ab !== 'newer' || bc !== 'newer' || ac === 'newer'
      const isListed = ab !== 'newer' || (compareReleases(a, b) > 0 && majorOf(a) >= majorOf(b))
      return isTransitive && isListed && releaseOrder(b, a) === back[ab] && (ab === 'same') === (a === b)
    }),
    { numRuns: 5_000 },
  )
  for (const order of Object.keys(back)) t.ok((seen.get(order) ?? 0) > 50, order)
})

for (const [what, version] of [
  ['Cloud releases', someCloudVersion],
  ['other releases', somePlainVersion],
  // A pipeline may take both, and a channel that is at one may get the other.
  ['releases of both forms', fc.oneof(someCloudVersion, somePlainVersion)],
] as const) {
  t.test(`${what} are in one order: of three, the first is not after the last`, async (t) => {
    fc.assert(fc.property(fc.tuple(version, version, version), isTotalOrder), { numRuns: 5_000 })
    t.pass()
  })
}
