// What a rollback is decided from, read off what this replica knows: what its rollout has reached, where channels can go back
// to, and which rollbacks stand.
import { CHANNEL_KIND, channelOf } from '../channels/channel.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import type { StageFacts } from '../rollouts/conditions.ts'
import { heldElsewhere, isPinned } from '../rollouts/end-rollback.ts'
import { refuse, type RolloutRefusal, unknownPipeline } from '../rollouts/outcome.ts'
import { pipelineKey } from '../rollouts/pipeline.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { isToTakeBack, type RollbackFacts } from '../rollouts/rollback.ts'
import { channelsOf, ROLLOUT_KIND, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import type { Control } from './control.ts'
import { readerOf, type Reader, type Transaction } from './core/transaction.ts'
import { documentsNewestFirst, isRunning, rolloutDocuments } from './find-rollout.ts'
import { takenChannels } from './pipelines.ts'
import { channelsIn, earlyFacts, runningIn, releaseIn } from './rollout-facts.ts'

/** Whether a channel is pinned or halted by a rollback still. */
export function stands(reader: Reader, document: Document): boolean {
  const rollout = rolloutOf(document)
  const { rollback } = rollout
  if (rollback === null || !isPinned(rollout)) return false
  const names = rollback.channels.map(({ channel }) => channel)
  return [...channelsIn(reader, names).values()].some(({ pin, halt }) =>
    [pin, halt].some((set) => set?.at === rollback.at && set.by === rollback.by),
  )
}

/** Whether a release was told by a stage of its rollout, or is told by a channel of one that somebody has set by hand. */
export function hasReached(reader: Reader, rollout: Rollout, expiryTime: number): boolean {
  if (rollout.state === 'rolled back') return false
  return rollout.stages.some(({ moved }) => moved.length > 0) || isTold(reader, rollout, expiryTime)
}

export function isTold(reader: Reader, rollout: Rollout, expiryTime: number): boolean {
  const channels = channelsIn(reader, channelsOf(rollout)).values()
  return [...channels].some((channel) => isToTakeBack(channel, rollout.release, reader.isBlocked, expiryTime))
}

/** To take back the one before it instead would move a fleet that nobody has spoken of. */
export function untoldInWords(state: ReplicaState, { pipeline, release }: Rollout, expiryTime: number): string {
  const message = `no channel tells ${release} any more, the newest release that has reached one; name with \`release\` what to take back`
  const older = documentsNewestFirst(state, pipeline).map(rolloutOf)
  const told = older.find((rollout) => rollout.state !== 'rolled back' && isTold(readerOf(state), rollout, expiryTime))
  return told === undefined ? message : `${message}: ${told.release} is told by some`
}

/** Everything that a rollback is decided from. */
export function rollbackFacts(tx: Transaction, rollout: Rollout): RollbackFacts {
  const running = rolloutDocuments(tx, rollout.pipeline, isRunning)
  // Rollouts that have ended tell where channels came from, which does not change any more.
  const ended = rolloutDocuments(readerOf(tx.untracked), rollout.pipeline, (other) => !isRunning(other))
  const rollouts = [...running, ...ended].map(rolloutOf)
  return {
    rollout,
    release: releaseIn(tx, rollout),
    rollouts: rollouts.toSorted((a, b) => compareReleases(a.release, b.release)),
    channels: channelsIn(tx, channelsOf(rollout)),
    isBlocked: tx.isBlocked,
    isBad: (version) => standingOf(tx, version) === 'bad',
    isKnown: (version) => isKnown(tx, rollouts, version),
  }
}

/** Whether a version is no slip of the pen: channels tell it or did, or it is a release that nobody has taken back. */
function isKnown(tx: Transaction, rollouts: readonly Rollout[], version: string): boolean {
  if (standingOf(tx, version) === 'good') return true
  const before = rollouts.flatMap(({ stages }) => stages.flatMap(({ moved }) => moved.map((move) => move.before)))
  // A test for typing errors: that a channel stops telling it meanwhile makes it no error.
  return before.includes(version) || [...tx.untracked.documentsOf(CHANNEL_KIND)].some((one) => has(one, version))
}

/** Whether the channel tells a version, would without its pin or halt, or last did. */
function has(document: Document, version: string): boolean {
  const { source, pin, ramp, lastServed, lastServedBeside } = channelOf(document)
  return [source.version, pin?.version, ramp?.before.version, lastServed, lastServedBeside].includes(version)
}

/** What is thought of the release of a version; null where none is registered. */
function standingOf(reader: Reader, version: string): 'good' | 'bad' | null {
  const document = reader.get(releaseKey(version))
  if (document === undefined) return null
  const { bad, withdrawn } = releaseOf(document)
  return bad === null && withdrawn === null ? 'good' : 'bad'
}

/** The channels that a rollback which stands has pinned or halted. */
export function heldIn(rollout: Rollout): readonly string[] {
  return isPinned(rollout) ? (rollout.rollback?.channels.map(({ channel }) => channel) ?? []) : []
}

/** The same of other pipelines' rollbacks of this release, with words on each channel that is held by one still. */
export function heldInOthers(reader: Reader, { pipeline, release }: Rollout): ReturnType<typeof heldElsewhere> {
  const others = reader
    .find(ROLLOUT_KIND, (document) => {
      const other = rolloutOf(document)
      return other.release === release && other.pipeline !== pipeline
    })
    .map(rolloutOf)
  return heldElsewhere(others, channelsIn(reader, others.flatMap(heldIn)))
}

/** What a resume is decided from beside the channels. */
export function resumeFacts(control: Control, tx: Transaction, rollout: Rollout): StageFacts {
  const facts = earlyFacts(tx, rollout, tx.times)
  if (facts.release.minAgentVersion === null) return facts
  const { versions, unknown } = runningIn(control, tx, { names: heldIn(rollout), grace: rollout.rules.grace }, tx.times)
  return { ...facts, running: versions, unknown }
}

/** Why a rollout whose rollback stands must not move its channels again: others' rules are asked for them now; null for nothing. */
export function movedElsewhere(reader: Reader, rollout: Rollout): RolloutRefusal | null {
  const { pipeline } = rollout
  if (!isPinned(rollout)) return null
  if (reader.readable(pipelineKey(pipeline)) === undefined) return unknownPipeline(pipeline)
  const [taken] = takenChannels(reader, pipeline, channelsOf(rollout))
  if (taken === undefined) return null
  const [channel, where] = taken
  const message = `channel ${channel} ${where} now, past whose rules it would be moved; take it out of that one first, or end the rollback with unpin`
  return refuse('channel_in_pipeline', message)
}
