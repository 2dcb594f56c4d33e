// The replay against a real server: a made-up history always, and the real one of 2019 to 2023 where it is at hand.
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { BENCH_TOKEN, startBellwether, type BellwetherProcess } from '../../bench/bellwether-process.ts'
import { Client } from '../../bench/client.ts'
import { readHistory, type HistoryStep } from '../../bench/replay-history.ts'
import { UPDATERS } from '../../bench/replay-polls.ts'
import { OPERATORS, replay } from '../../bench/replay-run.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 240_000

t.setTimeout(FILE_TIMEOUT_MS)

/** Beside the project, never in it. */
const REAL_HISTORY = fileURLToPath(new URL('../../../shared/data/channel-history-2019-2023.jsonl', import.meta.url))

async function freshFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-replay-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function startServer(t: Test): Promise<BellwetherProcess> {
  const server = await startBellwether({ dataDir: await freshFolder(t) })
  t.teardown(() => server.end())
  return server
}

function clients(t: Test, controlUrl: string, pollUrl: string): [control: Client, poll: Client] {
  const control = new Client(controlUrl, OPERATORS, BENCH_TOKEN)
  const poll = new Client(pollUrl, OPERATORS + UPDATERS)
  t.teardown(() => (control.close(), poll.close()))
  return [control, poll]
}

/** Sixty steps of three channels, with a jump, a downgrade, texts that are no versions, and a version taken away. */
function madeUpHistory(): HistoryStep[] {
  const versions = ['1.0', '1.0.0', '4.0.0', '4.1.0-rc.1', '4.1.0', null, 'v4.2.0', 'stable', '4.2.1+k3s1', '2.0.0']
  const rounds = [versions, versions.slice(1)].flat()
  return rounds.flatMap((version, index) =>
    ['fast-4.2', 'stable/cloud', 'eus-4.2'].map((channel) => {
      const at = new Date(Date.UTC(2024, 0, 1 + index)).toISOString()
      return { at, channel, version }
    }),
  )
}

await t.test(
  'a made-up history is replayed without one wrong answer, refusals and forced steps included',
  async (t) => {
    const { controlUrl, pollUrl } = await startServer(t)
    const file = join(await freshFolder(t), 'history.jsonl')
    const steps = madeUpHistory()
    await writeFile(file, steps.map((step) => `${JSON.stringify(step)}\n`).join(''))
    const report = await replay(...clients(t, controlUrl, pollUrl), readHistory(file))
    t.match(report, { wrong: 0, wrongAnswers: [], journalFaults: [], channels: 3 })
    t.equal(report.changes + report.refused.length, steps.length)
    t.equal(report.refused.length, 3 * 3, '1.0 once and "stable" twice in each channel')
    t.equal(report.forced, 3 * 5, '1 → 4 and 4 → 2 in both rounds, and 2 → 1 between them')
    t.ok(report.polls > steps.length)

    const again = await replay(...clients(t, controlUrl, pollUrl), readHistory(file))
    t.match(again, { wrong: 0, wrongAnswers: [], journalFaults: [] }, 'also where the channels are there already')
  },
)

await t.test('a poll plane that is one change behind is found out', async (t) => {
  const { controlUrl, pollUrl } = await startServer(t)
  const real = new Client(pollUrl, OPERATORS + UPDATERS)
  const last = new Map<string, string>()
  const lagging = createServer((request, response) => {
    const path = request.url ?? ''
    void real.get(path).then(({ status, body, headers }) => {
      const now = JSON.stringify([status, body, headers['bellwether-revision'] ?? ''])
      const told = JSON.parse(last.get(path) ?? now) as [number, string, string] // What now is made of.
      last.set(path, now)
      response.writeHead(told[0], { 'Bellwether-Revision': told[2] }).end(told[1])
    })
  })
  await new Promise<void>((resolve) => lagging.listen(0, '127.0.0.1', resolve))
  t.teardown(() => (lagging.closeAllConnections(), lagging.close(), real.close()))
  const { port } = lagging.address() as AddressInfo // It listens on TCP.
  const report = await replay(...clients(t, controlUrl, `http://127.0.0.1:${port}`), madeUpHistory())
  t.ok(report.wrong > 0)
  t.same(report.journalFaults, [])
})

await t.test('the real history of 2019 to 2023 is replayed without one wrong answer', async (t) => {
  if (!existsSync(REAL_HISTORY)) {
    t.pass('the real history', {
      skip: 'NOT TESTED: shared/data/channel-history-2019-2023.jsonl is not beside the project',
    })
    return
  }
  const { controlUrl, pollUrl } = await startServer(t)
  const steps = readHistory(REAL_HISTORY)
  const report = await replay(...clients(t, controlUrl, pollUrl), steps)
  t.match(report, { wrong: 0, wrongAnswers: [], journalFaults: [], channels: 49 })
  t.equal(report.changes + report.refused.length, steps.length)
  t.comment(`${report.changes} changes (${report.forced} forced), ${report.polls} polls`)
})

await t.test('a history with a broken line is refused with its number', async (t) => {
  const file = join(await freshFolder(t), 'history.jsonl')
  const line = (step: object): string => `${JSON.stringify(step)}\n`
  const good = { at: '2024-01-02T00:00:00Z', channel: 'a', version: '1.0.0' }
  await writeFile(file, line(good) + line({ ...good, version: 1 }))
  t.throws(() => readHistory(file), /history\.jsonl:2 is no/)
  await writeFile(file, line(good) + line({ ...good, at: '2024-01-01T00:00:00Z' }))
  t.throws(() => readHistory(file), /history\.jsonl:2 is older/)
})
