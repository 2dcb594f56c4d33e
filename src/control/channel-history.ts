// A channel's past, read from the journal: its entries, what it served when, and which versions agents may still run.
import { channelKey, channelOf } from '../channels/channel.ts'
import {
  compatibility,
  servedSpans,
  type Compatibility,
  type HistoryStep,
  type ServedSpan,
} from '../channels/history.ts'
import { JOURNAL_PAGE_MAX } from '../store/port.ts'
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
  const key = channelKey(name)
  const steps: HistoryStep[] = []
  let beforeSeq: number | null = null
  do {
    const page = await control.store.journal({
      subject: key,
      limit: JOURNAL_PAGE_MAX,
      ...(beforeSeq === null ? {} : { beforeSeq }),
    })
    for (const { at, changes } of page.entries) {
      const change = changes.find((candidate) => candidate.key === key)
      if (change === undefined) continue
      const { before, after } = change
      const revision = after?.revision ?? before?.revision ?? 0
      steps.push({ at: Date.parse(at), revision, channel: after === null ? null : channelOf(after) })
    }
    beforeSeq = page.next
  } while (beforeSeq !== null && steps.length < HISTORY_ENTRIES_MAX)
  return servedSpans(steps.toReversed(), knownState(control).isBlocked, control.clock.now())
}

/** Every version that agents of this channel may still run (DESIGN §5). `graceMs` in milliseconds. */
export async function channelCompatibility(control: Control, name: string, graceMs: number): Promise<Compatibility> {
  return compatibility(await channelSpans(control, name), graceMs, control.clock.now())
}
