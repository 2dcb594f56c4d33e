// The snapshot: frozen through and through, and sharing what has not changed with the one before.
import t from 'tap'
import { badRequest, methodNotAllowed, noSnapshot, renderChannel } from '../../src/serve/answers.ts'
import { Snapshot } from '../../src/serve/snapshot.ts'
import { cohortsAt, targetAt } from '../../src/channels/target.ts'
import { channelOf, HALT, HOUR_MS, inHours, nothingBlocked, NOW, pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import type { Channel, Ramp } from '../../src/channels/channel.ts'

const STAMP = { seq: 1, epoch: 'one', at: NOW }

function served(name: string, revision = 1, more: Partial<Channel> = {}, now = NOW) {
  const channel = channelOf({ name, ...more })
  const target = targetAt(channel, nothingBlocked, now)
  return renderChannel({ name, revision }, target, 10, cohortsAt(channel, nothingBlocked, now))
}

/** A ramp from 15.1.4, which is critical for an hour. */
const RAMP: Ramp = {
  seed: 'cloud/15.2.0',
  percent: 30,
  plainPath: 'first',
  before: { version: '15.1.4', critical: true, criticalUntil: inHours(1) },
}

function ramping(name: string, { now = NOW, ...ramp }: Partial<Ramp> & { readonly now?: number } = {}) {
  return served(name, 1, { source: sourceOf('15.2.0'), ramp: { ...RAMP, ...ramp } }, now)
}

/** Everything that can be reached from a value by its own properties, prototypes left out, with the way to it. */
function reachable(value: unknown, way: string, found = new Map<object, string>()): Map<object, string> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found
  found.set(value, way)
  for (const key of Reflect.ownKeys(value)) {
    reachable(Reflect.get(value, key), `${way}.${String(key)}`, found)
  }
  return found
}

/** Tries every way to change an object; gives those that did not throw. */
function waysToChange(value: object): readonly string[] {
  const attempts: Readonly<Record<string, () => void>> = {
    define: () => Object.defineProperty(value, 'intruder', { value: 1 }),
    prototype: () => Object.setPrototypeOf(value, { intruder: 1 }),
    ...Object.fromEntries(
      Reflect.ownKeys(value).flatMap((key) => [
        [`set ${String(key)}`, () => Object.assign(value, { [key]: 'changed' })],
        [`redefine ${String(key)}`, () => Object.defineProperty(value, key, { value: 'changed', writable: true })],
        // In strict code, as this is, a delete that fails throws.
        [`delete ${String(key)}`, () => delete (value as Record<PropertyKey, unknown>)[key]], // Any own key will do.
      ]),
    ),
    ...(Array.isArray(value) ? { push: () => value.push('x'), length: () => (value.length = 0) } : {}),
  }
  return Object.entries(attempts).flatMap(([name, attempt]) => {
    try {
      attempt()
      return [name]
    } catch (error) {
      // An array's length refuses a text before it refuses to be changed.
      if (error instanceof TypeError || error instanceof RangeError) return []
      throw error
    }
  })
}

await t.test('nothing that can be reached from a snapshot can be changed', (t) => {
  const snapshot = Snapshot.of(
    [
      served('a'),
      served('b', 2, { pin: pinOf('15.1.2', { critical: true }) }),
      served('c', 3, { halt: HALT }),
      served('d', 4, { source: sourceOf('latest') }),
      ramping('e'),
    ],
    STAMP,
    10,
  )
  const channels = ['a', 'b', 'c', 'd', 'e'].map((name) => [name, snapshot.find(name)])
  const roots: Readonly<Record<string, unknown>> = { snapshot, ...Object.fromEntries(channels) }
  const before = JSON.stringify(roots)
  const found = new Map<object, string>()
  for (const [name, root] of Object.entries(roots)) reachable(root, name, found)
  for (const answer of [badRequest, methodNotAllowed, noSnapshot]) reachable(answer, answer.body, found)
  t.ok(found.size > 20, `${found.size} objects`)
  for (const [value, way] of found) {
    t.ok(Object.isFrozen(value), way)
    t.same(waysToChange(value), [], way)
  }
  t.equal(JSON.stringify(roots), before)
  t.end()
})

await t.test('the map of channels cannot be reached, and the list it was made of is not kept', (t) => {
  const list = [served('a')]
  const snapshot = Snapshot.of(list, STAMP, 10)
  list.push(served('b'))
  t.equal(snapshot.size, 1)
  t.equal(snapshot.find('b'), undefined)
  t.same(Reflect.ownKeys(snapshot).map(String).toSorted(), ['at', 'common', 'epoch', 'seq', 'size'])
  const names = Object.getOwnPropertyNames(Snapshot.prototype).toSorted()
  t.same(names, ['changesSince', 'channels', 'constructor', 'find', 'with'], 'no other way in')
  t.end()
})

await t.test('what it was rendered from may change without changing it', (t) => {
  const target = { version: '15.1.4', critical: false, because: 'source' as const, detail: null }
  const channel = renderChannel({ name: 'a', revision: 1 }, target, 10)
  Object.assign(target, { version: '1.0.0', critical: true })
  t.match(channel, { target: { version: '15.1.4', critical: false }, version: { body: '15.1.4' } })
  t.end()
})

await t.test('the next snapshot shares what has not changed and leaves the one before as it was', (t) => {
  const first = Snapshot.of([served('a'), served('b'), served('c')], STAMP, 10)
  const changed = served('b', 2, { source: sourceOf('15.1.5') })
  const added = served('d')
  const changes = new Map([
    ['b', changed],
    ['c', null],
    ['d', added],
    ['never there', null],
  ])
  const second = first.with(changes, { seq: 2, epoch: 'one', at: NOW + 1 })
  changes.set('a', null)
  t.equal(second.find('a'), first.find('a'), 'the same object')
  t.equal(second.common, first.common)
  t.equal(second.find('b'), changed)
  t.equal(second.find('c'), undefined)
  t.equal(second.find('d'), added)
  t.match(second, { seq: 2, at: NOW + 1, size: 3 })
  t.match(first, { seq: 1, at: NOW, size: 3 })
  t.equal(first.find('b')?.revision, 1)
  t.equal(first.find('c')?.revision, 1)
  t.equal(first.find('d'), undefined)
  t.end()
})

await t.test('names that every object has name no channel', (t) => {
  const snapshot = Snapshot.of([served('a')], STAMP, 10)
  for (const name of ['constructor', '__proto__', 'hasOwnProperty', 'toString', 'size', '']) {
    t.equal(snapshot.find(name), undefined, name)
  }
  t.end()
})

await t.test('what has changed between two snapshots is what is served otherwise, and nothing else', (t) => {
  const many = Array.from({ length: 2_000 }, (_, index) => served(`channel-${index}`))
  const before = Snapshot.of(many, STAMP, 10)
  const moved = served('channel-7', 2, { source: sourceOf('15.1.5') })
  const changes = new Map([
    ['channel-7', moved],
    ['channel-8', null],
    ['new', served('new')],
  ])
  const after = before.with(changes, { ...STAMP, seq: 2 })
  t.same(new Map(after.changesSince(before)), changes)
  t.equal(after.changesSince(after).size, 0)
  t.equal(after.size, 2_000)
  t.equal([...after.channels()].length, 2_000)
  const again = many
    .filter(({ name }) => name !== 'channel-8')
    .map(({ name }) => (name === 'channel-7' ? moved : served(name)))
  const loaded = Snapshot.of([...again, served('new')], { ...STAMP, epoch: 'two' }, 10)
  t.equal(loaded.changesSince(after).size, 0, 'the same, loaded anew, is no change')
  t.end()
})

/** Whether the second of two snapshots of one channel is taken for a change after the first. */
function isChange(before: ReturnType<typeof served>, after: ReturnType<typeof served>): boolean {
  const first = Snapshot.of([before], STAMP, 10)
  // As it comes from the journal, and as it comes from a store that is loaded anew.
  const [next, anew] = [
    first.with(new Map([[after.name, after]]), { ...STAMP, seq: 2 }),
    Snapshot.of([after], STAMP, 10),
  ]
  const [one, other] = [next, anew].map((snapshot) => snapshot.changesSince(first).has(after.name))
  if (one !== other) throw new Error('it depends on how the snapshot was made')
  return one === true
}

await t.test('a ramp whose urgency ends is a change, whichever of its versions that is of', (t) => {
  const later = NOW + HOUR_MS
  t.ok(
    isChange(ramping('a'), ramping('a', { now: later })),
    'only the cohorts that it has not reached are told otherwise',
  )
  t.ok(isChange(ramping('a', { plainPath: 'last' }), ramping('a', { plainPath: 'last', now: later })))
  t.notOk(isChange(ramping('a'), ramping('a', { now: later - 1 })))
  t.notOk(isChange(ramping('a'), ramping('a')), 'the same, made anew')
  t.end()
})

await t.test('a ramp that begins, ends or is hidden is a change, also where the plain path tells the same', (t) => {
  const before = served('a')
  t.ok(
    isChange(
      before,
      ramping('a', { plainPath: 'last', before: { version: '15.1.4', critical: false, criticalUntil: null } }),
    ),
  )
  t.ok(isChange(ramping('a'), served('a', 1, { source: sourceOf('15.2.0') })))
  t.ok(isChange(ramping('a'), served('a', 1, { source: sourceOf('15.2.0'), ramp: RAMP, pin: pinOf('15.2.0') })))
  t.end()
})

await t.test('a ramp that reaches other cohorts is a change, whatever revision the store says it has', (t) => {
  // A store that has lost a write gives its revision again, to another one.
  t.ok(isChange(ramping('a'), ramping('a', { percent: 60 })), 'more of them')
  t.ok(isChange(ramping('a'), ramping('a', { percent: 10 })), 'fewer of them')
  t.ok(isChange(ramping('a'), ramping('a', { seed: 'cloud/15.2.1' })), 'others of them')
  t.end()
})
