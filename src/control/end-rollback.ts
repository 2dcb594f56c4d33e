// The commands that end a rollback: `unpin` leaves its channels where they are, `resume` has the release go on. Also resumes a
// rollout that was paused, which is asked for by the same word.
import { blockedVersionKey, blockedVersionOf } from '../channels/blocked-version.ts'
import { isPinned, planResume, planUnpin, type AfterPlan } from '../rollouts/end-rollback.ts'
import type { RolloutRefusal } from '../rollouts/outcome.ts'
import { releaseBody, releaseKey } from '../rollouts/release.ts'
import type { AfterContext } from '../rollouts/rollback.ts'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { resumeRollout } from '../rollouts/rollout-draft.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { chooseRollout, type RolloutChoice } from './find-rollout.ts'
import { heldIn, heldInOthers, movedElsewhere, resumeFacts } from './rollback-facts.ts'
import { channelsIn } from './rollout-facts.ts'
import { putRollout, rolloutDone, ruleContext, type RolloutOutcome, type Untouched } from './rollout-result.ts'

export interface EndRequest extends RolloutChoice {
  /** `resume` needs the pipeline to be there still, and to be the one that moves the channels. */
  readonly how: 'unpin' | 'resume'
  readonly force: boolean
}

/** Takes the pins of a rollback away, or ends a pause. */
export function endRollback(
  control: Control,
  request: Request,
  { how, force, ...choice }: EndRequest,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  return executeCommand<RolloutOutcome, readonly Untouched[], null>(control, request, {
    kind: `rollout.${how}`,
    dryRun,
    recordExpiries: 'tried',
    run(tx) {
      const document = chooseRollout(
        tx,
        choice,
        (rollout) => isPinned(rollout) || (how === 'resume' && rollout.paused !== null),
      )
      if ('outcome' in document) return replyWith(document)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      const context = { ...ruleContext(request, tx.times), force }
      if (how === 'resume' && rollout.state !== 'rolled back') {
        const resumed = resumeRollout(rollout, context)
        if (resumed.outcome === 'refused') return replyWith(resumed)
        putRollout(tx, resumed.rollout)
        return commitWith([])
      }
      const plan = how === 'unpin' ? putUnpinned(tx, rollout, context) : putResumed(control, tx, rollout, context)
      return plan.outcome === 'refused' ? replyWith(plan) : commitWith(plan.untouched)
    },
    reply: (applied, untouched, state) => rolloutDone(applied, untouched, state, control.clock.expiryTime()),
  })
}

function putUnpinned(tx: Transaction, rollout: Rollout, context: AfterContext): AfterPlan | RolloutRefusal {
  const plan = planUnpin(rollout, channelsIn(tx, heldIn(rollout)), tx.isBlocked, context)
  if (plan.outcome === 'planned') putRollout(tx, plan.rollout, plan.channels)
  return plan
}

function putResumed(
  control: Control,
  tx: Transaction,
  rollout: Rollout,
  context: AfterContext,
): AfterPlan | RolloutRefusal {
  const { release } = rollout
  const elsewhere = movedElsewhere(tx, rollout)
  if (elsewhere !== null) return elsewhere
  const isFreed = isBlockedByRollback(tx, release)
  const known = resumeFacts(control, tx, rollout)
  const isBlocked = (version: string): boolean => !(isFreed && version === release) && tx.isBlocked(version)
  const plan = planResume({ ...known, isBlocked }, channelsIn(tx, heldIn(rollout)), context)
  if (plan.outcome === 'refused') return plan
  putRollout(tx, plan.rollout, plan.channels)
  tx.put(releaseKey(release), releaseBody({ ...known.release, bad: null }))
  if (isFreed) tx.put(blockedVersionKey(release), null)
  const held = heldInOthers(tx, rollout)
  const names = new Set(held.map(({ channel }) => channel))
  return { ...plan, untouched: [...plan.untouched.filter(({ channel }) => !names.has(channel)), ...held] }
}

/** Whether a version is on the block list because of its rollback, and for no other reason. */
function isBlockedByRollback(tx: Transaction, version: string): boolean {
  const document = tx.get(blockedVersionKey(version))
  return document !== undefined && blockedVersionOf(document).because === 'rolled back'
}
