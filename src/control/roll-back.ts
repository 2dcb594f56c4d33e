// Rollbacks: a release taken back from every channel that it has reached, and the one step that comes after. Also resumes a
// rollout that was paused, which is asked for by the same word.
import { blockedVersionBody, blockedVersionKey, blockedVersionOf } from '../channels/blocked-version.ts'
import { channelKey, type Channel } from '../channels/channel.ts'
import { momentOf } from '../channels/time.ts'
import { isPinned, planResume, planUnpin, type AfterPlan } from '../rollouts/end-rollback.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { pipelineKey } from '../rollouts/pipeline.ts'
import { releaseBody, releaseKey, type Release } from '../rollouts/release.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { planRollback, type AfterContext } from '../rollouts/rollback.ts'
import { channelsOf, frontierOf, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { resumeRollout } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, Expectation, Write } from '../store/port.ts'
import { servedBy } from './block-version.ts'
import { blockListReads } from './change-channel.ts'
import { lapsed } from './change-release.ts'
import { currentState, isExpected, knownState, type Conditions, type Control, type Request } from './control.ts'
import { carryOut, nothing, readOf, writeOf } from './decide.ts'
import { embargoRead } from './embargoes.ts'
import { dueLapses } from './journal-lapses.ts'
import { takenRead } from './pipelines.ts'
import {
  hasReached,
  heldIn,
  heldInOthers,
  isTold,
  movedElsewhere,
  resumeFacts,
  rollbackFacts,
  runningHeld,
  stands,
  untoldInWords,
} from './rollback-facts.ts'
import { channelsIn, type Running } from './rollout-facts.ts'
import {
  answer,
  chooseRollout,
  documentsNewestFirst,
  isAbout,
  outcomeOf,
  planWrites,
  ruleContext,
  wouldBe,
  type RolloutChoice,
  type RolloutOutcome,
} from './rollouts.ts'

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
    prepare: () => (dryRun ? nothing() : lapsed(control)),
    decide(state, times) {
      const standing =
        choice.release === null
          ? documentsNewestFirst(state, choice.pipeline).find((one) => stands(state, one))
          : undefined
      if (standing !== undefined) {
        const { release } = rolloutOf(standing)
        const message = `the rollback of ${release} stands; end it with unpin or resume, or name with \`release\` what to take back besides`
        return answer(refuse('which_rollout', message))
      }
      const document = chooseRollout(state, choice, (rollout) => hasReached(state, rollout, times.expiryTime), true)
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      if (frontierOf(rollout) === -1 && !hasReached(state, rollout, times.expiryTime)) {
        const message = `release ${rollout.release} has not reached any channel; withdraw it instead`
        return answer(refuse('nothing_reached', message))
      }
      if (choice.release === null && !isTold(state, rollout, times.expiryTime)) {
        return answer(refuse('which_rollout', untoldInWords(state, choice.pipeline, rollout, times.expiryTime)))
      }
      const context = ruleContext(request, times)
      const plan = planRollback(rollbackFacts(state, rollout), { ...context, ...asked })
      if (plan.outcome === 'refused') return answer(plan)
      untouched = plan.untouched
      if (dryRun) {
        const would = wouldBe(control, state, plan.rollout, plan.channels, untouched)
        return answer(withServedBy(would.answer, state, plan.channels))
      }
      const blocked = blockBad(state, plan.release, context)
      if (blocked === null) return { outcome: 'again' }
      const moved = planWrites(state, plan.rollout, plan.channels)
      const names = new Set(moved.map(({ key }) => key))
      const writes = [
        ...moved,
        writeOf(state, releaseKey(rollout.release), releaseBody(plan.release)),
        ...blocked.filter(({ key }) => !names.has(key)),
      ]
      const good = (plan.rollout.rollback?.channels ?? []).flatMap(({ to }) => to ?? [])
      const reads = [
        readOf(state, blockedVersionKey(rollout.release)),
        // Those that are left alone were found not to tell the release; that must still be so.
        ...channelsOf(rollout).map((name) => readOf(state, channelKey(name))),
        ...[...new Set(good)].map((version) => readOf(state, releaseKey(version))),
        ...plan.channels.flatMap((channel) => blockListReads(state, channel)),
      ]
      return { outcome: 'commit', writes, reads, isUrgent: true }
    },
    isSame: (entry) => isAbout(entry, choice, null),
    answerOf: (entry) => withServedBy(outcomeOf(control, entry, untouched), knownState(control)),
  })
}

/**
 * Takes the pins of a rollback away: `unpin` leaves the channels where they are, `resume` has the release go on, where its
 * pipeline is still there and still the one that moves its channels.
 */
export function endRollback(
  control: Control,
  request: Request,
  choice: RolloutChoice,
  how: 'unpin' | 'resume',
  force: boolean,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  let untouched: Untouched = []
  const find = (state: ReplicaState): Document | RolloutRefusal =>
    chooseRollout(state, choice, (rollout) => isPinned(rollout) || (how === 'resume' && rollout.paused !== null))
  return carryOut<Prepared | null, RolloutOutcome>(control, request, {
    kind: `rollout.${how}`,
    key: null,
    dryRun,
    async prepare() {
      if (!dryRun) await lapsed(control)
      const state = currentState(control)
      const document = find(state)
      if (how === 'unpin' || 'outcome' in document) return null
      return { document, running: runningHeld(control, state, rolloutOf(document)) }
    },
    decide(state, times, prepared) {
      const document = find(state)
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      const context = ruleContext(request, times)
      if (how === 'resume' && rollout.state !== 'rolled back') {
        const resumed = resumeRollout(rollout, context)
        if (resumed.outcome === 'refused') return answer(resumed)
        if (dryRun) return wouldBe(control, state, resumed.rollout, [])
        return { outcome: 'commit', writes: planWrites(state, resumed.rollout, []), reads: [] }
      }
      // What was read was read for its rules, and for the rollback that stood then.
      if (how === 'resume' && prepared?.document !== document) return { outcome: 'again' }
      const running = prepared?.running ?? null
      const end = how === 'unpin' ? unpinning : resumption
      const ended = end(state, rollout, { ...context, force }, running)
      if (ended === null) return { outcome: 'again' }
      if (ended.outcome === 'refused') return answer(ended)
      const { plan, writes, reads } = ended
      untouched = plan.untouched
      if (dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched)
      const moved = planWrites(state, plan.rollout, plan.channels)
      const names = new Set(moved.map(({ key }) => key))
      return {
        outcome: 'commit',
        writes: [...moved, ...writes.filter(({ key }) => !names.has(key))],
        reads: [
          ...(rollout.rollback?.channels ?? []).map(({ channel }) => readOf(state, channelKey(channel))),
          ...plan.channels.flatMap((channel) => blockListReads(state, channel)),
          ...reads,
        ],
      }
    },
    answerOf: (entry) => outcomeOf(control, entry, untouched),
    isSame: (entry) => isAbout(entry, choice, null),
  })
}

/** Read for exactly this document of a rollout. */
interface Prepared {
  readonly document: Document
  readonly running: Running | null
}

/** How a rollback ends: what becomes of its channels, and what the commit writes and reads besides. */
interface Ended {
  readonly outcome: 'ended'
  readonly plan: AfterPlan
  readonly writes: readonly Write[]
  readonly reads: readonly Expectation[]
}

function unpinning(state: ReplicaState, rollout: Rollout, context: AfterContext): Ended | RolloutRefusal {
  const plan = planUnpin(rollout, channelsIn(state, heldIn(rollout)), state.isBlocked, context)
  return plan.outcome === 'refused' ? plan : { outcome: 'ended', plan, writes: [], reads: [] }
}

/** Null where it is to be decided anew. */
function resumption(
  state: ReplicaState,
  rollout: Rollout,
  context: AfterContext,
  running: Running | null,
): Ended | RolloutRefusal | null {
  const { pipeline, release } = rollout
  const elsewhere = movedElsewhere(state, rollout)
  if (elsewhere !== null) return elsewhere
  const unblocked = unblockBad(state, release, context.expiryTime)
  const known = resumeFacts(state, rollout, running, context)
  if (unblocked === null || known === null) return null
  const isFreed = (version: string): boolean => unblocked.length > 0 && version === release
  const facts = { ...known, isBlocked: (version: string) => !isFreed(version) && state.isBlocked(version) }
  const plan = planResume(facts, channelsIn(state, heldIn(rollout)), context)
  if (plan.outcome === 'refused') return plan
  const held = heldInOthers(state, rollout)
  const names = new Set(held.map(({ channel }) => channel))
  const untouched = [...plan.untouched.filter(({ channel }) => !names.has(channel)), ...held]
  const good = releaseBody({ ...facts.release, bad: null })
  return {
    outcome: 'ended',
    plan: { ...plan, untouched },
    writes: [writeOf(state, releaseKey(release), good), ...unblocked],
    reads: [
      embargoRead(state),
      takenRead(state),
      readOf(state, pipelineKey(pipeline)),
      readOf(state, blockedVersionKey(release)),
    ],
  }
}

/** Says which channels, whatever moves them, tell agents the release still: all that do but those that are about to be moved. */
function withServedBy(outcome: RolloutOutcome, state: ReplicaState, moved: readonly Channel[] = []): RolloutOutcome {
  if (outcome.outcome !== 'done') return outcome
  const names = new Set(moved.map(({ name }) => name))
  const serving = servedBy(state, rolloutOf(outcome.document).release)
  return { ...outcome, servedBy: serving.filter((name) => !names.has(name)) }
}

/** Puts a bad release on the block list, so that nobody brings it back by taking a pin away; null for more than one commit takes. */
function blockBad(
  state: ReplicaState,
  { version, bad }: Release,
  { now, expiryTime, actor }: RuleContext,
): readonly Write[] | null {
  const key = blockedVersionKey(version)
  if (state.document(key) !== undefined) return []
  const lapses = dueLapses(state, version, expiryTime)
  const reason = `rolled back: ${bad?.reason ?? ''}`
  const body = blockedVersionBody({ version, reason, by: actor, at: momentOf(now), because: 'rolled back' })
  return lapses === null ? null : [writeOf(state, key, body), ...lapses]
}

/** Takes it off the list again, where nobody has put it there for another reason. */
function unblockBad(state: ReplicaState, version: string, expiryTime: number): readonly Write[] | null {
  const key = blockedVersionKey(version)
  const document = state.document(key)
  if (document === undefined || blockedVersionOf(document).because !== 'rolled back') return []
  const lapses = dueLapses(state, version, expiryTime)
  return lapses === null ? null : [writeOf(state, key, null), ...lapses]
}
