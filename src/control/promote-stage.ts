// The command that promotes a stage.
import { overtaken, planPromotion, type Promotion } from '../rollouts/promotion.ts'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { COMMIT_WRITES_MAX } from '../store/port.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { fitting } from './fitting.ts'
import { findStage, isRunning, rolloutDocuments, type RolloutChoice } from './find-rollout.ts'
import { putRollout, rolloutDone, type RolloutOutcome, type Untouched } from './rollout-result.ts'
import { stageFacts } from './rollout-facts.ts'

export interface PromotionRequest extends RolloutChoice {
  readonly stage: string
  readonly critical: boolean
  readonly force: boolean
}

/** Promotes a stage: all of its channels in one commit, together with the rollout and those that it overtakes. */
export function promoteStage(
  control: Control,
  request: Request,
  { stage, critical, force, ...choice }: PromotionRequest,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  // What the first look has found is what is meant: whoever loses a race must not promote the release after it.
  let meant: RolloutChoice = choice
  return executeCommand<RolloutOutcome, readonly Untouched[], null>(control, request, {
    kind: 'rollout.promote',
    dryRun,
    async prepare(tx) {
      const found = findStage(tx, meant, stage)
      if ('outcome' in found) return null
      const { pipeline, release } = rolloutOf(found.document)
      meant = { pipeline, release }
      return null
    },
    run(tx) {
      const found = findStage(tx, meant, stage)
      if ('outcome' in found) return replyWith(found)
      const { document, index } = found
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      const facts = stageFacts(control, tx, { rollout: rolloutOf(document), index, purpose: 'promote' }, tx.times)
      const { actor, reason } = request
      const plan = planPromotion(facts, index, { actor, reason, force, critical })
      if (plan.outcome === 'refused') return replyWith(plan)
      putPromotion(tx, plan, index)
      return commitWith(plan.leftBehind)
    },
    reply: (applied, untouched, state) => rolloutDone(applied, untouched, state, control.clock.expiryTime()),
  })
}

/** Puts the stage's channels, its rollout, and those that it overtakes. */
export function putPromotion(tx: Transaction, plan: Promotion, index: number): void {
  const { rollout, channels } = plan
  const isOther = (other: Rollout): boolean => isRunning(other) && other.release !== rollout.release
  const others = rolloutDocuments(tx, rollout.pipeline, isOther).map(rolloutOf)
  // More than fit are ended by the driver (drive-rollouts.ts).
  const room = COMMIT_WRITES_MAX - channels.length - 1
  putRollout(tx, rollout, channels, fitting(overtaken(others, rollout, index, tx.now), room))
}
