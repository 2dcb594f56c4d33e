// Every change of a channel as a pure function: (channel, change, context) → the next channel, or a refusal.
// What a change asks for is read in draft.ts, what may be served is judged in guards.ts, what is served is in target.ts.
import { withServed } from './build-metadata.ts'
import { remembering, type Channel } from './channel.ts'
import { draft, draftCreated, hasReason, type ChangeContext, type ChannelChange } from './draft.ts'
import { firstRefused, judge, judgeDowngrade } from './guards.ts'
import { lapse } from './lapse.ts'
import { malformed, type Refusal, type Verdict } from './outcome.ts'
import { judgeRollbackEnd } from './rollback-end.ts'
import { cohortsAt, targetAt, versionsTold, type Target } from './target.ts'
import { momentOf } from './time.ts'

export interface Accepted {
  readonly outcome: 'accepted'
  readonly channel: Channel
  readonly before: Target | null
  readonly after: Target
  readonly verdicts: readonly Verdict[]
}

/**
 * Applies one change to a channel (null only for `create`). Accepted answers carry the targets before and after and
 * every guard's verdict. Expired parts of the channel are taken out first, as if they had been journaled in time.
 */
export function applyChange(stored: Channel | null, change: ChannelChange, context: ChangeContext): Accepted | Refusal {
  if (context.force && !hasReason(context)) return malformed('reason', 'is missing; a forced change says why')
  if (change.kind === 'create') {
    if (stored !== null) {
      return {
        outcome: 'refused',
        why: 'state',
        problem: 'channel_exists',
        message: `channel ${stored.name} exists already; change it with PATCH`,
      }
    }
    const drafted = draftCreated(change, context)
    return drafted.outcome === 'refused' ? drafted : settle(null, drafted.channel, change, context)
  }
  if (stored === null) throw new TypeError(`a ${change.kind} change needs a channel`)
  const current = lapse(stored, context.isBlocked, context.expiryTime) ?? stored
  const drafted = draft(current, change, context)
  return drafted.outcome === 'refused' ? drafted : settle(current, drafted.channel, change, context)
}

/** Compares what is served before and after, asks the guards, and stamps the document. */
function settle(
  current: Channel | null,
  next: Channel,
  change: ChannelChange,
  context: ChangeContext,
): Accepted | Refusal {
  const { isBlocked, expiryTime, force } = context
  const before = current === null ? null : targetAt(current, isBlocked, expiryTime)
  const after = targetAt(next, isBlocked, expiryTime)
  const served = before?.version ?? null
  const verdicts: Verdict[] = []
  // That an upstream is in trouble changes nothing that is served, and must be told whatever the guards say.
  if (change.kind === 'upstream-problem') return accepted({ current, next }, { before, after }, [], context)
  if (after.version !== null && after.version !== served) {
    // What a ramp brings was judged when it began, by force or not; it only reaches more agents.
    const baseline = change.kind === 'ramp' ? after.version : (served ?? majorsBaseline(next))
    verdicts.push(...judge({ version: after.version, baseline, limits: next, isBlocked, force }))
  } else if (after.version !== null) {
    // The version stays, so its major was judged when it came. New limits are asked about, and so is the block list
    // where the version is named anew or becomes urgent; that it may stay otherwise is what blocking a served version means.
    const anew = namesServed(change, next) || (after.critical && before?.critical !== true)
    const limits = withServed(next, after.version)
    const asked = judge({ version: after.version, baseline: after.version, limits, isBlocked, force })
    verdicts.push(...asked.filter(({ guard }) => anew || guard !== 'blocked-version'))
  }
  verdicts.push(...judgeLost(current, next, change, context))
  const source = next.source.version
  // A pin that settles moves nobody: its version was judged when it was set.
  const hidden = change.kind !== 'settle' && (next.pin !== null || next.halt !== null)
  if (current !== null && hidden && source !== null && source !== current.source.version) {
    // A source that moves under a pin or a halt is not served yet; it is guarded against the source it replaces.
    // With the pin taken away under a halt, what agents were served last is what the end of the halt is judged against.
    const baseline = isPinEnd(change) ? next.lastServed : current.source.version
    verdicts.push(...judge({ version: source, baseline, limits: next, isBlocked, force }))
  }
  if (next.pin !== null && next.halt !== null && (change.kind === 'pin' || change.kind === 'rollback')) {
    // Not served before the halt ends, but that is no moment to learn that it may not be.
    verdicts.push(...judge({ version: next.pin.version, baseline: next.lastServed, limits: next, isBlocked, force }))
  }
  verdicts.push(
    ...judgeCohorts(current, next, change, context),
    ...judgeNamed(current, next, change, context),
    ...judgePinEnd(current, next, change, context),
  )
  const refused = firstRefused(verdicts)
  if (refused !== null) {
    const { guard, detail: message } = refused
    return { outcome: 'refused', why: 'guard', guard, field: null, served, message, verdicts }
  }
  return accepted({ current, next }, { before, after }, verdicts, context)
}

/** Whether a change that names a version also takes the pin away. */
function isPinEnd(change: ChannelChange): boolean {
  return change.kind === 'version' && change.unpin === true
}

/**
 * Whether the end of a rollback's pin brings back what that rollback has left. It is judged under a halt too, since afterwards
 * nothing remembers it. Resuming a release says that its rollback was wrong, and is judged as a release.
 */
function judgePinEnd(
  current: Channel | null,
  next: Channel,
  change: ChannelChange,
  { isBlocked, expiryTime, force }: ChangeContext,
): readonly Verdict[] {
  if (current === null || next.pin !== null || (change.kind === 'unpin' && change.isResumed === true)) return []
  const ended = versionsTold({ ...next, halt: null }, isBlocked, expiryTime)
  const left = judgeRollbackEnd(current.pin, ended, force)
  if (left.length === 0 || next.halt === null) return left
  // Under a halt nothing else asks the block list.
  const blocked = ended.flatMap((version) => judge({ version, baseline: version, limits: next, isBlocked, force }))
  return [...blocked.filter(({ guard }) => guard === 'blocked-version'), ...left]
}

/**
 * What the majors are compared with while nothing is served. What a new channel has from `default` is not asked of the first
 * version that its upstream gives it: nobody is there to force that (ADR 37).
 */
function majorsBaseline({ lastServed, lastServedFrom, source, pin }: Channel): string | null {
  const isAnswered = source.kind === 'forward' && source.answeredAt !== null && pin === null
  return isAnswered && lastServedFrom === 'default' ? null : lastServed
}

/** The guard "downgrade", where a change newly names a version that agents are served from then on (ADR 36). */
function judgeNamed(
  current: Channel | null,
  next: Channel,
  change: ChannelChange,
  { isBlocked, expiryTime, force }: ChangeContext,
): readonly Verdict[] {
  const version = current === null ? null : namedVersion(current, next, change)
  // Under a pin or a halt agents see nothing of it.
  if (current === null || version === null || next.pin !== null || next.halt !== null) return []
  const told = versionsTold(current, isBlocked, expiryTime)
  const isSilent = told.length === 0 && current.lastServedFrom === undefined
  const held = isSilent ? [current.lastServed, current.lastServedBeside].flatMap((last) => last ?? []) : told
  return [judgeDowngrade(version, held, force)]
}

/** The version that a change newly names; null for none, and for those that may go down by their kind. */
function namedVersion(current: Channel, next: Channel, change: ChannelChange): string | null {
  switch (change.kind) {
    case 'version':
      return next.source.version
    case 'edit':
      return change.source?.version !== undefined || (current.ramp !== undefined && next.ramp === undefined)
        ? next.source.version
        : null
    case 'promote':
      // A channel that is in this release's ramp already only goes on.
      return current.ramp === undefined ? next.source.version : null
    // Operators go down by these.
    case 'pin':
    case 'rollback':
    // An upstream's rollback is ours.
    case 'upstream':
    case 'upstream-problem':
    // What these bring was judged when it came, or is a channel's first version.
    case 'ramp':
    case 'settle':
    case 'unpin':
    case 'resume':
    case 'create':
    case 'critical':
    case 'halt':
      return null
  }
}

/** The majors once more for cohorts: those whose version nobody is told any more are told the plain path's instead. */
function judgeLost(
  current: Channel | null,
  next: Channel,
  change: ChannelChange,
  { isBlocked, expiryTime, force }: ChangeContext,
): readonly Verdict[] {
  const told = versionsTold(next, isBlocked, expiryTime)
  const [version] = told
  if (current === null || version === undefined || change.kind === 'ramp') return []
  const [plain, ...cohorts] = versionsTold(current, isBlocked, expiryTime)
  // While nobody is told anything, cohorts have what they were told before it.
  const beside = plain === undefined ? [current.lastServedBeside].flatMap((last) => last ?? []) : cohorts
  return beside
    .filter((lost) => !told.includes(lost))
    .flatMap((baseline) => judge({ version, baseline, limits: next, isBlocked, force }))
    .filter(({ guard, verdict }) => (guard === 'major-downgrade' || guard === 'major-jump') && verdict !== 'passed')
}

/** What the guards say of the versions that only cohorts are told, as settle asks them about the plain path's. */
function judgeCohorts(
  current: Channel | null,
  next: Channel,
  change: ChannelChange,
  { isBlocked, expiryTime, force }: ChangeContext,
): readonly Verdict[] {
  const target = targetAt(next, isBlocked, expiryTime)
  // Where the plain path tells nothing, what cohorts are told is still judged.
  const others = versionsTold(next, isBlocked, expiryTime).filter((version) => version !== target.version)
  if (others.length === 0) return []
  const before = current === null ? [] : versionsTold(current, isBlocked, expiryTime)
  const moves = change.kind === 'promote' || change.kind === 'ramp'
  const isUrgent = (channel: Channel, version: string): boolean => {
    const cohorts = cohortsAt(channel, isBlocked, expiryTime)
    return [cohorts?.early, cohorts?.late].some((told) => told?.version === version && told.critical)
  }
  return others.flatMap((version) => {
    const stays = before.includes(version)
    const baseline = stays ? version : (before[0] ?? next.lastServed)
    const limits = stays ? withServed(next, version) : next
    const verdicts = judge({ version, baseline, limits, isBlocked, force })
    // A ramp that goes on tells more agents what it brings; what they had before may stay, blocked or not.
    const becomesUrgent = isUrgent(next, version) && (current === null || !isUrgent(current, version))
    const anew = !stays || (moves && version === next.source.version) || becomesUrgent
    return verdicts.filter(({ guard }) => anew || guard !== 'blocked-version')
  })
}

function accepted(
  { current, next }: { readonly current: Channel | null; readonly next: Channel },
  targets: Pick<Accepted, 'before' | 'after'>,
  verdicts: readonly Verdict[],
  { now, expiryTime, actor, isBlocked }: ChangeContext,
): Accepted {
  const told = versionsTold(next, isBlocked, expiryTime)
  const remembered = told.length === 0 && current !== null ? versionsTold(current, isBlocked, expiryTime) : told
  const channel = { ...remembering(next, remembered), updatedAt: momentOf(now), updatedBy: actor }
  return { outcome: 'accepted', channel, ...targets, verdicts }
}

/**
 * What the guards say of deleting a channel. On the webapi path its agents are told the target of `default` from then
 * on (`context.fallback`, and during a ramp `context.fallbackBeside`), which must not take them where no other change could.
 */
export function judgeDeletion(channel: Channel, context: ChangeContext): readonly Verdict[] | Refusal {
  const { expiryTime, fallback, fallbackBeside = [], isBlocked, force } = context
  const served = targetAt(channel, isBlocked, expiryTime).version
  if (force && !hasReason(context)) return malformed('reason', 'is missing; a forced change says why')
  const told = [...new Set([fallback, ...fallbackBeside])]
    .flatMap((version) => version ?? [])
    .filter((version) => version !== served)
  if (told.length === 0) return []
  const baseline = served ?? channel.lastServed
  // `default` serves it by its own limits.
  const limits = { floor: null, ceiling: null, allowBuildMetadata: true } as const
  const verdicts = [
    ...told.flatMap((version) => judge({ version, baseline, limits, isBlocked, force })),
    ...judgeRollbackEnd(channel.pin, told, force),
  ]
  const refused = firstRefused(verdicts)
  if (refused === null) return verdicts
  const message = `without this channel, webapi agents follow the channel default: ${refused.detail}`
  return { outcome: 'refused', why: 'guard', guard: refused.guard, field: null, served, message, verdicts }
}

/** Whether a change names the version that is served after it; a source that is set under a pin is not that. */
function namesServed(change: ChannelChange, next: Channel): boolean {
  switch (change.kind) {
    case 'pin':
    case 'rollback':
      return true
    case 'version':
    case 'upstream':
      return next.pin === null
    case 'create':
    case 'edit':
      return change.source !== undefined && next.pin === null
    case 'promote':
    case 'ramp':
      return next.pin === null && next.ramp?.plainPath !== 'last'
    case 'critical':
    case 'upstream-problem':
    case 'unpin':
    case 'halt':
    case 'resume':
    case 'settle':
      return false
  }
}
