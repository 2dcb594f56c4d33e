// Taking a release back from every channel that it has reached, and what comes after: the pins taken away with the
// channels staying where they are, or the release going on where it was.
import { applyChange, type Accepted } from '../channels/change.ts'
import type { Channel } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import type { IsBlocked } from '../channels/blocked-version.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { versionsTold } from '../channels/target.ts'
import { momentOf } from '../channels/time.ts'
import { parseVersion } from '../channels/version.ts'
import { refuse, type GuardedChannel, type RolloutRefusal } from './outcome.ts'
import type { Release } from './release.ts'
import type { RuleContext } from './release-draft.ts'
import { restarted } from './rollout-draft.ts'
import type { Moved, Rollout } from './rollout.ts'

export interface RollbackFacts {
  readonly rollout: Rollout
  readonly release: Release
  /** Every rollout of the pipeline, this one included: where its releases came from, channel by channel. */
  readonly rollouts: readonly Rollout[]
  /** The channels that the rollout has moved and that exist, by name. */
  readonly channels: ReadonlyMap<string, Channel>
  readonly isBlocked: IsBlocked
  /** Whether a version is of a release that was rolled back or withdrawn. */
  readonly isBad: (version: string) => boolean
}

export interface RollbackContext extends RuleContext {
  readonly force: boolean
  readonly critical: boolean
  /** The version to go back to on every channel; null for the last good one of each. */
  readonly to: string | null
}

/** What happens to one channel. */
export interface ChannelStep {
  readonly channel: string
  readonly from: string
  readonly to: string
}

export interface Untouched {
  readonly channel: string
  readonly why: string
}

export interface RollbackPlan {
  readonly outcome: 'planned'
  readonly rollout: Rollout
  readonly release: Release
  readonly channels: readonly Channel[]
  readonly steps: readonly ChannelStep[]
  readonly untouched: readonly Untouched[]
}

/**
 * Pins every channel that tells agents the release back to the last good one. Gates, approvals and windows are not asked;
 * the guards of channels are, and where one refuses nothing is done to any.
 */
export function planRollback(facts: RollbackFacts, context: RollbackContext): RollbackPlan | RolloutRefusal {
  const { rollout, release, channels, isBlocked } = facts
  const { now, actor, force, critical } = context
  const reason = context.reason?.trim() ?? ''
  if (reason === '') return malformed('reason', 'is missing; say what is wrong with the release')
  const to = context.to === null ? null : parseVersion(context.to)
  if (to?.outcome === 'unparsed') return malformed('to', to.message)
  if (to?.value === release.version) return malformed('to', 'is the release that is to be taken back')
  if (rollout.state === 'rolled back') return refuse('rollout_over', `${release.version} was rolled back already`)
  const steps: ChannelStep[] = []
  const untouched: Untouched[] = []
  const lost: string[] = []
  const pinned = new Changes({ now, actor, reason, force, isBlocked, fallback: null })
  for (const { moved } of rollout.stages) {
    for (const { channel: name } of moved) {
      const channel = channels.get(name)
      const why =
        channel === undefined ? 'does not exist any more' : whyUntouched(channel, release.version, isBlocked, now)
      if (channel === undefined || why !== null) {
        untouched.push({ channel: name, why: why ?? '' })
        continue
      }
      const good = to?.value ?? lastGood(facts, name)
      if (good === null) {
        lost.push(name)
        continue
      }
      steps.push({ channel: name, from: release.version, to: good })
      pinned.apply(channel, { kind: 'rollback', version: good, critical })
    }
  }
  if (lost.length > 0) {
    return refuse(
      'no_good_release',
      `no good release is known to go back to on ${lost.join(', ')}; name one with \`to\``,
    )
  }
  if (pinned.refused.length > 0) return { outcome: 'refused', why: 'guards', channels: pinned.refused }
  const at = momentOf(now)
  const rollback = { reason, by: actor, at, channels: steps, stateBefore: rollout.state, unpinnedAt: null }
  return {
    outcome: 'planned',
    rollout: { ...rollout, state: 'rolled back', endedAt: at, rollback },
    release: { ...release, bad: { reason, by: actor, at } },
    channels: pinned.channels,
    steps,
    untouched,
  }
}

/** Why a channel that the rollout has moved is left alone: it does not tell any agent the release. */
function whyUntouched(channel: Channel, version: string, isBlocked: IsBlocked, now: number): string | null {
  const { halt, pin, source } = channel
  // Under a halt nobody is told anything, but its end must not bring the release back.
  const told = halt === null ? versionsTold(channel, isBlocked, now) : [pin?.version ?? source.version]
  if (told.includes(version)) return null
  if (pin !== null) return `is pinned to ${pin.version} by ${pin.by} already`
  return `is at ${source.version ?? 'no version'}, not at ${version}`
}

/** What a channel was told before the release, or before that, up to the first that is neither bad nor blocked; null for none. */
function lastGood({ rollout, rollouts, isBad, isBlocked }: RollbackFacts, channel: string): string | null {
  const seen = new Set<string>()
  let version = movedBy(rollout, channel)?.before ?? null
  while (version !== null && (isBad(version) || isBlocked(version) || version === rollout.release)) {
    if (seen.has(version)) return null
    seen.add(version)
    const earlier = rollouts.find(({ release }) => release === version)
    version = earlier === undefined ? null : (movedBy(earlier, channel)?.before ?? null)
  }
  return version
}

function movedBy({ stages }: Rollout, channel: string): Moved | undefined {
  return stages.flatMap(({ moved }) => moved).find((move) => move.channel === channel)
}

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
  context: RuleContext & { readonly force: boolean },
): AfterPlan | RolloutRefusal {
  return planAfter(rollout, channels, isBlocked, context, { kind: 'settle' }, 'is missing; say why the pins end')
}

/** Takes the pins away and has the release go on where it was: it was not bad after all. */
export function planResume(
  rollout: Rollout,
  channels: RollbackFacts['channels'],
  isBlocked: IsBlocked,
  context: RuleContext & { readonly force: boolean },
): AfterPlan | RolloutRefusal {
  return planAfter(
    rollout,
    channels,
    isBlocked,
    context,
    { kind: 'unpin' },
    'is missing; say why the release is good after all',
  )
}

function planAfter(
  rollout: Rollout,
  channels: RollbackFacts['channels'],
  isBlocked: IsBlocked,
  { now, actor, reason, force }: RuleContext & { readonly force: boolean },
  change: { readonly kind: 'settle' } | { readonly kind: 'unpin' },
  missing: string,
): AfterPlan | RolloutRefusal {
  if ((reason?.trim() ?? '') === '') return malformed('reason', missing)
  const { rollback } = rollout
  if (rollback === null || rollout.state !== 'rolled back') {
    return refuse('not_rolled_back', `the release ${rollout.release} was not rolled back`)
  }
  if (rollback.unpinnedAt !== null) {
    return refuse(
      'not_rolled_back',
      `the pins of the rollback of ${rollout.release} were taken away at ${rollback.unpinnedAt}`,
    )
  }
  const freed = new Changes({ now, actor, reason, force, isBlocked, fallback: null })
  const untouched: Untouched[] = []
  for (const { channel: name, to } of rollback.channels) {
    const channel = channels.get(name)
    const pin = channel?.pin ?? null
    // A pin that somebody has set since is theirs.
    if (
      channel === undefined ||
      pin === null ||
      pin.version !== to ||
      pin.at !== rollback.at ||
      pin.by !== rollback.by
    ) {
      const why =
        channel === undefined
          ? 'does not exist any more'
          : pin === null
            ? 'is not pinned any more'
            : `is pinned to ${pin.version} by ${pin.by} since`
      untouched.push({ channel: name, why })
      continue
    }
    freed.apply(channel, change)
  }
  if (freed.refused.length > 0) return { outcome: 'refused', why: 'guards', channels: freed.refused }
  const next: Rollout =
    change.kind === 'settle'
      ? { ...rollout, rollback: { ...rollback, unpinnedAt: momentOf(now) } }
      : restarted(
          {
            ...rollout,
            state: rollback.stateBefore,
            endedAt: rollback.stateBefore === 'running' ? null : momentOf(now),
            rollback: null,
          },
          now,
        )
  return { outcome: 'planned', rollout: next, channels: freed.channels, untouched }
}

/** One change of several channels, with every refusal of a guard. */
class Changes {
  readonly channels: Channel[] = []
  readonly refused: GuardedChannel[] = []
  readonly #context: Parameters<typeof applyChange>[2]

  constructor(context: Parameters<typeof applyChange>[2]) {
    this.#context = context
  }

  apply(channel: Channel, change: ChannelChange): void {
    const applied: Accepted | Refusal = applyChange(channel, change, this.#context)
    if (applied.outcome === 'accepted') {
      this.channels.push(applied.channel)
      return
    }
    const guard = applied.why === 'guard' ? applied.guard : applied.why
    this.refused.push({ channel: channel.name, guard, message: applied.message })
  }
}
