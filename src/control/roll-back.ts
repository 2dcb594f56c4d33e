// Rollbacks: a release taken back from every channel that it has reached, and the one step that comes after. Also resumes a
// rollout that was paused, which is asked for by the same word.
import { blockedVersionBody, blockedVersionKey, blockedVersionOf, type IsBlocked } from '../channels/blocked-version.ts'
import { channelKey } from '../channels/channel.ts'
import { momentOf } from '../channels/time.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import { refuse } from '../rollouts/outcome.ts'
import { releaseBody, releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import { isToTakeBack, planResume, planRollback, planUnpin, type RollbackFacts } from '../rollouts/rollback.ts'
import { channelsOf, frontierOf, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { resumeRollout } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, Expectation, Write } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import { lapsed } from './change-release.ts'
import { isExpected, type Conditions, type Control, type Request } from './control.ts'
import { carryOut, nothing, readOf, writeOf } from './decide.ts'
import { embargoRead } from './embargoes.ts'
import { dueLapses } from './journal-lapses.ts'
import { channelsIn, earlyFacts, releaseIn } from './rollout-facts.ts'
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
    prepare: () => (dryRun ? nothing() : lapsed(control)),
    decide(state, now) {
      const standing =
        choice.release === null
          ? documentsNewestFirst(state, choice.pipeline).find((one) => stands(state, one))
          : undefined
      if (standing !== undefined) {
        const { release } = rolloutOf(standing)
        const message = `the rollback of ${release} stands; end it with unpin or resume, or name with \`release\` what to take back besides`
        return answer(refuse('which_rollout', message))
      }
      const document = chooseRollout(state, choice, (rollout) => hasReached(state, rollout, now), true)
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      if (frontierOf(rollout) === -1 && !hasReached(state, rollout, now)) {
        const message = `release ${rollout.release} has not reached any channel; withdraw it instead`
        return answer(refuse('nothing_reached', message))
      }
      if (choice.release === null && !isTold(state, rollout, now)) {
        return answer(refuse('which_rollout', untoldInWords(state, choice.pipeline, rollout, now)))
      }
      const context = ruleContext(request, now)
      const plan = planRollback(rollbackFacts(state, rollout), { ...context, ...asked })
      if (plan.outcome === 'refused') return answer(plan)
      untouched = plan.untouched
      if (dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched)
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
      return { outcome: 'commit', writes, reads }
    },
    isSame: (entry) => isAbout(entry, choice, null),
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
    prepare: () => (dryRun ? nothing() : lapsed(control)),
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
      const unblocked = unblockBad(state, rollout.release, now)
      if (unblocked === null) return { outcome: 'again' }
      const isFreed = (version: string): boolean => unblocked.length > 0 && version === rollout.release
      const isBlocked: IsBlocked = (version) => !isFreed(version) && state.isBlocked(version)
      const facts = { ...earlyFacts(state, rollout, now), isBlocked }
      const plan =
        how === 'unpin'
          ? planUnpin(rollout, channels, state.isBlocked, { ...context, force })
          : planResume(facts, channels, { ...context, force })
      if (plan.outcome === 'refused') return answer(plan)
      untouched = plan.untouched
      if (dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched)
      const reads: readonly Expectation[] = [
        embargoRead(state),
        ...(rollout.rollback?.channels ?? []).map(({ channel }) => readOf(state, channelKey(channel))),
        ...plan.channels.flatMap((channel) => blockListReads(state, channel)),
      ]
      const writes = planWrites(state, plan.rollout, plan.channels)
      if (how === 'unpin') return { outcome: 'commit', writes, reads }
      const names = new Set(writes.map(({ key }) => key))
      const release = { ...facts.release, bad: null }
      return {
        outcome: 'commit',
        writes: [
          ...writes,
          writeOf(state, releaseKey(rollout.release), releaseBody(release)),
          ...unblocked.filter(({ key }) => !names.has(key)),
        ],
        reads: [readOf(state, blockedVersionKey(rollout.release)), ...reads],
      }
    },
    answerOf: (entry) => outcomeOf(control, entry, untouched),
    isSame: (entry) => isAbout(entry, choice, null),
  })
}

/** Puts a bad release on the block list, so that nobody brings it back by taking a pin away; null for more than one commit takes. */
function blockBad(
  state: ReplicaState,
  { version, bad }: Release,
  { now, actor }: ReturnType<typeof ruleContext>,
): readonly Write[] | null {
  const key = blockedVersionKey(version)
  if (state.document(key) !== undefined) return []
  const lapses = dueLapses(state, version, now)
  const reason = `rolled back: ${bad?.reason ?? ''}`
  const body = blockedVersionBody({ version, reason, by: actor, at: momentOf(now), because: 'rolled back' })
  return lapses === null ? null : [writeOf(state, key, body), ...lapses]
}

/** Takes it off the list again, where nobody has put it there for another reason. */
function unblockBad(state: ReplicaState, version: string, now: number): readonly Write[] | null {
  const key = blockedVersionKey(version)
  const document = state.document(key)
  if (document === undefined || blockedVersionOf(document).because !== 'rolled back') return []
  const lapses = dueLapses(state, version, now)
  return lapses === null ? null : [writeOf(state, key, null), ...lapses]
}

/** Whether a channel is pinned or halted by a rollback still. */
function stands(state: ReplicaState, document: Document): boolean {
  const rollout = rolloutOf(document)
  const { rollback } = rollout
  if (rollback === null || !isPinned(rollout)) return false
  const names = rollback.channels.map(({ channel }) => channel)
  return [...channelsIn(state, names).values()].some(({ pin, halt }) =>
    [pin, halt].some((set) => set?.at === rollback.at && set.by === rollback.by),
  )
}

/** Whether a release was told by a stage of its rollout, or is told by a channel of one that somebody has set by hand. */
function hasReached(state: ReplicaState, rollout: Rollout, now: number): boolean {
  if (rollout.state === 'rolled back') return false
  return rollout.stages.some(({ moved }) => moved.length > 0) || isTold(state, rollout, now)
}

function isTold(state: ReplicaState, rollout: Rollout, now: number): boolean {
  const channels = channelsIn(state, channelsOf(rollout)).values()
  return [...channels].some((channel) => isToTakeBack(channel, rollout.release, state.isBlocked, now))
}

/** To take back the one before it instead would move a fleet that nobody has spoken of. */
function untoldInWords(state: ReplicaState, pipeline: string, { release }: Rollout, now: number): string {
  const message = `no channel tells ${release} any more, the newest release that has reached one; name with \`release\` what to take back`
  const older = documentsNewestFirst(state, pipeline).map(rolloutOf)
  const told = older.find((rollout) => rollout.state !== 'rolled back' && isTold(state, rollout, now))
  return told === undefined ? message : `${message}: ${told.release} is told by some`
}

function isPinned({ state, rollback }: Rollout): boolean {
  return state === 'rolled back' && rollback?.unpinnedAt === null
}

function rollbackFacts(state: ReplicaState, rollout: Rollout): RollbackFacts {
  const rollouts = rolloutDocuments(state, rollout.pipeline).map(rolloutOf)
  return {
    rollout,
    release: releaseIn(state, rollout),
    rollouts: rollouts.toSorted((a, b) => compareReleases(a.release, b.release)),
    channels: channelsIn(state, channelsOf(rollout)),
    isBlocked: state.isBlocked,
    isBad(version) {
      const document = state.document(releaseKey(version))
      const release = document === undefined ? null : releaseOf(document)
      return release !== null && (release.bad !== null || release.withdrawn !== null)
    },
  }
}
