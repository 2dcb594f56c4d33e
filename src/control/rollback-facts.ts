// What a rollback is decided from, read off what this replica knows: what its rollout has reached, where channels can go back
// to, and which rollbacks stand.
import { CHANNEL_KIND, channelKey, channelOf } from '../channels/channel.ts'
import type { Times } from '../channels/time.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import type { StageFacts } from '../rollouts/conditions.ts'
import { heldElsewhere, isPinned } from '../rollouts/end-rollback.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { pipelineKey } from '../rollouts/pipeline.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { isToTakeBack, type RollbackFacts } from '../rollouts/rollback.ts'
import { channelsOf, ROLLOUT_KIND, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import type { Control } from './control.ts'
import { takenChannels, unknownPipeline } from './pipelines.ts'
import { channelsIn, earlyFacts, runningIn, releaseIn, type Running } from './rollout-facts.ts'
import { documentsNewestFirst } from './rollouts.ts'
import { rolloutDocuments } from './start-rollouts.ts'

/** Whether a channel is pinned or halted by a rollback still. */
export function stands(state: ReplicaState, document: Document): boolean {
  const rollout = rolloutOf(document)
  const { rollback } = rollout
  if (rollback === null || !isPinned(rollout)) return false
  const names = rollback.channels.map(({ channel }) => channel)
  return [...channelsIn(state, names).values()].some(({ pin, halt }) =>
    [pin, halt].some((set) => set?.at === rollback.at && set.by === rollback.by),
  )
}

/** Whether a release was told by a stage of its rollout, or is told by a channel of one that somebody has set by hand. */
export function hasReached(state: ReplicaState, rollout: Rollout, expiryTime: number): boolean {
  if (rollout.state === 'rolled back') return false
  return rollout.stages.some(({ moved }) => moved.length > 0) || isTold(state, rollout, expiryTime)
}

export function isTold(state: ReplicaState, rollout: Rollout, expiryTime: number): boolean {
  const channels = channelsIn(state, channelsOf(rollout)).values()
  return [...channels].some((channel) => isToTakeBack(channel, rollout.release, state.isBlocked, expiryTime))
}

/** To take back the one before it instead would move a fleet that nobody has spoken of. */
export function untoldInWords(state: ReplicaState, pipeline: string, { release }: Rollout, expiryTime: number): string {
  const message = `no channel tells ${release} any more, the newest release that has reached one; name with \`release\` what to take back`
  const older = documentsNewestFirst(state, pipeline).map(rolloutOf)
  const told = older.find((rollout) => rollout.state !== 'rolled back' && isTold(state, rollout, expiryTime))
  return told === undefined ? message : `${message}: ${told.release} is told by some`
}

/** Everything that a rollback is decided from. */
export function rollbackFacts(state: ReplicaState, rollout: Rollout): RollbackFacts {
  const rollouts = rolloutDocuments(state, rollout.pipeline).map(rolloutOf)
  return {
    rollout,
    release: releaseIn(state, rollout),
    rollouts: rollouts.toSorted((a, b) => compareReleases(a.release, b.release)),
    channels: channelsIn(state, channelsOf(rollout)),
    isBlocked: state.isBlocked,
    isBad: (version) => standingOf(state, version) === 'bad',
    isKnown: (version) => isKnown(state, rollouts, version),
  }
}

/** Whether a version is no slip of the pen: channels tell it or did, or it is a release that nobody has taken back. */
function isKnown(state: ReplicaState, rollouts: readonly Rollout[], version: string): boolean {
  if (standingOf(state, version) === 'good') return true
  const before = rollouts.flatMap(({ stages }) => stages.flatMap(({ moved }) => moved.map((move) => move.before)))
  return before.includes(version) || [...state.documentsOf(CHANNEL_KIND)].some((document) => has(document, version))
}

/** Whether the channel tells a version, would without its pin or halt, or last did. */
function has(document: Document, version: string): boolean {
  const { source, pin, ramp, lastServed, lastServedBeside } = channelOf(document)
  return [source.version, pin?.version, ramp?.before.version, lastServed, lastServedBeside].includes(version)
}

/** What is thought of the release of a version; null where none is registered. */
function standingOf(state: ReplicaState, version: string): 'good' | 'bad' | null {
  const document = state.document(releaseKey(version))
  if (document === undefined) return null
  const { bad, withdrawn } = releaseOf(document)
  return bad === null && withdrawn === null ? 'good' : 'bad'
}

/** The channels that a rollback which stands has pinned or halted. */
export function heldIn(rollout: Rollout): readonly string[] {
  return isPinned(rollout) ? (rollout.rollback?.channels.map(({ channel }) => channel) ?? []) : []
}

/** The same of other pipelines' rollbacks of this release, with words on each channel that is held by one still. */
export function heldInOthers(state: ReplicaState, { pipeline, release }: Rollout): ReturnType<typeof heldElsewhere> {
  const others = [...state.documentsOf(ROLLOUT_KIND)]
    .map(rolloutOf)
    .filter((other) => other.release === release && other.pipeline !== pipeline)
  return heldElsewhere(others, channelsIn(state, others.flatMap(heldIn)))
}

/** What agents of the channels that a rollback holds may run; null where the release works with every agent. */
export function runningHeld(control: Control, state: ReplicaState, rollout: Rollout): Running | null {
  if (releaseIn(state, rollout).minAgentVersion === null) return null
  return runningIn(control, state, heldIn(rollout), rollout.rules.grace)
}

/** What a resume is decided from beside the channels; null where `running` is not of what is there now. */
export function resumeFacts(
  state: ReplicaState,
  rollout: Rollout,
  running: Running | null,
  times: Times,
): StageFacts | null {
  const facts = earlyFacts(state, rollout, times)
  if (facts.release.minAgentVersion === null) return facts
  // The release may have got its lowest version since.
  if (running === null) return null
  const isRead = (name: string): boolean =>
    running.documents.has(name) && running.documents.get(name) === state.document(channelKey(name))
  if (!heldIn(rollout).every(isRead)) return null
  return { ...facts, running: running.versions, unknown: running.unknown }
}

/** Why a rollout whose rollback stands must not move its channels again: others' rules are asked for them now; null for nothing. */
export function movedElsewhere(state: ReplicaState, rollout: Rollout): RolloutRefusal | null {
  const { pipeline } = rollout
  if (!isPinned(rollout)) return null
  if (state.document(pipelineKey(pipeline)) === undefined) return unknownPipeline(pipeline)
  const [taken] = takenChannels(state, pipeline, channelsOf(rollout))
  if (taken === undefined) return null
  const [channel, other] = taken
  const message = `channel ${channel} is in the pipeline ${other} now, past whose rules it would be moved; take it out of that one first, or end the rollback with unpin`
  return refuse('channel_in_pipeline', message)
}
