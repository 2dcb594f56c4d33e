// Versions: what is taken, to the letter, and every reason for which a text is none.
import fc from 'fast-check'
import semver from 'semver'
import t from 'tap'
import {
  compareVersions,
  isVersion,
  lowestVersion,
  majorOf,
  parseVersion,
  orderVersions,
} from '../../src/channels/version.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

function whyNoVersion(text: string): string {
  const version = parseVersion(text)
  if (version.outcome === 'unparsed') return version.message
  throw new Error(`${text} is a version`)
}

t.test('prerelease and build metadata are kept to the letter', async (t) => {
  const texts = [
    '0.0.0',
    '15.1.4',
    '1.28.2+k3s1',
    '15.0.0-cloud.20230712T123633.aabbcc',
    '15.0.0-rc.1+build.007',
    '1.0.0-0.a.--',
    '1.0.0+001',
    '1.0.0-A.b.C',
    '1.0.0-0abc',
    '9007199254740991.0.0',
  ]
  for (const text of texts) t.strictSame(parseVersion(text), { outcome: 'parsed', value: text }, text)
})

t.test('one leading v is dropped, a second or a big one is refused', async (t) => {
  t.strictSame(parseVersion('v15.1.4'), { outcome: 'parsed', value: '15.1.4' })
  t.strictSame(parseVersion('v1.28.2+k3s1'), { outcome: 'parsed', value: '1.28.2+k3s1' })
  for (const text of [
    'vv15.1.4',
    'V15.1.4',
    'v',
    '=15.1.4',
    'v=15.1.4',
    '^15.1.4',
    '~15.1.4',
    '>=15.1.4',
    'stable',
    'none',
    'latest',
  ]) {
    t.equal(whyNoVersion(text), `${JSON.stringify(text)} is not a version; a version is like 15.1.4`)
  }
})

t.test('a version has at most 256 characters, the leading v not counted', async (t) => {
  const longest = `1.0.0-${'a'.repeat(250)}`
  t.equal(longest.length, 256)
  t.strictSame(parseVersion(longest), { outcome: 'parsed', value: longest })
  t.strictSame(parseVersion(`v${longest}`), { outcome: 'parsed', value: longest })
  t.equal(whyNoVersion(`${longest}a`), 'has 257 characters; a version has at most 256')
  t.equal(whyNoVersion(`v${longest}a`), 'has 257 characters; a version has at most 256')
  t.match(whyNoVersion(`v1.0.0-${'a'.repeat(249)}.`), /empty identifier/)
})

t.test('an empty text is refused and shown an example', async (t) => {
  t.equal(whyNoVersion(''), 'is empty; a version is like 15.1.4')
})

t.test('white space in or around a version is named as the reason', async (t) => {
  for (const text of [' 15.1.4', '15.1.4 ', '15.1.4\n', '15. 1.4', '15.1.4-a b', ' ', '\u00a015.1.4']) {
    t.match(whyNoVersion(text), /has white space in or around it$/, JSON.stringify(text))
  }
  t.equal(whyNoVersion('15.1.4\n'), '"15.1.4\\n" has white space in or around it')
})

t.test('a version has three numbers, not fewer, not more', async (t) => {
  for (const text of ['15', '15.1', '15.1.4.1', '15..4', '15.1.', '.1.4', '15-rc.1', '15.1+b']) {
    t.equal(whyNoVersion(text), `"${text}" does not have three numbers; a version is like 15.1.4`)
  }
})

t.test('a number with a leading zero is named', async (t) => {
  t.equal(whyNoVersion('15.01.4'), '"15.01.4" has the number "01", which has a leading zero')
  t.match(whyNoVersion('015.1.4'), /has the number "015"/)
  t.match(whyNoVersion('15.1.00-rc.1'), /has the number "00"/)
})

t.test('a number beyond what semver can count is refused', async (t) => {
  t.equal(whyNoVersion('9007199254740992.0.0'), '"9007199254740992.0.0" has a number too large for semver')
  t.match(whyNoVersion(`1.${'9'.repeat(100)}.0`), /too large for semver$/)
})

t.test('a character that no version may have is named', async (t) => {
  t.equal(whyNoVersion('15.1.4-a_b'), '"15.1.4-a_b" has the character "_", which no version may have')
  t.equal(whyNoVersion('15.1.4+a/b'), '"15.1.4+a/b" has the character "/", which no version may have')
  t.match(whyNoVersion('15.1.4-\u0007'), /has the character "\\u0007"/)
  t.match(whyNoVersion('15.1.4;reboot'), /is not a version/)
})

t.test('more than one + is refused', async (t) => {
  t.equal(whyNoVersion('15.1.4+a+b'), '"15.1.4+a+b" has more than one "+"')
  t.match(whyNoVersion('15.1.4-rc+a+'), /more than one/)
})

t.test('an empty identifier is refused', async (t) => {
  for (const text of [
    '15.1.4-',
    '15.1.4+',
    '15.1.4-a.',
    '15.1.4-.a',
    '15.1.4-a..b',
    '15.1.4-a+',
    '15.1.4-+b',
    '15.1.4+a..b',
  ]) {
    t.equal(whyNoVersion(text), `"${text}" has an empty identifier after "-", "+" or "."`)
  }
})

t.test('a commit of digits only with a leading zero is refused, and the message says what to do', async (t) => {
  t.equal(
    whyNoVersion('15.0.0-cloud.20230712T123633.012345'),
    '"15.0.0-cloud.20230712T123633.012345" has the all-digit identifier "012345" with a leading zero, which semver does not allow; where it is a commit, give more of its characters',
  )
  t.ok(isVersion('15.0.0-cloud.20230712T123633.112345'))
  t.ok(isVersion('15.0.0-cloud.20230712T123633.01234a'))
  t.ok(isVersion('15.0.0+012345'), 'build metadata may have leading zeros')
})

t.test(
  'versions are ordered by precedence: numbers, then prereleases before the release, never build metadata',
  async (t) => {
    const ascending = [
      '9.0.0',
      '14.9.9',
      '15.0.0-alpha',
      '15.0.0-alpha.1',
      '15.0.0-rc.2',
      '15.0.0-rc.10',
      '15.0.0',
      '15.0.1',
      '16.0.0-a',
    ]
    for (const [index, version] of ascending.entries()) {
      for (const [other, against] of ascending.entries()) {
        t.equal(compareVersions(version, against), Math.sign(index - other), `${version} ${against}`)
      }
    }
    t.equal(compareVersions('1.28.2+k3s1', '1.28.2+k3s2'), 0)
    t.equal(majorOf('15.0.0-cloud.20230712T123633.aabbcc'), 15)
    t.equal(majorOf('0.9.1'), 0)
  },
)

t.test('the lowest of some versions is found, the first of equals, none of none', async (t) => {
  t.equal(lowestVersion([]), null)
  t.equal(lowestVersion(['15.1.4']), '15.1.4')
  t.equal(lowestVersion(['15.1.4', '9.2.0', '14.0.0', '9.10.0']), '9.2.0')
  t.equal(lowestVersion(['1.28.2+k3s1', '1.28.2+k3s2']), '1.28.2+k3s1')
})

const identifier = fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'Z', '-'), minLength: 1, maxLength: 8 })
const suffix = fc.array(identifier, { maxLength: 4 }).map((parts) => parts.join('.'))
const likeAVersion = fc
  .tuple(fc.array(fc.nat({ max: 20 }), { minLength: 2, maxLength: 4 }), suffix, suffix, fc.constantFrom('', 'v'))
  .map(([numbers, before, build, v]) => `${v}${numbers.join('.')}${before && `-${before}`}${build && `+${build}`}`)

t.test('versions are read as the semver package reads them, and reading what was read gives the same', async (t) => {
  let versions = 0
  fc.assert(
    fc.property(likeAVersion, (text) => {
      const bare = text.replace(/^v/, '')
      const answer = parseVersion(text)
      if (answer.outcome === 'unparsed') return semver.parse(bare) === null && isOneShortLine(answer.message)
      versions += 1
      const { major, minor, patch, prerelease, build } = new semver.SemVer(answer.value)
      const printed = `${major}.${minor}.${patch}${prerelease.length ? `-${prerelease.join('.')}` : ''}${build.length ? `+${build.join('.')}` : ''}`
      const again = parseVersion(answer.value)
      return answer.value === bare && printed === bare && again.outcome === 'parsed' && again.value === bare
    }),
    { numRuns: 2_000 },
  )
  t.ok(versions > 200, `${versions} of the texts were versions`)
})

t.test('any text as a version is taken without its v or refused in one short line', async (t) => {
  fc.assert(
    fc.property(strangeText(), (text) => {
      const answer = parseVersion(text)
      if (answer.outcome === 'unparsed') return isOneShortLine(answer.message)
      return (
        answer.value === text.replace(/^v/, '') &&
        semver.valid(answer.value) !== null &&
        /^[0-9A-Za-z.+-]+$/.test(answer.value)
      )
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('lists of versions have one order, where only build metadata differs too', async (t) => {
  const order = ['15.1.4-rc.1', '15.1.4-rc.1+b', '15.1.4', '15.1.4+a', '15.1.4+b', '15.1.10']
  t.strictSame(order.toReversed().toSorted(orderVersions), order)
  t.strictSame(order.toSorted(orderVersions), order)
  t.equal(orderVersions('15.1.4+a', '15.1.4+a'), 0)
})
