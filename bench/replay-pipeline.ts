// Plays the recorded promotions of a product line through pipelines of a running server, while updaters poll every
// channel; after every recorded moment each channel must be exactly where the record says.
import { createHash } from 'node:crypto'
import type { Client, Reply } from './client.ts'
import { journalFaults, newestSeq, readJournal, type Acknowledged } from './journal.ts'
import { promotionFaults, rolloutStates, type ByHand, type Promoted } from './pipeline-journal.ts'
import { absent, ReplayCheck, type Told } from './replay-check.ts'
import type { HistoryStep } from './replay-history.ts'
import { channelOf, planPipelines, STAGES, type Moment, type Plan, type PlannedStep } from './replay-plan.ts'
import { ask, memberOf, servedBefore, whileUpdatersPoll } from './replay-polls.ts'

/** Faults are described up to this number; the count goes on. */
const DESCRIBED_MAX = 20

export interface PipelineReport {
  readonly pipelines: number
  readonly channels: number
  readonly releases: number
  /** Rollouts begun by hand: those of releases that were registered before their pipeline was made. */
  readonly begun: number
  readonly promotions: Readonly<Record<string, number>>
  readonly created: number
  /** Of these, those at a version that no pipeline could have brought there. */
  readonly createdByHand: number
  /** Moves that no pipeline could make, in words. */
  readonly byHand: readonly string[]
  /** Texts that the server refused, as they are no versions. */
  readonly refused: readonly string[]
  readonly moments: number
  /** So many times a channel was asked at the end of a moment, and so many times it was not as recorded. */
  readonly checked: number
  readonly astray: number
  readonly polls: number
  readonly wrong: number
  /** Everything that is wrong, in words, the first of each kind. */
  readonly faults: readonly string[]
  readonly rollouts: ReadonlyMap<string, number>
  readonly seconds: number
}

interface Run {
  readonly control: Client
  readonly poll: Client
  readonly check: ReplayCheck
  /** What each channel must tell now. */
  readonly recorded: Map<string, Told>
  readonly acknowledged: Map<string, Acknowledged[]>
  readonly promoted: Map<string, Promoted[]>
  /** Versions set without a pipeline, a channel's creation included. */
  readonly setByHand: ByHand[]
  /** Rollouts that there are, as `pipeline/release`. */
  readonly rollouts: Set<string>
  readonly releases: Set<string>
  readonly byHand: string[]
  readonly refused: string[]
  readonly faults: string[]
  readonly counts: { begun: number; created: number; createdByHand: number; checked: number; astray: number }
}

/** Plays every step; rejects where the server cannot be reached, or knows one of the channels already. */
export async function replayPipelines(
  control: Client,
  poll: Client,
  steps: readonly HistoryStep[],
): Promise<PipelineReport> {
  const plan = planPipelines(steps)
  const run = begin(control, poll, plan)
  for (const channel of plan.channels) {
    const before = await servedBefore(control, channel)
    if (before !== absent) throw new Error(`there is a channel ${channel} already; take a server without it`)
    run.check.begin(channel, absent)
  }
  const seqBefore = await newestSeq(control)
  const startedMs = performance.now()
  await whileUpdatersPoll(run, plan.channels, play(run, plan))
  const seconds = (performance.now() - startedMs) / 1_000
  const entries = await readJournal(control, seqBefore)
  const { check, counts, promoted, faults } = run
  const all = [...promoted.values()].flat()
  return {
    pipelines: plan.pipelines.length,
    channels: plan.channels.length,
    releases: run.releases.size,
    begun: counts.begun,
    promotions: Object.fromEntries(STAGES.map((name) => [name, all.filter(({ stage }) => stage === name).length])),
    created: counts.created,
    createdByHand: counts.createdByHand,
    byHand: run.byHand,
    refused: run.refused,
    moments: plan.moments.length,
    checked: counts.checked,
    astray: counts.astray,
    polls: check.polls,
    wrong: check.wrong,
    faults: [
      ...faults,
      ...check.descriptions,
      ...journalFaults(entries, seqBefore, run.acknowledged),
      ...promotionFaults(entries, { promoted, byHand: run.setByHand }),
    ],
    rollouts: rolloutStates(entries),
    seconds,
  }
}

function begin(control: Client, poll: Client, { channels, pipelines }: Plan): Run {
  return {
    ...{ control, poll, check: new ReplayCheck() },
    recorded: new Map(channels.map((channel) => [channel, absent])),
    acknowledged: new Map(channels.map((channel) => [channel, []])),
    promoted: new Map(pipelines.map((pipeline) => [pipeline, []])),
    ...{ setByHand: [], rollouts: new Set(), releases: new Set(), byHand: [], refused: [], faults: [] },
    counts: { begun: 0, created: 0, createdByHand: 0, checked: 0, astray: 0 },
  }
}

async function play(run: Run, plan: Plan): Promise<void> {
  const made = new Set<string>()
  for (const moment of plan.moments) {
    for (const pipeline of moment.pipelines.keys()) {
      if (!made.has(pipeline)) await makePipeline(run, pipeline)
      made.add(pipeline)
    }
    await register(run, moment)
    // Pipelines are worked on at the same time, as different people do.
    await Promise.all([...moment.pipelines.values()].map((steps) => playSteps(run, steps)))
    await checkState(run, moment.at)
  }
}

async function makePipeline({ control }: Run, pipeline: string): Promise<void> {
  const stages = STAGES.map((name) => ({ name, channels: [channelOf(pipeline, name)], soakMinutes: 0 }))
  const body = { versions: null, requirePackages: false, stages }
  expect(await control.admin('PUT', `/pipelines/${pipeline}`, body), 200, `pipeline ${pipeline}`)
}

/** Registers what the moment brings that is new; it gets a rollout in every pipeline that there is. */
async function register({ control, releases, rollouts }: Run, { at, pipelines }: Moment): Promise<void> {
  for (const { stage, version, byHand } of [...pipelines.values()].flat()) {
    if (stage !== STAGES[0] || byHand !== null || version === null || releases.has(version)) continue
    const commit = createHash('sha1').update(version).digest('hex')
    const reply = await control.admin('POST', '/releases', { version, commit, cutAt: at, kind: 'full' })
    expect(reply, 201, `release ${version}`)
    releases.add(version)
    // The API's own document.
    for (const { pipeline } of memberOf(reply, 'rollouts') as { pipeline: string }[]) {
      rollouts.add(`${pipeline}/${version}`)
    }
  }
}

async function playSteps(run: Run, steps: readonly PlannedStep[]): Promise<void> {
  for (const step of steps) {
    const isNew = run.acknowledged.get(step.channel)?.length === 0
    if (isNew) await setByHand(run, step, true)
    if (step.byHand !== null) {
      if (!isNew) await setByHand(run, step, false)
    } else if (!(await promote(run, step))) {
      // The record is followed all the same, so that one fault is not many.
      await setByHand(run, step, false)
    }
  }
}

/** Creates the channel with the version, or sets it there. */
async function setByHand(run: Run, { at, channel, version, byHand }: PlannedStep, creates: boolean): Promise<void> {
  const { control, check, recorded, refused } = run
  const reason = `as it was on ${at}`
  const underWay = check.changeSent(channel, version)
  const path = `/channels/${encodeURIComponent(channel)}/version`
  let reply = creates
    ? await control.admin('POST', '/channels', {
        name: channel,
        source: { kind: 'static', version },
        reason,
        allowBuildMetadata: true,
      })
    : await control.admin('PUT', path, { version, reason })
  // What the record has was meant.
  if (reply.status === 422 && memberOf(reply, 'guard') === 'downgrade')
    reply = await control.admin('PUT', path, { version, reason, force: true })
  if (reply.status === 422 && memberOf(reply, 'guard') === 'not-a-version') {
    check.changeRefused(underWay)
    refused.push(`${at} ${channel} ${version}: ${String(memberOf(reply, 'detail'))}`)
    return
  }
  expect(reply, creates ? 201 : 200, `${channel} to ${version}`)
  check.changeAcknowledged(underWay)
  recorded.set(channel, version)
  run.setByHand.push({ channel, version })
  if (creates) {
    run.counts.created += 1
    if (byHand !== null) run.counts.createdByHand += 1
  } else run.byHand.push(`${at} ${channel} ${version} ${byHand ?? 'although the pipeline should'}`)
  await askAfter(run, channel, version)
}

/** Promotes the stage; false where the server holds it back, which is a fault. */
async function promote(run: Run, { at, pipeline, stage, channel, version }: PlannedStep): Promise<boolean> {
  const { control, check, recorded, promoted, faults, rollouts, counts } = run
  const reason = `as it was on ${at}`
  if (version === null) return false
  if (!rollouts.has(`${pipeline}/${version}`)) {
    const begun = await control.admin('POST', `/rollouts/${pipeline}`, { release: version, reason })
    expect(begun, 201, `the rollout of ${version} in ${pipeline}`)
    rollouts.add(`${pipeline}/${version}`)
    counts.begun += 1
  }
  const underWay = check.changeSent(channel, version)
  const reply = await control.admin('POST', `/rollouts/${pipeline}/promote`, { release: version, stage, reason })
  if (reply.status !== 200) {
    check.changeRefused(underWay)
    faults.push(`${at} ${channel} ${version}: ${reply.status} ${String(memberOf(reply, 'detail'))}`)
    return false
  }
  check.changeAcknowledged(underWay)
  recorded.set(channel, version)
  promoted.get(pipeline)?.push({ stage, release: version })
  await askAfter(run, channel, version)
  return true
}

/** Notes an acknowledged change of a channel that nobody else changes, and asks for it: it must have the next revision. */
async function askAfter(run: Run, channel: string, version: string | null): Promise<void> {
  const acknowledged = run.acknowledged.get(channel) ?? []
  const revision = acknowledged.length + 1
  acknowledged.push({ revision, version })
  await ask(run, channel, false, revision)
}

/** Every channel is where the record says, each of them. */
async function checkState(run: Run, at: string): Promise<void> {
  const { recorded, counts, faults } = run
  await Promise.all(
    [...recorded].map(async ([channel, expected]) => {
      const told = await ask(run, channel, false, null)
      counts.checked += 1
      if (told === expected) return
      counts.astray += 1
      if (counts.astray <= DESCRIBED_MAX) {
        faults.push(`${at} ${channel} told ${show(told)} at the end, not ${show(expected)}`)
      }
    }),
  )
}

function show(told: Told | { readonly strange: string }): string {
  if (told === absent) return 'an unknown channel'
  return typeof told === 'object' && told !== null ? told.strange : String(told)
}

function expect(reply: Reply, status: number, what: string): void {
  if (reply.status !== status) throw new Error(`${what} was answered ${reply.status} ${reply.body}`)
}
