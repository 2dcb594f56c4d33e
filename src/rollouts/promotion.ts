// The promotion of a stage as a pure plan: every channel that moves, everything that holds it back, and the rollouts that
// are overtaken by it. Nothing of it is half: one commit writes the whole plan, or nothing.
import { applyChange } from '../channels/change.ts'
import type { Channel } from '../channels/channel.ts'
import { COHORTS } from '../channels/cohort.ts'
import { malformed } from '../channels/outcome.ts'
import { cohortsTold, hasPassed } from '../channels/target.ts'
import { momentOf } from '../channels/time.ts'
import { releaseOrder } from './cloud-version.ts'
import { blocker, conditionBlockers, named, type StageFacts } from './conditions.ts'
import { refuse, type Blocker, type RolloutRefusal } from './outcome.ts'
import { endedRelease } from './release-draft.ts'
import { frontierOf, restartedAt, stageAt, withStage, type Moved, type Rollout, type StageProgress } from './rollout.ts'

export interface PromotionContext {
  readonly actor: string
  readonly reason: string | null
  readonly force: boolean
  readonly critical: boolean
}

/** A channel that is not moved although its stage is, and why. */
export interface LeftBehind {
  readonly channel: string
  readonly why: string
}

export interface Promotion {
  readonly outcome: 'planned'
  readonly rollout: Rollout
  /** The channels as they will be. */
  readonly channels: readonly Channel[]
  readonly leftBehind: readonly LeftBehind[]
}

type Disposition =
  | { readonly outcome: 'moves'; readonly channel: Channel; readonly moved: Moved }
  | ({ readonly outcome: 'stays' } & LeftBehind)
  | { readonly outcome: 'held'; readonly blocker: Blocker }
  /** It has the release already, as this rollout left it. */
  | { readonly outcome: 'there' }
  /** The same, and becomes critical. */
  | { readonly outcome: 'becomes-critical'; readonly channel: Channel }

/** What the order of a rollout's cohorts is made from. */
export function seedOf({ pipeline, release }: Pick<Rollout, 'pipeline' | 'release'>): string {
  return `${pipeline}/${release}`
}

/**
 * Plans the promotion of stage `index`; where it was promoted before, that of the channels that were left behind then, and with
 * `critical` the urgency of those that have the release already.
 */
export function planPromotion(facts: StageFacts, index: number, context: PromotionContext): Promotion | RolloutRefusal {
  const { rollout, release, now } = facts
  const { rules, progress } = stageAt(rollout, index)
  if (release.withdrawn !== null) return endedRelease(release)
  if (context.force && (context.reason?.trim() ?? '') === '')
    return malformed('reason', 'is missing; a forced promotion says why')
  if (context.critical && release.security === null) {
    return refuse('not_security', `release ${release.version} has no security fixes, so it is not critical`)
  }
  const isLate = progress.state !== 'waiting'
  const percent = isLate ? progress.percent : (rules.rampPercent[0] ?? COHORTS)
  const dispositions = rules.channels.map((name) => dispose(facts, name, { index, percent }, context))
  const moves = dispositions.flatMap((one) => (one.outcome === 'moves' ? one : []))
  const leftBehind = dispositions.flatMap((one) =>
    one.outcome === 'stays' ? { channel: one.channel, why: one.why } : [],
  )
  const blockers = [
    ...conditionBlockers(facts, index),
    ...dispositions.flatMap((one) => (one.outcome === 'held' ? one.blocker : [])),
  ]
  // A rollout that begins anew finds its channels where it had left them.
  const isMarked = context.critical && !progress.critical
  const isThere = (!isLate || isMarked) && dispositions.some(({ outcome }) => outcome === 'there')
  const urgent = dispositions.flatMap((one) => (one.outcome === 'becomes-critical' ? one.channel : []))
  if (moves.length === 0 && urgent.length === 0 && blockers.length === 0 && !isThere)
    blockers.push(nothingMoves(isLate, leftBehind))
  if (blockers.length > 0) return { outcome: 'refused', why: 'held-back', stage: rules.name, blockers }
  const channels = [...moves.map(({ channel }) => channel), ...urgent]
  const moved = [
    ...progress.moved.filter(({ channel }) => !moves.some((move) => move.channel.name === channel)),
    ...moves.map((move) => move.moved),
  ]
  const told = withStage(rollout, index, { moved, critical: progress.critical || context.critical })
  const promoted = isLate ? promotedAgain(told, index, moves.length, now) : startStage(told, index, percent, now)
  return { outcome: 'planned', rollout: promoted, channels, leftBehind }
}

/** Agents that come late are watched for as long as the others were; those of a stage that is done are not waited for. */
function promotedAgain(rollout: Rollout, index: number, moves: number, now: number): Rollout {
  return moves === 0 ? rollout : restartedAt(rollout, index, now)
}

/** The rollout with a stage at its first step, which may be its last. */
function startStage(rollout: Rollout, index: number, percent: number, now: number): Rollout {
  const at = momentOf(now)
  const started = withStage(rollout, index, { state: 'promoting', percent, startedAt: at, since: at })
  return percent < COHORTS ? started : startSoaking(started, index, now)
}

/** The rollout with everybody told the release; where nothing is to be waited for, the stage is done. */
export function startSoaking(rollout: Rollout, index: number, now: number): Rollout {
  const { rules } = stageAt(rollout, index)
  const at = momentOf(now)
  const soaking = withStage(rollout, index, { state: 'soaking', percent: COHORTS, since: at })
  return rules.soakMinutes === 0 && rules.gates.length === 0 ? finishStage(soaking, index, now) : soaking
}

export function finishStage(rollout: Rollout, index: number, now: number): Rollout {
  const at = momentOf(now)
  const finished = withStage(rollout, index, { state: 'done', doneAt: at })
  const isOver = finished.stages.every(({ state }) => state === 'done')
  return isOver ? { ...finished, state: 'done', endedAt: at } : finished
}

function nothingMoves(isLate: boolean, leftBehind: readonly LeftBehind[]): Blocker {
  if (leftBehind.length === 0) return blocker('promoted', 'the stage was promoted already')
  const who = named(leftBehind.map(({ channel, why }) => `${channel} ${why}`))
  return isLate
    ? blocker('promoted', `nothing is left to promote: ${who}`)
    : blocker('channels', `no channel would move: ${who}`)
}

/** What the promotion does to one channel of the stage. */
function dispose(
  facts: StageFacts,
  name: string,
  { index, percent }: { readonly index: number; readonly percent: number },
  { actor, reason, force, critical }: PromotionContext,
): Disposition {
  const { rollout, channels, isBlocked, isUnderWay, now, expiryTime } = facts
  const { rules, progress } = stageAt(rollout, index)
  const { release: version } = rollout
  const channel = channels.get(name)
  const held = (code: 'channels' | 'ramp' | 'newer' | 'guard', message: string): Disposition => ({
    outcome: 'held',
    blocker: blocker(code, message),
  })
  if (channel === undefined)
    return held('channels', `there is no channel ${name}; create it, or take it out of the pipeline`)
  const stays = whyItStays(channel)
  if (stays !== null) return { outcome: 'stays', channel: name, why: stays }
  const { source, ramp } = channel
  if (source.kind === 'forward')
    return held('channels', `channel ${name} follows ${source.url}; make its source static first`)
  const isOurs = ramp?.seed === seedOf(rollout)
  const known = progress.moved.find((move) => move.channel === name)
  const context = { now, expiryTime, actor, reason, force, isBlocked, fallback: null }
  const promotion = { kind: 'promote', version, seed: seedOf(rollout) } as const
  if (known !== undefined && source.version === version && (!isOurs || ramp.percent >= percent)) {
    const isCritical = source.critical && !hasPassed(source.criticalUntil, expiryTime)
    if (!critical || isCritical || (ramp !== undefined && !isOurs)) return { outcome: 'there' }
    const made = applyChange(channel, { ...promotion, critical, ramp: ramp ?? null }, context)
    if (made.outcome === 'refused') return held('guard', `channel ${name}: ${made.message}`)
    return { outcome: 'becomes-critical', channel: made.channel }
  }
  if (ramp !== undefined && !isOurs) {
    const stands = `channel ${name} is at ${ramp.percent} % of ${source.version}`
    // Nobody takes a ramp any further whose rollout is over, and which of its two versions is right only an operator knows.
    return isUnderWay(ramp.seed)
      ? held('ramp', `${stands}; let that finish, or roll it back`)
      : held(
          'ramp',
          `${stands}, whose rollout is over; set it to one version with PUT …/channels/${name}/version, the lower one by force`,
        )
  }
  const why = source.version === null ? null : whyNotOver(source.version, version, force)
  if (why !== null) {
    return progress.state === 'waiting'
      ? held('newer', `channel ${name} ${why}`)
      : { outcome: 'stays', channel: name, why }
  }
  // A rollout that begins anew can find a channel further than its first step.
  const reached = Math.max(percent, isOurs ? ramp.percent : 0)
  const share = percent < COHORTS ? { percent: reached, plainPath: rules.plainPath } : null
  const urgent = progress.state === 'waiting' ? critical : critical || progress.critical
  const applied = applyChange(channel, { ...promotion, critical: urgent, ramp: share }, context)
  if (applied.outcome === 'refused') return held('guard', `channel ${name}: ${applied.message}`)
  const told = ramp?.before.version ?? source.version
  // What it tells now; one that tells the release already was moved before, or set by hand.
  const before = told === null || told === version ? (known?.before ?? null) : told
  return { outcome: 'moves', channel: applied.channel, moved: { channel: name, before } }
}

/** Why a release is not promoted over the version of a channel; null where it is. */
function whyNotOver(there: string, release: string, force: boolean): string | null {
  const order = releaseOrder(there, release)
  if (order === 'newer') return `is at ${there}, which is newer`
  if (order !== 'unordered' || force) return null
  return `is at ${there}, and neither that nor ${release} is the newer release; an admin may force it with a reason`
}

/** Why no promotion moves a channel; null where one may. Pins and halts are an operator's last word. */
export function whyItStays({ pin, halt }: Channel): string | null {
  if (halt !== null) return `is halted by ${halt.by}: ${halt.reason}`
  return pin === null ? null : `is pinned to ${pin.version} by ${pin.by}: ${pin.reason}`
}

/** Why a channel of a promoted stage does not tell the release to as many of its agents as the stage has come to. */
export function whyNotTold(rollout: Rollout, channel: Channel): string {
  const { ramp, source } = channel
  const version = source.version ?? 'no version'
  const whose = ramp?.seed === seedOf(rollout) ? 'its ramp' : version
  return whyItStays(channel) ?? `is at ${ramp === undefined ? version : `${ramp.percent} % of ${whose}`}`
}

/**
 * Whether a channel of a promoted stage tells the release to as many of its agents as the stage has come to: a pin to it tells
 * all of them, a newer release's ramp those that it has not reached.
 */
export function isTold(
  { release }: Rollout,
  { percent }: StageProgress,
  channel: Channel,
  { isBlocked, expiryTime }: Pick<StageFacts, 'isBlocked' | 'expiryTime'>,
): boolean {
  return cohortsTold(channel, release, isBlocked, expiryTime) >= Math.max(percent, 1)
}

/**
 * The rollouts of older releases that are over once `promoted` has stage `index`: those that have not come as far, and those
 * whose own watch over that stage is cut short. One that is done there may still go on to the stages after it.
 */
export function overtaken(
  others: readonly Rollout[],
  promoted: Rollout,
  index: number,
  now: number,
): readonly Rollout[] {
  return others
    .filter((other) => isOvertaken(other, promoted, index))
    .map((other) => supersede(other, promoted.release, now))
}

/**
 * Whether a newer release that has its stage `index` ends a rollout. The two can go by other rules: stages are the same where
 * they are called the same, and one whose name the newer one's rules do not know any more is where its channels are.
 */
function isOvertaken(rollout: Rollout, newer: Rollout, index: number): boolean {
  if (rollout.state !== 'running' || releaseOrder(newer.release, rollout.release) !== 'newer') return false
  const come = newer.rules.stages.slice(0, index + 1)
  const isKnown = (name: string): boolean => newer.rules.stages.some((stage) => stage.name === name)
  const channels = new Set(come.flatMap((stage) => stage.channels))
  const reached = rollout.rules.stages.findLastIndex((stage) =>
    isKnown(stage.name)
      ? come.some(({ name }) => name === stage.name)
      : stage.channels.some((channel) => channels.has(channel)),
  )
  const frontier = frontierOf(rollout)
  return frontier < reached || (reached >= 0 && frontier === reached && rollout.stages[reached]?.state !== 'done')
}

/**
 * The rollouts, of all of a pipeline, that are still under way although a newer release has overtaken them: one promotion can
 * overtake more than its commit has room for.
 */
export function overtakenNow(all: readonly Rollout[], now: number): readonly Rollout[] {
  const ahead = all.filter((other) => (other.state === 'running' || other.state === 'done') && frontierOf(other) >= 0)
  return all.flatMap((rollout) => {
    if (rollout.state !== 'running') return []
    const newer = ahead.find((other) => isOvertaken(rollout, other, frontierOf(other)))
    return newer === undefined ? [] : supersede(rollout, newer.release, now)
  })
}

export function supersede(rollout: Rollout, by: string, now: number): Rollout {
  return { ...rollout, state: 'superseded', supersededBy: by, endedAt: momentOf(now), paused: null }
}
