// Rollbacks: a release taken back from every channel that it has reached, and the one step that comes after. Also resumes a
// rollout that was paused, which is asked for by the same word.
import { compareReleases } from '../rollouts/cloud-version.ts'
import { refuse } from '../rollouts/outcome.ts'
import { releaseBody, releaseKey, releaseOf } from '../rollouts/release.ts'
import { planResume, planRollback, planUnpin, type RollbackFacts } from '../rollouts/rollback.ts'
import { frontierOf, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { resumeRollout } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Expectation } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { carryOut, nothing, readOf, writeOf } from './decide.ts'
import { channelsIn, releaseIn } from './rollout-facts.ts'
import {
  answer,
  chooseRollout,
  outcomeOf,
  planWrites,
  ruleContext,
  wouldBe,
  type RolloutChoice,
  type RolloutOutcome,
} from './rollouts.ts'
import { rolloutDocuments } from './start-rollouts.ts'

type Untouched = Extract<RolloutOutcome, { outcome: 'done' }>['untouched']

export interface RollbackRequest {
  readonly to: string | null
  readonly critical: boolean
  readonly force: boolean
}

/** Takes a release back from every channel that it has reached, in one commit; without a release the newest that has reached one. */
export function rollBack(
  control: Control,
  request: Request,
  choice: RolloutChoice,
  asked: RollbackRequest,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  let untouched: Untouched = []
  return carryOut<null, RolloutOutcome>(control, request, {
    kind: 'rollout.rollback',
    key: null,
    dryRun,
    prepare: nothing,
    decide(state, now) {
      const document = chooseRollout(state, choice, hasReached, true)
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      if (frontierOf(rollout) === -1) {
        return answer(
          refuse('nothing_reached', `release ${rollout.release} has not reached any channel; withdraw it instead`),
        )
      }
      const facts = rollbackFacts(state, rollout)
      const plan = planRollback(facts, { ...ruleContext(request, now), ...asked })
      if (plan.outcome === 'refused') return answer(plan)
      untouched = plan.untouched
      if (dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched)
      const release = writeOf(state, releaseKey(rollout.release), releaseBody(plan.release))
      const good = plan.steps.map(({ to }) => readOf(state, releaseKey(to)))
      const reads = [...good, ...plan.channels.flatMap((channel) => blockListReads(state, channel))]
      return { outcome: 'commit', writes: [...planWrites(state, plan.rollout, plan.channels), release], reads }
    },
    answerOf: (entry) => outcomeOf(control, entry, untouched),
  })
}

/** Takes the pins of a rollback away: `unpin` leaves the channels where they are, `resume` has the release go on. */
export function endRollback(
  control: Control,
  request: Request,
  choice: RolloutChoice,
  how: 'unpin' | 'resume',
  force: boolean,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  let untouched: Untouched = []
  return carryOut<null, RolloutOutcome>(control, request, {
    kind: `rollout.${how}`,
    key: null,
    dryRun,
    prepare: nothing,
    decide(state, now) {
      const isMeant = (rollout: Rollout): boolean => isPinned(rollout) || (how === 'resume' && rollout.paused !== null)
      const document = chooseRollout(state, choice, isMeant)
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      const context = ruleContext(request, now)
      if (how === 'resume' && rollout.state !== 'rolled back') {
        const resumed = resumeRollout(rollout, context)
        if (resumed.outcome === 'refused') return answer(resumed)
        if (dryRun) return wouldBe(control, state, resumed.rollout, [])
        return { outcome: 'commit', writes: planWrites(state, resumed.rollout, []), reads: [] }
      }
      const channels = channelsIn(state, rollout.rollback?.channels.map(({ channel }) => channel) ?? [])
      const planAfter = how === 'unpin' ? planUnpin : planResume
      const plan = planAfter(rollout, channels, state.isBlocked, { ...context, force })
      if (plan.outcome === 'refused') return answer(plan)
      untouched = plan.untouched
      if (dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched)
      const reads: readonly Expectation[] = plan.channels.flatMap((channel) => blockListReads(state, channel))
      const writes = planWrites(state, plan.rollout, plan.channels)
      if (how === 'unpin') return { outcome: 'commit', writes, reads }
      const release = { ...releaseIn(state, rollout), bad: null }
      return {
        outcome: 'commit',
        writes: [...writes, writeOf(state, releaseKey(rollout.release), releaseBody(release))],
        reads,
      }
    },
    answerOf: (entry) => outcomeOf(control, entry, untouched),
  })
}

function hasReached(rollout: Rollout): boolean {
  return rollout.state !== 'rolled back' && rollout.stages.some(({ moved }) => moved.length > 0)
}

function isPinned({ state, rollback }: Rollout): boolean {
  return state === 'rolled back' && rollback?.unpinnedAt === null
}

function rollbackFacts(state: ReplicaState, rollout: Rollout): RollbackFacts {
  const names = rollout.stages.flatMap(({ moved }) => moved.map(({ channel }) => channel))
  const rollouts = rolloutDocuments(state, rollout.pipeline).map(rolloutOf)
  return {
    rollout,
    release: releaseIn(state, rollout),
    rollouts: rollouts.toSorted((a, b) => compareReleases(a.release, b.release)),
    channels: channelsIn(state, names),
    isBlocked: state.isBlocked,
    isBad(version) {
      const document = state.document(releaseKey(version))
      const release = document === undefined ? null : releaseOf(document)
      return release !== null && (release.bad !== null || release.withdrawn !== null)
    },
  }
}
