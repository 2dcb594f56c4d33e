// The command that takes a release back from every channel that it has reached.
import { blockedVersionBody, blockedVersionKey } from '../channels/blocked-version.ts'
import { channelNameOf } from '../channels/channel.ts'
import { momentOf } from '../channels/time.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { releaseBody, releaseKey, type Release } from '../rollouts/release.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { planRollback } from '../rollouts/rollback.ts'
import { frontierOf, rolloutOf } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import { readerOf, type Applied, type Transaction } from './core/transaction.ts'
import { chooseRollout, documentsNewestFirst, type RolloutChoice } from './find-rollout.ts'
import { hasReached, isTold, rollbackFacts, stands, untoldInWords } from './rollback-facts.ts'
import {
  putRollout,
  rolloutDone,
  ruleContext,
  type RolloutDone,
  type RolloutOutcome,
  type Untouched,
} from './rollout-result.ts'
import { servedBy, servedByOf } from './served-by.ts'

export interface RollbackRequest extends RolloutChoice {
  readonly to: string | null
  readonly critical: boolean
  readonly force: boolean
}

/** Takes a release back in one commit; without a release the newest that has reached a channel. */
export function rollBack(
  control: Control,
  request: Request,
  asked: RollbackRequest,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  return executeCommand<RolloutOutcome, readonly Untouched[], null>(control, request, {
    kind: 'rollout.rollback',
    dryRun,
    recordExpiries: 'tried',
    run(tx) {
      const document = findRollback(tx, asked)
      if ('outcome' in document) return replyWith(document)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      if (frontierOf(rollout) === -1 && !hasReached(tx, rollout, tx.expiryTime)) {
        const message = `release ${rollout.release} has not reached any channel; withdraw it instead`
        return replyWith(refuse('nothing_reached', message))
      }
      if (asked.release === null && !isTold(tx, rollout, tx.expiryTime)) {
        // Words of a refusal: nothing is committed by them.
        return replyWith(refuse('which_rollout', untoldInWords(tx.untracked, rollout, tx.expiryTime)))
      }
      const context = ruleContext(request, tx.times)
      const plan = planRollback(rollbackFacts(tx, rollout), { ...context, ...asked })
      if (plan.outcome === 'refused') return replyWith(plan)
      putRollout(tx, plan.rollout, plan.channels)
      tx.put(releaseKey(rollout.release), releaseBody(plan.release))
      putBlocked(tx, plan.release, context)
      return commitWith(plan.untouched, { isUrgent: true })
    },
    reply(applied, untouched, state) {
      const done = rolloutDone(applied, untouched, state, control.clock.expiryTime())
      return withServedBy(done, state, dryRun ? applied : null)
    },
  })
}

/** Which rollout is meant, or every reason why none is. */
function findRollback(tx: Transaction, choice: RolloutChoice): Document | RolloutRefusal {
  // The choice is advice: what is decided about the one that is found is read again, and recorded.
  const advice = readerOf(tx.untracked)
  if (choice.release === null) {
    const standing = documentsNewestFirst(tx.untracked, choice.pipeline).find((one) => stands(advice, one))
    if (standing !== undefined) {
      const { release } = rolloutOf(standing)
      const message = `the rollback of ${release} stands; end it with unpin or resume, or name with \`release\` what to take back besides`
      return refuse('which_rollout', message)
    }
  }
  return chooseRollout(
    tx,
    choice,
    (rollout) => hasReached(advice, rollout, tx.expiryTime),
    (rollout) => isTold(advice, rollout, tx.expiryTime),
  )
}

/** Says which channels, whatever moves them, tell agents the release still: all that do but those that `preview` would move. */
function withServedBy(done: RolloutDone, state: ReplicaState, preview: Applied | null): RolloutDone {
  const moved = new Set(preview?.changes.map(({ key }) => channelNameOf(key)))
  const serving = servedBy(state, rolloutOf(done.document).release)
  return { ...done, ...servedByOf(serving.filter((name) => !moved.has(name))) }
}

/** Puts a bad release on the block list, so that nobody brings it back by taking a pin away. */
function putBlocked(tx: Transaction, { version, bad }: Release, { now, actor }: RuleContext): void {
  const key = blockedVersionKey(version)
  // An entry that cannot be read blocks the version, too: it must not keep a release from being taken back.
  if (tx.stored(key) !== undefined) return
  const reason = `rolled back: ${bad?.reason ?? ''}`
  tx.put(key, blockedVersionBody({ version, reason, by: actor, at: momentOf(now), because: 'rolled back' }))
}
