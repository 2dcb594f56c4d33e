// What a decision about a stage is made from, read off what this replica knows: the release, the channels, and which
// versions their agents may still run.
import { channelKey, channelOf, type Channel } from '../channels/channel.ts'
import { versionsInUse } from '../channels/history.ts'
import { momentOf, parseDuration, type Times } from '../channels/time.ts'
import type { StageFacts } from '../rollouts/conditions.ts'
import { releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import { ROLLOUT_KIND, rolloutOf, stageAt, type Rollout, type StageProgress } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import type { Document, Expectation } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import type { Control } from './control.ts'
import { readOf } from './decide.ts'
import { embargoesOf, embargoRead } from './embargoes.ts'
import { takenChannels, takenRead } from './pipelines.ts'
import { restoreInBackground } from './restore-history.ts'
import { servedSince } from './served-since.ts'

/** What agents of some channels may run, for exactly these documents. */
export interface Running {
  readonly documents: ReadonlyMap<string, Document | undefined>
  readonly versions: ReadonlyMap<string, readonly string[]>
  /** The moment before which nobody knows any more what a channel has served within the grace period, by channel. */
  readonly unknown: ReadonlyMap<string, string>
}

/** What agents of these channels may still run: every version served within `grace` (ISO 8601) before now. */
export function runningIn(control: Control, state: ReplicaState, names: readonly string[], grace: string): Running {
  const duration = parseDuration(grace)
  const graceMs = duration.outcome === 'parsed' ? duration.value : 0
  state.history.ask(graceMs)
  const documents = new Map(names.map((name) => [name, state.document(channelKey(name))]))
  const versions = new Map<string, readonly string[]>()
  const unknown = new Map<string, string>()
  const times = timesOf(control.clock)
  const { now } = times
  for (const [name, document] of documents) {
    if (document === undefined) continue
    const { spans, unknownBefore } = servedSince(state, document, now - graceMs, times)
    if (unknownBefore !== null) unknown.set(name, momentOf(unknownBefore))
    versions.set(name, versionsInUse(spans, graceMs, now))
  }
  if (unknown.size > 0) restoreInBackground(control)
  return { documents, versions, unknown }
}

/** What is to be decided: whether somebody promotes the stage, be it once more, or what it comes to by itself. */
export type Purpose = 'promote' | 'go on'

/** The same for a stage; nothing is asked where the release works with every agent. */
export function runningOf(
  control: Control,
  state: ReplicaState,
  rollout: Rollout,
  index: number,
  purpose: Purpose,
): Running {
  const document = state.document(releaseKey(rollout.release))
  const lowest = document === undefined ? null : releaseOf(document).minAgentVersion
  const { rules, progress } = stageAt(rollout, index)
  const names = lowest === null || !tellsMore(progress, purpose) ? [] : rules.channels
  return runningIn(control, state, names, rollout.rules.grace)
}

/** Everything that a decision about stage `index` is made from; null where what was read before is not what is there now. */
export function stageFacts(
  state: ReplicaState,
  rollout: Rollout,
  index: number,
  running: Running,
  purpose: Purpose,
  { now, expiryTime }: Times,
): StageFacts | null {
  for (const [name, document] of running.documents) if (state.document(channelKey(name)) !== document) return null
  const release = releaseIn(state, rollout)
  const { rules, progress } = stageAt(rollout, index)
  const channels = channelsIn(state, rules.channels)
  // The release may have got its lowest version since.
  const isAsked = release.minAgentVersion !== null && tellsMore(progress, purpose)
  if (isAsked && [...channels.keys()].some((name) => !running.versions.has(name))) return null
  return {
    rollout,
    release,
    channels,
    isBlocked: state.isBlocked,
    running: running.versions,
    unknown: running.unknown,
    embargoes: embargoesOf(state),
    taken: takenChannels(state, rollout.pipeline, rules.channels),
    isUnderWay: isUnderWayIn(state),
    now,
    expiryTime,
  }
}

/** Whether that tells more agents: the end of a soaking asks nothing of what they run. */
function tellsMore({ state }: StageProgress, purpose: Purpose): boolean {
  return purpose === 'promote' || state !== 'soaking'
}

function isUnderWayIn(state: ReplicaState): StageFacts['isUnderWay'] {
  return (seed) => {
    const document = state.document(`${ROLLOUT_KIND}/${seed}`)
    return document !== undefined && rolloutOf(document).state === 'running'
  }
}

/** The facts but for channels and journal: enough to know that a stage waits for something else. */
export function earlyFacts(state: ReplicaState, rollout: Rollout, { now, expiryTime }: Times): StageFacts {
  const release = releaseIn(state, rollout)
  const [channels, running] = [new Map<string, Channel>(), new Map<string, readonly string[]>()]
  const { isBlocked } = state
  const [unknown, taken] = [new Map<string, string>(), new Map<string, string>()]
  const isUnderWay = isUnderWayIn(state)
  const embargoes = embargoesOf(state)
  return { rollout, release, channels, isBlocked, running, unknown, embargoes, taken, isUnderWay, now, expiryTime }
}

/** The release of a rollout. Releases are never deleted. */
export function releaseIn(state: ReplicaState, { release }: Rollout): Release {
  const document = state.document(releaseKey(release))
  if (document === undefined) throw new Error(`the release ${release} of a rollout is not registered`)
  return releaseOf(document)
}

/** The channels of these names that exist. */
export function channelsIn(state: ReplicaState, names: readonly string[]): ReadonlyMap<string, Channel> {
  return new Map(
    names.flatMap((name) => {
      const document = state.document(channelKey(name))
      return document === undefined ? [] : [[name, channelOf(document)] as const]
    }),
  )
}

/**
 * What a decision was made from beside what it writes: every channel of the stage, the release, which embargoes there
 * are, and the block list. If any of it has changed when the decision is committed, it is made anew.
 */
export function factReads(
  state: ReplicaState,
  facts: StageFacts,
  index: number,
  written: readonly Channel[],
): readonly Expectation[] {
  const { rules } = stageAt(facts.rollout, index)
  return [
    readOf(state, releaseKey(facts.release.version)),
    embargoRead(state),
    takenRead(state),
    ...rules.channels.map((name) => readOf(state, channelKey(name))),
    ...written.flatMap((channel) => blockListReads(state, channel)),
  ]
}
