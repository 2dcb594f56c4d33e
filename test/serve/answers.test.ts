// Rendering: what an agent is told about a target, and that nothing but a target is ever a 200.
import fc from 'fast-check'
import t from 'tap'
import { COHORTS, cohortRanks } from '../../src/channels/cohort.ts'
import type { Target } from '../../src/channels/target.ts'
import { parseVersion } from '../../src/channels/version.ts'
import { renderChannel, renderCommon, type Answer } from '../../src/serve/answers.ts'
import { anyVersion } from '../fixtures/channel-arbitraries.ts'

function render(version: string | null, critical = false) {
  return renderChannel(
    { name: 'stable/cloud', revision: 7 },
    { version, critical, because: 'source', detail: null },
    10,
  )
}

function headersOf(answer: Answer): Map<string, string> {
  const headers = new Map<string, string>()
  for (let at = 0; at < answer.headers.length; at += 2) {
    headers.set(answer.headers[at] ?? '', answer.headers[at + 1] ?? '')
  }
  return headers
}

await t.test('a version is told bare, with a v on the webapi path, and with its urgency', (t) => {
  const calm = render('15.1.4')
  t.match(calm, { version: { status: 200, body: '15.1.4' }, webapiVersion: { status: 200, body: 'v15.1.4' } })
  t.match(calm, { critical: { status: 200, body: 'no' }, revision: 7, name: 'stable/cloud' })
  t.equal(render('15.1.4', true).critical.body, 'yes')
  t.end()
})

await t.test('no version is a 404 without a tag, "none" on the webapi path, and never urgent', (t) => {
  for (const critical of [true, false]) {
    const held = render(null, critical)
    t.match(held.version, {
      status: 404,
      body: 'channel stable/cloud has no target version',
      etag: null,
      notModifiedHead: null,
    })
    t.match(held.webapiVersion, { status: 200, body: 'none' })
    t.match(held.critical, { status: 200, body: 'no' })
  }
  t.end()
})

await t.test('the entity tag is strong and says what the body is; equal bodies have equal tags', (t) => {
  for (const answer of [render('15.1.4').version, render('1.2.3+b').webapiVersion, render('1.2.3', true).critical]) {
    t.equal(answer.etag, `"${answer.body}"`)
    t.equal(headersOf(answer).get('ETag'), `"${answer.body}"`)
  }
  t.end()
})

await t.test('a target that is not a version, to the letter, is a 503 on every path', (t) => {
  const words = ['latest', 'none', 'stable', 'yes', '', ' ', '15', '15.1', '15.1.4.1', '015.1.4', '=15.1.4', '15.1.4 ']
  const others = [
    'v15.1.4',
    'vv15.1.4',
    'V15.1.4',
    '15.1.4\n',
    '15.1.4\r\nX: y',
    '15.1.4"',
    '１５.1.4',
    '15.1.x',
    '^15.1.4',
  ]
  for (const word of [...words, ...others]) {
    for (const critical of [true, false]) {
      const broken = render(word, critical)
      for (const answer of [broken.version, broken.webapiVersion, broken.critical]) {
        t.match(answer, { status: 503, body: 'channel stable/cloud cannot be read' }, word)
        t.equal(answer.etag, null)
        t.equal(headersOf(answer).get('Cache-Control'), 'no-store')
        t.equal(headersOf(answer).get('Retry-After'), '10')
      }
    }
  }
  t.end()
})

await t.test('whatever text a target is, a 200 has a version, "none", "yes" or "no" in it', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    anyVersion,
    anyVersion.map((version) => `v${version}`),
  )
  fc.assert(
    fc.property(fc.option(text), fc.boolean(), (version, critical) => {
      const channel = render(version, critical)
      for (const { status, body, headers } of [channel.version, channel.webapiVersion, channel.critical]) {
        if (/[\r\n]/.test(body) || headers.some((header) => /[\r\n]/.test(header))) return false
        if (status !== 200) continue
        const bare = parseVersion(body)
        const isVersion = bare.outcome === 'parsed' && (body === version || body === `v${version}`)
        if (!isVersion && !['none', 'yes', 'no'].includes(body)) return false
      }
      return channel.version.status !== 200 || channel.version.body === version
    }),
    { numRuns: 1_000 },
  )
  t.pass('1,000 targets')
  t.end()
})

await t.test('every answer states the length of its body, and its kind', (t) => {
  const { unknownChannel } = renderCommon(10)
  const { version, webapiVersion, critical } = render('15.1.4')
  for (const answer of [unknownChannel, version, webapiVersion, critical, render(null).version]) {
    const headers = headersOf(answer)
    t.equal(headers.get('Content-Length'), String(Buffer.byteLength(answer.body)))
    t.equal(headers.get('Content-Type'), 'text/plain; charset=utf-8')
    t.equal(headers.get('X-Content-Type-Options'), 'nosniff')
    t.equal(headers.get('Cache-Control'), 'public, max-age=10')
    t.equal(headers.size, answer.headers.length / 2, 'no header twice')
  }
  t.end()
})

const PLAIN: Target = { version: '15.1.4', critical: false, because: 'ramp', detail: null }

/** A channel whose ramp tells these versions to the cohorts that it has reached, and to the others. */
function renderRamp(percent: number, early: string | null, late: string | null, seed = 'cloud/15.2.0') {
  const told = (version: string | null): Target => ({ ...PLAIN, version })
  return renderChannel({ name: 'stable/cloud', revision: 7 }, PLAIN, 10, {
    seed,
    percent,
    early: told(early),
    late: told(late),
  })
}

await t.test('a hundred cohorts share two faces, rendered once', (t) => {
  const { cohorts, ramp, version } = renderRamp(30, '15.2.0', '15.1.4')
  t.equal(cohorts?.length, COHORTS)
  t.equal(new Set(cohorts).size, 2)
  t.ok(Object.isFrozen(cohorts) && Object.isFrozen(ramp))
  for (const face of new Set(cohorts)) {
    t.ok(Object.isFrozen(face))
    for (const answer of [face.version, face.webapiVersion, face.critical]) t.ok(Object.isFrozen(answer), answer.body)
  }
  t.match(ramp, { seed: 'cloud/15.2.0', percent: 30, early: { version: '15.2.0' }, late: { version: '15.1.4' } })
  t.equal(version.body, '15.1.4')
  t.equal(
    cohorts?.find((face) => face.version.body === '15.1.4')?.version,
    version,
    'the plain answer is one of theirs',
  )
  t.end()
})

await t.test('a cohort has the face of the new version exactly where its rank is below the percentage', (t) => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 99 }), (seed, percent) => {
      const { cohorts } = renderRamp(percent, '15.2.0', '15.1.4', seed)
      const ranks = cohortRanks(seed)
      return cohorts?.every(
        ({ version }, cohort) => version.body === ((ranks[cohort] ?? 0) < percent ? '15.2.0' : '15.1.4'),
      )
    }),
    { numRuns: 200 },
  )
  t.pass()
  t.end()
})

await t.test('a channel without a ramp has no faces but its own', (t) => {
  t.match(render('15.1.4'), { cohorts: null, ramp: null })
  t.end()
})

await t.test('for cohorts too nothing but a version is a 200, and no version is told as such', (t) => {
  const { cohorts } = renderRamp(50, 'latest', null)
  const bodies = new Set(
    cohorts?.map(({ version, webapiVersion }) => `${version.status} ${webapiVersion.status} ${webapiVersion.body}`),
  )
  t.same([...bodies].toSorted(), ['404 200 none', '503 503 channel stable/cloud cannot be read'])
  t.end()
})

await t.test('what the targets of a ramp were made of may change without changing what is served', (t) => {
  const early = { ...PLAIN, version: '15.2.0' }
  const channel = renderChannel({ name: 'a', revision: 1 }, PLAIN, 10, { seed: 's', percent: 50, early, late: PLAIN })
  Object.assign(early, { version: '1.0.0' })
  t.match(channel.ramp?.early, { version: '15.2.0' })
  t.end()
})
