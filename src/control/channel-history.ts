// A channel's past, read from the journal: its entries, what it served when, and which versions agents may still run.
import { channelKey, channelOf } from '../channels/channel.ts'
import {
  compatibility,
  servedSpans,
  type Compatibility,
  type HistoryStep,
  type ServedSpan,
} from '../channels/history.ts'
import { JOURNAL_PAGE_MAX, type Document, type ReadLane } from '../store/port.ts'
import { momentOf } from '../channels/time.ts'
import { knownState, type Control } from './control.ts'
import { journalHorizon, knownSince } from './journal-horizon.ts'

/** A channel's history is read back this many entries at most: years of it, and a bound on what one request may cost. */
const HISTORY_ENTRIES_MAX = 20_000
/** Pages are bounded by bytes: 1 GB of entries, which takes some 10 s beside everything else. */
const HISTORY_PAGES_MAX = 1_000

/** Whether there is a channel of this name, or was one: a name that was mistyped must not look like one without changes. */
export async function hasHistory(control: Control, name: string): Promise<boolean> {
  const subject = channelKey(name)
  if (knownState(control).document(subject) !== undefined) return true
  return (await control.store.journal({ subject, limit: 1 }, 'reader')).entries.length > 0
}

/** What a channel served when, oldest first: what an operator's rollback is decided on. */
export async function channelSpans(control: Control, name: string): Promise<readonly ServedSpan[]> {
  return (await channelPast(control, name, 'operator')).spans
}

interface ChannelPast {
  readonly spans: readonly ServedSpan[]
  /** Before this moment (milliseconds since the epoch) nobody knows; null where the channel's whole past was read. */
  readonly knownSince: number | null
}

/** A channel's past as far back as HISTORY_ENTRIES_MAX entries, HISTORY_PAGES_MAX pages, and what the journal keeps, reach. */
async function channelPast(control: Control, name: string, lane: ReadLane): Promise<ChannelPast> {
  const key = channelKey(name)
  const state = knownState(control)
  const steps: HistoryStep[] = []
  /** What the oldest step that is known has found; null where that has made the channel for the first time. */
  let found: Document | null = state.document(key) ?? null
  let beforeSeq: number | null = null
  let pages = 0
  do {
    const query = { subject: key, limit: JOURNAL_PAGE_MAX, ...(beforeSeq === null ? {} : { beforeSeq }) }
    const page = await control.store.journal(query, lane)
    pages += 1
    for (const { at, changes } of page.entries) {
      const change = changes.find((candidate) => candidate.key === key)
      if (change === undefined) continue
      const { before, after } = change
      const revision = after?.revision ?? before?.revision ?? 0
      steps.push({ at: Date.parse(at), revision, channel: after === null ? null : channelOf(after) })
      found = before
    }
    beforeSeq = page.next
  } while (beforeSeq !== null && steps.length < HISTORY_ENTRIES_MAX && pages < HISTORY_PAGES_MAX)
  const oldest = steps.at(-1)
  const isWhole = found === null && (oldest === undefined || oldest.revision === 1)
  const oldestAt = oldest?.at ?? control.clock.now()
  // Cut where it is longer than is read, it is known from there on.
  const horizon = await journalHorizon(control.store)
  const since = beforeSeq === null ? knownSince(horizon, isWhole ? null : oldestAt) : oldestAt
  // What the oldest entry found was told before it, from when on nobody knows.
  if (found !== null) {
    const at = Math.min(since ?? oldestAt, oldestAt)
    steps.push({ at, revision: found.revision, channel: channelOf(found) })
  }
  const spans = servedSpans(steps.toReversed(), state.isBlocked, control.clock.now())
  return { spans, knownSince: since }
}

export interface ChannelCompatibility extends Compatibility {
  /** Before this moment (RFC 3339) the channel may have served other versions within the grace period; null where all are known. */
  readonly unknownBefore: string | null
}

/** Every version that agents of this channel may still run (DESIGN §5). `graceMs` in milliseconds. */
export async function channelCompatibility(
  control: Control,
  name: string,
  graceMs: number,
): Promise<ChannelCompatibility> {
  const { spans, knownSince: since } = await channelPast(control, name, 'reader')
  const now = control.clock.now()
  const isKnown = since === null || since <= now - graceMs
  return { ...compatibility(spans, graceMs, now), unknownBefore: isKnown ? null : momentOf(since) }
}
