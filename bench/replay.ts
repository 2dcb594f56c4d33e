// Replays a history of channels against a server while updaters poll it, and fails where one answer was wrong.
//   npx tsx bench/replay.ts --history FILE [--pipeline] [--url CONTROL_URL --poll POLL_URL --token TOKEN]
// Without --url it starts a server of its own on a temporary data directory. With --pipeline the channels candidate-N,
// fast-N and stable-N are the stages of a pipeline N, and what was recorded is promoted.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether } from './bellwether-process.ts'
import { Client } from './client.ts'
import { readHistory } from './replay-history.ts'
import { replayPipelines, type PipelineReport } from './replay-pipeline.ts'
import { UPDATERS } from './replay-polls.ts'
import { OPERATORS, replay, type ReplayReport } from './replay-run.ts'

const USAGE = 'replay.ts --history FILE [--pipeline] [--url CONTROL_URL --poll POLL_URL --token TOKEN]'

const { values } = parseArgs({
  options: {
    history: { type: 'string' },
    pipeline: { type: 'boolean', default: false },
    url: { type: 'string' },
    poll: { type: 'string' },
    token: { type: 'string' },
  },
})
const { history, pipeline, url, poll, token } = values
if (history === undefined || (url === undefined) !== (poll === undefined)) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(2)
}
const steps = readHistory(history)
const isRight =
  url === undefined || poll === undefined ? await replayOnOwnServer() : await replayOn(url, poll, token ?? BENCH_TOKEN)
if (!isRight) process.exitCode = 1

async function replayOnOwnServer(): Promise<boolean> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-replay-'))
  try {
    const server = await startBellwether({ dataDir, entry: builtEntry() })
    try {
      return await replayOn(server.controlUrl, server.pollUrl, BENCH_TOKEN)
    } finally {
      await server.end()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Replays, prints the report, and says whether everything was right. */
async function replayOn(controlUrl: string, pollUrl: string, secret: string): Promise<boolean> {
  const control = new Client(controlUrl, OPERATORS, secret)
  const updaters = new Client(pollUrl, OPERATORS + UPDATERS)
  try {
    if (pipeline) {
      const report = await replayPipelines(control, updaters, steps)
      printPipelines(report)
      return report.wrong + report.astray + report.faults.length === 0
    }
    const report = await replay(control, updaters, steps)
    print(report)
    return report.wrong + report.journalFaults.length === 0
  } finally {
    control.close()
    updaters.close()
  }
}

function printPipelines(report: PipelineReport): void {
  const {
    pipelines,
    channels,
    releases,
    begun,
    promotions,
    created,
    createdByHand,
    byHand,
    refused,
    rollouts,
    seconds,
  } = report
  const { moments, checked, astray, polls, wrong, faults } = report
  const promoted = Object.entries(promotions).map(([stage, count]) => `${count} of ${stage}`)
  const states = [...rollouts].map(([state, count]) => `${count} ${state}`)
  const lines = [
    `${pipelines} pipelines of ${channels} channels, ${releases} releases, in ${seconds.toFixed(1)} s`,
    `promotions: ${promoted.join(', ')}; ${begun} rollouts begun by hand, for releases older than their pipeline`,
    `${created} channels created with their first version, which for ${createdByHand} no pipeline had; ${byHand.length} moves by hand, which no pipeline could make`,
    ...byHand.map((step) => `  ${step}`),
    `${refused.length} steps refused, as they are no versions`,
    ...refused.map((step) => `  ${step}`),
    `rollouts at the end: ${states.join(', ')}`,
    `${moments} recorded moments, ${checked} channels asked at their ends; not as recorded: ${astray}`,
    `${polls} polls in all; wrong answers: ${wrong}`,
    faults.length === 0
      ? 'the journal has every promotion once and in order, no stage skipped, and every acknowledged change'
      : `FAULTS: ${faults.length}`,
    ...faults.map((fault) => `  ${fault}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
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
