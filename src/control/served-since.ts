// What channels have served since a moment, for the compatibility rule: read from the journal, each entry once for all of the
// channels that it has changed, and kept. A promotion changes hundreds of channels in one entry of half a megabyte.
import { channelOf, type Channel } from '../channels/channel.ts'
import { servedSpans, type HistoryStep, type ServedSpan } from '../channels/history.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, JournalPage } from '../store/port.ts'
import type { Control } from './control.ts'

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

/** What the journal says of one channel, by revisions. */
interface Steps {
  /** What has made each revision. */
  readonly made: Map<number, Step>
  /** What has deleted the channel at each revision. */
  readonly deleted: Map<number, Step>
  /** The newest revision that the journal has no entry of any more; it never has one again. */
  lostRevision: number | null
}

/** What was read, as long as the state that it belongs to lives: another history has another state. */
const histories = new WeakMap<ReplicaState, Map<string, Steps>>()

/** What the channels of these documents served since `sinceMs` (milliseconds since the epoch), by their keys. */
export async function servedSince(
  control: Control,
  state: ReplicaState,
  documents: readonly Document[],
  sinceMs: number,
): Promise<ReadonlyMap<string, ServedSince>> {
  const all = stepsIn(state)
  for (const { key } of documents) {
    if (!all.has(key)) all.set(key, { made: new Map(), deleted: new Map(), lostRevision: null })
  }
  const chains = new Map<Document, Chain>()
  for (const document of documents) chains.set(document, await readChain(control, document, sinceMs, all))
  const hasGaps = [...chains.values()].some(({ lost }) => lost !== null)
  const beginsAt = hasGaps ? await control.store.journalBegins() : null
  const now = control.clock.now()
  return new Map(
    [...chains].map(([document, { steps, lost }]) => {
      const [oldest] = steps
      const found = oldest === undefined ? document : oldest.before
      const first = found === null ? [] : [{ at: sinceMs, revision: found.revision, channel: channelOf(found) }]
      const spans = servedSpans([...first, ...steps], state.isBlocked, now)
      const unknownBefore = lost === null ? null : gapEnd(beginsAt, oldest?.at ?? now, sinceMs)
      return [
        document.key,
        { spans: withTold(spans, found === null ? null : channelOf(found), sinceMs), unknownBefore },
      ]
    }),
  )
}

/** Until when what is missing can have been; null where that is before the time that is asked about. */
function gapEnd(beginsAt: string | null, knownFrom: number, sinceMs: number): number | null {
  // Entries that are missing although none was trimmed were lost with a store that had gone back.
  const end = beginsAt === null ? knownFrom : Math.min(Date.parse(beginsAt), knownFrom)
  return end > sinceMs ? end : null
}

/** A channel that told nothing then had told something before: its agents were to stay on that. */
function withTold(spans: readonly ServedSpan[], found: Channel | null, sinceMs: number): readonly ServedSpan[] {
  const running = spans[0]?.version === null ? (found?.lastServed ?? null) : null
  if (running === null) return spans
  const beside = found?.lastServedBeside ?? null
  const before = { version: running, beside, critical: false, because: 'source', revision: 0 } as const
  return [{ ...before, from: sinceMs, to: sinceMs }, ...spans]
}

interface Chain {
  /** Those since then, oldest first, without a gap. */
  readonly steps: readonly Step[]
  /** The revision whose entry would be the next one back, and is not known; null where nothing is missing. */
  readonly lost: number | null
}

async function readChain(
  { store }: Control,
  document: Document,
  sinceMs: number,
  all: ReadonlyMap<string, Steps>,
): Promise<Chain> {
  const known = all.get(document.key)
  let chain = chainOf(known, document, sinceMs)
  let beforeSeq: number | null = null
  while (known !== undefined && chain.lost !== null && chain.lost !== known.lostRevision) {
    const page: JournalPage = await store.journal({
      subject: document.key,
      limit: PAGE,
      ...(beforeSeq === null ? {} : { beforeSeq }),
    })
    learn(all, page)
    chain = chainOf(known, document, sinceMs)
    beforeSeq = page.next
    if (beforeSeq === null) known.lostRevision = chain.lost
  }
  return chain
}

/** Goes back from a document, each step saying which revision it has changed. */
function chainOf(known: Steps | undefined, document: Document, sinceMs: number): Chain {
  const steps: Step[] = []
  const chain = (lost: number | null): Chain => ({ steps: steps.toReversed(), lost })
  for (let revision = document.revision; ;) {
    const step = known?.made.get(revision)
    if (step === undefined) return chain(revision)
    if (step.at < sinceMs) return chain(null)
    steps.push(step)
    if (step.before !== null) {
      ;({ revision } = step.before)
      continue
    }
    // It was made for the first time, or anew: what its agents were told before that they may still run.
    revision -= 1
    if (revision === 0) return chain(null)
    const deletion = known?.deleted.get(revision)
    if (deletion === undefined) return chain(revision)
    if (deletion.at < sinceMs) {
      steps.push({ ...deletion, at: sinceMs })
      return chain(null)
    }
    steps.push(deletion)
  }
}

function learn(all: ReadonlyMap<string, Steps>, { entries }: JournalPage): void {
  for (const { at, changes } of entries) {
    for (const { key, before, after } of changes) {
      const known = all.get(key)
      const revision = after?.revision ?? before?.revision
      if (known === undefined || revision === undefined) continue
      const channel = after === null ? null : channelOf(after)
      const into = after === null ? known.deleted : known.made
      into.set(revision, { at: Date.parse(at), revision, channel, before })
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
