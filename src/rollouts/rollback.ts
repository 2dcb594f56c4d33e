// Taking a release back from every channel that it has reached. What comes after is in end-rollback.ts.
import { applyChange, type Accepted } from '../channels/change.ts'
import { withServed } from '../channels/build-metadata.ts'
import type { Channel } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import type { IsBlocked } from '../channels/blocked-version.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { versionsTold } from '../channels/target.ts'
import { momentOf } from '../channels/time.ts'
import { compareVersions, parseVersion } from '../channels/version.ts'
import { releaseOrder } from './cloud-version.ts'
import { refuse, type GuardedChannel, type RolloutRefusal } from './outcome.ts'
import type { Release } from './release.ts'
import type { RuleContext } from './release-draft.ts'
import { whyItStays } from './promotion.ts'
import { channelsOf, type RolledBackChannel, type Rollout } from './rollout.ts'

export interface RollbackFacts {
  readonly rollout: Rollout
  readonly release: Release
  /** Every rollout of the pipeline, this one included: where its releases came from, channel by channel. */
  readonly rollouts: readonly Rollout[]
  /** The channels of the rollout's stages, and others that it has moved, by name. */
  readonly channels: ReadonlyMap<string, Channel>
  readonly isBlocked: IsBlocked
  /** Whether a version is of a release that was rolled back or withdrawn. */
  readonly isBad: (version: string) => boolean
  /** Whether agents were told a version here, or it is of a registered release that is not bad: what `to` may name. */
  readonly isKnown: (version: string) => boolean
}

export interface AfterContext extends RuleContext {
  readonly force: boolean
}

export interface RollbackContext extends AfterContext {
  readonly critical: boolean
  /** The version to go back to on every channel; null for the last good one of each. */
  readonly to: string | null
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
  readonly untouched: readonly Untouched[]
}

/**
 * Pins every channel that tells agents the release back to the last good one; where none is known, its agents are told to
 * stay where they are. Gates, approvals and windows are not asked; the guards of channels are, and where one refuses nothing is
 * done to any. Where `to` names a version, it is an older one that is known here; `force` passes both, for who knows better.
 */
export function planRollback(facts: RollbackFacts, context: RollbackContext): RollbackPlan | RolloutRefusal {
  const { rollout, release, channels, isBlocked } = facts
  const { now, expiryTime, actor, force, critical } = context
  const reason = context.reason?.trim() ?? ''
  if (reason === '') return malformed('reason', 'is missing; say what is wrong with the release')
  const to = context.to === null ? null : parseVersion(context.to)
  if (to?.outcome === 'unparsed') return malformed('to', to.message)
  const wrong = to === null ? null : whyNotTo(facts, to.value, force)
  if (wrong !== null) return malformed('to', wrong)
  const before = beforeIn(facts.rollouts)
  const moved = movesOf(rollout)
  const steps: RolledBackChannel[] = []
  const untouched: Untouched[] = []
  const changes = new Changes({ now, expiryTime, actor, reason, force, isBlocked, fallback: null })
  for (const name of channelsOf(rollout)) {
    const channel = channels.get(name)
    const why =
      channel === undefined ? 'does not exist any more' : whyUntouched(channel, release.version, isBlocked, expiryTime)
    if (channel === undefined || why !== null) {
      if (moved.has(name)) untouched.push({ channel: name, why: why ?? '' })
      continue
    }
    const known = to === null ? lastGood(facts, before, channel) : null
    const good = to?.value ?? known ?? goodSource(facts, channel)
    if (good === null && channel.halt !== null) {
      untouched.push({ channel: name, why: whyItStays(channel) ?? '' })
      continue
    }
    steps.push({ channel: name, from: release.version, to: good })
    // What the pipeline has found there was served there, whatever the channel allows now.
    const from = known === null ? channel : withServed(channel, known)
    changes.apply(from, good === null ? { kind: 'halt' } : { kind: 'rollback', version: good, critical })
  }
  if (changes.refused.length > 0) return { outcome: 'refused', why: 'guards', channels: changes.refused }
  const { rollback: earlier } = rollout
  // Again only where somebody has brought it back since.
  if (earlier !== null && steps.length === 0) {
    return refuse('rollout_over', `${release.version} was rolled back already, and no channel tells it`)
  }
  const at = momentOf(now)
  const stateBefore = earlier?.stateBefore ?? rollout.state
  const rollback = { reason, by: actor, at, channels: steps, stateBefore, unpinnedAt: null }
  return {
    outcome: 'planned',
    rollout: { ...rollout, state: 'rolled back', endedAt: at, paused: null, rollback },
    release: { ...release, bad: { reason, by: actor, at } },
    channels: changes.channels,
    untouched,
  }
}

/** Why channels are not pinned to a version that was named: a slip of the pen would be told to a whole fleet. */
function whyNotTo({ release, isKnown }: RollbackFacts, version: string, force: boolean): string | null {
  if (version === release.version) return 'is the release that is to be taken back'
  if (force) return null
  if (releaseOrder(version, release.version) === 'newer') {
    return `is newer than ${release.version}, and a rollback only goes back; promote it instead, or an admin adds force`
  }
  if (isKnown(version)) return null
  return `names ${version}, which no channel was told, nor is it a registered release that is good; see how it is written, leave \`to\` out for the last good one of each channel, or an admin adds force`
}

/** Whether a channel tells some agent the release, or would once its halt ends. */
export function isToTakeBack(channel: Channel, version: string, isBlocked: IsBlocked, expiryTime: number): boolean {
  const { halt, pin, source } = channel
  const told = halt === null ? versionsTold(channel, isBlocked, expiryTime) : [pin?.version ?? source.version]
  return told.includes(version)
}

/** Why a channel is left alone: it does not tell any agent the release. */
function whyUntouched(channel: Channel, version: string, isBlocked: IsBlocked, expiryTime: number): string | null {
  if (isToTakeBack(channel, version, isBlocked, expiryTime)) return null
  const { pin, source } = channel
  if (pin !== null) return `is pinned to ${pin.version} by ${pin.by} already`
  return `is at ${source.version ?? 'no version'}, not at ${version}`
}

/** What a channel was told before the release, or before that, up to the first that is neither bad nor blocked; null for none. */
function lastGood(facts: RollbackFacts, before: BeforeOf, channel: Channel): string | null {
  const seen = new Set<string>()
  let version = before(facts.rollout.release, channel.name)
  while (version !== null && !isGood(facts, channel, version)) {
    if (seen.has(version)) return null
    seen.add(version)
    version = before(version, channel.name)
  }
  return version
}

/** What an operator's pin to the release has covered, where that is good. */
function goodSource(facts: RollbackFacts, channel: Channel): string | null {
  const { version } = channel.source
  return version !== null && isGood(facts, channel, version) ? version : null
}

function isGood({ rollout, isBad, isBlocked }: RollbackFacts, { floor, ceiling }: Channel, version: string): boolean {
  if (version === rollout.release || isBad(version) || isBlocked(version)) return false
  const isBelow = floor !== null && compareVersions(version, floor) < 0
  return !isBelow && (ceiling === null || compareVersions(version, ceiling) <= 0)
}

/** What a channel was told before this pipeline promoted a release there; null where it did not, or it was told nothing. */
type BeforeOf = (release: string, channel: string) => string | null

/** Each rollout is looked through once, and only if something has to go back to before it. */
function beforeIn(rollouts: readonly Rollout[]): BeforeOf {
  const known = new Map<string, ReadonlyMap<string, string | null>>()
  return (release, channel) => {
    let moves = known.get(release)
    if (moves === undefined) known.set(release, (moves = movesOf(rollouts.find((one) => one.release === release))))
    return moves.get(channel) ?? null
  }
}

function movesOf(rollout: Rollout | undefined): ReadonlyMap<string, string | null> {
  const moved = rollout?.stages.flatMap((stage) => stage.moved) ?? []
  // New rules can have moved a channel to a later stage, which found it at the release already: the first move counts.
  return new Map(moved.toReversed().map(({ channel, before }) => [channel, before]))
}

/** One change of several channels, with every refusal of a guard. */
export class Changes {
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
