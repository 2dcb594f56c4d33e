// What a channel tells agents at a given time: halt ? none : pin ?? source, with whatever has expired by then.
import { isUnanswered, type Channel, type Pin } from './channel.ts'
import type { IsBlocked } from './blocked-version.ts'
import { firstRefused, judge } from './guards.ts'
import type { Verdict } from './outcome.ts'

/**
 * Which part of the channel decides: `expired` is the source after a pin's end, `held` a pin whose end a guard forbids,
 * `unanswered` an upstream that has never answered: there is no target to serve, not even "none".
 */
export type Because = 'source' | 'pin' | 'halt' | 'expired' | 'held' | 'unanswered'

export interface Target {
  /** null is "none": agents stay where they are. */
  readonly version: string | null
  readonly critical: boolean
  readonly because: Because
  /** Why a pin is held, null for every other target. */
  readonly detail: string | null
}

/** The target of a channel at `now` (milliseconds since the epoch). */
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

/** The verdict that forbids a pin to end by itself, null where its end is allowed. Nobody is there to force it. */
export function pinEndRefusal(channel: Channel, pin: Pin, isBlocked: IsBlocked): Verdict | null {
  const { version } = channel.source
  if (version === null || version === pin.version) return null
  return firstRefused(judge({ version, baseline: pin.version, limits: channel, isBlocked, force: false }))
}

/** The next time after `now` at which the target changes by itself, null for never. */
export function nextExpiry(channel: Channel, now: number): number | null {
  const moments = [channel.source.criticalUntil, channel.pin?.until ?? null, channel.pin?.criticalUntil ?? null]
  const ahead = moments.flatMap((moment) => (moment === null || hasPassed(moment, now) ? [] : [Date.parse(moment)]))
  return ahead.length === 0 ? null : Math.min(...ahead)
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
  const { version, critical, criticalUntil } = channel.source
  if (isUnanswered(channel.source)) return { version: null, critical: false, because: 'unanswered', detail: null }
  return { version, critical: version !== null && critical && !hasPassed(criticalUntil, now), because, detail: null }
}
