// Which answer a poll gets, from nothing but the bytes of its target; and the comparison of entity tags.
import fc from 'fast-check'
import t from 'tap'
import { seededRandom } from '../../bench/random.ts'
import { parseChannelName } from '../../src/channels/name.ts'
import { answerPoll, matchesEntityTag } from '../../src/serve/poll.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { foreignTargets, malformedPaths } from '../fixtures/poll-paths.ts'
import { respell } from '../fixtures/poll-spellings.ts'
import { polls, stateOf, WORLDS } from '../fixtures/poll-worlds.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const FORMS = ['/v1', '/v1/webapi/automaticupgrades/channel', '/webapi/automaticupgrades/channel'] as const

function snapshotOf(world: (typeof WORLDS)[number]) {
  const state = stateOf(world)
  return state === null ? null : new ReplicaState(state, 10, NOW).snapshot
}

await t.test('each poll of the table gets its answer', (t) => {
  const snapshots = new Map(WORLDS.map((world) => [world, snapshotOf(world)]))
  for (const { world, path, answer } of polls) {
    const { status, body } = answerPoll(snapshots.get(world) ?? null, path)
    t.same({ status, body }, { status: answer.status, body: answer.body }, `${path} in ${world}`)
  }
  t.end()
})

await t.test('the same answer object is given every time, nothing is made for a poll', (t) => {
  const snapshot = snapshotOf('default')
  for (const path of [...polls.map((poll) => poll.path), ...malformedPaths]) {
    if (answerPoll(snapshot, path) !== answerPoll(snapshot, path)) t.fail(path)
    if (answerPoll(null, path) !== answerPoll(null, path)) t.fail(path)
  }
  t.pass()
  t.end()
})

await t.test('what names no channel and no value is not found', (t) => {
  const snapshot = snapshotOf('default')
  for (const target of [...malformedPaths, ...foreignTargets, '', 'x', 'http:', 'http://', 'https:///', '?', '#']) {
    t.match(answerPoll(snapshot, target), { status: 404, body: 'not found' }, target)
    t.match(answerPoll(null, target), { status: 404, body: 'not found' }, target)
  }
  t.end()
})

await t.test('any text has an answer, and a 200 only where it is a well-formed poll', (t) => {
  const snapshot = snapshotOf('default')
  const polled = { channels: 0, cohorts: 0 }
  const part = fc.oneof(
    fc.constantFrom('/', 'v1', 'webapi', 'automaticupgrades', 'channel', 'stable', 'cloud', 'version', 'critical', '?'),
    fc.constantFrom('cohort', 'cohort/7', 'cohort/99', 'cohort/100', 'cohort/07', 'cohort/-1', 'ramp/last'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const target = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part).map((parts) => parts.join('')),
    fc.array(part).map((parts) => `/v1/${parts.join('/')}/version`),
    fc.array(part).map((parts) => `/webapi/automaticupgrades/channel/${parts.join('/')}/critical`),
    fc.tuple(fc.constantFrom(...FORMS), part).map(([form, name]) => `${form}/${name}/version`),
    fc
      .tuple(fc.constantFrom(...FORMS), fc.constantFrom('stable/cloud', 'ramp/last', 'nope', ''), part)
      .map(([form, name, cohort]) => `${form}/${name}/cohort/${cohort}/version`),
    fc
      .tuple(fc.constantFrom(...FORMS), fc.constantFrom('stable/cloud', 'ramp/last', 'nope'), fc.nat({ max: 120 }))
      .map(([form, name, cohort]) => `${form}/${name}/cohort/${cohort}/critical`),
  )
  fc.assert(
    fc.property(target, (url) => {
      const { status } = answerPoll(snapshot, url)
      const cold = answerPoll(null, url).status
      // Read once more, by one pattern: what the name is, and on which plane's path.
      const match =
        /^(?:https?:\/\/[^/?]+)?(?:(\/v1)?\/webapi\/automaticupgrades\/channel|\/v1)\/([^?]+?)\/{1,2}(?:version|critical)(?:\?[^]*)?$/i.exec(
          url,
        )
      const path = match?.[2] ?? ''
      const isOfCohort = /\/cohort\/(?:0|[1-9]\d?)$/.test(path)
      const name = isOfCohort ? path.slice(0, path.lastIndexOf('/cohort/')) : path
      const isPoll = match !== null && parseChannelName(name).outcome === 'parsed'
      if (isPoll) polled[isOfCohort ? 'cohorts' : 'channels'] += 1
      return isPoll ? cold === 503 : status === 404 && cold === 404
    }),
    { numRuns: 5_000 },
  )
  t.ok(polled.channels > 100 && polled.cohorts > 50, JSON.stringify(polled))
  t.end()
})

await t.test('another spelling of a path is answered as the path itself, or so that no cache keeps it', (t) => {
  const random = seededRandom(SEED)
  const counts = { same: 0, notKept: 0 }
  for (const world of WORLDS) {
    const snapshot = snapshotOf(world)
    const paths = polls.filter((poll) => poll.world === world).map(({ path }) => path)
    for (let tries = sized(4_000, 50_000); tries > 0; tries -= 1) {
      const path = random.pick(paths)
      const spelling = respell(path, random)
      const answer = answerPoll(snapshot, spelling)
      if (answer === answerPoll(snapshot, path)) counts.same += 1
      else if (answer.headers.join(': ').includes('Cache-Control: no-store')) counts.notKept += 1
      else t.fail(`${spelling} in "${world}" could be kept for ${path}`)
    }
  }
  t.ok(counts.same > 500 && counts.notKept > 5_000, JSON.stringify(counts))
  t.end()
})

function bodyOf(world: (typeof WORLDS)[number], path: string): string {
  const { status, body } = answerPoll(snapshotOf(world), path)
  return `${status} ${body}`
}

await t.test('a cohort is told the new version where the ramp has reached it, else the one before', (t) => {
  // Of 100 cohorts, as many as the ramp has percent; 9 is the last of them, 7 the next one.
  for (const [form, v] of [
    [FORMS[0], ''],
    [FORMS[1], 'v'],
    [FORMS[2], 'v'],
  ] as const) {
    for (const name of ['ramp/last', 'ramp/first']) {
      const bodies = Array.from({ length: 100 }, (_, cohort) =>
        bodyOf('channels', `${form}/${name}/cohort/${cohort}/version`),
      )
      t.equal(bodies.filter((body) => body === `200 ${v}15.2.0`).length, 49, `${form}/${name}`)
      t.equal(bodies.filter((body) => body === `200 ${v}15.1.4`).length, 51, `${form}/${name}`)
      t.same([bodies[9], bodies[7]], [`200 ${v}15.2.0`, `200 ${v}15.1.4`], `${form}/${name}`)
      t.equal(bodyOf('channels', `${form}/${name}/cohort/9/critical`), '200 no')
      t.equal(bodyOf('channels', `${form}/${name}/cohort/7/critical`), '200 yes')
    }
    t.equal(bodyOf('channels', `${form}/ramp/last/version`), `200 ${v}15.1.4`, 'the plain path is among the last')
    t.equal(bodyOf('channels', `${form}/ramp/first/version`), `200 ${v}15.2.0`, 'the plain path is among the first')
  }
  t.end()
})

await t.test('the cohorts of a channel that tells all agents the same answer as the channel itself', (t) => {
  const snapshot = snapshotOf('channels')
  for (const name of [
    'stable/cloud',
    'stable/urgent',
    'stable/halted',
    'stable/empty',
    'ramp/pinned',
    'ramp/halted',
    'broken/word',
  ]) {
    for (const form of FORMS) {
      for (const value of ['version', 'critical']) {
        const whole = answerPoll(snapshot, `${form}/${name}/${value}`)
        for (const cohort of [0, 7, 9, 99]) {
          const answer = answerPoll(snapshot, `${form}/${name}/cohort/${cohort}/${value}`)
          if (answer !== whole) t.fail(`${form}/${name}/cohort/${cohort}/${value} is another answer`)
        }
      }
    }
  }
  t.equal(bodyOf('channels', '/v1/ramp/pinned/cohort/9/version'), '200 15.1.2')
  t.equal(bodyOf('channels', '/v1/ramp/halted/cohort/9/version'), '404 channel ramp/halted has no target version')
  t.equal(bodyOf('channels', '/webapi/automaticupgrades/channel/ramp/halted/cohort/9/version'), '200 none')
  t.end()
})

await t.test('a cohort that is none is not found, one of an unknown channel is of an unknown channel', (t) => {
  for (const form of FORMS) {
    for (const cohort of ['100', '07', '-1', '00', '٧', '7.0', '']) {
      t.equal(bodyOf('channels', `${form}/ramp/last/cohort/${cohort}/version`), '404 not found', `${form} ${cohort}`)
      t.equal(bodyOf('default ramping', `${form}/nope/cohort/${cohort}/version`), '404 not found', `${form} ${cohort}`)
    }
    t.equal(bodyOf('channels', `${form}/ramp/last/cohort/version`), '404 not found', form)
    t.equal(bodyOf('channels', `${form}/cohort/7/version`), '404 not found', form)
    t.equal(bodyOf('channels', `${form}/nope/cohort/7/version`), '404 unknown channel', form)
    t.equal(bodyOf('cold', `${form}/nope/cohort/7/version`), '503 no channel is loaded yet', form)
  }
  t.end()
})

await t.test("on the webapi path an unknown channel's cohorts are those of the channel default", (t) => {
  for (const form of FORMS.slice(1)) {
    t.equal(bodyOf('default ramping', `${form}/nope/cohort/9/version`), '200 v15.2.0')
    t.equal(bodyOf('default ramping', `${form}/nope/cohort/7/version`), '200 v15.1.4')
    t.equal(bodyOf('default ramping', `${form}/nope/cohort/9/critical`), '200 no')
    t.equal(bodyOf('default ramping', `${form}/nope/version`), '200 v15.1.4')
    t.equal(bodyOf('default', `${form}/nope/cohort/9/version`), '200 v14.3.2', 'where default has no ramp')
    t.equal(bodyOf('default halted', `${form}/nope/cohort/9/version`), '200 none')
    t.equal(
      bodyOf('default ramping', `${form}/stable/cloud/cohort/9/version`),
      '200 v15.1.4',
      'a known channel is itself',
    )
  }
  t.equal(bodyOf('default ramping', '/v1/nope/cohort/9/version'), '404 unknown channel')
  t.end()
})

/** RFC 9110 §8.8.3 and §13.1.2, read letter by letter: the opaque tags of a list, null where it is not one; `*` for any. */
function referenceTags(field: string): readonly string[] | '*' | null {
  const text = field.trim()
  if (text === '*') return '*'
  const tags: string[] = []
  let at = 0
  let isTagDue = true
  while (at < text.length) {
    const letter = text[at] ?? ''
    if (/\s/.test(letter)) at += 1
    else if (letter === ',') {
      isTagDue = true
      at += 1
    } else {
      if (!isTagDue) return null
      if (text.startsWith('W/', at)) at += 2
      if (text[at] !== '"') return null
      const end = text.indexOf('"', at + 1)
      if (end === -1) return null
      tags.push(text.slice(at, end + 1))
      isTagDue = false
      at = end + 1
    }
  }
  return tags.length === 0 ? null : tags
}

await t.test('entity tags are compared as a simple reader of the RFC does, for any text', (t) => {
  const part = fc.constantFrom(
    ...['"15.1.4"', '"15.1.3"', 'W/', 'w/', '"', ',', ', ', ' ', '\t', '*', '""', '"a,b"', '15.1.4', '"yes"', 'x'],
  )
  const list = fc
    .array(fc.tuple(fc.constantFrom('', 'W/'), fc.constantFrom('15.1.4', '15.1.3', '', 'none', 'a b', 'W/')), {
      minLength: 1,
    })
    .map((tags) => tags.map(([weak, tag]) => `${weak}"${tag}"`))
  const field = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part).map((parts) => parts.join('')),
    fc.tuple(list, fc.constantFrom(',', ', ', ' , ', ',,', ',\t,')).map(([tags, comma]) => tags.join(comma)),
  )
  let matched = 0
  fc.assert(
    fc.property(field, (text) => {
      const tags = referenceTags(text)
      const expected = tags === '*' || (tags?.includes('"15.1.4"') ?? false)
      if (expected) matched += 1
      return matchesEntityTag(text, '"15.1.4"') === expected
    }),
    { numRuns: 5_000 },
  )
  t.ok(matched > 300, `${matched} of 5,000 matched`)
  t.end()
})

await t.test('the comparison is weak, and reads no more of a malformed field than of none', (t) => {
  t.ok(matchesEntityTag('W/"15.1.4"', '"15.1.4"'))
  t.ok(matchesEntityTag('"none" , W/"15.1.4"', '"15.1.4"'))
  t.ok(matchesEntityTag(' * ', '"15.1.4"'))
  t.notOk(matchesEntityTag('W/"15.1.4", x', '"15.1.4"'))
  t.notOk(matchesEntityTag('15.1.4', '"15.1.4"'))
  t.notOk(matchesEntityTag('', '"15.1.4"'))
  t.end()
})

await t.test('a field as long as a head may be is read in no time to speak of', (t) => {
  // Were the pattern one that goes back and forth, any of these would outlast the test's time limit.
  for (const unit of [',', ', ', '"', '"",', '"" ', 'W/', 'W/"",', ' ', '\t,', '"a', '*']) {
    for (const end of ['', 'x', '"', ',x', '"15.1.4']) {
      const field = `${unit.repeat(Math.floor(16_384 / unit.length))}${end}`
      t.type(matchesEntityTag(field, '"15.1.4"'), 'boolean', `${unit} … ${end}`)
    }
  }
  t.end()
})
