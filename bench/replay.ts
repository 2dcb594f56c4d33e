// Replays a history of channels against a server while updaters poll it, and fails where one answer was wrong.
//   npx tsx bench/replay.ts --history FILE [--url CONTROL_URL --poll POLL_URL --token TOKEN]
// Without --url it starts a server of its own on a temporary data directory.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether } from './bellwether-process.ts'
import { Client } from './client.ts'
import { readHistory } from './replay-history.ts'
import { OPERATORS, replay, UPDATERS, type ReplayReport } from './replay-run.ts'

const USAGE = 'replay.ts --history FILE [--url CONTROL_URL --poll POLL_URL --token TOKEN]'

const { values } = parseArgs({
  options: {
    history: { type: 'string' },
    url: { type: 'string' },
    poll: { type: 'string' },
    token: { type: 'string' },
  },
})
const { history, url, poll, token } = values
if (history === undefined || (url === undefined) !== (poll === undefined)) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(2)
}
const result =
  url === undefined || poll === undefined
    ? await replayOnOwnServer(history)
    : await replayOn(history, url, poll, token ?? BENCH_TOKEN)
print(result)
if (result.wrong > 0 || result.journalFaults.length > 0) process.exitCode = 1

async function replayOnOwnServer(file: string): Promise<ReplayReport> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-replay-'))
  try {
    const server = await startBellwether({ dataDir, entry: builtEntry() })
    try {
      return await replayOn(file, server.controlUrl, server.pollUrl, BENCH_TOKEN)
    } finally {
      await server.end()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function replayOn(file: string, controlUrl: string, pollUrl: string, secret: string): Promise<ReplayReport> {
  const control = new Client(controlUrl, OPERATORS, secret)
  const updaters = new Client(pollUrl, OPERATORS + UPDATERS)
  try {
    return await replay(control, updaters, readHistory(file))
  } finally {
    control.close()
    updaters.close()
  }
}

function print(report: ReplayReport): void {
  const { changes, forced, refused, channels, polls, wrong, wrongAnswers, journalFaults, seconds } = report
  const perSecond = (count: number): string => Math.round(count / seconds).toLocaleString('en-US')
  const lines = [
    `${changes} changes of ${channels} channels in ${seconds.toFixed(1)} s (${perSecond(changes)}/s), ${forced} of them forced`,
    `${refused.length} steps refused, as they are no versions`,
    ...refused.map((step) => `  ${step}`),
    `${polls} polls meanwhile (${perSecond(polls)}/s)`,
    `wrong answers: ${wrong}`,
    ...wrongAnswers.map((answer) => `  ${answer}`),
    `the journal has ${journalFaults.length === 0 ? 'every acknowledged change exactly once, in order' : 'faults'}`,
    ...journalFaults.map((fault) => `  ${fault}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
