// The commands that change a rollout's document alone: approve, pause, re-base.
import { type RolloutRefusal, unknownPipeline } from '../rollouts/outcome.ts'
import { pipelineKey, pipelineOf } from '../rollouts/pipeline.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { approveStage, pauseRollout, rebaseRollout, stageIndex } from '../rollouts/rollout-draft.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { chooseRollout, isRunning, type RolloutChoice } from './find-rollout.ts'
import { peopleIn } from './people.ts'
import { putRollout, rolloutDone, ruleContext, unchangedRollout, type RolloutOutcome } from './rollout-result.ts'
import { releaseIn } from './rollout-facts.ts'

export type RolloutEdit = RolloutChoice &
  (
    | { readonly kind: 'approve'; readonly stage: string; readonly edition: number | null }
    | { readonly kind: 'pause' | 'rebase' }
  )

export function editRollout(
  control: Control,
  request: Request,
  edit: RolloutEdit,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  return executeCommand<RolloutOutcome, null, null>(control, request, {
    kind: `rollout.${edit.kind}`,
    dryRun,
    run(tx) {
      const document = chooseRollout(tx, edit, isRunning)
      if ('outcome' in document) return replyWith(document)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      const drafted = draftEdit(tx, rollout, edit, ruleContext(request, tx.times))
      if (drafted.outcome === 'refused') return replyWith(drafted)
      if (drafted.rollout === rollout) return leaveUnchanged(document)
      putRollout(tx, drafted.rollout)
      return commitWith(null)
    },
    reply: (applied, _, state) => rolloutDone(applied, null, state, control.clock.expiryTime()),
    replyUnchanged: unchangedRollout,
  })
}

function draftEdit(
  tx: Transaction,
  rollout: Rollout,
  edit: RolloutEdit,
  context: RuleContext,
): { readonly outcome: 'drafted'; readonly rollout: Rollout } | RolloutRefusal {
  switch (edit.kind) {
    case 'approve': {
      const index = stageIndex(rollout, edit.stage)
      if (typeof index !== 'number') return index
      return approveStage(
        rollout,
        releaseIn(tx, rollout),
        { index, looked: edit.edition },
        { ...context, people: peopleIn(tx) },
      )
    }
    case 'pause':
      return pauseRollout(rollout, context)
    case 'rebase': {
      const document = tx.get(pipelineKey(rollout.pipeline))
      if (document === undefined) return unknownPipeline(rollout.pipeline)
      const rules = { pipeline: pipelineOf(document), revision: document.revision }
      return rebaseRollout(rollout, rules, { release: releaseIn(tx, rollout), people: peopleIn(tx) }, context.now)
    }
  }
}
