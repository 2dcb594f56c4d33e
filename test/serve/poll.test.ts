// Which answer a poll gets, from nothing but the bytes of its target; and the comparison of entity tags.
import fc from 'fast-check'
import t from 'tap'
import { parseChannelName } from '../../src/channels/name.ts'
import { answerPoll, matchesEntityTag } from '../../src/serve/poll.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { foreignTargets, malformedPaths } from '../fixtures/poll-paths.ts'
import { polls, stateOf, WORLDS } from '../fixtures/poll-worlds.ts'

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
  const part = fc.oneof(
    fc.constantFrom('/', 'v1', 'webapi', 'automaticupgrades', 'channel', 'stable', 'cloud', 'version', 'critical', '?'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const target = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part).map((parts) => parts.join('')),
    fc.array(part).map((parts) => `/v1/${parts.join('/')}/version`),
    fc.array(part).map((parts) => `/webapi/automaticupgrades/channel/${parts.join('/')}/critical`),
  )
  fc.assert(
    fc.property(target, (url) => {
      const { status } = answerPoll(snapshot, url)
      const cold = answerPoll(null, url).status
      // Read once more, by one pattern: what the name is, and on which plane's path.
      const match =
        /^(?:https?:\/\/[^/?]+)?(?:(\/v1)?\/webapi\/automaticupgrades\/channel|\/v1)\/([^?]+)\/(?:version|critical)(?:\?[^]*)?$/i.exec(
          url,
        )
      const isPoll = match !== null && parseChannelName(match[2] ?? '').outcome === 'parsed'
      return isPoll ? cold === 503 : status === 404 && cold === 404
    }),
    { numRuns: 3_000 },
  )
  t.pass('3,000 targets')
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
