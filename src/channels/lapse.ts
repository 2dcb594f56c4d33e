// What time does to a channel's document: ended critical flags and pins are taken out, a pin that must not end is marked.
// The target changes at the moment itself (target.ts); this is the change that is journaled afterwards, once.
import type { IsBlocked } from './blocked-version.ts'
import { remembering, type Channel, type Pin, type Ramp } from './channel.ts'
import { hasPassed, pinEndRefusal, versionsTold } from './target.ts'
import { momentOf } from './time.ts'

/**
 * The channel without what has expired by `now`; null where nothing has. Its target at `now` is the same as before.
 * Whoever changes the block list writes the lapses that are due in the same commit: whether a pin has ended is judged by
 * the list until then, so blocking what is served since its end would bring the pin back.
 */
export function lapse(channel: Channel, isBlocked: IsBlocked, now: number): Channel | null {
  const source = hasPassed(channel.source.criticalUntil, now)
    ? { ...channel.source, critical: false, criticalUntil: null }
    : channel.source
  const pin = channel.pin === null ? null : lapsePin(channel, channel.pin, isBlocked, now)
  const ramp = channel.ramp === undefined ? undefined : lapseRamp(channel.ramp, now)
  if (source === channel.source && pin === channel.pin && ramp === channel.ramp) return null
  const lapsed = remembering({ ...channel, source, pin }, versionsTold(channel, isBlocked, now))
  return ramp === undefined ? lapsed : { ...lapsed, ramp }
}

function lapseRamp(ramp: Ramp, now: number): Ramp {
  const { before } = ramp
  if (!hasPassed(before.criticalUntil, now)) return ramp
  return { ...ramp, before: { ...before, critical: false, criticalUntil: null } }
}

function lapsePin(channel: Channel, pin: Pin, isBlocked: IsBlocked, now: number): Pin | null {
  const calm = hasPassed(pin.criticalUntil, now) ? { ...pin, critical: false, criticalUntil: null } : pin
  if (!hasPassed(pin.until, now)) return calm
  const refused = pinEndRefusal(channel, pin, isBlocked)
  if (refused === null) return null
  // Without its `until` the pin stays for good: were the guard's reason to go away later, nothing would move by surprise.
  return { ...calm, until: null, held: { guard: refused.guard, detail: refused.detail, at: momentOf(now) } }
}
