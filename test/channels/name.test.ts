// Channel names and patterns: the grammar's edges, each reserved word in each place, and what a pattern covers.
import fc from 'fast-check'
import t from 'tap'
import { parseChannelName, parseChannelPattern, patternCovers } from '../../src/channels/name.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

function isName(text: string): boolean {
  return parseChannelName(text).outcome === 'parsed'
}

function whyNoName(text: string): string {
  const name = parseChannelName(text)
  if (name.outcome === 'unparsed') return name.message
  throw new Error(`${text} is a name`)
}

t.test('names inside the grammar are taken as they are', async (t) => {
  for (const name of [
    'a',
    '0',
    'stable',
    'stable/cloud',
    'a/b/c/d/e/f',
    '15.x',
    'a..b',
    'a-',
    'a_',
    'a.',
    'x'.repeat(63),
  ]) {
    t.strictSame(parseChannelName(name), { outcome: 'parsed', value: name }, name)
  }
})

t.test('a segment starts with a letter or digit and holds nothing but a-z, 0-9, ".", "_" and "-"', async (t) => {
  const bad = [
    '/',
    'a/',
    '/a',
    'a//b',
    '-a',
    '.a',
    '_a',
    'a/.b',
    '..',
    'A',
    'stable/Cloud',
    'a b',
    'a\n',
    '\na',
    'é',
    'a%2fb',
    'a*',
  ]
  for (const text of bad) {
    t.match(whyNoName(text), /has the segment .*; a segment is 1 to 63 of a-z/, JSON.stringify(text))
  }
  t.match(whyNoName('a/B/c'), /^"a\/B\/c" has the segment "B"/)
})

t.test('a segment has at most 63 characters', async (t) => {
  t.ok(isName(`a/${'b'.repeat(63)}`))
  t.notOk(isName(`a/${'b'.repeat(64)}`))
  t.notOk(isName('b'.repeat(64)))
})

t.test('a name has at most 128 characters', async (t) => {
  const name = `${'a'.repeat(63)}/${'b'.repeat(62)}/c`
  t.equal(name.length, 128)
  t.ok(isName(name))
  t.equal(whyNoName(`${name}c`), 'has 129 characters; a channel name has at most 128')
})

t.test('a name has at most 6 segments', async (t) => {
  t.ok(isName('a/b/c/d/e/f'))
  t.equal(whyNoName('a/b/c/d/e/f/g'), '"a/b/c/d/e/f/g" has 7 segments; a channel name has at most 6')
})

t.test('an empty name is refused and shown an example', async (t) => {
  t.equal(whyNoName(''), 'is empty; a channel is named like stable/cloud')
})

t.test('a name never ends with a word that names something served under a channel', async (t) => {
  for (const word of ['version', 'critical', 'report', 'install.sh', 'helm-values.yaml']) {
    t.equal(whyNoName(word), `"${word}" ends with "${word}", which is reserved`)
    t.match(whyNoName(`stable/${word}`), /ends with .* which is reserved/)
    t.ok(isName(`${word}/stable`), `${word} first`)
    t.ok(isName(`a/${word}/stable`), `${word} in the middle`)
    t.ok(isName(`stable/${word}s`), `${word} as a part of a segment`)
  }
})

t.test('a name never starts with webapi', async (t) => {
  t.equal(whyNoName('webapi'), '"webapi" starts with "webapi", which is reserved')
  t.match(whyNoName('webapi/stable'), /starts with "webapi"/)
  t.ok(isName('stable/webapi'))
  t.ok(isName('webapis/stable'))
})

t.test('no segment of a name is cohort', async (t) => {
  for (const text of ['cohort', 'cohort/a', 'a/cohort', 'a/cohort/b']) {
    t.match(whyNoName(text), /has the segment "cohort", which is reserved/, text)
  }
  t.ok(isName('a/cohorts'))
})

t.test('a pattern is a name, or ends with a segment that is *', async (t) => {
  for (const pattern of ['*', 'stable/*', 'a/b/c/d/e/*', 'stable/cloud', 'version/*', 'a/report/*']) {
    t.strictSame(parseChannelPattern(pattern), { outcome: 'parsed', value: pattern }, pattern)
  }
  for (const text of [
    '',
    '/*',
    '**',
    '*/*',
    'a*',
    'a/*b',
    '*/a',
    'a/*/b',
    'A/*',
    'webapi/*',
    'cohort/*',
    'a/version',
    'a/b/c/d/e/f/*',
  ]) {
    t.equal(parseChannelPattern(text).outcome, 'unparsed', JSON.stringify(text))
  }
})

t.test('a pattern of 128 characters is taken, one of 129 is not', async (t) => {
  const stem = `${'a'.repeat(63)}/${'b'.repeat(62)}`
  t.equal(parseChannelPattern(`${stem}/*`).outcome, 'parsed')
  t.equal(parseChannelPattern(`${stem}b/*`).outcome, 'unparsed')
})

t.test('* covers every channel, a/* covers what is below a, and a name covers itself only', async (t) => {
  t.ok(patternCovers('*', 'stable/cloud'))
  t.ok(patternCovers('stable/*', 'stable/cloud'))
  t.ok(patternCovers('stable/*', 'stable/cloud/eu'))
  t.notOk(patternCovers('stable/*', 'stable'))
  t.notOk(patternCovers('stable/*', 'stablest/cloud'))
  t.notOk(patternCovers('stable/*', 'edge/stable/cloud'))
  t.ok(patternCovers('stable/cloud', 'stable/cloud'))
  t.notOk(patternCovers('stable/cloud', 'stable/cloud/eu'))
  t.notOk(patternCovers('stable/cloud', 'stable'))
})

t.test('any text as a name or a pattern is taken to the letter or refused in one short line', async (t) => {
  fc.assert(
    fc.property(strangeText(), (text) => {
      for (const answer of [parseChannelName(text), parseChannelPattern(text)]) {
        if (answer.outcome === 'parsed' ? answer.value !== text : !isOneShortLine(answer.message)) return false
      }
      return true
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('a name that is taken follows the grammar, written here a second time', async (t) => {
  const words = [
    'stable',
    'version',
    'critical',
    'webapi',
    'cohort',
    'a',
    '-',
    'A',
    '',
    'install.sh',
    'helm-values.yaml',
    'report',
  ]
  const grammar =
    /^(?!webapi(\/|$))(?!(.*\/)?cohort(\/|$))(?!(.*\/)?(version|critical|report|install\.sh|helm-values\.yaml)$)[a-z0-9][a-z0-9._-]{0,62}(\/[a-z0-9][a-z0-9._-]{0,62}){0,5}$/
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 7 }), (segments) => {
      const text = segments.join('/')
      return isName(text) === (grammar.test(text) && text.length <= 128)
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})
