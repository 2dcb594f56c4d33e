// Pipelines and rollouts as a token limited to channels may see them: the stages of its own channels, and of those stages its own
// channels. What holds a stage back is told by an allow-list, too.
import type { Blocker, BlockerCode } from '../rollouts/outcome.ts'
import type { Pipeline, StageRules } from '../rollouts/pipeline.ts'
import { stageAt, type Rollout, type StageProgress } from '../rollouts/rollout.ts'
import { covers, coversAll, type Identity } from './identity.ts'
import type { RolloutRecord, StageRecord } from './rollout-record.ts'

/** What stands in the place of a text that the caller may not see. */
export const HIDDEN = '(hidden)'

/** Blockers whose words are about the rollout or the stage itself. */
const OF_STAGE: ReadonlySet<BlockerCode> = new Set(['ended', 'paused', 'approvals', 'window', 'gates', 'time'])

/** Blockers that name channels of the stage. */
const OF_CHANNELS: ReadonlySet<BlockerCode> = new Set(['promoted', 'channels', 'guard', 'ramp'])

const BEFORE: Blocker = { code: 'stage-before', message: 'a stage before it is not done' }

const OUTSIDE = { code: 'out_of_scope', message: 'something outside the scope of the token holds it back' } as const

/** A stage as a limited token reads it. */
export interface ScopedStage extends Omit<StageRecord, 'blockers'> {
  readonly blockers: readonly (Blocker | typeof OUTSIDE)[]
}

/** A rollout and how its stages stand, as far as the caller may see them. */
export interface ScopedRollout extends Pick<RolloutRecord, 'rollout' | 'revision'> {
  readonly stages: readonly ScopedStage[]
}

/** The pipeline with those of its stages that move channels of the caller; null where none does. */
export function pipelineFor(identity: Identity, pipeline: Pipeline): Pipeline | null {
  if (coversAll(identity)) return pipeline
  const stages = pipeline.stages.map((rules) => rulesFor(identity, rules)).filter(({ channels }) => channels.length > 0)
  return stages.length === 0 ? null : { ...pipeline, stages }
}

/** The rollout with those of its stages that move channels of the caller, or have moved them; null where none does. */
export function rolloutFor(identity: Identity, rollout: Rollout): Rollout | null {
  if (coversAll(identity)) return rollout
  const indexes = stagesFor(identity, rollout)
  if (indexes.length === 0) return null
  const stages = indexes.map((index) => stageAt(rollout, index))
  const { paused, rollback } = rollout
  const isForeign = paused !== null && paused.gate !== null && !stages.some(({ rules }) => hasGate(rules, paused.gate))
  return {
    ...rollout,
    rules: { ...rollout.rules, stages: stages.map(({ rules }) => rulesFor(identity, rules)) },
    // What the gate of another stage has found is not for this caller.
    paused: isForeign ? { ...paused, reason: HIDDEN, gate: null } : paused,
    rollback: rollback && { ...rollback, channels: ownOf(identity, rollback.channels) },
    stages: stages.map(({ progress }): StageProgress => ({ ...progress, moved: ownOf(identity, progress.moved) })),
  }
}

/** The same of a rollout with how its stages stand. */
export function rolloutRecordFor(identity: Identity, record: RolloutRecord): ScopedRollout | null {
  if (coversAll(identity)) return record
  const rollout = rolloutFor(identity, record.rollout)
  if (rollout === null) return null
  const stages = stagesFor(identity, record.rollout).flatMap((index): readonly ScopedStage[] => {
    const stage = record.stages[index]
    if (stage === undefined) return []
    const { rules } = stageAt(record.rollout, index)
    const isWhole = rules.channels.every((channel) => covers(identity, channel))
    const blockers = blockersFor(stage.blockers, isWhole, rollout.paused?.reason === HIDDEN)
    return [{ ...stage, blockers, leftBehind: ownOf(identity, stage.leftBehind) }]
  })
  return { rollout, revision: record.revision, stages }
}

function blockersFor(blockers: readonly Blocker[], isWhole: boolean, hidesPause: boolean): ScopedStage['blockers'] {
  const shown = blockers.flatMap((blocker) => {
    const { code } = blocker
    if (code === 'stage-before') return [BEFORE]
    if (code === 'paused' && hidesPause) return []
    return OF_STAGE.has(code) || (isWhole && OF_CHANNELS.has(code)) ? [blocker] : []
  })
  return shown.length === blockers.length ? shown : [...shown, OUTSIDE]
}

/** The indexes of the stages that a caller may see. */
function stagesFor(identity: Identity, rollout: Rollout): readonly number[] {
  const isOwn = ({ channels }: StageRules, { moved }: StageProgress): boolean =>
    [...channels, ...moved.map(({ channel }) => channel)].some((channel) => covers(identity, channel))
  return [...rollout.stages.keys()].filter((index) => {
    const { rules, progress } = stageAt(rollout, index)
    return isOwn(rules, progress)
  })
}

function rulesFor(identity: Identity, rules: StageRules): StageRules {
  return { ...rules, channels: rules.channels.filter((channel) => covers(identity, channel)) }
}

function ownOf<T extends { readonly channel: string }>(identity: Identity, items: readonly T[]): readonly T[] {
  return items.filter(({ channel }) => covers(identity, channel))
}

function hasGate({ gates }: StageRules, gate: string | null): boolean {
  return gates.some(({ name }) => name === gate)
}
