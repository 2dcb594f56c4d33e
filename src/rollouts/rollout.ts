// What a rollout is: how far one release has come in one pipeline. Its document says what was done and is moved only
// together with the channels that it moves; what holds it back is not stored but judged anew every time (conditions.ts).
import { momentOf } from '../channels/time.ts'
import type { Document, JsonObject } from '../store/port.ts'
import type { PipelineRules, StageRules } from './pipeline.ts'

/** `superseded`: a newer release has overtaken it. Ended rollouts move nothing any more. */
export type RolloutState = 'running' | 'done' | 'superseded' | 'rolled back' | 'withdrawn'

export interface Approval {
  readonly by: string
  readonly at: string
  /** The edition of the release that was approved. */
  readonly edition: number
  /** Of the token, where that is not its name. */
  readonly person?: string
}

/** A channel that the stage has moved, and what its agents were told before; null where they were told nothing. */
export interface Moved {
  readonly channel: string
  readonly before: string | null
}

/** What an evaluation of a gate can come to; all but `passed` count as failures. */
export const GATE_VERDICTS = ['passed', 'failed', 'no data', 'error', 'timed out'] as const

export type GateVerdict = (typeof GATE_VERDICTS)[number]

/** What one evaluation of a gate has found. */
export interface GateReading {
  /** The worst of the query's series; null where there was no number. */
  readonly value: number | null
  readonly verdict: GateVerdict
  /** What was wrong, in words; null where the gate has passed. */
  readonly detail: string | null
}

export interface GateSample extends GateReading {
  readonly at: string
}

/** How far a stage has come. */
export interface StageProgress {
  readonly name: string
  readonly state: 'waiting' | 'promoting' | 'soaking' | 'done'
  /** The share of cohorts that are told the release: 0 while it waits, 100 once it soaks. */
  readonly percent: number
  readonly critical: boolean
  readonly startedAt: string | null
  /** When the step or the soaking under way began, or was taken up again after a pause. */
  readonly since: string | null
  readonly doneAt: string | null
  readonly approvals: readonly Approval[]
  readonly moved: readonly Moved[]
  /** What the gates had found when the rollout was last changed, by the gate's name, oldest first. */
  readonly gates: Readonly<Record<string, readonly GateSample[]>>
}

/** Why a rollout does not go on; `gate` names the one that has paused it. */
export interface Pause {
  readonly reason: string
  readonly by: string
  readonly at: string
  readonly gate: string | null
}

/** What a rollback has done to a channel: pinned it to `to`, or halted it (null), because nothing good was known. */
export interface RolledBackChannel {
  readonly channel: string
  readonly from: string
  readonly to: string | null
}

export interface RolledBack {
  readonly reason: string
  readonly by: string
  readonly at: string
  readonly channels: readonly RolledBackChannel[]
  readonly stateBefore: RolloutState
  /** When its pins were taken away, the channels staying where they were pinned to; null while they stand. */
  readonly unpinnedAt: string | null
}

export interface Rollout {
  readonly pipeline: string
  /** The version of the release. */
  readonly release: string
  readonly state: RolloutState
  readonly startedAt: string
  readonly startedBy: string
  readonly endedAt: string | null
  /** The pipeline's rules as they were at its revision when the rollout began, or was last re-based. */
  readonly rules: PipelineRules
  readonly pipelineRevision: number
  readonly paused: Pause | null
  readonly supersededBy: string | null
  readonly rollback: RolledBack | null
  /** One for each stage of the rules, in their order. */
  readonly stages: readonly StageProgress[]
}

/** The kind of document, as keys of the store begin. */
export const ROLLOUT_KIND = 'rollout'
const ROLLOUT_PREFIX = `${ROLLOUT_KIND}/`

export function rolloutKey(pipeline: string, release: string): string {
  return `${ROLLOUT_PREFIX}${pipeline}/${release}`
}

export function isRolloutKey(key: string): boolean {
  return key.startsWith(ROLLOUT_PREFIX)
}

/** Whether a key is that of a rollout of this pipeline. */
export function isRolloutOf(key: string, pipeline: string): boolean {
  return key.startsWith(`${ROLLOUT_PREFIX}${pipeline}/`)
}

export function rolloutOf(document: Document): Rollout {
  // The store has checked the body (control/check-document.ts) and marked it where it is no rollout.
  return document.body as unknown as Rollout
}

export function rolloutBody(rollout: Rollout): JsonObject {
  // A Rollout is made of strings, numbers, booleans, nulls, and lists and objects of them.
  return rollout as unknown as JsonObject
}

/** The index of the last stage that was promoted, -1 for none. */
export function frontierOf({ stages }: Rollout): number {
  return stages.findLastIndex(({ state }) => state !== 'waiting')
}

/** Every channel that the release can have reached: those of all stages, whoever has told them, and what was moved by older rules. */
export function channelsOf({ rules, stages }: Rollout): readonly string[] {
  const named = rules.stages.flatMap(({ channels }) => channels)
  const moved = stages.flatMap((stage) => stage.moved.map(({ channel }) => channel))
  return [...new Set([...named, ...moved])]
}

/** A stage's rules and progress. Throws a RangeError for an index beyond the stages: a fault of the caller. */
export function stageAt(
  rollout: Rollout,
  index: number,
): { readonly rules: StageRules; readonly progress: StageProgress } {
  const [rules, progress] = [rollout.rules.stages[index], rollout.stages[index]]
  if (rules === undefined || progress === undefined) throw new RangeError(`there is no stage ${index}`)
  return { rules, progress }
}

/** The rollout with one stage's progress replaced. */
export function withStage(rollout: Rollout, index: number, progress: Partial<StageProgress>): Rollout {
  return { ...rollout, stages: rollout.stages.map((stage, at) => (at === index ? { ...stage, ...progress } : stage)) }
}

/** The rollout with its step or soaking under way beginning now. */
export function restarted(rollout: Rollout, now: number): Rollout {
  const index = rollout.stages.findIndex(({ state }) => state === 'promoting' || state === 'soaking')
  return restartedAt(rollout, index, now)
}

/** The same where stage `index` is the one under way. */
export function restartedAt(rollout: Rollout, index: number, now: number): Rollout {
  const state = rollout.stages[index]?.state
  return state === 'promoting' || state === 'soaking' ? withStage(rollout, index, { since: momentOf(now) }) : rollout
}
