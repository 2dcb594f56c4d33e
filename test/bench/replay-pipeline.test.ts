// Recorded promotions through pipelines of a real server: made-up ones always, and the first of the real ones of 2019 to
// 2023 where they are at hand.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { BENCH_TOKEN, startBellwether } from '../../bench/bellwether-process.ts'
import { Client } from '../../bench/client.ts'
import { readHistory, type HistoryStep } from '../../bench/replay-history.ts'
import { replayPipelines } from '../../bench/replay-pipeline.ts'
import { UPDATERS } from '../../bench/replay-polls.ts'
import { OPERATORS } from '../../bench/replay-run.ts'

/** Every test starts a process; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

/** Beside the project, never in it. */
const REAL_HISTORY = fileURLToPath(new URL('../../../shared/data/channel-history-2019-2023.jsonl', import.meta.url))
/** The whole of it is `npm run bench:replay -- --pipeline`. */
const REAL_STEPS = 400

async function startServer(t: Test): Promise<[control: Client, poll: Client]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-replay-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const server = await startBellwether({ dataDir })
  const control = new Client(server.controlUrl, OPERATORS, BENCH_TOKEN)
  const poll = new Client(server.pollUrl, OPERATORS + UPDATERS)
  t.teardown(async () => {
    control.close()
    poll.close()
    await server.end()
  })
  return [control, poll]
}

/** Two lines; a version of the first is a candidate of the second, too, and one release is overtaken by the next. */
function madeUpHistory(): HistoryStep[] {
  const moves: (readonly [day: number, channel: string, version: string | null])[] = [
    [1, 'candidate-4.2', '4.2.0'],
    [2, 'fast-4.2', '4.2.0'],
    [3, 'stable-4.2', '4.1.30'],
    [4, 'candidate-4.2', '4.2.1'],
    [4, 'fast-4.2', '4.2.1'],
    [5, 'candidate-4.3', '4.2.1'],
    [5, 'stable-4.2', '4.2.1'],
    [6, 'candidate-4.2', '4.2.2'],
    [7, 'candidate-4.2', '4.2.3'],
    [7, 'fast-4.3', '4.2.1'],
    [8, 'fast-4.2', '4.2.3'],
    [8, 'candidate-4.3', '4.3.0-rc.1'],
    [9, 'stable-4.2', '4.2.2'],
    [9, 'stable-4.3', '4.2.1'],
    [10, 'fast-4.3', '4.3'],
    [11, 'stable-4.3', null],
    [12, 'fast-4.3', '4.3.0-rc.1'],
    [12, 'stable-4.2', '4.2.3'],
  ]
  return moves.map(([day, channel, version]) => ({
    at: new Date(Date.UTC(2024, 0, day)).toISOString(),
    channel,
    version,
  }))
}

await t.test('every channel is at the recorded version at every recorded time, through its pipeline', async (t) => {
  const [control, poll] = await startServer(t)
  const report = await replayPipelines(control, poll, madeUpHistory())
  t.match(report, { wrong: 0, astray: 0, faults: [] })
  t.match(report, { pipelines: 2, channels: 6, moments: 12, checked: 12 * 6, releases: 5, begun: 1 })
  t.same(report.promotions, { candidate: 6, fast: 5, stable: 3 })
  t.match(report, { created: 6, createdByHand: 1 })
  t.match(report.byHand, [/stable-4\.2 4\.2\.2 was never promoted on fast/, /stable-4\.3 null takes the version away/])
  t.match(report.refused, [/fast-4\.3 4\.3: /])
  t.ok((report.rollouts.get('superseded') ?? 0) > 0, 'what the record has not continued is over')
  t.ok(report.polls > report.checked)
  await t.rejects(replayPipelines(control, poll, madeUpHistory()), /there is a channel candidate-4\.2 already/)
})

await t.test('a poll plane that tells what is not recorded is found out', async (t) => {
  const [control, poll] = await startServer(t)
  const steps = madeUpHistory()
  // Somebody else moves a channel, of which the record knows nothing.
  const meddle = new Client('', 1)
  meddle.admin = async (method, path, body) => {
    const reply = await control.admin(method, path, body)
    if (path === '/channels' && method === 'POST' && reply.body.includes('"stable-4.2"')) {
      await control.admin('PUT', '/channels/stable-4.2/version', { version: '4.1.29', reason: 'meddling', force: true })
    }
    return reply
  }
  const report = await replayPipelines(meddle, poll, steps)
  t.ok(report.wrong > 0)
  t.ok(report.astray > 0)
  t.ok(report.faults.some((fault) => fault.includes('channel stable-4.2 without a promotion')))
})

await t.test(`the first ${REAL_STEPS} real promotions go through their pipelines as recorded`, async (t) => {
  if (!existsSync(REAL_HISTORY)) {
    t.pass('the real history', {
      skip: 'NOT TESTED: shared/data/channel-history-2019-2023.jsonl is not beside the project',
    })
    return
  }
  const [control, poll] = await startServer(t)
  const report = await replayPipelines(control, poll, readHistory(REAL_HISTORY).slice(0, REAL_STEPS))
  t.match(report, { wrong: 0, astray: 0, faults: [], refused: [] })
  t.ok((report.promotions['stable'] ?? 0) > 50)
  t.ok(report.byHand.every((move) => /^2020-.*-4\.[24] .*was never promoted/.test(move)))
  t.comment(`${JSON.stringify(report.promotions)}, ${report.byHand.length} by hand, ${report.polls} polls`)
})
