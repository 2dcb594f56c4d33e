// What operators do to rollouts: each is one commit of the rollout's document and of every channel that it moves.
import { channelBody, channelKey, channelNameOf, channelOf, type Channel } from '../channels/channel.ts'
import { cohortsAt, targetAt } from '../channels/target.ts'
import type { Times } from '../channels/time.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { isRolloutKey, ROLLOUT_KIND, rolloutBody, rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, JournalEntry, Write } from '../store/port.ts'
import { knownState, type Control, type Request, type Stale } from './control.ts'
import { bare } from './change-release.ts'
import { documentAfter, hasChanged, writeOf, type Decided, type Unfinished } from './decide.ts'
import { pipelineRecord, unknownPipeline } from './pipelines.ts'
import { rolloutRecord, type RolloutRecord } from './rollout-record.ts'
import { keyOf, rolloutDocuments } from './start-rollouts.ts'

/** What one channel's agents are told before and after; during a ramp, what those are told that it has reached. */
export interface ChannelMove {
  readonly channel: string
  readonly from: string | null
  readonly to: string | null
}

export type RolloutOutcome =
  | {
      readonly outcome: 'done'
      readonly document: Document
      readonly moves: readonly ChannelMove[]
      /** Channels that were left as they are, and why; empty in the answer to a retry. */
      readonly untouched: readonly { readonly channel: string; readonly why: string }[]
      /** Releases whose rollouts were overtaken. */
      readonly superseded: readonly string[]
      /** For a rollback alone: channels, of all, that tell agents the release after it still. */
      readonly servedBy?: readonly string[]
    }
  | RolloutRefusal
  | Stale
  | Unfinished

/** Which rollout of a pipeline a request is about; without a release the one that it can only be. */
export interface RolloutChoice {
  readonly pipeline: string
  readonly release: string | null
}

/** The rollouts of a pipeline, the newest release first. */
export function documentsNewestFirst(state: ReplicaState, pipeline: string): readonly Document[] {
  return rolloutDocuments(state, pipeline).toSorted((a, b) =>
    compareReleases(rolloutOf(b).release, rolloutOf(a).release),
  )
}

/** Finds the rollout that a request is about. `isMeant` says which could be, `newest` whether of several the newest is. */
export function chooseRollout(
  state: ReplicaState,
  { pipeline, release }: RolloutChoice,
  isMeant: (rollout: Rollout) => boolean,
  newest = false,
): Document | RolloutRefusal {
  if (release !== null) {
    const version = bare(release)
    const document = state.document(rolloutKey(pipeline, version))
    return document ?? refuse('unknown_rollout', `release ${version} has no rollout in the pipeline ${pipeline}`)
  }
  const all = documentsNewestFirst(state, pipeline)
  if (all.length === 0 && pipelineRecord(state, pipeline) === null) return unknownPipeline(pipeline)
  const first = all.find((document) => isMeant(rolloutOf(document)))
  if (first === undefined) {
    return refuse('unknown_rollout', `no rollout of the pipeline ${pipeline} is in a state for this; name a release`)
  }
  if (newest) return first
  const meant = all.filter((document) => isMeant(rolloutOf(document)))
  if (meant.length === 1) return first
  const names = meant.map((document) => rolloutOf(document).release).join(', ')
  return refuse('which_rollout', `name one of them with \`release\`: ${names}`)
}

/** What a plan writes: the rollout first, then whatever moves with it. */
export function planWrites(
  state: ReplicaState,
  rollout: Rollout,
  channels: readonly Channel[],
  others: readonly Rollout[] = [],
): readonly Write[] {
  return [
    ...[rollout, ...others].map((one) => writeOf(state, keyOf(one), rolloutBody(one))),
    ...channels.map((channel) => writeOf(state, channelKey(channel.name), channelBody(channel))),
  ]
}

/** The answer of a dry run: what would be written, as documents at their next revisions. */
export function wouldBe(
  control: Control,
  state: ReplicaState,
  rollout: Rollout,
  channels: readonly Channel[],
  untouched: Extract<RolloutOutcome, { outcome: 'done' }>['untouched'] = [],
  superseded: readonly Rollout[] = [],
): Answered {
  const key = keyOf(rollout)
  const known = state.document(key)
  const document = { key, revision: (known?.revision ?? 0) + 1, format: known?.format ?? 1, body: rolloutBody(rollout) }
  const moves = channels.map((channel) => {
    const before = state.document(channelKey(channel.name))
    return moveOf(control, channel.name, before === undefined ? null : channelOf(before), channel)
  })
  return answer({ outcome: 'done', document, moves, untouched, superseded: superseded.map(({ release }) => release) })
}

/** What an entry has done to a rollout and its channels; `untouched` is known only to who has just decided it. */
export function outcomeOf(
  control: Control,
  entry: JournalEntry,
  untouched: Extract<RolloutOutcome, { outcome: 'done' }>['untouched'] = [],
): RolloutOutcome {
  const rollouts = entry.changes.flatMap(({ key, after }) => (isRolloutKey(key) && after !== null ? after : []))
  const [document, ...others] = rollouts
  if (document === undefined) return { outcome: 'key-reused' }
  const moves = entry.changes.flatMap(({ key, before, after }) => {
    const name = channelNameOf(key)
    if (name === null || after === null) return []
    return moveOf(control, name, before === null ? null : channelOf(before), channelOf(after))
  })
  return { outcome: 'done', document, moves, untouched, superseded: others.map((other) => rolloutOf(other).release) }
}

/** Whether an entry is what a request for this rollout, and this stage where one is named, has made. */
export function isAbout(entry: JournalEntry, { pipeline, release }: RolloutChoice, stage: string | null): boolean {
  const key = entry.subjects.find(isRolloutKey)
  const document = key === undefined ? null : documentAfter(entry, key)
  if (key === undefined || document === null) return false
  const rollout = rolloutOf(document)
  if (rollout.pipeline !== pipeline || (release !== null && rollout.release !== bare(release))) return false
  const stageIn = (of: Document): unknown => rolloutOf(of).stages.find(({ name }) => name === stage)
  return stage === null || hasChanged(entry, key, stageIn)
}

type Answered = Extract<Decided<RolloutOutcome>, { outcome: 'answer' }>

export function answer(value: RolloutOutcome): Answered {
  return { outcome: 'answer', answer: value }
}

/** A rollout as it stands now; null where there is none. */
export async function readRollout(control: Control, pipeline: string, release: string): Promise<RolloutRecord | null> {
  const state = knownState(control)
  const document = state.document(rolloutKey(pipeline, bare(release)))
  return document === undefined ? null : rolloutRecord(control, state, document)
}

/** Who asks, in the words of the rules. */
export function ruleContext({ actor, reason }: Request, times: Times): RuleContext {
  return { ...times, actor, reason }
}

/** Every rollout that is under way, whatever its pipeline. */
export function runningRollouts(state: ReplicaState): readonly Document[] {
  return [...state.documentsOf(ROLLOUT_KIND)].filter((document) => rolloutOf(document).state === 'running')
}

function moveOf(control: Control, channel: string, before: Channel | null, after: Channel): ChannelMove {
  return { channel, from: before === null ? null : newestTold(control, before), to: newestTold(control, after) }
}

function newestTold(control: Control, channel: Channel): string | null {
  const { isBlocked } = knownState(control)
  const now = control.clock.expiryTime()
  return (cohortsAt(channel, isBlocked, now)?.early ?? targetAt(channel, isBlocked, now)).version
}
