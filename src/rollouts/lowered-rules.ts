// Whether other rules of a pipeline ask fewer people than a rollout's own: taking those needs the approvals that were required.
import { approvers } from './conditions.ts'
import { refuse, type RolloutRefusal } from './outcome.ts'
import { unknownAuthors, type People } from './people.ts'
import type { PipelineRules, StageRules } from './pipeline.ts'
import type { Release } from './release.ts'
import type { Rollout } from './rollout.ts'

/**
 * The refusal of rules that ask fewer people than those of the rollout do, where a stage that they touch has not been approved
 * by as many as it requires; null where they may be taken.
 */
export function loweringRefusal(
  rollout: Rollout,
  rules: PipelineRules,
  { release, people }: { readonly release: Release; readonly people: People },
): RolloutRefusal | null {
  const isUnknown = people.isUnreadable || unknownAuthors(release, people).length > 0
  for (const [index, stage] of rollout.rules.stages.entries()) {
    const progress = rollout.stages[index]
    if (progress === undefined || !isLowered(stage, rules)) continue
    const given = isUnknown ? 0 : approvers(release, progress, people).length
    if (given >= stage.approvals) continue
    const message = `the rules of the pipeline ask fewer people than stage ${stage.name} of the rollout does; it needs ${stage.approvals} approvals first, and has ${given}`
    return refuse('approvals_required', message)
  }
  return null
}

/**
 * Whether a stage's own successor, or what has become of one of its channels, asks fewer people. A channel that is taken out
 * counts as well: another re-base could bring it back without any rule.
 */
function isLowered(stage: StageRules, { stages }: PipelineRules): boolean {
  const asksLess = (other: StageRules | undefined): boolean =>
    other === undefined ||
    other.approvals < stage.approvals ||
    (stage.approvals > 0 && stage.requireSignOff && !other.requireSignOff)
  if (stage.approvals === 0) return false
  const successor = stages.find(({ name }) => name === stage.name)
  if (successor !== undefined && asksLess(successor)) return true
  return stage.channels.some((channel) => asksLess(stages.find(({ channels }) => channels.includes(channel))))
}
