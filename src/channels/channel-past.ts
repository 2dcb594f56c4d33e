// What one channel has told its agents, as spans: built forwards from each change as it comes, and backwards from the
// entries of before, which may be read later, in any number of steps.
import type { Document, DocumentChange } from '../store/port.ts'
import type { IsBlocked } from './blocked-version.ts'
import { channelIn, channelOf, type Channel } from './channel.ts'
import type { Moment } from './entry-times.ts'
import { neverBlocked, stepSpans, type ToldSpan } from './history.ts'
import { versionsTold } from './target.ts'
import type { Times } from './time.ts'

/** Spans that are over, kept of each channel: two months of two changes a day, about 10 KB. */
export const CHANNEL_SPANS_MAX = 128

interface Told {
  readonly version: string | null
  readonly beside: string | null
  readonly from: Moment
  readonly to: Moment
}

/** The oldest state that is known, whose beginning is not: a channel, or (null) that it was deleted. */
interface Front {
  readonly revision: number
  readonly channel: Channel | null
  /** What has ended it; null while it stands. */
  readonly end: { readonly moment: Moment; readonly later: Channel | null } | null
}

export class ChannelPast {
  /** What is over, oldest first, without a gap from `front` to `#since`. */
  #spans: Told[] = []
  /** When what stands now was made; null where that is the front. */
  #since: Moment | null = null
  /** null where nothing more is to be learned: it was made for the first time, or the bound is reached. */
  #front: Front | null
  /** The end of the newest span that was dropped. */
  #dropped: Moment | null = null
  /** The end of spans without a version that were not kept: what was told before them was run until then. */
  #silentUntil: Moment | null = null
  #isForgotten = false

  private constructor(front: Front | null) {
    this.#front = front
  }

  /** The past of a channel that stands so, or that (null) was deleted at this revision. */
  static of(revision: number, channel: Channel | null): ChannelPast {
    return new ChannelPast({ revision, channel, end: null })
  }

  /** The past of which the oldest change known is this one. */
  static before({ before, after }: DocumentChange): ChannelPast {
    if (before !== null) return ChannelPast.of(before.revision, channelIn(before))
    const deleted = (after?.revision ?? 1) - 1
    return deleted === 0 ? new ChannelPast(null) : ChannelPast.of(deleted, null)
  }

  /** The past of a channel of which nothing is known before `moment`. */
  static lost(moment: Moment): ChannelPast {
    const past = new ChannelPast(null)
    past.#since = moment
    past.#dropped = moment
    return past
  }

  /** Whether it had a past that was forgotten, which its agents ran until it told them something. */
  get isForgotten(): boolean {
    return this.#isForgotten
  }

  /** Gives up what was before its oldest change. */
  forget(): void {
    this.#isForgotten = true
    this.#front = null
  }

  /** Whether everything is known that its agents can have been told before the oldest moment known, or that no longer counts. */
  get isSettled(): boolean {
    if (this.#front === null) return true
    const { channel, revision } = this.#front
    // What was told nothing by this one may still run what one of that name has told before.
    return channel !== null && (revision === 1 || hasTold(channel))
  }

  /** Whether it is known from its first day on, but for what was dropped. */
  get isWhole(): boolean {
    return this.#front === null
  }

  /** Before this moment more may have been told than is kept (milliseconds since the epoch); null where all is kept. */
  get droppedBefore(): number | null {
    return this.#dropped?.at ?? null
  }

  /** The oldest change that is known, null where none is. */
  get oldestAt(): number | null {
    return (this.#front?.end?.moment ?? this.#spans[0]?.from ?? this.#since)?.at ?? null
  }

  /** Takes in the newest change. */
  add({ before, after }: DocumentChange, moment: Moment): void {
    const channel = before === null ? null : readableIn(before)
    const later = after === null ? null : readableIn(after)
    const front = this.#front
    if (this.#since !== null) for (const told of toldIn(channel, this.#since, moment, later)) this.#append(told)
    else if (front !== null && front.end === null) this.#front = { ...front, end: { moment, later } }
    this.#since = moment
  }

  /** Takes in the change before the oldest that is known. */
  learn({ before, after }: DocumentChange, moment: Moment): void {
    const front = this.#front
    if (front === null) return
    const revision = after?.revision ?? before?.revision ?? 0
    if (front.revision !== revision || (front.channel === null) !== (after === null)) {
      // Not the change that has made what is known: nothing before that may be believed.
      this.#dropped = front.end?.moment ?? moment
      this.#since ??= moment
      this.#front = null
      return
    }
    const channel = after === null ? null : readableIn(after)
    if (front.end === null) this.#since = moment
    else for (const told of toldIn(channel, moment, front.end.moment, front.end.later).toReversed()) this.#prepend(told)
    // The bound may just have been reached.
    if (this.#dropped !== null) this.#front = null
    else if (before !== null) {
      this.#front = { revision: before.revision, channel: readableIn(before), end: { moment, later: channel } }
    } else if (revision === 1) this.#front = null
    else this.#front = { revision: revision - 1, channel: null, end: { moment, later: channel } }
  }

  /** What it told, oldest first, as far as it is known; `floor` is the earliest moment that anything is known of. */
  spans(document: Document, isBlocked: IsBlocked, times: Times, floor: number): readonly ToldSpan[] {
    const current = channelOf(document)
    const spans: ToldSpan[] = [...this.#frontSpans(isBlocked, times, floor)]
    for (const { version, beside, from, to } of this.#spans) {
      spans.push({ version, beside, from: from.at, to: Math.max(from.at, to.at) })
    }
    if (this.#since !== null) {
      const step = { at: this.#since.at, revision: document.revision, channel: current }
      spans.push(...stepSpans(step, undefined, isBlocked, times.expiryTime))
    }
    return this.#withRunning(spans)
  }

  #frontSpans(isBlocked: IsBlocked, { now, expiryTime }: Times, floor: number): readonly ToldSpan[] {
    const front = this.#front
    if (front === null || front.channel === null) return []
    const { revision, channel, end } = front
    const endAt = end?.moment.at ?? now
    // It stood at least since then, by the clock that made it.
    const madeAt = Date.parse(channel.updatedAt)
    const at = Number.isNaN(madeAt) ? endAt : Math.min(Math.max(madeAt, floor), endAt)
    const next = end === null ? undefined : { at: endAt, channel: end.later }
    return stepSpans({ at, revision, channel }, next, end === null ? isBlocked : neverBlocked, expiryTime)
  }

  /** A channel that told nothing at the oldest moment known had told something before: its agents were to stay on that. */
  #withRunning(spans: readonly ToldSpan[]): readonly ToldSpan[] {
    const [first] = spans
    const { lastServed = null, lastServedBeside = null } = this.#front?.channel ?? {}
    if (first === undefined || first.version !== null || first.beside !== null || lastServed === null) return spans
    return [{ version: lastServed, beside: lastServedBeside, from: first.from, to: first.from }, ...spans]
  }

  #append(told: Told): void {
    const last = this.#spans.at(-1)
    if (last !== undefined && isSame(last, told)) {
      this.#spans[this.#spans.length - 1] = { ...last, to: told.to }
      return
    }
    this.#spans.push(told)
    if (this.#spans.length > CHANNEL_SPANS_MAX) this.#dropOldest()
  }

  #prepend(told: Told): void {
    const [first] = this.#spans
    if (this.#dropped !== null) return
    if (first !== undefined && this.#silentUntil === null && isSame(first, told)) {
      this.#spans[0] = { ...first, from: told.from }
    } else if (this.#spans.length < CHANNEL_SPANS_MAX) {
      this.#spans.unshift(told)
    } else if (isSilent(told)) {
      this.#silentUntil ??= told.to
    } else {
      // What is told again by spans that are kept is not lost.
      if (!isToldIn(this.#spans, told)) this.#dropped = this.#silentUntil ?? told.to
      this.#silentUntil = null
    }
  }

  /** Drops the oldest span, and those without a version after it: what it told was run until their end. */
  #dropOldest(): void {
    const next = this.#spans.findIndex((told, index) => index > 0 && !isSilent(told))
    const dropped = this.#spans.splice(0, next === -1 ? 1 : next)
    const isLost = dropped.some((told) => !isSilent(told) && !isToldIn(this.#spans, told))
    // What is before a gap is not known either.
    if (isLost || this.#front !== null) this.#dropped = dropped.at(-1)?.to ?? this.#dropped
    this.#front = null
  }
}

/** Whether agents were told anything by a channel that stands so, at whatever time; false where it cannot be read. */
export function hasTold(channel: Channel): boolean {
  try {
    return channel.lastServed !== null || versionsTold(channel, neverBlocked, -Infinity).length > 0
  } catch {
    return false
  }
}

function toldIn(channel: Channel | null, from: Moment, to: Moment, later: Channel | null): readonly Told[] {
  const next = { at: to.at, channel: later }
  const spans = stepSpans({ at: from.at, revision: 0, channel }, next, neverBlocked, to.at)
  return spans.map(({ version, beside, ...span }, index) => ({
    version,
    beside,
    from: index === 0 ? from : { at: span.from },
    to: index === spans.length - 1 ? to : { at: span.to ?? to.at },
  }))
}

function isSame(a: Told, b: Told): boolean {
  return a.version === b.version && a.beside === b.beside
}

function isSilent({ version, beside }: Told): boolean {
  return version === null && beside === null
}

function isToldIn(spans: readonly Told[], { version, beside }: Told): boolean {
  const told = new Set(spans.flatMap((span) => [span.version, span.beside]))
  return [version, beside].every((one) => one === null || told.has(one))
}

/** Throws where the document cannot be read: what agents were told then is not known. */
function readableIn(document: Document): Channel {
  if (document.unreadable !== undefined) throw new Error(`${document.key} cannot be read`)
  return channelOf(document)
}
