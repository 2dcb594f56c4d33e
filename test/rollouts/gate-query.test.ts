// Placeholders of a gate's query: what they stand for, and that braces of PromQL are no placeholders.
import fc from 'fast-check'
import t from 'tap'
import { fillQuery, queryMistake, queryValues, type QueryValues } from '../../src/rollouts/gate-query.ts'
import { movedFrom, someRollout, someStage, underWay } from '../fixtures/rollout-samples.ts'

const VALUES: QueryValues = { release: '15.2.0', previous: '15.1.4', stage: 'canary' }

/** Queries that have no placeholder, each with braces as PromQL, MetricsQL or their strings have them. */
const PLAIN = [
  'errors',
  'errors{}',
  'errors{job="x"}',
  'errors{ job = "x" , }',
  'errors{job=~"a{2,3}"}',
  'errors{job=~"a{2}|b{2,}"}',
  String.raw`errors{path=~"/users/\\x7bid}"}`,
  String.raw`errors{name=~"\\p{Greek}+"}`,
  '{"http.requests"}',
  '{__name__=~"errors|failures"}',
  'WITH (commonFilters = {job="x"}) errors{commonFilters}',
  'errors{ release }',
  'errors{job="{}{1}{a1}{A}{a b}{é}"}',
]

t.test('the release, what was served before it, and the stage stand where they are named', async (t) => {
  const query = 'a{version="{release}"} / a{version="{previous}",stage="{stage}"} or b{v="{release}{release}"}'
  t.same(fillQuery(query, VALUES), {
    outcome: 'parsed',
    value: 'a{version="15.2.0"} / a{version="15.1.4",stage="canary"} or b{v="15.2.015.2.0"}',
  })
  t.equal(queryMistake(query), null)
})

t.test("PromQL's own braces are no placeholders, and stay to the letter", async (t) => {
  for (const query of PLAIN) {
    t.equal(queryMistake(query), null, query)
    t.same(fillQuery(query, VALUES), { outcome: 'parsed', value: query })
  }
})

t.test('another word in braces is refused with the placeholders that there are', async (t) => {
  for (const word of ['version', 'relase', 'releases', 'constructor', 'id', 'a'.repeat(500)]) {
    const mistake = queryMistake(`errors{version="{release}"} + errors{path="/{${word}}"}`)
    t.match(
      mistake,
      /^has the placeholder \{[a-z]+\}?, which does not exist; there are \{release\}, \{previous\}, \{stage\}\./,
    )
    t.ok((mistake ?? '').length < 300)
  }
  const stored = 'errors{path="/users/{id}"}'
  t.same(
    fillQuery(stored, VALUES),
    { outcome: 'parsed', value: stored },
    'one that was stored before is asked as it is',
  )
})

t.test('a placeholder in a string is refused in every spelling but its own', async (t) => {
  const names = [
    'Release',
    'RELEASE',
    ' release ',
    'Stage',
    ' stage',
    'previous\t',
    'previous_version',
    'release-1',
    'release.version',
  ]
  for (const name of [...names, 'Releases', 'newRelease', '{release}', '{ stage }']) {
    for (const quote of ['"', "'", '`']) {
      const mistake = queryMistake(`a{v="{release}"} / b{s=${quote}x-{${name}}${quote}} # don't`)
      t.match(mistake, `has the placeholder {${name}}, which does not exist`, name)
    }
  }
  for (const text of [
    '{A}',
    '{a b}',
    '{a_b}',
    '{2,3}',
    'release',
    '{',
    '}',
    String.raw`\\p{Greek}`,
    String.raw`\\x7bRelease}`,
  ]) {
    t.equal(queryMistake(`a{v="${text}",w="{release}"}`), null, text)
  }
})

t.test('values are put in once: none of them can bring a placeholder, nor end a string', async (t) => {
  for (const stage of ['{previous}', '{release}', 'a"}', "a'", 'a\\', 'a`', 'a\n', 'A', '', '$&', 'a{b}']) {
    t.match(fillQuery('x{s="{stage}"}', { ...VALUES, stage }), {
      outcome: 'unparsed',
      message: /^\{stage\} has a value/,
    })
  }
  for (const release of ['', 'v15.2.0', '15.2', '15.2.0"', '15.2.0 ', '{stage}', '15.2.0-$&']) {
    t.match(fillQuery('{release}', { ...VALUES, release }), {
      outcome: 'unparsed',
      message: /^\{release\} has a value/,
    })
    t.match(fillQuery('{previous}', { ...VALUES, previous: release }), {
      outcome: 'unparsed',
      message: /^\{previous\}/,
    })
    t.same(
      fillQuery('x', { ...VALUES, release }),
      { outcome: 'parsed', value: 'x' },
      'what is not asked for is not looked at',
    )
  }
  for (const release of ['15.2.0-cloud.20260101T000000.abcdef0', '15.2.0-rc.1+build.7']) {
    t.same(fillQuery('x{v="{release}"}', { ...VALUES, release }), { outcome: 'parsed', value: `x{v="${release}"}` })
  }
})

t.test('the previous version is the highest that the channels of the stage served before', async (t) => {
  const valuesOf = (...before: readonly (string | null)[]): QueryValues => {
    const moved = before.flatMap((version, n) => movedFrom(version, `c${n}`))
    const progress = { ...underWay('soaking', 100), moved }
    return queryValues(someRollout([{ rules: someStage('first') }, { rules: someStage('second'), progress }]), 1)
  }
  t.same(valuesOf('15.1.4'), { release: '15.2.0', previous: '15.1.4', stage: 'second' })
  t.equal(valuesOf('15.1.4', '15.1.10', null, '15.1.9').previous, '15.1.10')
  t.equal(valuesOf().previous, null)
  t.equal(valuesOf(null, null).previous, null)
  t.match(fillQuery('{previous}', valuesOf(null)), { outcome: 'unparsed', message: /^\{previous\} stands for nothing/ })
  t.match(fillQuery('{release}', valuesOf(null)), { outcome: 'parsed' })
})

t.test('a query without a mistake, filled, has no placeholder left and the rest to the letter', async (t) => {
  const piece = fc.constantFrom(
    '{release}',
    '{previous}',
    '{stage}',
    '{',
    '}',
    '{}',
    'a',
    'Z',
    '=',
    '"',
    '{job="x"}',
    '{2,3}',
    '$&',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const query = pieces.join('')
      if (queryMistake(query) !== null) return
      const filled = fillQuery(query, VALUES)
      if (filled.outcome !== 'parsed') throw new Error(filled.message)
      const expected = query
        .split('{release}')
        .join('15.2.0')
        .split('{previous}')
        .join('15.1.4')
        .split('{stage}')
        .join('canary')
      t.equal(filled.value, expected, query)
    }),
    { numRuns: 500 },
  )
})
