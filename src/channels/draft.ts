// What a change of a channel asks for, and the channel it would make: texts are read here and reasons demanded.
// Whether that channel may be served is not decided here but in change.ts.
import type { IsBlocked } from './blocked-version.ts'
import type { Channel, Pin, Ramp, UpstreamProblem } from './channel.ts'
import { draftRolledOut } from './draft-ramp.ts'
import { draftAnswered, draftSource, followsUpstream, notAVersion, readUntil, withSource } from './draft-source.ts'
import { parseChannelName } from './name.ts'
import { malformed, type Refusal } from './outcome.ts'
import { rememberedLeft } from './rollback-end.ts'
import { versionsTold } from './target.ts'
import { momentOf, type Times } from './time.ts'
import { compareVersions, parseVersion } from './version.ts'

/** A source as it is asked for: texts not yet read. */
export interface SourceDraft {
  readonly kind: 'static' | 'forward'
  /** Of a forward source only. */
  readonly url?: string
  /** These of a static source only. */
  readonly version?: string | null
  readonly critical?: boolean
  readonly criticalUntil?: string | null
}

export type ChannelChange =
  | {
      readonly kind: 'create'
      readonly name: string
      readonly description?: string
      readonly source?: SourceDraft
      readonly floor?: string | null
      readonly ceiling?: string | null
      readonly allowBuildMetadata?: boolean
    }
  | {
      readonly kind: 'edit'
      readonly description?: string
      readonly source?: SourceDraft
      readonly floor?: string | null
      readonly ceiling?: string | null
      readonly allowBuildMetadata?: boolean
    }
  | {
      readonly kind: 'version'
      readonly version: string | null
      readonly critical?: boolean
      readonly criticalUntil?: string | null
      /** Takes the pin away as well, where there is one. */
      readonly unpin?: boolean
    }
  | {
      readonly kind: 'pin' | 'rollback'
      readonly version: string
      readonly critical?: boolean
      readonly until?: string | null
    }
  | { readonly kind: 'critical'; readonly critical: boolean; readonly until?: string | null }
  /** `isResumed`: the rollback that has set the pin is taken back, which is judged by the rules of releases. */
  | { readonly kind: 'unpin'; readonly isResumed?: boolean }
  | { readonly kind: 'halt' | 'resume' }
  /** What a rollout does: `version` to everybody, or with a ramp to its first cohorts. */
  | {
      readonly kind: 'promote'
      readonly version: string
      readonly critical: boolean
      /** Whose promotion it is: only its own ramp may be under way. */
      readonly seed: string
      readonly ramp: Pick<Ramp, 'percent' | 'plainPath'> | null
    }
  /** The ramp goes on to so many cohorts; at 100 it is over. */
  | { readonly kind: 'ramp'; readonly percent: number }
  /** The pin is taken away and its version stays: it becomes the source's. */
  | { readonly kind: 'settle' }
  /** What a forward channel's upstream has answered; `version` is a version, read already. */
  | { readonly kind: 'upstream'; readonly version: string | null; readonly critical: boolean }
  | { readonly kind: 'upstream-problem'; readonly problem: Omit<UpstreamProblem, 'at'> }

export interface ChangeContext extends Times {
  readonly actor: string
  readonly reason: string | null
  readonly force: boolean
  readonly isBlocked: IsBlocked
  /** What agents are told while the channel does not exist: the target of `default` on the webapi path; null for nothing. */
  readonly fallback: string | null
  /** What cohorts of them are told instead, during a ramp of `default`; given where a channel is deleted. */
  readonly fallbackBeside?: readonly string[]
}

export type Drafted = { readonly outcome: 'drafted'; readonly channel: Channel } | Refusal

/** The channel that a change asks for, not yet judged. */
export function draft(
  channel: Channel,
  change: Exclude<ChannelChange, { kind: 'create' }>,
  context: ChangeContext,
): Drafted {
  switch (change.kind) {
    case 'edit':
      return draftEdited(channel, change, context)
    case 'version':
      if (channel.source.kind === 'forward') return followsUpstream(channel, channel.source.url)
      return withSource(
        change.unpin === true ? { ...channel, pin: null } : channel,
        { ...change, kind: 'static' },
        context,
        '',
      )
    case 'upstream':
    case 'upstream-problem':
      return draftAnswered(channel, change, context)
    case 'pin':
    case 'rollback':
      return draftPinned(channel, change, context)
    case 'critical':
      return draftCritical(channel, change, context)
    case 'promote':
    case 'ramp':
    case 'settle':
      return draftRolledOut(channel, change)
    case 'unpin':
      if (!hasReason(context)) return malformed('reason', 'is missing; say why the pin ends')
      if (channel.pin !== null) return { outcome: 'drafted', channel: { ...channel, pin: null } }
      return { outcome: 'refused', why: 'state', problem: 'not_pinned', message: `channel ${channel.name} has no pin` }
    case 'halt': {
      const reason = reasonOf(context)
      if (reason === null) return malformed('reason', 'is missing; say why agents must stay where they are')
      return {
        outcome: 'drafted',
        channel: { ...channel, halt: { reason, by: context.actor, at: momentOf(context.now) } },
      }
    }
    case 'resume':
      if (!hasReason(context)) return malformed('reason', 'is missing; say why agents may go on')
      if (channel.halt !== null) return { outcome: 'drafted', channel: { ...channel, halt: null } }
      return {
        outcome: 'refused',
        why: 'state',
        problem: 'not_halted',
        message: `channel ${channel.name} is not halted`,
      }
  }
}

/** The channel that a `create` asks for, not yet judged. */
export function draftCreated(change: Extract<ChannelChange, { kind: 'create' }>, context: ChangeContext): Drafted {
  const name = parseChannelName(change.name)
  if (name.outcome === 'unparsed') return malformed('name', name.message)
  const blank: Channel = {
    name: name.value,
    description: change.description ?? '',
    source: { kind: 'static', version: null, critical: false, criticalUntil: null },
    pin: null,
    halt: null,
    floor: null,
    ceiling: null,
    lastServed: context.fallback,
    ...(context.fallback === null ? {} : { lastServedFrom: 'default' as const }),
    updatedAt: momentOf(context.now),
    updatedBy: context.actor,
  }
  return draftEdited(blank, { ...change, kind: 'edit' }, context)
}

function draftEdited(
  channel: Channel,
  change: Extract<ChannelChange, { kind: 'edit' }>,
  context: ChangeContext,
): Drafted {
  const limits = { floor: channel.floor, ceiling: channel.ceiling }
  for (const field of ['floor', 'ceiling'] as const) {
    const text = change[field]
    if (text === undefined) continue
    const limit = text === null ? null : parseVersion(text)
    if (limit?.outcome === 'unparsed') return malformed(field, limit.message)
    limits[field] = limit?.value ?? null
  }
  if (limits.floor !== null && limits.ceiling !== null && compareVersions(limits.floor, limits.ceiling) > 0) {
    return malformed(
      change.floor === undefined ? 'ceiling' : 'floor',
      `puts the floor ${limits.floor} above the ceiling ${limits.ceiling}`,
    )
  }
  const { allowBuildMetadata: wasAllowed = false, ...others } = channel
  const builds = (change.allowBuildMetadata ?? wasAllowed) ? { allowBuildMetadata: true } : {}
  const edited = { ...others, ...limits, ...builds, description: change.description ?? channel.description }
  return change.source === undefined
    ? { outcome: 'drafted', channel: edited }
    : draftSource(edited, change.source, context)
}

function draftPinned(
  channel: Channel,
  change: Extract<ChannelChange, { kind: 'pin' | 'rollback' }>,
  context: ChangeContext,
): Drafted {
  const reason = reasonOf(context)
  if (reason === null)
    return malformed('reason', `is missing; say why the channel is ${change.kind === 'pin' ? 'pinned' : 'rolled back'}`)
  const version = parseVersion(change.version)
  if (version.outcome === 'unparsed') return notAVersion(channel, 'version', version.message, context)
  const until = readUntil(change.until, 'until', context)
  if (until.outcome === 'refused') return until
  const pin: Pin = {
    version: version.value,
    critical: change.critical ?? false,
    criticalUntil: null,
    reason,
    by: context.actor,
    at: momentOf(context.now),
    until: until.moment,
    held: null,
    ...rememberedLeft(channel, version.value, change.kind === 'rollback' ? lastTold(channel, context) : []),
  }
  return { outcome: 'drafted', channel: { ...channel, pin } }
}

/** The versions that agents were served last: now, or before a halt or "no version". */
function lastTold(channel: Channel, { isBlocked, expiryTime }: ChangeContext): readonly string[] {
  const told = versionsTold(channel, isBlocked, expiryTime)
  // What is from `default` was never served here.
  const own = channel.lastServedFrom === undefined ? channel.lastServed : null
  const last = [own, channel.lastServedBeside].flatMap((version) => version ?? [])
  const { version } = channel.source
  // During a ramp the release that it brings is the newest of the two.
  return (told.length > 0 ? told : last).toSorted((a, b) => Number(a === version) - Number(b === version))
}

/** Critical belongs to what decides the target: the pin where there is one, else the source. */
function draftCritical(
  channel: Channel,
  change: Extract<ChannelChange, { kind: 'critical' }>,
  context: ChangeContext,
): Drafted {
  if (!hasReason(context)) return malformed('reason', 'is missing; say why the urgency changes')
  const until = readUntil(change.until, 'until', context)
  if (until.outcome === 'refused') return until
  if (until.moment !== null && !change.critical) return malformed('until', 'has no meaning unless critical is true')
  const urgency = { critical: change.critical, criticalUntil: until.moment }
  if (channel.pin !== null) return { outcome: 'drafted', channel: { ...channel, pin: { ...channel.pin, ...urgency } } }
  if (channel.source.kind === 'forward') return followsUpstream(channel, channel.source.url)
  if (change.critical && channel.source.version === null) {
    return {
      outcome: 'refused',
      why: 'state',
      problem: 'no_target',
      message: `channel ${channel.name} has no version that could be critical; set one first`,
    }
  }
  const source = { ...channel.source, ...urgency }
  const { ramp } = channel
  if (ramp === undefined) return { outcome: 'drafted', channel: { ...channel, source } }
  // Whoever makes a channel urgent means all of its agents.
  const before = ramp.before.version === null ? ramp.before : { ...ramp.before, ...urgency }
  return { outcome: 'drafted', channel: { ...channel, source, ramp: { ...ramp, before } } }
}

function reasonOf(context: ChangeContext): string | null {
  const reason = context.reason?.trim() ?? ''
  return reason === '' ? null : reason
}

/** Whether somebody said why; white space is no reason. */
export function hasReason(context: ChangeContext): boolean {
  return reasonOf(context) !== null
}
