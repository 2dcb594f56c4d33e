// What operators do to a rollout beside promoting and rolling it back: begin, approve, pause, resume, and take new rules.
import { malformed } from '../channels/outcome.ts'
import { momentOf } from '../channels/time.ts'
import { compareReleases, releaseOrder } from './cloud-version.ts'
import { refuse, type RolloutRefusal } from './outcome.ts'
import type { Pipeline, PipelineRules, StageRules } from './pipeline.ts'
import { supersede } from './promotion.ts'
import { loweringRefusal } from './lowered-rules.ts'
import { authorOf, barredFromApproving, signatureOf, signerOf, type People } from './people.ts'
import { personOf, type Release } from './release.ts'
import { endedRelease, type PeopleContext, type RuleContext } from './release-draft.ts'
import { PIPELINE_CHANNELS_MAX } from './pipeline-draft.ts'
import {
  channelsOf,
  frontierOf,
  restarted,
  stageAt,
  withStage,
  type Approval,
  type Rollout,
  type StageProgress,
} from './rollout.ts'

type Drafted = { readonly outcome: 'drafted'; readonly rollout: Rollout } | RolloutRefusal

/** A stage is approved by so many people at most: far more than any rule asks for. */
const APPROVALS_MAX = 50

/**
 * A rollout at its beginning. Where a newer release is on its way through the pipeline already, it is over at once:
 * stages never go backwards.
 */
export function startRollout(
  { pipeline, revision }: { readonly pipeline: Pipeline; readonly revision: number },
  release: Release,
  others: readonly Rollout[],
  { now, actor }: RuleContext,
): Rollout {
  const rules = rulesOf(pipeline)
  const rollout: Rollout = {
    pipeline: pipeline.name,
    release: release.version,
    state: 'running',
    startedAt: momentOf(now),
    startedBy: actor,
    endedAt: null,
    rules,
    pipelineRevision: revision,
    paused: null,
    supersededBy: null,
    rollback: null,
    stages: rules.stages.map(waiting),
  }
  const newest = others
    .filter(({ state }) => state === 'running' || state === 'done')
    .filter((other) => frontierOf(other) >= 0 && releaseOrder(other.release, release.version) === 'newer')
    .toSorted((a, b) => compareReleases(a.release, b.release))
    .at(-1)
  return newest === undefined ? rollout : supersede(rollout, newest.release, now)
}

/** A rollout that was superseded, from the beginning: what it had moved is kept, and who was for it where its rules are the same. */
export function startAgain(fresh: Rollout, before: Rollout): Rollout {
  const stages = fresh.stages.map((stage, index) => {
    const known = before.stages.find(({ name }) => name === stage.name)
    const { rules } = stageAt(fresh, index)
    return known === undefined ? stage : { ...stage, moved: known.moved, approvals: approvalsUnder(before, rules) }
  })
  return { ...fresh, stages }
}

/** The part of a pipeline that a rollout goes by. */
export function rulesOf({ grace, requirePackages, stages }: Pipeline): PipelineRules {
  return { grace, requirePackages, stages }
}

function waiting({ name }: StageRules): StageProgress {
  return {
    name,
    state: 'waiting',
    percent: 0,
    critical: false,
    startedAt: null,
    since: null,
    doneAt: null,
    approvals: [],
    moved: [],
    gates: {},
  }
}

/** The index of the stage of this name. */
export function stageIndex(rollout: Rollout, name: string): number | RolloutRefusal {
  const index = rollout.stages.findIndex((stage) => stage.name === name)
  if (index !== -1) return index
  const names = rollout.stages.map((stage) => stage.name).join(', ')
  return refuse('unknown_stage', `the rollout has no stage ${name}; its stages are ${names}`)
}

/**
 * One more person is for it, in the edition that they have looked at where they name it. Whoever has said so before is not
 * counted twice.
 */
export function approveStage(
  rollout: Rollout,
  release: Release,
  { index, looked }: { readonly index: number; readonly looked: number | null },
  context: PeopleContext,
): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const ended = overRefusal(rollout)
  if (ended !== null) return ended
  const { people } = context
  const person = authorOf(context)
  if (barredFromApproving(release, people).has(person)) {
    const isCutter = [release.cutBy, release.registeredBy].some((actor) => personOf(actor) === person)
    const has = isCutter ? 'has cut' : 'has written some of'
    return refuse('not_approver', `${person} ${has} ${release.version}; somebody else must approve it`)
  }
  const { progress } = stageAt(rollout, index)
  const { edition, version } = release
  if (looked !== null && looked !== edition) {
    return refuse('other_edition', `${version} is in edition ${edition} now, not in ${looked}; look at it again`)
  }
  const earlier = progress.approvals.find((approval) => signerOf(approval, people) === person)
  if (earlier?.edition === edition) return { outcome: 'drafted', rollout }
  const others = progress.approvals.filter((approval) => approval !== earlier)
  const approvals = [...others, { ...signatureOf(context), at: momentOf(context.now), edition }].slice(-APPROVALS_MAX)
  return { outcome: 'drafted', rollout: withStage(rollout, index, { approvals }) }
}

export function pauseRollout(rollout: Rollout, { now, actor, reason }: RuleContext): Drafted {
  const ended = overRefusal(rollout)
  if (ended !== null) return ended
  const why = reason?.trim() ?? ''
  if (why === '') return malformed('reason', 'is missing; say why the rollout must wait')
  if (rollout.paused?.reason === why && rollout.paused.gate === null) return { outcome: 'drafted', rollout }
  return {
    outcome: 'drafted',
    rollout: { ...rollout, paused: { reason: why, by: actor, at: momentOf(now), gate: null } },
  }
}

/** Goes on: the step or the soaking under way begins anew, since what the gates found before the pause says nothing of now. */
export function resumeRollout(rollout: Rollout, { now, reason }: RuleContext): Drafted {
  if ((reason?.trim() ?? '') === '') return malformed('reason', 'is missing; say why the rollout may go on')
  if (rollout.paused === null) return refuse('not_paused', `the rollout of ${rollout.release} is not paused`)
  return { outcome: 'drafted', rollout: restarted({ ...rollout, paused: null }, now) }
}

/**
 * Takes the rules that the pipeline has now. What was promoted must still be there, at the same places, and rules that ask fewer
 * people need the approvals of those that the rollout has.
 */
export function rebaseRollout(
  rollout: Rollout,
  { pipeline, revision: pipelineRevision }: { readonly pipeline: Pipeline; readonly revision: number },
  approved: { readonly release: Release; readonly people: People },
  now: number,
): Drafted {
  const ended = overRefusal(rollout)
  if (ended !== null) return ended
  const rules = rulesOf(pipeline)
  const reached = rollout.stages.slice(0, frontierOf(rollout) + 1)
  for (const [index, stage] of reached.entries()) {
    if (rules.stages[index]?.name !== stage.name) {
      const message = `stage ${stage.name} was promoted, but is not stage ${index + 1} of the pipeline any more; no stage is skipped`
      return refuse('not_rebased', message)
    }
  }
  const ramping = reached.findIndex(({ state }) => state === 'promoting')
  const lost = reached[ramping]?.moved.find(({ channel }) => !rules.stages[ramping]?.channels.includes(channel))
  if (lost !== undefined) {
    const message = `channel ${lost.channel} is in the middle of a ramp, and not in the pipeline any more; let that finish first`
    return refuse('not_rebased', message)
  }
  const stages = rules.stages.map((stage) => rebasedStage(rollout, stage))
  const channels = channelsOf({ ...rollout, rules })
  if (channels.length > PIPELINE_CHANNELS_MAX) {
    const message = `with the channels that it has moved already it would have ${channels.length}; a rollback takes ${PIPELINE_CHANNELS_MAX} at most`
    return refuse('not_rebased', message)
  }
  const lowering = loweringRefusal(rollout, rules, approved)
  if (lowering !== null) return lowering
  // What was found by other gates, or waited for by other rules, says nothing of these.
  const rebased = restarted({ ...rollout, rules, pipelineRevision, stages }, now)
  const isDone = stages.every(({ state }) => state === 'done')
  return { outcome: 'drafted', rollout: isDone ? { ...rebased, state: 'done', endedAt: momentOf(now) } : rebased }
}

/** How far the stage has come, under its new rules. */
function rebasedStage(rollout: Rollout, stage: StageRules): StageProgress {
  const known = rollout.stages.find(({ name }) => name === stage.name)
  if (known === undefined) return waiting(stage)
  return known.state === 'waiting' ? { ...known, approvals: approvalsUnder(rollout, stage) } : known
}

/** Whoever approved a stage was for the agents, and the pace, that its rules had then; how many must be is no matter of theirs. */
function approvalsUnder({ rules, stages }: Rollout, stage: StageRules): readonly Approval[] {
  const before = rules.stages.find(({ name }) => name === stage.name)
  const isSame = JSON.stringify({ ...before, approvals: 0 }) === JSON.stringify({ ...stage, approvals: 0 })
  return isSame ? (stages.find(({ name }) => name === stage.name)?.approvals ?? []) : []
}

function overRefusal({ state, release, endedAt }: Rollout): RolloutRefusal | null {
  if (state === 'running') return null
  return refuse('rollout_over', `the rollout of ${release} is ${state} since ${endedAt ?? 'long ago'}`)
}
