// A channel's past: its entries and what it served when, read from the journal for a rollback, and which versions agents may still
// run, as the state keeps it.
import { channelIn, channelKey } from '../channels/channel.ts'
import {
  compatibility,
  servedSpans,
  type Compatibility,
  type HistoryStep,
  type ServedSpan,
} from '../channels/history.ts'
import { JOURNAL_PAGE_MAX, type Document } from '../store/port.ts'
import { momentOf } from '../channels/time.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { currentState, knownState, type Control } from './control.ts'
import { restoreInBackground } from './restore-history.ts'

/** A channel's history is read back this many entries at most: years of it, and a bound on what one request may cost. */
const HISTORY_ENTRIES_MAX = 20_000
/** Pages are bounded by bytes: 1 GB of entries, which takes some 10 s beside everything else. */
const HISTORY_PAGES_MAX = 1_000

/** Whether there is a channel of this name, or was one: a name that was mistyped must not look like one without changes. */
export async function hasHistory(control: Control, name: string): Promise<boolean> {
  const subject = channelKey(name)
  if (knownState(control).document(subject) !== undefined) return true
  return (await control.store.journalInParts({ subject, limit: 1 })).entries.length > 0
}

/** What a channel served when, oldest first, as far back as HISTORY_ENTRIES_MAX entries, and what the journal keeps, reach. */
export async function channelSpans(control: Control, name: string): Promise<readonly ServedSpan[]> {
  const key = channelKey(name)
  const state = knownState(control)
  const steps: HistoryStep[] = []
  /** What the oldest step that is known has found; null where that has made the channel for the first time. */
  let found: Document | null = state.document(key) ?? null
  let beforeSeq: number | null = null
  let pages = 0
  pages: do {
    const query = { subject: key, limit: JOURNAL_PAGE_MAX, ...(beforeSeq === null ? {} : { beforeSeq }) }
    const page = await control.store.journal(query)
    pages += 1
    for (const { at, changes, unreadable } of page.entries) {
      // What it has served is not known, nor whether what is older was served before it or after.
      if (unreadable !== undefined) break pages
      const change = changes.find((candidate) => candidate.key === key)
      if (change === undefined) continue
      const { before, after } = change
      const revision = after?.revision ?? before?.revision ?? 0
      steps.push({ at: Date.parse(at), revision, channel: channelIn(after) })
      found = before
    }
    beforeSeq = page.next
  } while (beforeSeq !== null && steps.length < HISTORY_ENTRIES_MAX && pages < HISTORY_PAGES_MAX)
  // What the oldest entry found was told before it, from when on is not asked here.
  const { now, expiryTime } = timesOf(control.clock)
  if (found !== null) {
    steps.push({ at: steps.at(-1)?.at ?? now, revision: found.revision, channel: channelIn(found) })
  }
  return servedSpans(steps.toReversed(), state.isBlocked, expiryTime)
}

export interface ChannelCompatibility extends Compatibility {
  /** Before this moment (RFC 3339) the channel may have served other versions within the grace period; null where all are known. */
  readonly unknownBefore: string | null
}

/**
 * Every version that agents of a channel may still run (DESIGN §5). `graceMs` in milliseconds. Throws while the store is not
 * followed: others may have had it serve what is not known here.
 */
export function channelCompatibility(control: Control, document: Document, graceMs: number): ChannelCompatibility {
  const times = timesOf(control.clock)
  const { now } = times
  const state = currentState(control)
  state.history.ask(graceMs)
  const { spans, knownSince } = state.history.served(document, state.isBlocked, times)
  const isKnown = knownSince === null || knownSince <= now - graceMs
  if (!isKnown) restoreInBackground(control)
  return { ...compatibility(spans, graceMs, now), unknownBefore: isKnown ? null : momentOf(knownSince) }
}
