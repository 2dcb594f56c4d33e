// What channels have served since a moment, for the compatibility rule: read from the journal, each entry once for all of the
// channels that it has changed, and kept. A promotion changes hundreds of channels in one entry of half a megabyte.
import { channelOf, type Channel } from '../channels/channel.ts'
import type { IsBlocked } from '../channels/blocked-version.ts'
import { servedSpans, type HistoryStep, type ServedSpan } from '../channels/history.ts'
import { versionsTold } from '../channels/target.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, JournalEntry, JournalPage } from '../store/port.ts'
import type { Control } from './control.ts'
import { journalHorizon, knownSince } from './journal-horizon.ts'

/** Few, so that no page reaches far beyond the time that is asked about. */
const PAGE = 8
/** About a kilobyte each; forgotten as a whole when there are more. */
const STEPS_MAX = 50_000

/** What a channel served since a moment, oldest first, as far as the journal tells. */
export interface ServedSince {
  readonly spans: readonly ServedSpan[]
  /** Before this moment (milliseconds since the epoch) it may have served what nobody knows any more; null where all is known. */
  readonly unknownBefore: number | null
}

interface Step extends HistoryStep {
  readonly before: Document | null
}

interface Deletion extends Step {
  readonly before: Document
}

/** What the journal says of one channel since the last epoch began, by revisions: before, one can stand for two lives. */
interface Steps {
  /** What has made each revision. */
  readonly made: Map<number, Step>
  /** What has deleted the channel at each revision. */
  readonly deleted: Map<number, Deletion>
  /** The newest entry that is looked for and not in the journal, as `Chain.lost` has it; it never comes to be there. */
  lost: string | null
}

/** What was read, as long as the state that it belongs to lives: another history, and another epoch, has another state. */
const histories = new WeakMap<ReplicaState, Map<string, Steps>>()

/** What the channels of these documents served since `sinceMs` (milliseconds since the epoch), by their keys. */
export async function servedSince(
  control: Control,
  state: ReplicaState,
  documents: readonly Document[],
  sinceMs: number,
): Promise<ReadonlyMap<string, ServedSince>> {
  const horizon = await journalHorizon(control.store)
  const all = stepsIn(state)
  for (const { key } of documents) {
    if (!all.has(key)) all.set(key, { made: new Map(), deleted: new Map(), lost: null })
  }
  const now = control.clock.now()
  const period: Period = { sinceMs, isTelling: (channel) => hasTold(channel, state.isBlocked, now) }
  const served = new Map<string, ServedSince>()
  for (const document of documents) {
    const { steps, found, lost } = await readChain(control, document, period, horizon.epochSeq, all)
    const channel = found === null ? null : channelOf(found)
    const first = found === null ? [] : [{ at: sinceMs, revision: found.revision, channel }]
    const spans = servedSpans([...first, ...steps], state.isBlocked, now)
    const since = knownSince(horizon, lost === null ? null : (steps[0]?.at ?? now))
    const unknownBefore = since !== null && since > sinceMs ? since : null
    served.set(document.key, { spans: withTold(spans, channel, sinceMs), unknownBefore })
  }
  return served
}

/** Also what it was told before a halt. */
function hasTold(channel: Channel, isBlocked: IsBlocked, now: number): boolean {
  return channel.lastServed !== null || versionsTold(channel, isBlocked, now).length > 0
}

/** A channel that told nothing then had told something before: its agents were to stay on that. */
function withTold(spans: readonly ServedSpan[], found: Channel | null, sinceMs: number): readonly ServedSpan[] {
  const running = spans[0]?.version === null ? (found?.lastServed ?? null) : null
  if (running === null) return spans
  const beside = found?.lastServedBeside ?? null
  const before = { version: running, beside, critical: false, because: 'source', revision: 0 } as const
  return [{ ...before, from: sinceMs, to: sinceMs }, ...spans]
}

interface Period {
  readonly sinceMs: number
  /** Whether agents of a channel that stands so were told anything by it. */
  readonly isTelling: (channel: Channel) => boolean
}

interface Chain {
  /** Those since then, oldest first, without a gap. */
  readonly steps: readonly Step[]
  /** What stood before the oldest of them; null where there was nothing. */
  readonly found: Document | null
  /** Which entry would be the next one back, and is not known; null where nothing is missing. */
  readonly lost: string | null
}

async function readChain(
  { store }: Control,
  document: Document,
  period: Period,
  epochSeq: number,
  all: ReadonlyMap<string, Steps>,
): Promise<Chain> {
  const known = all.get(document.key) ?? { made: new Map(), deleted: new Map(), lost: null }
  let chain = chainOf(known, document, period)
  let beforeSeq: number | null = null
  while (chain.lost !== null && chain.lost !== known.lost) {
    const page: JournalPage = await store.journal({
      subject: document.key,
      limit: PAGE,
      ...(beforeSeq === null ? {} : { beforeSeq }),
    })
    const since = page.entries.filter(({ seq }) => seq > epochSeq)
    learn(all, since)
    chain = chainOf(known, document, period)
    beforeSeq = page.next
    // All there are of this channel were read then: what is missing is in no entry of this epoch.
    if (beforeSeq === null || since.length < page.entries.length) known.lost = chain.lost
  }
  return chain
}

/** Goes back from a document, each step saying which revision it has changed. */
function chainOf({ made, deleted }: Steps, document: Document, { sinceMs, isTelling }: Period): Chain {
  const steps: Step[] = []
  const chain = (found: Document | null, lost: string | null): Chain => ({ steps: steps.toReversed(), found, lost })
  for (let found = document, hasCome = false; ;) {
    // What was told nothing by this one may still run what one of that name has told before.
    if (hasCome && isTelling(channelOf(found))) return chain(found, null)
    const step = made.get(found.revision)
    if (step === undefined) return chain(found, `made ${found.revision}`)
    if (step.at < sinceMs) {
      if (isTelling(channelOf(found))) return chain(found, null)
      hasCome = true
    }
    steps.push({ ...step, at: Math.max(step.at, sinceMs) })
    if (step.before !== null) {
      found = step.before
      continue
    }
    // It was made for the first time, or anew: what its agents were told before that they may still run.
    const last = found.revision - 1
    if (last === 0) return chain(null, null)
    const deletion = deleted.get(last)
    if (deletion === undefined) return chain(null, `deleted ${last}`)
    hasCome ||= deletion.at < sinceMs
    steps.push({ ...deletion, at: Math.max(deletion.at, sinceMs) })
    found = deletion.before
  }
}

function learn(all: ReadonlyMap<string, Steps>, entries: readonly JournalEntry[]): void {
  for (const { at, changes } of entries) {
    for (const { key, before, after } of changes) {
      const known = all.get(key)
      if (known === undefined) continue
      const time = Date.parse(at)
      if (after !== null) {
        const { revision } = after
        known.made.set(revision, { at: time, revision, channel: channelOf(after), before })
      } else if (before !== null) {
        const { revision } = before
        known.deleted.set(revision, { at: time, revision, channel: null, before })
      }
    }
  }
}

function stepsIn(state: ReplicaState): Map<string, Steps> {
  const before = histories.get(state)
  const count = [...(before?.values() ?? [])].reduce((sum, { made, deleted }) => sum + made.size + deleted.size, 0)
  if (before !== undefined && count < STEPS_MAX) return before
  const fresh = new Map<string, Steps>()
  histories.set(state, fresh)
  return fresh
}
