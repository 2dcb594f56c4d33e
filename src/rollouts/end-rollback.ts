// What comes after a rollback: its pins taken away with the channels staying where they are, or the release going on where
// it was.
import type { IsBlocked } from '../channels/blocked-version.ts'
import type { Channel } from '../channels/channel.ts'
import { malformed } from '../channels/outcome.ts'
import { momentOf } from '../channels/time.ts'
import { compatibilityBlockers, releaseBlockers, signOffBlockers, type StageFacts } from './conditions.ts'
import { refuse, type RolloutRefusal } from './outcome.ts'
import { whyItStays } from './promotion.ts'
import type { Release } from './release.ts'
import { Changes, type AfterContext, type RollbackFacts, type Untouched } from './rollback.ts'
import { restarted, type RolledBack, type Rollout } from './rollout.ts'

export interface AfterPlan {
  readonly outcome: 'planned'
  readonly rollout: Rollout
  readonly channels: readonly Channel[]
  readonly untouched: readonly Untouched[]
}

/** Takes the pins of a rollback away; the channels stay at what they were pinned to, ready for the next release. */
export function planUnpin(
  rollout: Rollout,
  channels: RollbackFacts['channels'],
  isBlocked: IsBlocked,
  context: AfterContext,
): AfterPlan | RolloutRefusal {
  const after = afterRollback(rollout, channels, context, 'is missing; say why the pins end')
  if (after.outcome === 'refused') return after
  const changes = new Changes({ ...context, isBlocked, fallback: null })
  const untouched = [...after.untouched]
  for (const { channel, to } of after.ours) {
    const { source } = channel
    // Its source is the release still, so its agents go on staying where they are until somebody says what is next.
    if (to === null) untouched.push({ channel: channel.name, why: 'stays halted; set a version, then resume it' })
    else if (source.kind === 'forward')
      untouched.push({ channel: channel.name, why: `follows ${source.url} since; unpin it by hand` })
    else if (isSetSince(channel, rollout, to))
      untouched.push({ channel: channel.name, why: `would be at ${source.version} without its pin; unpin it by hand` })
    else changes.apply(channel, { kind: 'settle' })
  }
  if (changes.refused.length > 0) return { outcome: 'refused', why: 'guards', channels: changes.refused }
  const rollback = { ...after.rollback, unpinnedAt: momentOf(context.now) }
  return { outcome: 'planned', rollout: { ...rollout, rollback }, channels: changes.channels, untouched }
}

/** Whether the source has a version that the pin hides and no rollback has left: somebody has set it, so an unpin must not lose it. */
function isSetSince({ source, pin }: Channel, { release }: Rollout, to: string): boolean {
  const { version } = source
  return version !== null && ![release, to, ...(pin?.rolledBackFrom ?? [])].includes(version)
}

/**
 * Takes the pins away and has the release go on where it was: it was not bad after all. Whatever else must hold of a release
 * must hold of it now: that it works with what agents of these channels run since, and that what it brings is signed off
 * where a stage that it has reached asks for that. Approvals and windows are not asked again: people were for this very
 * release, and it comes to no agent that was not told it before. `facts.isBlocked` is of the block list as it will be, and
 * `facts.running` of the channels that the rollback has pinned or halted.
 */
export function planResume(
  facts: StageFacts,
  channels: RollbackFacts['channels'],
  context: AfterContext,
): AfterPlan | RolloutRefusal {
  const { rollout, release, now } = facts
  const missing = 'is missing; say why the release is good after all'
  const after = afterRollback(rollout, channels, context, missing)
  if (after.outcome === 'refused') return after
  const held = whyNotGivenBack(facts, after.ours)
  if (held !== null) return held
  const changes = new Changes({ ...context, isBlocked: facts.isBlocked, fallback: null })
  const untouched = [...after.untouched]
  for (const { channel, to } of after.ours) {
    const { source } = channel
    if (isGivenBack(channel, release))
      changes.apply(channel, to === null ? { kind: 'resume' } : { kind: 'unpin', isResumed: true })
    else untouched.push({ channel: channel.name, why: `would be at ${source.version ?? 'no version'} without its pin` })
  }
  if (changes.refused.length > 0) return { outcome: 'refused', why: 'guards', channels: changes.refused }
  const { stateBefore } = after.rollback
  const endedAt = stateBefore === 'running' ? null : momentOf(now)
  const resumed = restarted({ ...rollout, state: stateBefore, endedAt, rollback: null }, now)
  return { outcome: 'planned', rollout: resumed, channels: changes.channels, untouched }
}

/** Whether a channel tells the release again once the pin, or the halt, of the rollback ends. */
function isGivenBack({ source }: Channel, { version }: Release): boolean {
  return source.version === version
}

/** What keeps the release from agents that are to get it back; null for nothing. */
function whyNotGivenBack(facts: StageFacts, ours: After['ours']): RolloutRefusal | null {
  const { rollout, release, running, unknown } = facts
  const names = new Set(ours.flatMap(({ channel }) => (isGivenBack(channel, release) ? channel.name : [])))
  const isMeant = ([name]: readonly [string, unknown]): boolean => names.has(name)
  // Agents that run the release still are no reason against it.
  const besides = ([name, versions]: readonly [string, readonly string[]]) =>
    [name, versions.filter((version) => version !== release.version)] as const
  const others = {
    ...facts,
    // That it is bad ends in the same commit.
    release: { ...release, bad: null },
    running: new Map([...running].filter(isMeant).map(besides)),
    unknown: new Map([...unknown].filter(isMeant)),
  }
  const blockers = [...releaseBlockers(others), ...compatibilityBlockers(others)]
  const asking = rollout.rules.stages.find((rules, index) => isPromoted(rollout, index) && rules.requireSignOff)
  const unsigned = asking === undefined ? [] : signOffBlockers(facts, asking)
  const stage = (blockers.length === 0 ? asking : rollout.rules.stages[0])?.name ?? ''
  const all = [...blockers, ...unsigned]
  return all.length === 0 ? null : { outcome: 'refused', why: 'held-back', stage, blockers: all }
}

function isPromoted({ stages }: Rollout, index: number): boolean {
  const state = stages[index]?.state
  return state !== undefined && state !== 'waiting'
}

interface After {
  readonly outcome: 'after'
  readonly rollback: RolledBack
  /** Channels that stand as the rollback has left them. */
  readonly ours: readonly { readonly channel: Channel; readonly to: string | null }[]
  readonly untouched: readonly Untouched[]
}

/** What is left of a rollback: a pin or a halt that somebody has set since is theirs. */
function afterRollback(
  { rollback, state, release }: Rollout,
  channels: RollbackFacts['channels'],
  { reason }: AfterContext,
  missing: string,
): After | RolloutRefusal {
  if ((reason?.trim() ?? '') === '') return malformed('reason', missing)
  if (rollback === null || state !== 'rolled back') {
    return refuse('not_rolled_back', `the release ${release} was not rolled back`)
  }
  if (rollback.unpinnedAt !== null) {
    const message = `the pins of the rollback of ${release} were taken away at ${rollback.unpinnedAt}`
    return refuse('not_rolled_back', message)
  }
  const ours: { readonly channel: Channel; readonly to: string | null }[] = []
  const untouched: Untouched[] = []
  for (const { channel: name, to } of rollback.channels) {
    const channel = channels.get(name)
    if (channel !== undefined && isHeldBy(rollback, channel, to)) ours.push({ channel, to })
    else untouched.push({ channel: name, why: whyNotOurs(channel) })
  }
  return { outcome: 'after', rollback, ours, untouched }
}

/** Whether the pin, or where nothing good was known the halt, of a channel is the one that the rollback has set. */
function isHeldBy({ at, by }: RolledBack, { pin, halt }: Channel, to: string | null): boolean {
  const set = to === null ? halt : pin
  return set?.at === at && set.by === by
}

/** Whether the pins of a rollout's rollback were not taken away yet, by unpin or resume. */
export function isPinned({ state, rollback }: Rollout): boolean {
  return state === 'rolled back' && rollback?.unpinnedAt === null
}

/**
 * The channels that `others`, rollouts of the same release in other pipelines, keep from it still: a release is good or bad as a
 * whole, but each rollback ends by itself.
 */
export function heldElsewhere(others: readonly Rollout[], channels: RollbackFacts['channels']): readonly Untouched[] {
  return others.filter(isPinned).flatMap(({ pipeline, rollback }) =>
    (rollback?.channels ?? []).flatMap(({ channel: name, to }) => {
      const channel = channels.get(name)
      if (rollback === null || channel === undefined || !isHeldBy(rollback, channel, to)) return []
      const how =
        to === null
          ? `halted by the rollback in ${pipeline}; resume it there`
          : `pinned by the rollback in ${pipeline}; resume or unpin it there`
      return { channel: name, why: `stays ${how}` }
    }),
  )
}

function whyNotOurs(channel: Channel | undefined): string {
  if (channel === undefined) return 'does not exist any more'
  return whyItStays(channel) ?? 'is neither pinned nor halted any more'
}
