// A channel's past, read from the journal: its entries, what it served when, and which versions agents may still run.
import { channelKey, channelOf } from '../channels/channel.ts'
import {
  compatibility,
  servedSpans,
  type Compatibility,
  type HistoryStep,
  type ServedSpan,
} from '../channels/history.ts'
import { momentOf } from '../channels/time.ts'
import { JOURNAL_PAGE_MAX, type Document, type JournalPage } from '../store/port.ts'
import { knownState, type Control } from './control.ts'

/** A channel's history is read back this many entries at most: years of it, and a bound on what one request may cost. */
const HISTORY_ENTRIES_MAX = 20_000

/** Whether there is a channel of this name, or was one: a name that was mistyped must not look like one without changes. */
export async function hasHistory(control: Control, name: string): Promise<boolean> {
  const subject = channelKey(name)
  if (knownState(control).document(subject) !== undefined) return true
  return (await control.store.journal({ subject, limit: 1 })).entries.length > 0
}

/** What a channel served when, oldest first, as far back as HISTORY_ENTRIES_MAX entries reach. */
export async function channelSpans(control: Control, name: string): Promise<readonly ServedSpan[]> {
  const steps = await readSteps(control, channelKey(name), null)
  return servedSpans(steps, knownState(control).isBlocked, control.clock.now())
}

/** A channel's steps, oldest first; with `sinceMs` only those since then, and before them what they found. */
async function readSteps(control: Control, key: string, sinceMs: number | null): Promise<readonly HistoryStep[]> {
  const steps: HistoryStep[] = []
  let oldest: Document | null = null
  let beforeSeq: number | null = null
  do {
    const page: JournalPage = await control.store.journal({
      subject: key,
      limit: JOURNAL_PAGE_MAX,
      ...(sinceMs === null ? {} : { since: momentOf(sinceMs) }),
      ...(beforeSeq === null ? {} : { beforeSeq }),
    })
    for (const { at, changes } of page.entries) {
      const change = changes.find((candidate) => candidate.key === key)
      if (change === undefined) continue
      const { before, after } = change
      oldest = before
      const revision = after?.revision ?? before?.revision ?? 0
      steps.push({ at: Date.parse(at), revision, channel: after === null ? null : channelOf(after) })
    }
    beforeSeq = page.next
  } while (beforeSeq !== null && steps.length < HISTORY_ENTRIES_MAX)
  const found =
    sinceMs === null || oldest === null ? [] : [{ at: sinceMs, revision: oldest.revision, channel: channelOf(oldest) }]
  return [...found, ...steps.toReversed()]
}

/**
 * What a channel served since `sinceMs` (milliseconds since the epoch), from its document and the journal's entries since then:
 * what the oldest of them found there counts as served at the beginning, though it may have been so for years.
 */
export async function spansSince(
  control: Control,
  document: Document,
  sinceMs: number,
): Promise<readonly ServedSpan[]> {
  const steps = await readSteps(control, document.key, sinceMs)
  const current = { at: sinceMs, revision: document.revision, channel: channelOf(document) }
  const known = steps.length === 0 ? [current] : steps
  const spans = servedSpans(known, knownState(control).isBlocked, control.clock.now())
  // A channel that told nothing then had told something before: its agents were to stay on that.
  const running = spans[0]?.version === null ? (known[0]?.channel?.lastServed ?? null) : null
  if (running === null) return spans
  const before = { version: running, beside: null, critical: false, because: 'source', revision: 0 } as const
  return [{ ...before, from: sinceMs, to: sinceMs }, ...spans]
}

/** Every version that agents of this channel may still run (DESIGN §5). `graceMs` in milliseconds. */
export async function channelCompatibility(control: Control, name: string, graceMs: number): Promise<Compatibility> {
  return compatibility(await channelSpans(control, name), graceMs, control.clock.now())
}
