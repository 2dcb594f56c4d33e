// Plays a history through the admin API of a running server as fast as it goes, while updaters poll every channel.
import { parseVersion } from '../src/channels/version.ts'
import type { Client, Reply } from './client.ts'
import { journalFaults, newestSeq, readJournal, type Acknowledged } from './journal.ts'
import { absent, ReplayCheck, type Told } from './replay-check.ts'
import { stepsByChannel, type HistoryStep } from './replay-history.ts'

/** Operators at work at the same time; each has channels of their own, so that the order within a channel is kept. */
export const OPERATORS = 8
/** Updaters at work at the same time, each on a connection of its own. */
export const UPDATERS = 8
/** Every so many polls an updater asks as the Teleport proxy's agents do. */
const WEBAPI_EVERY = 8

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
  let isOver = false
  const updaters = Array.from({ length: UPDATERS }, (_, index) => update(run, names, index, () => isOver))
  const operators = Array.from({ length: OPERATORS }, (_, index) =>
    operate(
      run,
      steps.filter(({ channel }) => owners.get(channel) === index),
    ),
  )
  const changing = Promise.all(operators).finally(() => (isOver = true))
  // Together, so that an updater that fails ends the run and is not lost.
  await Promise.all([changing, ...updaters])
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
    const created = { name: channel, source: { kind: 'static', version }, reason }
    reply = await control.admin('POST', '/channels', created)
  }
  const isForced = reply.status === 422 && String(memberOf(reply, 'guard')).startsWith('major-')
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

/** One updater: asks for every channel in turn until the changes are over, and then for each once more. */
async function update(run: Run, names: readonly string[], index: number, isOver: () => boolean): Promise<void> {
  const start = Math.floor((names.length * index) / UPDATERS)
  const inTurn = [...names.slice(start), ...names.slice(0, start)]
  let polls = 0
  let isLast: boolean
  do {
    isLast = isOver()
    for (const name of inTurn) {
      polls += 1
      await ask(run, name, polls % WEBAPI_EVERY === 0, null)
    }
  } while (!isLast)
}

/** Asks once, and has the answer judged; `revision` is the one that it must carry, where that is known. */
async function ask({ poll, check }: Run, channel: string, asProxy: boolean, revision: number | null): Promise<void> {
  const underWay = check.pollSent(channel)
  const path = asProxy ? `/v1/webapi/automaticupgrades/channel/${channel}/version` : `/v1/${channel}/version`
  const reply = await poll.get(path)
  const stamped = reply.headers['bellwether-revision']
  const isStampWrong = revision !== null && stamped !== String(revision)
  const answer = isStampWrong
    ? { strange: `revision ${String(stamped)}, not ${revision}` }
    : told(reply, channel, asProxy)
  check.pollAnswered(underWay, answer)
}

/** What an answer tells, by the contract of its path. */
function told({ status, body }: Reply, channel: string, asProxy: boolean): Told | { readonly strange: string } {
  if (status === 404 && body === 'unknown channel') return absent
  if (asProxy && status === 200 && body === 'none') return null
  if (!asProxy && status === 404 && body === `channel ${channel} has no target version`) return null
  const version = asProxy ? /^v(.+)$/.exec(body)?.[1] : body
  return status === 200 && version !== undefined && bare(version) === version
    ? version
    : { strange: `${status} ${body}` }
}

/** What a channel serves before the first change; a server may have it already. */
async function servedBefore(control: Client, name: string): Promise<Told> {
  const reply = await control.admin('GET', `/channels/${encodeURIComponent(name)}`)
  if (reply.status === 404) return absent
  if (reply.status !== 200) throw new Error(`channel ${name} cannot be read: ${reply.status} ${reply.body}`)
  const { version } = memberOf(reply, 'effective') as { version: string | null } // The API's own document.
  return version
}

/** A version as it is served; text that is none stays as it is, for the server to refuse. */
function bare(version: string): string {
  const parsed = parseVersion(version)
  return parsed.outcome === 'parsed' ? parsed.value : version
}

function memberOf(reply: Reply, member: string): unknown {
  return (JSON.parse(reply.body) as Record<string, unknown>)[member] // Every answer of a write is a JSON object.
}
