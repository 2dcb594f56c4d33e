// What a channel tells agents at a given time: halt ? none : pin ?? source, with whatever has expired by then.
import { isUnanswered, type BeforeRamp, type Channel, type Pin } from './channel.ts'
import type { IsBlocked } from './blocked-version.ts'
import { COHORTS } from './cohort.ts'
import { firstRefused, judge } from './guards.ts'
import type { Verdict } from './outcome.ts'
import { judgeRollbackEnd } from './rollback-end.ts'

/**
 * Which part of the channel decides: `expired` is the source after a pin's end, `held` a pin whose end a guard forbids,
 * `unanswered` an upstream that has never answered: there is no target to serve, not even "none"; so for `unreadable`, a
 * document that this build cannot act on; `ramp` is what was told
 * before a ramp that has not reached these agents.
 */
export type Because = 'source' | 'pin' | 'halt' | 'expired' | 'held' | 'unanswered' | 'unreadable' | 'ramp'

export interface Target {
  /** null is "none": agents stay where they are. */
  readonly version: string | null
  readonly critical: boolean
  readonly because: Because
  /** Why a pin is held, null for every other target. */
  readonly detail: string | null
}

/** What a channel tells its cohorts while a ramp makes a difference between them. */
export interface CohortTargets {
  readonly seed: string
  readonly percent: number
  /** For the cohorts that the ramp has reached, and for the others. */
  readonly early: Target
  readonly late: Target
}

/** What a channel serves whose document cannot be read: nothing, on any path. */
export const UNREADABLE_TARGET: Target = { version: null, critical: false, because: 'unreadable', detail: null }

/** The target of a channel at `now` (milliseconds since the epoch), for agents that know no cohort. */
export function targetAt(channel: Channel, isBlocked: IsBlocked, now: number): Target {
  if (channel.halt !== null) return { version: null, critical: false, because: 'halt', detail: null }
  const { pin } = channel
  if (pin === null) return sourceTarget(channel, 'source', now)
  if (!hasPassed(pin.until, now)) {
    const because = pin.held === null ? 'pin' : 'held'
    return pinTarget(pin, because, pin.held?.detail ?? null, now)
  }
  const refused = pinEndRefusal(channel, pin, isBlocked)
  return refused === null ? sourceTarget(channel, 'expired', now) : pinTarget(pin, 'held', refused.detail, now)
}

/** What the cohorts are told at `now`; null where all agents are told the same, by a pin or a halt too. */
export function cohortsAt(channel: Channel, isBlocked: IsBlocked, now: number): CohortTargets | null {
  const { ramp } = channel
  if (ramp === undefined) return null
  const { because } = targetAt(channel, isBlocked, now)
  if (because === 'halt' || because === 'pin' || because === 'held') return null
  const { seed, percent, before } = ramp
  return { seed, percent, early: newTarget(channel, 'source', now), late: beforeTarget(before, now) }
}

/** Every version that some agents of the channel are told at `now`, that of the plain path first. */
export function versionsTold(channel: Channel, isBlocked: IsBlocked, now: number): readonly string[] {
  const cohorts = cohortsAt(channel, isBlocked, now)
  const told = [targetAt(channel, isBlocked, now), ...(cohorts === null ? [] : [cohorts.early, cohorts.late])]
  return [...new Set(told.flatMap(({ version }) => version ?? []))]
}

/** How many cohorts of the channel are told `version` at `now`. */
export function cohortsTold(channel: Channel, version: string, isBlocked: IsBlocked, now: number): number {
  const cohorts = cohortsAt(channel, isBlocked, now)
  if (cohorts === null) return targetAt(channel, isBlocked, now).version === version ? COHORTS : 0
  const { percent, early, late } = cohorts
  return (early.version === version ? percent : 0) + (late.version === version ? COHORTS - percent : 0)
}

/** The verdict that forbids a pin to end by itself, null where its end is allowed. Nobody is there to force it. */
export function pinEndRefusal(channel: Channel, pin: Pin, isBlocked: IsBlocked): Verdict | null {
  const { source, ramp } = channel
  const refusals = [source.version, ramp?.before.version ?? null].map((version) =>
    version === null || version === pin.version
      ? null
      : firstRefused([
          ...judge({ version, baseline: pin.version, limits: channel, isBlocked, force: false }),
          ...judgeRollbackEnd(pin, [version], false),
        ]),
  )
  return refusals.find((refusal) => refusal !== null) ?? null
}

/** The guard that holds a pin past its time, also under a halt; null where none is held. */
export function heldBy({ pin, ...channel }: Channel, isBlocked: IsBlocked, now: number): string | null {
  if (pin === null || pin.held !== null || !hasPassed(pin.until, now)) return pin?.held?.guard ?? null
  return pinEndRefusal({ ...channel, pin }, pin, isBlocked)?.guard ?? null
}

/** The next time after `now` at which the target changes by itself, null for never. */
export function nextExpiry(channel: Channel, now: number): number | null {
  const ahead = expiriesOf(channel).flatMap((moment) => (hasPassed(moment, now) ? [] : [Date.parse(moment)]))
  return ahead.length === 0 ? null : Math.min(...ahead)
}

/** Every moment at which something about the target ends by itself, passed ones too, in no order. */
export function expiriesOf({ source, pin, ramp }: Channel): readonly string[] {
  const moments = [source.criticalUntil, pin?.until, pin?.criticalUntil, ramp?.before.criticalUntil]
  return moments.flatMap((moment) => moment ?? [])
}

/** Whether a moment has come; a moment takes effect at its own millisecond. null never comes. */
export function hasPassed(moment: string | null, now: number): boolean {
  return moment !== null && Date.parse(moment) <= now
}

/** Whether two targets tell agents the same. */
export function sameTarget(a: Target, b: Target): boolean {
  return a.version === b.version && a.critical === b.critical
}

function pinTarget(pin: Pin, because: Because, detail: string | null, now: number): Target {
  return { version: pin.version, critical: pin.critical && !hasPassed(pin.criticalUntil, now), because, detail }
}

function sourceTarget(channel: Channel, because: Because, now: number): Target {
  const { ramp } = channel
  return ramp?.plainPath === 'last' ? beforeTarget(ramp.before, now) : newTarget(channel, because, now)
}

function beforeTarget({ version, critical, criticalUntil }: BeforeRamp, now: number): Target {
  const isCritical = version !== null && critical && !hasPassed(criticalUntil, now)
  return { version, critical: isCritical, because: 'ramp', detail: null }
}

function newTarget(channel: Channel, because: Because, now: number): Target {
  const { version, critical, criticalUntil } = channel.source
  if (isUnanswered(channel.source)) return { version: null, critical: false, because: 'unanswered', detail: null }
  return { version, critical: version !== null && critical && !hasPassed(criticalUntil, now), because, detail: null }
}
