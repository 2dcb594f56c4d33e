// Plays a history through the admin API of a running server as fast as it goes, while updaters poll every channel.
import type { Client } from './client.ts'
import { journalFaults, newestSeq, readJournal, type Acknowledged } from './journal.ts'
import { ReplayCheck } from './replay-check.ts'
import { stepsByChannel, type HistoryStep } from './replay-history.ts'
import { ask, bare, memberOf, servedBefore, whileUpdatersPoll } from './replay-polls.ts'

/** Operators at work at the same time; each has channels of their own, so that the order within a channel is kept. */
export const OPERATORS = 8

export interface ReplayReport {
  /** Changes that the server has acknowledged. */
  readonly changes: number
  /** How many of them a guard on majors had refused first. */
  readonly forced: number
  readonly refused: readonly string[]
  readonly channels: number
  readonly polls: number
  readonly wrong: number
  /** The first wrong answers in words. */
  readonly wrongAnswers: readonly string[]
  /** What is wrong with the journal, in words. */
  readonly journalFaults: readonly string[]
  readonly seconds: number
}

interface Run {
  readonly control: Client
  readonly poll: Client
  readonly check: ReplayCheck
  readonly acknowledged: Map<string, Acknowledged[]>
  readonly refused: string[]
  forced: number
}

/** Plays every step; rejects where the server cannot be reached or answers what no server should. */
export async function replay(control: Client, poll: Client, steps: readonly HistoryStep[]): Promise<ReplayReport> {
  const channels = stepsByChannel(steps)
  const names = [...channels.keys()]
  const run: Run = { control, poll, check: new ReplayCheck(), acknowledged: new Map(), refused: [], forced: 0 }
  for (const name of names) {
    run.check.begin(name, await servedBefore(control, name))
    run.acknowledged.set(name, [])
  }
  const seqBefore = await newestSeq(control)
  const owners = new Map(names.map((name, index) => [name, index % OPERATORS]))
  const startedMs = performance.now()
  const operators = Array.from({ length: OPERATORS }, (_, index) =>
    operate(
      run,
      steps.filter(({ channel }) => owners.get(channel) === index),
    ),
  )
  const changing = Promise.all(operators).then(() => {})
  await whileUpdatersPoll(run, names, changing)
  const seconds = (performance.now() - startedMs) / 1_000
  const entries = await readJournal(control, seqBefore)
  const { check, forced, refused } = run
  return {
    changes: [...run.acknowledged.values()].reduce((sum, { length }) => sum + length, 0),
    forced,
    refused,
    channels: names.length,
    polls: check.polls,
    wrong: check.wrong,
    wrongAnswers: check.descriptions,
    journalFaults: journalFaults(entries, seqBefore, run.acknowledged),
    seconds,
  }
}

async function operate(run: Run, steps: readonly HistoryStep[]): Promise<void> {
  for (const step of steps) await change(run, step)
}

async function change(run: Run, { channel, version, at }: HistoryStep): Promise<void> {
  const { control, check, refused } = run
  const target = version === null ? null : bare(version)
  const underWay = check.changeSent(channel, target)
  const reason = `as it was on ${at}`
  let reply = await control.admin('PUT', `/channels/${encodeURIComponent(channel)}/version`, { version, reason })
  if (reply.status === 404) {
    const created = { name: channel, source: { kind: 'static', version }, reason, allowBuildMetadata: true }
    reply = await control.admin('POST', '/channels', created)
  }
  const isForced = reply.status === 422 && /^(major-|downgrade$)/.test(String(memberOf(reply, 'guard')))
  if (isForced) {
    const body = { version, reason, force: true }
    reply = await control.admin('PUT', `/channels/${encodeURIComponent(channel)}/version`, body)
  }
  let revision: number | null = null
  if (reply.status === 422 && memberOf(reply, 'guard') === 'not-a-version') {
    check.changeRefused(underWay)
    refused.push(`${channel} ${version}: ${String(memberOf(reply, 'detail'))}`)
  } else if (reply.status === 200 || reply.status === 201) {
    check.changeAcknowledged(underWay)
    revision = Number(memberOf(reply, 'revision'))
    run.acknowledged.get(channel)?.push({ revision, version: target })
    if (isForced) run.forced += 1
  } else {
    throw new Error(`${channel} to ${version} was answered ${reply.status} ${reply.body}`)
  }
  await ask(run, channel, false, revision)
}
