// What a channel has served, read from its journal entries: for rollbacks and for the compatibility answer.
import type { IsBlocked } from './blocked-version.ts'
import type { Channel } from './channel.ts'
import { quoted, type Refusal } from './outcome.ts'
import { hasPassed, nextExpiry, targetAt, versionsTold, type Because } from './target.ts'
import { momentOf } from './time.ts'
import { lowestVersion, parseVersion } from './version.ts'

/** One journal entry's part in a channel's history; `channel` is null after a deletion. `at` in milliseconds since the epoch. */
export interface HistoryStep {
  readonly at: number
  readonly revision: number
  readonly channel: Channel | null
}

/** A stretch of time in which a channel told agents one thing. `to` is null while it lasts. */
export interface ServedSpan {
  readonly version: string | null
  /** What some cohorts were told besides, while a ramp was under way. */
  readonly beside: string | null
  readonly critical: boolean
  readonly because: Because | 'deleted'
  readonly revision: number
  readonly from: number
  readonly to: number | null
}

/** What of a span says which versions agents may run. */
export type ToldSpan = Pick<ServedSpan, 'version' | 'beside' | 'from' | 'to'>

/** What was served when, oldest first, from a channel's steps (oldest first). Expiries split a step where they took effect. */
export function servedSpans(
  steps: readonly HistoryStep[],
  isBlocked: IsBlocked,
  expiryTime: number,
): readonly ServedSpan[] {
  return steps.flatMap((step, index) => stepSpans(step, steps[index + 1], isBlocked, expiryTime))
}

/** What was served from one step until the next; where none has come, with every expiry up to `expiryTime`. */
export function stepSpans(
  step: HistoryStep,
  next: Omit<HistoryStep, 'revision'> | undefined,
  isBlocked: IsBlocked,
  expiryTime: number,
): readonly ServedSpan[] {
  const { revision } = step
  const end = next?.at ?? null
  const channel = asItWent(step, next)
  if (channel === null) {
    return [{ version: null, beside: null, critical: false, because: 'deleted', revision, from: step.at, to: end }]
  }
  const spans: ServedSpan[] = []
  // What has been decided since was decided by the block list of its day, not by today's.
  const asBlocked = next === undefined ? isBlocked : neverBlocked
  for (let from = step.at; ;) {
    // A step that was made while the clock was not confirmed is after the time up to which expiries have taken effect.
    const ended = next === undefined ? Math.min(from, expiryTime) : from
    const expiry = nextExpiry(channel, ended)
    // An expiry takes effect at its own millisecond, so one that comes just now has split the span already.
    const ends = expiry !== null && (end === null ? expiry <= expiryTime : expiry < end)
    const { version, critical, because } = targetAt(channel, asBlocked, ended)
    const beside = versionsTold(channel, asBlocked, ended).find((told) => told !== version) ?? null
    spans.push({ version, beside, critical, because, revision, from, to: ends ? expiry : end })
    if (!ends) return spans
    from = expiry
  }
}

/**
 * A channel as it went on until the step after it. A change takes out whatever has ended, so a pin that is still there had not
 * ended: the next step holds it, or its time had passed while the clock was not confirmed (ADR 29).
 */
function asItWent({ at, channel }: HistoryStep, next: Omit<HistoryStep, 'revision'> | undefined): Channel | null {
  const pin = channel?.pin ?? null
  if (channel === null || pin === null || next === undefined) return channel
  const later = next.channel?.pin ?? null
  const stays = later?.at === pin.at && later.version === pin.version
  if (!stays && !hasPassed(pin.until, at)) return channel
  return { ...channel, pin: { ...pin, until: null, held: pin.held ?? (stays ? later.held : null) } }
}

/** The block list of a time that is over: what was decided then was decided by it. */
export function neverBlocked(): boolean {
  return false
}

/**
 * The version that a rollback goes to: `to` is a version the channel has served, a revision of it, or undefined for
 * the one before that is not blocked. Going back twice goes back two versions: a version that was left by going back is
 * not "before" again.
 */
export function rollbackVersion(
  spans: readonly ServedSpan[],
  to: string | number | undefined,
  isBlocked: IsBlocked,
): { readonly outcome: 'found'; readonly version: string } | Refusal {
  if (typeof to === 'number') {
    const version = spans.find((span) => span.revision === to)?.version
    if (version === undefined) return refuse(`the channel's history has no revision ${to}`)
    return version === null ? refuse(`the channel served no version at revision ${to}`) : { outcome: 'found', version }
  }
  if (to !== undefined) {
    const version = parseVersion(to)
    if (version.outcome === 'unparsed')
      return { outcome: 'refused', why: 'malformed', field: 'to', message: version.message }
    return spans.some((span) => span.version === version.value || span.beside === version.value)
      ? { outcome: 'found', version: version.value }
      : refuse(`the channel has never served ${quoted(version.value)}; pin it instead, if that is what you want`)
  }
  const before = servedInOrder(spans)
    .slice(0, -1)
    .findLast((version) => !isBlocked(version))
  return before === undefined
    ? refuse('the channel has served no other version before this one; name one with a pin')
    : { outcome: 'found', version: before }
}

/** The versions served, each once, in the order in which one would go back through them. */
function servedInOrder(spans: readonly ServedSpan[]): readonly string[] {
  const order: string[] = []
  for (const { version, beside, because } of spans) {
    // What a ramp brings comes after what was there before it, whichever of the two the plain path tells.
    for (const told of because === 'ramp' ? [version, beside] : [beside, version]) {
      if (told === null) continue
      const seen = order.indexOf(told)
      if (seen === -1) order.push(told)
      else order.length = seen + 1
    }
  }
  return order
}

function refuse(message: string): Refusal {
  return { outcome: 'refused', why: 'state', problem: 'no_earlier_version', message }
}

export interface ServedVersion {
  readonly version: string
  readonly firstServedAt: string
  /** null while it is served. */
  readonly lastServedAt: string | null
}

export interface Compatibility {
  /** The lowest of the versions, so the lowest one that the control plane must still support; null where none was served. */
  readonly oldest: string | null
  readonly versions: readonly ServedVersion[]
}

/**
 * Every version that agents may still run: those told within `graceMs` before `now` (RFD 109's grace period, RFD 134's
 * rule). A version last told before a halt counts for as long as the halt lasts, since agents were told to stay on it.
 */
export function compatibility(spans: readonly ToldSpan[], graceMs: number, now: number): Compatibility {
  const versions = inUse(spans, now - graceMs).map(([version, { first, last }]) => ({
    version,
    firstServedAt: momentOf(first),
    lastServedAt: last === null ? null : momentOf(last),
  }))
  return { oldest: lowestVersion(versions.map(({ version }) => version)), versions }
}

/** The versions alone, for a whole fleet at once: this is asked of every channel of a stage between two polls. */
export function versionsInUse(spans: readonly ToldSpan[], graceMs: number, now: number): readonly string[] {
  return inUse(spans, now - graceMs).map(([version]) => version)
}

interface Use {
  readonly first: number
  readonly last: number | null
  readonly inUse: boolean
}

function inUse(spans: readonly ToldSpan[], since: number): readonly (readonly [version: string, use: Use])[] {
  const served = new Map<string, Use>()
  let running: readonly string[] = []
  for (const { version, beside, from, to } of spans) {
    const told = [version, beside].filter((one) => one !== null)
    if (told.length > 0) running = told
    for (const one of running) {
      const known = served.get(one)
      const last = told.length === 0 ? (known?.last ?? from) : to
      const isUsed = to === null || to > since
      served.set(one, { first: known?.first ?? from, last, inUse: isUsed || known?.inUse === true })
    }
  }
  return [...served].filter(([, use]) => use.inUse)
}
