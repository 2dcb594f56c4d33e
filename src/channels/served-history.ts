// Which versions every channel has served, kept as the journal is applied: what the compatibility rule and the API ask.
// What was before the state was loaded is learned from older entries, each of them once, newest first.
import type { Document, DocumentChange } from '../store/port.ts'
import type { IsBlocked } from './blocked-version.ts'
import { channelIn, channelNameOf, channelOf } from './channel.ts'
import { ChannelPast, hasTold } from './channel-past.ts'
import { EntryTimes, type Moment } from './entry-times.ts'
import type { ToldSpan } from './history.ts'
import type { Times } from './time.ts'

/** What a channel served, oldest first, as far as it is known. */
export interface Served {
  readonly spans: readonly ToldSpan[]
  /** Before this moment (milliseconds since the epoch) it may have served more; null where all is known. */
  readonly knownSince: number | null
}

/** What of a journal entry is told to the history; `at` in milliseconds since the epoch. */
export interface HistoryEntry {
  readonly seq: number
  readonly at: number
  readonly changes: readonly DocumentChange[]
}

/** Deleted channels whose past is kept, for when they are made again; of others, what was before is not known then. */
export const DELETED_PASTS_MAX = 10_000

export class ServedHistory {
  readonly #pasts = new Map<string, ChannelPast>()
  /** Channels whose agents may run what was told before anything that is known yet. */
  readonly #unsettled = new Set<string>()
  /** Channels of which there is a past and nothing else, those first that were deleted first. */
  readonly #deleted = new Set<string>()
  /** Whether a deleted channel's past was forgotten. */
  #hasForgotten = false
  readonly #loadedAt: number
  #times: EntryTimes
  /** The entry before this one is the next to be learned; null where there is none. */
  #cursor: number | null
  /** When an operator decided what the store holds: before, replicas may have served what no entry tells. */
  #epochAt: number | null = null
  /** When the oldest entry was made that is kept, where others before it are not. */
  #beginsAt: number | null = null
  #askedMs = 0

  /** The history of a state that was loaded at `seq`, of which nothing is known but how its channels stand. */
  constructor(seq: number, channels: Iterable<Document>, loadedAt: number) {
    this.#loadedAt = loadedAt
    this.#times = new EntryTimes(loadedAt)
    this.#cursor = seq === 0 ? null : seq + 1
    for (const document of channels) {
      const channel = channelOf(document)
      if (document.revision === 1 || hasTold(channel)) continue
      this.#pasts.set(document.key, ChannelPast.of(document.revision, channel))
      this.#unsettled.add(document.key)
    }
  }

  /** Which entries are to be learned next, as `beforeSeq` of a journal query; null where all were that there are. */
  get cursor(): number | null {
    return this.#cursor
  }

  /** The longest time back that anybody has asked about, in milliseconds. */
  get askedMs(): number {
    return this.#askedMs
  }

  /** Remembers that somebody asks about so long a time, so that it is learned. */
  ask(graceMs: number): void {
    this.#askedMs = Math.max(this.#askedMs, graceMs)
  }

  /** Whether older entries must be learned to know what was served since then. */
  wants(sinceMs: number): boolean {
    return this.#cursor !== null && (this.#readTo > sinceMs || this.#unsettled.size > 0)
  }

  /** Takes in the next entry of the journal, applied at `now`. */
  apply({ at, changes }: HistoryEntry, now: number): void {
    const moment = this.#times.next(at, now)
    for (const change of changes) {
      const { key, after } = change
      if (channelNameOf(key) === null) continue
      const past = this.#pasts.get(key) ?? this.#pastBefore(change)
      this.#deleted.delete(key)
      if (after === null) this.#deleted.add(key)
      this.#keep(
        key,
        readable(past, moment, () => past.add(change, moment)),
      )
    }
    for (const key of this.#deleted) {
      if (this.#deleted.size <= DELETED_PASTS_MAX) break
      this.#forget(key)
    }
  }

  /** Begins anew: an operator has decided what the store holds, and nothing from before may be believed. */
  begin(at: number): void {
    this.#pasts.clear()
    this.#unsettled.clear()
    this.#deleted.clear()
    this.#times = new EntryTimes(at)
    this.learnedAll({ epochAt: at })
  }

  /** Learns from the entry before the oldest that is known. */
  learn({ seq, at, changes }: HistoryEntry, now: number): void {
    if (this.#cursor === null || seq >= this.#cursor) return
    const moment = this.#times.before(at, now)
    for (const change of changes) {
      const { key, after } = change
      if (channelNameOf(key) === null) continue
      const known = this.#pasts.get(key)
      if (known === undefined && after === null && !this.#mayKeep(key)) continue
      const past = known ?? ChannelPast.of(revisionOf(change), channelIn(after))
      this.#keep(
        key,
        readable(past, moment, () => past.learn(change, moment)),
      )
    }
    this.#cursor = seq
  }

  /** Every entry was learned from `seq` on. */
  learnedTo(seq: number): void {
    if (this.#cursor !== null) this.#cursor = Math.min(this.#cursor, seq)
  }

  /** Every entry was learned that there is: since an epoch began, or since the journal begins; null for neither. */
  learnedAll({ epochAt = null, beginsAt = null }: { epochAt?: number | null; beginsAt?: number | null }): void {
    this.#epochAt = epochAt
    this.#beginsAt = beginsAt
    this.#cursor = null
    this.#unsettled.clear()
  }

  /** The entry before the oldest that is known cannot be read: whatever it and older ones have served counts as unknown. */
  lostBefore(): void {
    const at = this.#readTo
    this.learnedAll({ epochAt: at, beginsAt: at })
  }

  /** What a channel that stands as in this document has served; nothing is known of one that cannot be read. */
  served(document: Document, isBlocked: IsBlocked, times: Times): Served {
    try {
      return this.#served(document, isBlocked, times)
    } catch {
      return { spans: [], knownSince: times.now + 1 }
    }
  }

  #served(document: Document, isBlocked: IsBlocked, times: Times): Served {
    const past = this.#pasts.get(document.key) ?? ChannelPast.of(document.revision, channelOf(document))
    const floor = this.#cursor === null ? Math.max(this.#epochAt ?? -Infinity, this.#beginsAt ?? -Infinity) : -Infinity
    const spans = past.spans(document, isBlocked, times, floor)
    const limits = [this.#knownSince(past, spans, times.now), past.droppedBefore].filter((limit) => limit !== null)
    if (past.isForgotten) limits.push(firstTold(spans, times.now))
    return { spans, knownSince: limits.length === 0 ? null : Math.max(...limits) }
  }

  #knownSince(past: ChannelPast, spans: readonly ToldSpan[], now: number): number | null {
    if (past.isWhole) return this.#epochAt
    if (this.#cursor !== null) {
      return past.isSettled ? this.#readTo : firstTold(spans, now)
    }
    // What is missing was trimmed, or was lost with a store that had gone back; since both the journal tells everything.
    const [epochAt, beginsAt] = [this.#epochAt, this.#beginsAt]
    if (epochAt !== null && beginsAt !== null) return Math.max(epochAt, beginsAt)
    return epochAt ?? beginsAt ?? past.oldestAt ?? now
  }

  /** The past of a channel of which nothing was known before this change. */
  #pastBefore(change: DocumentChange): ChannelPast {
    const past = ChannelPast.before(change)
    // It may be one whose past was forgotten.
    const isAgain = change.before === null && change.after !== null && change.after.revision > 1
    if (isAgain && this.#hasForgotten) past.forget()
    return past
  }

  #keep(key: string, past: ChannelPast): void {
    this.#pasts.set(key, past)
    if (this.#cursor === null || past.isSettled) this.#unsettled.delete(key)
    else this.#unsettled.add(key)
  }

  /** Whether the past of this deleted channel is kept. */
  #mayKeep(key: string): boolean {
    if (this.#deleted.size >= DELETED_PASTS_MAX) {
      this.#forget(key)
      return false
    }
    this.#deleted.add(key)
    return true
  }

  #forget(key: string): void {
    this.#hasForgotten = true
    this.#deleted.delete(key)
    this.#pasts.delete(key)
    this.#unsettled.delete(key)
  }

  /** Everything is known from this moment on. */
  get #readTo(): number {
    return this.#times.count === 0 ? this.#loadedAt : this.#times.readTo
  }
}

/** When agents were first told anything; while they are not, they stay on what is not known, so later than now. */
function firstTold(spans: readonly ToldSpan[], now: number): number {
  return spans.find(({ version, beside }) => version !== null || beside !== null)?.from ?? now + 1
}

/** A past after `change`; nothing before `moment` is known of a channel whose documents cannot be read. */
function readable(past: ChannelPast, moment: Moment, change: () => void): ChannelPast {
  try {
    change()
    return past
  } catch {
    return ChannelPast.lost(moment)
  }
}

/** The revision that a change has made, or at which it has deleted. */
function revisionOf({ before, after }: DocumentChange): number {
  return after?.revision ?? before?.revision ?? 0
}
