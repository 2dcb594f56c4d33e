// The replica: what it serves while its store comes, goes, lies and comes back, and what it says of itself meanwhile.
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { channelKey } from '../../src/channels/channel.ts'
import { answerPoll } from '../../src/serve/poll.ts'
import { APPLY_WAIT_MAX_MS } from '../../src/serve/served-waiters.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts'
import { readLastKnownGood, writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { StoreDamaged, StoreUnavailable, type Store } from '../../src/store/port.ts'
import { unavailableStore } from '../../src/store/unavailable-store.ts'
import { NOW, sourceOf } from '../fixtures/channel-samples.ts'
import { eventually, turns } from '../fixtures/poll-clock.ts'
import { replicaOver, ReplaceableStore } from '../fixtures/poll-store.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { commit, put, range } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const PATH = '/v1/a/version'
const DAY_MS = 86_400_000

/** Makes channel `a` serve a version; `revision` is the one it has now. */
function serve(store: Store, version: string, revision: number) {
  const { body } = channelDocument('a', 1, { source: sourceOf(version) })
  return commit(store, [put(channelKey('a'), revision, body)])
}

/** An embedded store in a folder of its own; it is closed with the test, if not before. */
async function openStore(t: Test, folder?: string) {
  const place = folder ?? (await freshFolder(t))
  const store = await openEmbeddedStore(place)
  t.teardown(() => store.close())
  return { store, folder: place }
}

/** A started replica over a store that can be replaced, in which channel `a` serves 15.1.1 at seq 1. */
async function following(t: Test) {
  const { store, folder } = await openStore(t)
  await serve(store, '15.1.1', 0)
  const replaceable = new ReplaceableStore(store)
  const dataDir = await freshFolder(t)
  const parts = replicaOver(replaceable, dataDir)
  t.teardown(() => parts.replica.stop())
  await parts.replica.start()
  const asked = () => answerPoll(parts.holder.current, PATH).body
  return { ...parts, store: replaceable, embedded: store, folder, dataDir, asked }
}

await t.test('a replica serves what the store holds, and every change of it', async (t) => {
  const { replica, store, asked, holder, logged } = await following(t)
  t.match(replica, { status: 'following', problem: null })
  t.equal(asked(), '15.1.1')
  await serve(store, '15.1.2', 1)
  t.ok(await replica.until((state) => state.seq === 2))
  t.equal(asked(), '15.1.2')
  await commit(store, [{ key: channelKey('a'), expected: 2, body: null }])
  t.ok(await replica.until((state) => state.seq === 3))
  t.equal(asked(), 'unknown channel')
  t.match(holder.current, { seq: 3, size: 0 })
  t.same(logged, [])
})

await t.test('a replica of a store without any document serves that, and not "nothing loaded"', async (t) => {
  const { store } = await openStore(t)
  const { replica, holder } = replicaOver(store, await freshFolder(t))
  t.equal(replica.status, 'starting')
  t.equal(holder.current, null)
  await replica.start()
  t.match(holder.current, { seq: 0, size: 0 })
  t.equal(answerPoll(holder.current, PATH).body, 'unknown channel')
  await replica.stop()
})

await t.test('a store that is closed under a replica leaves it serving, and says so once', async (t) => {
  const { replica, embedded, asked, clock, logged } = await following(t)
  await embedded.close()
  await eventually(() => replica.problem !== null)
  t.match(replica, { status: 'store unavailable', problem: /store (?:was|is) closed/i })
  t.equal(asked(), '15.1.1')
  await clock.advance(DAY_MS / 96)
  t.match(replica, { status: 'store unavailable' })
  t.equal(asked(), '15.1.1')
  const errors = logged.filter(({ message }) => message === 'the store is unavailable')
  t.ok(errors.length <= 2, 'once for following that ended, once for the loads that fail since')
})

await t.test('a replica comes back by itself with its store, and has then missed nothing', async (t) => {
  const { replica, store, embedded, folder, asked, clock, logged } = await following(t)
  await embedded.close()
  await clock.advance(60_000)
  const { store: reopened } = await openStore(t, folder)
  await serve(reopened, '15.1.2', 1)
  t.equal(asked(), '15.1.1')
  store.inner = reopened
  await clock.advance(5_000)
  t.match(replica, { status: 'following', problem: null })
  t.equal(asked(), '15.1.2')
  t.match(logged.at(-1), { level: 'info', message: 'the store is followed again', fields: { seq: 2 } })
  await serve(reopened, '15.1.3', 2)
  t.ok(await replica.until((state) => state.seq === 3))
  t.equal(asked(), '15.1.3')
})

await t.test('a lost store is tried again after 250 ms, and then ever less often', async (t) => {
  const { store, clock } = await following(t)
  store.fault.load = new StoreUnavailable('down')
  const loads = () => store.calls.load - 1
  store.breakOff(new StoreUnavailable('down'))
  await turns()
  const tries: number[] = []
  for (let ms = 0; ms <= 30_000; ms += 50) {
    if (loads() > tries.length) tries.push(ms)
    await clock.advance(50)
  }
  t.same(tries.slice(0, 8), [250, 750, 1_750, 3_750, 7_750, 12_750, 17_750, 22_750])
})

await t.test('a store that loads but cannot be followed is not loaded ever again at the shortest pause', async (t) => {
  const { replica, store, clock, asked, logged } = await following(t)
  store.fault.follow = new StoreDamaged('the journal cannot be read')
  store.breakOff(new StoreDamaged('the journal cannot be read'))
  await clock.advance(60_000)
  t.equal(asked(), '15.1.1')
  t.ok(store.calls.load < 25, `${store.calls.load} loads in a minute`)
  t.ok(logged.length < 50, `${logged.length} lines in a minute`)
  store.fault = {}
  await clock.advance(10_000)
  t.match(replica, { status: 'following', problem: null })
  await serve(store, '15.1.2', 1)
  t.ok(await replica.until((state) => state.seq === 2))
  t.equal(asked(), '15.1.2')
})

await t.test('after a time of following a loss is a new one, tried again after 250 ms', async (t) => {
  const { replica, store, clock } = await following(t)
  const lose = async () => {
    store.fault.load = new StoreUnavailable('down')
    store.breakOff(new StoreUnavailable('down'))
    await turns()
  }
  await lose()
  await clock.advance(60_000)
  store.fault = {}
  await clock.advance(60_000)
  t.equal(replica.status, 'following')
  await lose()
  store.fault = {}
  await clock.advance(249)
  t.equal(replica.status, 'store unavailable')
  await clock.advance(1)
  t.equal(replica.status, 'following')
})

await t.test('a store that cannot be loaded at the start is stood in for by the last known good state', async (t) => {
  const dataDir = await freshFolder(t)
  const documents = [channelDocument('a', 4, { source: sourceOf('15.0.9') })]
  await writeLastKnownGood(dataDir, { documents, seq: 40, mark: 'm', epoch: 'one' }, NOW - DAY_MS)
  const { replica, holder, logged, clock } = replicaOver(unavailableStore('the disk is on fire'), dataDir)
  await replica.start()
  t.match(replica, { status: 'serving last known good', problem: 'the disk is on fire' })
  t.match(answerPoll(holder.current, PATH), { status: 200, body: '15.0.9' })
  t.match(logged, [
    { level: 'error', message: 'the store is unavailable', fields: { problem: 'the disk is on fire' } },
    { level: 'warn', fields: { seq: 40, savedAt: '2026-02-28T00:00:00.000Z' } },
  ])
  await clock.advance(DAY_MS / 96)
  t.match(replica, { status: 'serving last known good' })
  t.equal(logged.length, 2, 'and is quiet about it')
  await replica.stop()
})

await t.test('a damaged store file is stood in for, too, and is left as it is', async (t) => {
  const { store, folder } = await openStore(t)
  await serve(store, '15.1.1', 0)
  const first = replicaOver(store, folder)
  await first.replica.start()
  await first.replica.stop()
  await store.close()
  const path = join(folder, 'store.mdb')
  await writeFile(path, (await readFile(path)).fill(0, 0, 8_192))
  const damage = await openEmbeddedStore(folder).then(
    () => 'opened',
    (error: unknown) => (error instanceof StoreDamaged ? error.message : 'another fault'),
  )
  const second = replicaOver(unavailableStore(damage), folder)
  await second.replica.start()
  t.match(second.replica, { status: 'serving last known good', problem: damage })
  t.equal(answerPoll(second.holder.current, PATH).body, '15.1.1')
  await second.replica.stop()
})

await t.test('a last known good state takes its expiries with it', async (t) => {
  const dataDir = await freshFolder(t)
  const source = sourceOf('15.0.9', { critical: true, criticalUntil: new Date(NOW + 1_500).toISOString() })
  const documents = [channelDocument('a', 4, { source })]
  await writeLastKnownGood(dataDir, { documents, seq: 40, mark: 'm', epoch: 'one' }, NOW - DAY_MS)
  const { replica, holder, clock } = replicaOver(unavailableStore('down'), dataDir)
  await replica.start()
  await clock.advance(1_499)
  t.equal(answerPoll(holder.current, '/v1/a/critical').body, 'yes')
  await clock.advance(1)
  t.equal(answerPoll(holder.current, '/v1/a/critical').body, 'no')
  await replica.stop()
})

await t.test('a last-known-good file in any doubt is not served: polls are 503, and the log says why', async (t) => {
  const dataDir = await freshFolder(t)
  await writeLastKnownGood(dataDir, { documents: [channelDocument('a', 1)], seq: 1, mark: 'm', epoch: 'one' }, NOW)
  const path = join(dataDir, 'last-known-good.json')
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace('15.1.4', '15.1.5'))
  const { replica, holder, logged } = replicaOver(unavailableStore('down'), dataDir)
  await replica.start()
  t.match(replica, { status: 'starting', problem: 'down', state: null })
  t.match(answerPoll(holder.current, PATH), { status: 503, body: 'no channel is loaded yet' })
  t.match(logged, [
    { level: 'error', message: /cannot be used and is set aside/, fields: { why: /checksum does not match/ } },
    { level: 'error', message: 'the store is unavailable' },
  ])
  await replica.stop()
  const refused = await readFile(join(dataDir, 'last-known-good.refused.json'), 'utf8')
  t.match(refused, '15.1.5', 'the refused file is left for whoever looks into it')
})

await t.test('without a store and without a file polls are 503 until the store is there', async (t) => {
  const { store: embedded } = await openStore(t)
  await serve(embedded, '15.1.1', 0)
  const store = new ReplaceableStore(unavailableStore('down'))
  const dataDir = await freshFolder(t)
  const { replica, holder, logged, clock } = replicaOver(store, dataDir)
  await replica.start()
  t.match(replica, { status: 'starting', problem: 'down', state: null })
  t.equal(answerPoll(holder.current, PATH).status, 503)
  t.match(logged.at(-1), { level: 'warn', message: /^there is no last-known-good file to use; polls are answered 503/ })
  store.inner = embedded
  await clock.advance(250)
  t.match(replica, { status: 'following', problem: null })
  t.equal(answerPoll(holder.current, PATH).body, '15.1.1')
  await replica.stop()
})

await t.test('a store at a lower seq never replaces what is served', async (t) => {
  const { replica, store, embedded, folder, asked, clock, logged } = await following(t)
  const backup = await freshFolder(t)
  await embedded.close()
  await cp(join(folder, 'store.mdb'), join(backup, 'store.mdb'))
  const { store: reopened } = await openStore(t, folder)
  await serve(reopened, '15.1.2', 1)
  store.inner = reopened
  await clock.advance(5_000)
  t.equal(asked(), '15.1.2')
  // The operator puts the backup of before back.
  await reopened.close()
  await rm(folder, { recursive: true })
  await cp(backup, folder, { recursive: true })
  const { store: restored } = await openStore(t, folder)
  store.inner = restored
  await clock.advance(60_000)
  t.equal(asked(), '15.1.2')
  t.match(replica, {
    status: 'store regressed',
    problem: /^store regressed: it is at seq 1 of .* does not have seq 2 of/,
  })
  t.equal(replica.state?.seq, 2)
  t.equal(logged.filter(({ fields }) => /regressed/.test(String(fields['problem']))).length, 1, 'told once')
})

await t.test('a store of another epoch never replaces what is served, at whatever seq', async (t) => {
  const { replica, store, asked, clock } = await following(t)
  const { store: other } = await openStore(t)
  for (const seq of range(0, 4)) await serve(other, `14.0.${seq}`, seq)
  store.inner = other
  store.breakOff(new StoreUnavailable('failed over'))
  await clock.advance(60_000)
  t.equal(asked(), '15.1.1')
  t.match(replica, { status: 'store regressed', problem: /^store regressed: it is at seq 5 of epoch / })
})

await t.test('a store behind the last known good state never replaces it', async (t) => {
  const { store: embedded } = await openStore(t)
  await serve(embedded, '15.1.1', 0)
  const { epoch } = await embedded.load()
  for (const known of [
    { seq: 2, mark: 'm', epoch },
    { seq: 1, mark: 'm', epoch: 'another' },
  ]) {
    const dataDir = await freshFolder(t)
    const documents = [channelDocument('a', 2, { source: sourceOf('15.1.2') })]
    await writeLastKnownGood(dataDir, { documents, ...known }, NOW)
    const store = new ReplaceableStore(unavailableStore('down'))
    const { replica, holder, clock } = replicaOver(store, dataDir)
    await replica.start()
    store.inner = embedded
    await clock.advance(60_000)
    t.equal(answerPoll(holder.current, PATH).body, '15.1.2')
    t.match(replica, { status: 'store regressed', problem: /^store regressed/ })
    await replica.stop()
  }
})

await t.test('a store is never followed from the last known good state on before it was loaded', async (t) => {
  const { store: embedded } = await openStore(t)
  for (const seq of range(0, 4)) await serve(embedded, `14.0.${seq}`, seq)
  const dataDir = await freshFolder(t)
  const documents = [channelDocument('a', 2, { source: sourceOf('15.1.2') })]
  await writeLastKnownGood(dataDir, { documents, seq: 3, mark: 'm', epoch: 'another' }, NOW)
  const store = new ReplaceableStore(embedded)
  store.fault.load = new StoreUnavailable('not yet')
  const { replica, holder, clock } = replicaOver(store, dataDir)
  await replica.start()
  // Its journal could be read, and would fit by its numbers.
  await turns()
  t.equal(store.calls.follow, 0)
  t.match(replica, { status: 'serving last known good', problem: 'not yet' })
  store.fault = {}
  await clock.advance(60_000)
  t.equal(answerPoll(holder.current, PATH).body, '15.1.2')
  t.match(replica, { status: 'store regressed', problem: /^store regressed/ })
  await replica.stop()
})

await t.test('a long outage leaves nothing behind that grows', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const { store, clock } = await following(t)
  store.fault.load = new StoreUnavailable('down')
  store.breakOff(new StoreUnavailable('down'))
  await clock.advance(DAY_MS / 96)
  t.ok(store.calls.load > 170)
  t.ok(clock.waiting <= 2, `${clock.waiting} timers`)
  t.same(warnings, [], 'no warning of listeners that pile up')
})

await t.test('a journal with a gap is not applied; the whole state is loaded anew', async (t) => {
  const { replica, store, embedded, asked, clock, logged } = await following(t)
  const follow = embedded.follow.bind(embedded)
  let isSwallowed = false
  embedded.follow = (afterSeq, on, signal) =>
    follow(
      afterSeq,
      (entry) => {
        if (entry.seq === 2) isSwallowed = true
        else on(entry)
      },
      signal,
    )
  store.breakOff(new StoreUnavailable('a short interruption'))
  await eventually(() => replica.problem !== null)
  await clock.advance(250)
  await eventually(() => replica.problem === null)
  await serve(store, '15.1.2', 1)
  await eventually(() => isSwallowed)
  t.equal(asked(), '15.1.1', 'a change that never arrives is not known')
  await serve(store, '15.1.3', 2)
  await eventually(() => replica.problem !== null)
  t.match(replica.problem, 'journal entry 3 does not follow seq 1')
  t.equal(asked(), '15.1.1')
  embedded.follow = follow
  await clock.advance(5_000)
  await eventually(() => replica.problem === null)
  t.match(replica, { status: 'following' })
  t.equal(asked(), '15.1.3')
  t.ok(logged.some(({ fields }) => fields['problem'] === 'journal entry 3 does not follow seq 1'))
})

await t.test('many entries that come together are published together', async (t) => {
  const { replica, store, holder, asked } = await following(t)
  const before = holder.swapped.length
  await Promise.all(range(1, 1_000).map((revision) => serve(store, `15.2.${revision}`, revision)))
  t.ok(await replica.until((state) => state.seq === 1_001))
  t.equal(asked(), '15.2.1000')
  const swaps = holder.swapped.length - before
  t.ok(swaps <= 30, `${swaps} snapshots for 1,000 entries`)
  const seqs = holder.swapped.map(({ seq }) => seq)
  t.same(
    seqs,
    seqs.toSorted((a, b) => a - b),
  )
})

await t.test('until waits for what is served, and for no longer than its limit', async (t) => {
  const { replica, store, clock, asked } = await following(t)
  t.equal(await replica.until((state) => state.seq === 1), true, 'at once where it holds already')
  const reached = replica.until((state) => state.seq === 2).then((value) => [value, asked()])
  const never = replica.until(() => false)
  let settled = false
  void never.then(() => (settled = true))
  await serve(store, '15.1.2', 1)
  t.same(await reached, [true, '15.1.2'])
  await clock.advance(APPLY_WAIT_MAX_MS - 1)
  t.equal(settled, false)
  await clock.advance(1)
  t.equal(settled, true)
  t.equal(await never, false)
})

await t.test('until does not take for served what is applied and not published yet', async (t) => {
  const { store } = await openStore(t)
  await serve(store, '15.1.1', 0)
  const { replica, holder } = replicaOver(store, await freshFolder(t))
  const applied: unknown[] = []
  const waited: unknown[] = []
  const follow = store.follow.bind(store)
  store.follow = (afterSeq, on, signal) =>
    follow(
      afterSeq,
      (entry) => {
        on(entry)
        applied.push([replica.state?.seq, holder.current?.seq])
        void replica.until(({ seq }) => seq === entry.seq).then(() => waited.push([entry.seq, holder.current?.seq]))
      },
      signal,
    )
  await replica.start()
  await serve(store, '15.1.2', 1)
  await replica.until(({ seq }) => seq === 2)
  await turns()
  t.same(applied, [[2, 1]])
  t.same(waited, [[2, 2]])
  await replica.stop()
})

await t.test('stopping lets go of whoever waits, of the store and of every timer', async (t) => {
  const { replica, clock, asked, store } = await following(t)
  const waiting = replica.until(() => false)
  await replica.stop()
  t.equal(await waiting, false)
  t.equal(clock.waiting, 0)
  await serve(store, '15.1.2', 1)
  await turns()
  t.equal(asked(), '15.1.1', 'what is served stays served, and is followed no more')
  await replica.stop()
})

await t.test('a replica that is stopped while its store is down ends at once', async (t) => {
  const { replica, holder, clock } = replicaOver(unavailableStore('down'), await freshFolder(t))
  await replica.start()
  await replica.stop()
  t.equal(clock.waiting, 0)
  t.equal(holder.current, null)
})

await t.test('the last known good file is written on the way down', async (t) => {
  const { replica, store, dataDir } = await following(t)
  await serve(store, '15.1.2', 1)
  await replica.until((state) => state.seq === 2)
  t.same(await readLastKnownGood(dataDir), { outcome: 'absent' })
  await replica.stop()
  const { documents, seq, mark, epoch } = await store.load()
  t.same(await readLastKnownGood(dataDir), {
    outcome: 'read',
    state: { documents, seq, mark, epoch },
    savedAt: new Date(NOW).toISOString(),
  })
})

await t.test(
  'what cannot be read stays in the last known good file as stored, and fails closed at the next start',
  async (t) => {
    const dataDir = await freshFolder(t)
    const junk = { key: channelKey('b'), revision: 3, format: 1, body: { name: 'b', source: { kind: 'scheduled' } } }
    const first = await openStore(t)
    await serve(first.store, '15.1.1', 0)
    const { documents, ...position } = await first.store.load()
    await writeLastKnownGood(
      dataDir,
      { ...position, documents: [...documents, { ...junk, unreadable: 'so it is' }] },
      NOW,
    )
    const { replica, holder } = replicaOver(unavailableStore('it is away'), dataDir)
    t.teardown(() => replica.stop())
    await replica.start()
    t.equal(answerPoll(holder.current, PATH).body, '15.1.1')
    t.match(answerPoll(holder.current, '/v1/b/version'), { status: 503, body: 'channel b cannot be read' })
    t.match(answerPoll(holder.current, '/webapi/automaticupgrades/channel/b/version'), { status: 503 })
    const kept = await readLastKnownGood(dataDir)
    t.match(kept, { outcome: 'read' })
    if (kept.outcome === 'read')
      t.same(
        kept.state.documents.find(({ key }) => key === junk.key),
        junk,
      )
  },
)

await t.test('the last known good file is never more than a second behind while it is small', async (t) => {
  const { replica, store, dataDir, clock } = await following(t)
  const savedSeq = async () => {
    const read = await readLastKnownGood(dataDir)
    return read.outcome === 'read' ? read.state.seq : null
  }
  /**
   * Waits until this seq is in the file, and its writing has ended: one that takes time by the clock puts off the next. Writings
   * in one folder come one after the other, so another one, of the same, ends after it.
   */
  const saved = async (seq: number) => {
    await eventually(async () => (await savedSeq()) === seq)
    const read = await readLastKnownGood(dataDir)
    if (read.outcome === 'read') await writeLastKnownGood(dataDir, read.state, NOW)
  }
  await clock.advance(0)
  await saved(1)
  await clock.advance(999)
  await serve(store, '15.1.2', 1)
  await replica.until((state) => state.seq === 2)
  t.equal(await savedSeq(), 1)
  await clock.advance(1)
  await saved(2)
  await serve(store, '15.1.3', 2)
  await replica.until((state) => state.seq === 3)
  await clock.advance(999)
  t.equal(await savedSeq(), 2, 'changes that come together are saved together')
  await clock.advance(1)
  await eventually(async () => (await savedSeq()) === 3)
  const path = join(dataDir, 'last-known-good.json')
  await rm(path)
  await clock.advance(DAY_MS / 96)
  t.equal(await savedSeq(), null, 'without a change nothing is written')
})

await t.test('a last known good file that could not be written is tried again', async (t) => {
  const { replica, dataDir, clock, logged, asked } = await following(t)
  await rm(dataDir, { recursive: true })
  await writeFile(dataDir, 'a file where the folder should be')
  await clock.advance(0)
  await eventually(() => logged.length > 0)
  t.match(logged, [{ level: 'warn', message: /^the last-known-good file could not be written/ }])
  t.equal(asked(), '15.1.1')
  t.match(replica, { status: 'following', problem: null })
  await rm(dataDir)
  await clock.advance(10_000)
  await eventually(async () => (await readLastKnownGood(dataDir)).outcome === 'read')
  t.match(await readLastKnownGood(dataDir), { state: { seq: 1 } })
})

await t.test(
  'a store that is behind the last known good state at the start is not served, and the file is kept',
  async (t) => {
    for (const [epoch, seq] of [
      ['another', 1],
      ['', 9],
    ] as const) {
      const { store } = await openStore(t)
      await serve(store, '15.1.5', 0)
      const dataDir = await freshFolder(t)
      const documents = [channelDocument('a', 2, { source: sourceOf('15.1.2') })]
      const own = (await store.load()).epoch
      await writeLastKnownGood(dataDir, { documents, seq, mark: 'm', epoch: epoch === '' ? own : epoch }, NOW)
      const kept = await readFile(join(dataDir, 'last-known-good.json'), 'utf8')
      const { replica, holder, clock } = replicaOver(store, dataDir)
      await replica.start()
      t.equal(answerPoll(holder.current, PATH).body, '15.1.2')
      t.match(replica, { status: 'store regressed', problem: /^store regressed/ })
      await clock.advance(60_000)
      await replica.stop()
      t.equal(await readFile(join(dataDir, 'last-known-good.json'), 'utf8'), kept)
    }
  },
)

await t.test('the first change after a quiet time is in the last-known-good file at once', async (t) => {
  const { store } = await openStore(t)
  await serve(store, '15.1.5', 0)
  const dataDir = await freshFolder(t)
  const { replica, clock } = replicaOver(store, dataDir)
  await replica.start()
  await clock.advance(60_000)
  await serve(store, '15.1.4', 1)
  await replica.until((state) => state.seq === 2)
  await clock.advance(0)
  await eventually(async () => {
    const read = await readLastKnownGood(dataDir)
    return read.outcome === 'read' && read.state.seq === 2
  })
  t.pass('no time had to pass')
  await replica.stop()
})

await t.test('what cannot be served ends nothing: the old answers stay, and the state is loaded again', async (t) => {
  const { replica, store, dataDir } = await following(t)
  await replica.stop()
  const parts = replicaOver(store, dataDir)
  t.teardown(() => parts.replica.stop())
  await parts.replica.start()
  const swap = parts.holder.swap.bind(parts.holder)
  parts.holder.swap = () => {
    throw new TypeError('the test says so')
  }
  await serve(store, '15.1.2', 1)
  await eventually(() => parts.replica.problem !== null)
  t.match(parts.replica, { status: 'store unavailable', problem: /cannot be served: the test says so/ })
  t.equal(answerPoll(parts.holder.current, PATH).body, '15.1.1')
  t.ok(parts.logged.some(({ message }) => message.startsWith('what was applied cannot be served')))
  t.match(await readLastKnownGood(dataDir), { state: { seq: 1 } }, 'and is not kept for the next start')
  parts.holder.swap = swap
  await parts.clock.advance(DAY_MS / 96)
  await eventually(() => parts.replica.problem === null)
  t.equal(answerPoll(parts.holder.current, PATH).body, '15.1.2')
})

await t.test('a last-known-good file that cannot be served is set aside, and the start goes on', async (t) => {
  const { replica, store, dataDir } = await following(t)
  await replica.stop()
  store.fault.load = new StoreUnavailable('the test says so')
  const parts = replicaOver(store, dataDir)
  t.teardown(() => parts.replica.stop())
  const swap = parts.holder.swap.bind(parts.holder)
  parts.holder.swap = () => {
    throw new TypeError('the test says so')
  }
  await parts.replica.start()
  t.equal(parts.holder.current, null)
  t.match(await readLastKnownGood(dataDir), { outcome: 'absent' })
  t.match(await readFile(join(dataDir, 'last-known-good.refused.json'), 'utf8'), '15.1.1')
  t.equal(parts.logged.filter(({ message }) => message.includes('is set aside')).length, 1)
  parts.holder.swap = swap
  store.fault = {}
  await parts.clock.advance(DAY_MS / 96)
  await eventually(() => parts.replica.problem === null)
  t.equal(answerPoll(parts.holder.current, PATH).body, '15.1.1')
})
