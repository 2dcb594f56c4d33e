// What gates have found outlives the process on the embedded store: a soaking under gates goes on after a restart, unless
// nobody has watched for too long; and notes that make no sense are as good as none.
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { notedSamples } from '../../src/control/gate-samples.ts'
import { localCoordination } from '../../src/store/local-coordination.ts'
import { at, type Fields } from '../fixtures/admin-json.ts'
import { startPlanes } from '../fixtures/planes.ts'
import { sampleAt, someRollout } from '../fixtures/rollout-samples.ts'
import { cloud, listAt, MINUTE_MS, RolloutSession, startRollouts } from '../fixtures/rollout-session.ts'

const GATES = { gatesAllow: ['127.0.0.1'] }
/** Two intervals of the gate, and what the asking itself may take (rollouts/gate-standing.ts). */
const WATCHED_MS = 2 * MINUTE_MS + 30_000
const SOAK_MINUTES = 10

/** A canary that begins to soak at midnight under a gate that is asked every minute. */
async function soaking(t: Test, more: Fields = {}): Promise<RolloutSession> {
  const session = await startRollouts(t, GATES)
  const server = { url: 'http://127.0.0.1:9090', query: 'errors', op: '<', threshold: 1 }
  const gates = [{ name: 'errors', ...server, everySeconds: 60, ...more }]
  await session.pipeline([{ name: 'canary', channels: ['canary'], auto: true, soakMinutes: SOAK_MINUTES, gates }])
  await session.register(1)
  await session.look()
  return session
}

/** Ends everything, lets time pass, and starts it again on the same folder. */
async function restart(t: Test, { planes, found }: RolloutSession, downMs: number): Promise<RolloutSession> {
  await planes.close()
  await planes.clock.advance(downMs)
  const session = new RolloutSession(t, await startPlanes((close) => t.teardown(close), { ...GATES, after: planes }))
  session.found = found
  return session
}

async function minutesSampled(session: RolloutSession): Promise<readonly string[]> {
  const samples = listAt(await session.stage(1, 0), 'gates', 0, 'samples')
  return samples.map((sample) => String(at(sample, 'at')).slice(11, 16))
}

async function restarts(session: RolloutSession): Promise<number> {
  return (await session.journal()).filter(({ kind }) => kind === 'rollout.restart').length
}

t.test('a soaking goes on after restarts that its gates bear, and ends on time', async (t) => {
  let session = await soaking(t)
  await session.pass(2)
  session = await restart(t, session, 0)
  t.same(await minutesSampled(session), ['00:00', '00:01', '00:02'], 'they are shown before anybody is asked')
  await session.look()
  t.equal(session.asked.length, 0, 'nobody is asked before it is due')
  await session.pass(2)
  session = await restart(t, session, WATCHED_MS)
  await session.look()
  t.hasStrict(await session.stage(1, 0), { state: 'soaking', since: '2026-03-01T00:00:00.000Z' })
  t.same(await minutesSampled(session), ['00:00', '00:01', '00:02', '00:03', '00:04', '00:06'])
  await session.pass(3)
  t.equal(at(await session.stage(1, 0), 'state'), 'soaking', 'half a minute is missing')
  await session.planes.clock.advance(30_000)
  await session.look()
  t.hasStrict(await session.rollout(1), { state: 'done', endedAt: '2026-03-01T00:10:00.000Z' })
  t.equal(await restarts(session), 0)
})

t.test('after a restart that was too long for its gates the soaking begins anew', async (t) => {
  let session = await soaking(t)
  await session.pass(4)
  session = await restart(t, session, WATCHED_MS + 1)
  await session.look()
  t.hasStrict(await session.stage(1, 0), { state: 'soaking', since: '2026-03-01T00:06:30.001Z' })
  t.match(await session.lastEntry(), {
    kind: 'rollout.restart',
    reason: 'gate errors was not evaluated since 2026-03-01T00:04:00.000Z; what went by does not count',
  })
  await session.pass(SOAK_MINUTES - 1)
  t.equal(at(await session.stage(1, 0), 'state'), 'soaking')
  await session.pass(1)
  t.equal(at(await session.rollout(1), 'state'), 'done')
  t.equal(await restarts(session), 1)
})

t.test('failures in a row are counted over a restart', async (t) => {
  let session = await soaking(t, { failures: 3 })
  session.found = () => ({ value: 7, verdict: 'failed', detail: null })
  await session.pass(2)
  session = await restart(t, session, MINUTE_MS)
  await session.look()
  t.match(at(await session.rollout(1), 'paused'), { gate: 'errors', reason: /failed 3 times in a row/ })
})

t.test('without the file, or with one that is damaged, the server starts and the soaking begins anew', async (t) => {
  let session = await soaking(t)
  await session.pass(4)
  await session.planes.close()
  const path = join(session.planes.dataDir, 'notes.json')
  const text = await readFile(path, 'utf8')
  for (const [index, damage] of [() => writeFile(path, text.slice(0, -40)), () => rm(path)].entries()) {
    await damage()
    session = await restart(t, session, 0)
    t.same(await minutesSampled(session), [])
    await session.look()
    t.hasStrict(await session.stage(1, 0), { state: 'soaking', since: `2026-03-01T00:0${4 + 4 * index}:00.000Z` })
    await session.pass(4)
    await session.planes.close()
  }
})

t.test('what gates have found is not in the file any more once the rollout has ended', async (t) => {
  let session = await soaking(t)
  await session.pass(1)
  session = await restart(t, session, 0)
  const path = join(session.planes.dataDir, 'notes.json')
  const topic = `gates/cloud/${cloud(1)}`
  t.match(JSON.parse(await readFile(path, 'utf8')), { format: 1, topics: [{ topic }] })
  await session.pass(SOAK_MINUTES)
  t.equal(at(await session.rollout(1), 'state'), 'done')
  await session.planes.close()
  t.match(JSON.parse(await readFile(path, 'utf8')), { format: 1, topics: [] })
})

t.test('notes in another form than ours are as good as none', async (t) => {
  const rollout = someRollout([])
  const topic = `gates/${rollout.pipeline}/${rollout.release}`
  const good = sampleAt(0)
  const alone = localCoordination(() => 0)
  for (const samples of [
    'not json',
    'null',
    '{}',
    '7',
    '[null]',
    '[7]',
    JSON.stringify([good]).replace(`"value":${good.value}`, '"value":1e999'),
    ...[
      { ...good, at: 'yesterday' },
      { ...good, at: 'Mar 1 2026' },
      { ...good, at: 7 },
      { ...good, value: '0' },
      { ...good, verdict: 'splendid' },
      { ...good, detail: 7 },
      { at: good.at },
    ].map((sample) => JSON.stringify([good, sample])),
  ]) {
    await alone.note(topic, { 'canary/errors': samples, 'canary/good': JSON.stringify([good]), 'other/errors': '[]' })
    t.strictSame(await notedSamples(alone, rollout, 'canary'), { errors: [], good: [good] }, samples)
  }
})
