// What time does to targets: it takes effect at its very moment, in every replica, with or without a store, and is
// journaled once afterwards.
import { silent } from '../fixtures/silent-log.ts'
import t, { type Test } from 'tap'
import { startExpiryTask } from '../../src/control/expiry-task.ts'
import { answerPoll } from '../../src/serve/poll.ts'
import { StoreUnavailable, type JournalEntry } from '../../src/store/port.ts'
import { NOW, pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import { startPlanes, type Planes } from '../fixtures/planes.ts'
import { SettableClock, turns } from '../fixtures/poll-clock.ts'
import { replicaOver, ReplaceableStore } from '../fixtures/poll-store.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts'
import { commit, put } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

/** How long pins and urgencies last here; the clock's own checks come many times within it. */
const SPAN_MS = 60_000
/** What replica.ts promises for a wall clock that was set. */
const EXPIRY_CHECK_MAX_MS = 1_000

function inMs(ms: number): string {
  return new Date(NOW + ms).toISOString()
}

async function start(t: Test, options: Parameters<typeof startPlanes>[1] = {}): Promise<Planes> {
  return startPlanes((close) => t.teardown(close), options)
}

/** Calls the admin API and expects that it is done. */
async function act(planes: Planes, method: 'POST' | 'PUT' | 'DELETE', path: string, body: object): Promise<void> {
  const response = await planes.admin(method, path, body)
  if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${response.body}`)
}

async function create(planes: Planes, name: string, version: string, more: object = {}): Promise<void> {
  await act(planes, 'POST', '/channels', { name, source: { kind: 'static', version, ...more } })
}

/** Version and urgency as agents on either path read them. */
async function told(planes: Planes, name: string): Promise<string> {
  const [version, critical] = [
    await planes.asAgent(`/v1/${name}/version`),
    await planes.asAgent(`/v1/${name}/critical`),
  ]
  const webapi = `/webapi/automaticupgrades/channel/${name}`
  const other = `${await planes.asAgent(`${webapi}/version`)} ${await planes.asAgent(`${webapi}/critical`)}`
  return other === `v${version} ${critical}` ? `${version} ${critical}` : `${version} ${critical}, but webapi ${other}`
}

async function journal(planes: Planes): Promise<readonly JournalEntry[]> {
  return (await planes.deps.store.journal({ limit: 500 })).entries
}

/** What the server itself has journaled, oldest first. */
async function lapses(planes: Planes): Promise<readonly Pick<JournalEntry, 'kind' | 'subjects'>[]> {
  const entries = (await journal(planes)).filter(({ actor }) => actor === 'bellwether')
  return entries.map(({ kind, subjects }) => ({ kind, subjects })).toReversed()
}

/** Starts journaling lapses as the server does. */
function journalingLapses(t: Test, planes: Planes): void {
  t.teardown(startExpiryTask(planes.deps, silent))
}

async function effective(planes: Planes, name: string): Promise<Record<string, unknown>> {
  const response = await planes.admin('GET', `/channels/${encodeURIComponent(name)}`)
  return response.json<{ effective: Record<string, unknown> }>().effective
}

await t.test('an urgency ends at its very moment, without a write', async (t) => {
  const planes = await start(t)
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(SPAN_MS) })
  const before = await journal(planes)
  await planes.clock.advance(SPAN_MS - 1)
  t.equal(await told(planes, 'a'), '15.1.4 yes')
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.1.4 no')
  const response = await planes.poll.inject('/v1/a/critical')
  t.equal(response.headers['bellwether-revision'], '1', 'the revision is still the one that said when')
  t.equal(response.headers.etag, '"no"')
  t.same(await journal(planes), before)
})

await t.test('a pin ends at its very moment, and the source decides with its own urgency', async (t) => {
  const planes = await start(t)
  await create(planes, 'a', '15.2.0', { critical: true })
  await act(planes, 'PUT', '/channels/a/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(SPAN_MS) })
  await planes.clock.advance(SPAN_MS - 1)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  t.match(await effective(planes, 'a'), { because: 'pin' })
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.2.0 yes')
  t.match(await effective(planes, 'a'), { because: 'expired', version: '15.2.0', critical: true })
})

await t.test('a pin and its urgency may end at moments of their own', async (t) => {
  const planes = await start(t)
  await create(planes, 'a', '15.2.0')
  await act(planes, 'PUT', '/channels/a/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(2 * SPAN_MS) })
  await act(planes, 'PUT', '/channels/a/critical', { critical: true, reason: 'now', until: inMs(SPAN_MS) })
  await planes.clock.advance(SPAN_MS - 1)
  t.equal(await told(planes, 'a'), '15.1.2 yes')
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  await planes.clock.advance(SPAN_MS - 1)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.2.0 no')
})

await t.test('a halt hides what ends under it; after it the ended is gone', async (t) => {
  const planes = await start(t)
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(SPAN_MS) })
  await act(planes, 'PUT', '/channels/a/halt', { reason: 'stop' })
  await planes.clock.advance(SPAN_MS)
  t.equal(await planes.asAgent('/v1/a/version'), '404 channel a has no target version')
  await act(planes, 'DELETE', '/channels/a/halt', { reason: 'go' })
  t.equal(await told(planes, 'a'), '15.1.4 no')
})

await t.test('many channels each change at their own moment, and at no other', async (t) => {
  const planes = await start(t)
  // Some a millisecond apart, some at the same, some at and around the turns of the clock's own checks.
  const moments = [1, 2, 999, 1_000, 1_001, 1_500, 1_500, 2_000, 9_999, 10_000, 10_001, SPAN_MS]
  for (const [index, ms] of moments.entries()) {
    await create(planes, `c${index}`, '15.1.4', { critical: true, criticalUntil: inMs(ms) })
  }
  let elapsed = 0
  for (const moment of new Set(moments)) {
    for (const at of [moment - 1, moment]) {
      await planes.clock.advance(at - elapsed)
      elapsed = at
      for (const [index, ms] of moments.entries()) {
        const expected = ms <= at ? '15.1.4 no' : '15.1.4 yes'
        if ((await told(planes, `c${index}`)) !== expected) t.fail(`c${index} (${ms}) at ${at}`)
      }
    }
  }
  t.equal(elapsed, SPAN_MS)
})

await t.test('a moment that is moved, or taken back, in time is the one that counts', async (t) => {
  const planes = await start(t)
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(SPAN_MS) })
  await create(planes, 'b', '15.1.4', { critical: true, criticalUntil: inMs(SPAN_MS) })
  await planes.clock.advance(SPAN_MS / 2)
  await act(planes, 'PUT', '/channels/a/critical', { critical: true, reason: 'longer', until: inMs(2 * SPAN_MS) })
  await act(planes, 'PUT', '/channels/b/critical', { critical: true, reason: 'for good' })
  await planes.clock.advance(SPAN_MS)
  t.equal(await told(planes, 'a'), '15.1.4 yes')
  await planes.clock.advance(SPAN_MS / 2)
  t.equal(await told(planes, 'a'), '15.1.4 no')
  await planes.clock.advance(100 * SPAN_MS)
  t.equal(await told(planes, 'b'), '15.1.4 yes')
})

/** A replica on a clock that can be set, with channel `a` pinned for SPAN_MS. */
async function pinnedForASpan(t: Test) {
  const folder = await freshFolder(t)
  const store = await openEmbeddedStore(folder)
  t.teardown(() => store.close())
  const pin = pinOf('15.1.2', { until: inMs(SPAN_MS) })
  await commit(store, [put('channel/a', 0, channelDocument('a', 1, { source: sourceOf('15.2.0'), pin }).body)])
  const clock = new SettableClock(NOW)
  const { replica, holder } = replicaOver(store, folder, clock)
  t.teardown(() => replica.stop())
  await replica.start()
  return { clock, asked: () => answerPoll(holder.current, '/v1/a/version').body }
}

await t.test('a wall clock that is set forward is noticed within a second', async (t) => {
  const { clock, asked } = await pinnedForASpan(t)
  for (const wait of [0, 1, 500, 999]) await clock.advance(wait)
  t.equal(asked(), '15.1.2')
  clock.set(NOW + SPAN_MS)
  await clock.advance(EXPIRY_CHECK_MAX_MS)
  t.equal(asked(), '15.2.0')
})

await t.test('a wall clock that is set back makes a pin last until its moment by that clock', async (t) => {
  const { clock, asked } = await pinnedForASpan(t)
  await clock.advance(SPAN_MS / 2)
  clock.set(NOW - SPAN_MS)
  await clock.advance(2 * SPAN_MS - 1)
  t.equal(asked(), '15.1.2')
  await clock.advance(1)
  t.equal(asked(), '15.2.0')
})

await t.test('a wall clock that is set back brings back what has not been journaled as ended', async (t) => {
  const { clock, asked } = await pinnedForASpan(t)
  await clock.advance(SPAN_MS)
  t.equal(asked(), '15.2.0')
  clock.set(NOW)
  await clock.advance(1_000)
  t.equal(asked(), '15.1.2', 'both planes go by the time there is')
})

await t.test('an expiry further away than a timer can wait is waited for in steps', async (t) => {
  const planes = await start(t)
  const delays: number[] = []
  const after = planes.clock.after.bind(planes.clock)
  planes.clock.after = (delayMs, run) => {
    delays.push(delayMs)
    return after(delayMs, run)
  }
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: '9999-12-31T23:59:59.999Z' })
  await planes.clock.advance(10_000)
  t.equal(await told(planes, 'a'), '15.1.4 yes')
  t.ok(delays.length >= 10)
  t.ok(Math.max(...delays) <= 2 ** 31 - 1, 'setTimeout would take more for nothing at all')
})

await t.test('each lapse is journaled once, by the server itself, and moves nothing', async (t) => {
  const planes = await start(t)
  journalingLapses(t, planes)
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(10_000) })
  await create(planes, 'b', '15.2.0')
  await act(planes, 'PUT', '/channels/b/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(20_000) })
  await create(planes, 'c', '15.1.4', { critical: true, criticalUntil: inMs(20_000) })
  t.same(await lapses(planes), [])
  let last = ''
  const seen: string[] = []
  for (let elapsed = 0; elapsed < 60_000; elapsed += 250) {
    const all = [await told(planes, 'a'), await told(planes, 'b'), await told(planes, 'c')].join(', ')
    if (all !== last) seen.push(`${elapsed}: ${all}`)
    last = all
    await planes.clock.advance(250)
  }
  t.same(seen, [
    '0: 15.1.4 yes, 15.1.2 no, 15.1.4 yes',
    '10000: 15.1.4 no, 15.1.2 no, 15.1.4 yes',
    '20000: 15.1.4 no, 15.2.0 no, 15.1.4 no',
  ])
  t.same(await lapses(planes), [
    { kind: 'channel.expire', subjects: ['channel/a'] },
    { kind: 'channel.expire', subjects: ['channel/b', 'channel/c'] },
  ])
  t.match((await planes.admin('GET', '/channels/b')).json(), { pin: null, updatedBy: 'bellwether' })
  t.match((await planes.admin('GET', '/channels/a')).json(), { source: { critical: false, criticalUntil: null } })
  t.match(await effective(planes, 'b'), { because: 'source', version: '15.2.0' })
  const [entry] = (await journal(planes)).filter(({ actor }) => actor === 'bellwether').toReversed()
  t.match(entry, { requestId: null, reason: 'its time was over' })
  t.ok(Date.parse(entry?.at ?? '') - (NOW + 10_000) <= 1_000, 'within a second')
})

await t.test('what ends at one moment in one channel is one entry', async (t) => {
  const planes = await start(t)
  journalingLapses(t, planes)
  await create(planes, 'a', '15.2.0', { critical: true, criticalUntil: inMs(10_000) })
  await act(planes, 'PUT', '/channels/a/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(10_000) })
  await planes.clock.advance(30_000)
  t.same(await lapses(planes), [{ kind: 'channel.expire', subjects: ['channel/a'] }])
  t.equal(await told(planes, 'a'), '15.2.0 no')
})

await t.test('a pin that must not end stays, is reported held, and is journaled as that once', async (t) => {
  const planes = await start(t)
  journalingLapses(t, planes)
  await create(planes, 'a', '15.2.0')
  await act(planes, 'PUT', '/channels/a/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(10_000) })
  await act(planes, 'PUT', '/blocked-versions/15.2.0', { reason: 'pulled' })
  await planes.clock.advance(9_999)
  t.match(await effective(planes, 'a'), { because: 'pin' })
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  const held = await effective(planes, 'a')
  t.match(held, { because: 'held', version: '15.1.2', detail: /15\.2\.0 is on the block list/ })
  await planes.clock.advance(60_000)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  t.same(await lapses(planes), [{ kind: 'channel.hold', subjects: ['channel/a'] }])
  const [entry] = (await journal(planes)).filter(({ kind }) => kind === 'channel.hold')
  t.match(entry?.reason, /^the pin's time was over, but it stays: 15\.2\.0 is on the block list/)
  t.match(await effective(planes, 'a'), held)
  t.match((await planes.admin('GET', '/channels/a')).json(), {
    pin: { version: '15.1.2', until: null, held: { guard: 'blocked-version' } },
  })
  // The guard's reason goes away: nothing moves until somebody says so.
  await act(planes, 'DELETE', '/blocked-versions/15.2.0', { reason: 'it was fine' })
  await planes.clock.advance(60_000)
  t.equal(await told(planes, 'a'), '15.1.2 no')
  await act(planes, 'DELETE', '/channels/a/pin', { reason: 'over' })
  t.equal(await told(planes, 'a'), '15.2.0 no')
})

await t.test('lapses while the store is down take effect, and are journaled when it is back', async (t) => {
  let faulty: ReplaceableStore | null = null
  const planes = await start(t, { wrapStore: (store) => (faulty = new ReplaceableStore(store)) })
  if (faulty === null) throw new Error('the store was not wrapped')
  const store: ReplaceableStore = faulty
  journalingLapses(t, planes)
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(10_000) })
  await create(planes, 'b', '15.2.0')
  await act(planes, 'PUT', '/channels/b/pin', { version: '15.1.2', reason: 'crash loop', until: inMs(20_000) })
  store.fault = { load: new StoreUnavailable('down'), commit: new StoreUnavailable('down') }
  store.breakOff(new StoreUnavailable('down'))
  await planes.clock.advance(9_999)
  t.equal(await told(planes, 'a'), '15.1.4 yes')
  await planes.clock.advance(1)
  t.equal(await told(planes, 'a'), '15.1.4 no')
  await planes.clock.advance(60_000)
  t.equal(await told(planes, 'b'), '15.2.0 no')
  t.same(await lapses(planes), [])
  t.equal(planes.deps.replica.status, 'store unavailable')
  store.fault = {}
  await planes.clock.advance(10_000)
  t.equal(planes.deps.replica.status, 'following')
  t.same(
    (await lapses(planes)).map(({ kind, subjects }) => ({ kind, subjects: subjects.toSorted() })),
    [{ kind: 'channel.expire', subjects: ['channel/a', 'channel/b'] }],
  )
  t.equal(`${await told(planes, 'a')}, ${await told(planes, 'b')}`, '15.1.4 no, 15.2.0 no')
})

await t.test('two replicas of one store change at the same moment, and journal it once', async (t) => {
  const planes = await start(t)
  const { deps, clock } = planes
  const other = replicaOver(deps.store, await freshFolder(t), clock)
  await other.replica.start()
  t.teardown(() => other.replica.stop())
  const conflicts: string[] = []
  const commitOf = deps.store.commit.bind(deps.store)
  deps.store.commit = async (change) => {
    const result = await commitOf(change)
    conflicts.push(`${change.kind} ${result.outcome}`)
    return result
  }
  journalingLapses(t, planes)
  t.teardown(startExpiryTask({ ...deps, replica: other.replica }, silent))
  await create(planes, 'a', '15.1.4', { critical: true, criticalUntil: inMs(10_000) })
  const ask = async () => [await told(planes, 'a'), answerPoll(other.holder.current, '/v1/a/critical').body]
  await clock.advance(9_999)
  t.same(await ask(), ['15.1.4 yes', 'yes'])
  await clock.advance(1)
  t.same(await ask(), ['15.1.4 no', 'no'])
  await clock.advance(30_000)
  await turns()
  t.same(await ask(), ['15.1.4 no', 'no'])
  t.same(await lapses(planes), [{ kind: 'channel.expire', subjects: ['channel/a'] }])
  t.equal(other.replica.state?.seq, deps.replica.state?.seq)
  t.ok(conflicts.filter((line) => line.startsWith('channel.expire')).length <= 2, conflicts.join(', '))
})
