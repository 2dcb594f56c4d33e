// Cloud release versions: their parts, their order by time, and what is none.
import fc from 'fast-check'
import t from 'tap'
import { compareCloudReleases, parseCloudRelease, type CloudRelease } from '../../src/rollouts/cloud-version.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

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
