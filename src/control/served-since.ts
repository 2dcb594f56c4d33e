// What channels have served since a moment, for the compatibility rule: read from the journal, each entry once for all of the
// channels that it has changed, and kept. A promotion changes hundreds of channels in one entry of half a megabyte.
import { channelNameOf, channelOf, type Channel } from '../channels/channel.ts'
import { servedSpans, type HistoryStep, type ServedSpan } from '../channels/history.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, JournalPage } from '../store/port.ts'
import { channelSpans } from './channel-history.ts'
import type { Control } from './control.ts'

/** Few, so that no page reaches far beyond the time that is asked about. */
const PAGE = 8
/** About a kilobyte each; forgotten as a whole when there are more. */
const STEPS_MAX = 50_000

interface Step extends HistoryStep {
  readonly before: Document | null
}

/** A channel's steps by the revision that each has made. */
type Steps = Map<number, Step>

/** What was read, as long as the state that it belongs to lives: another history has another state. */
const histories = new WeakMap<ReplicaState, Map<string, Steps>>()

/** What the channels of these documents served since `sinceMs` (milliseconds since the epoch), by their keys. */
export async function spansSince(
  control: Control,
  state: ReplicaState,
  documents: readonly Document[],
  sinceMs: number,
): Promise<ReadonlyMap<string, readonly ServedSpan[]>> {
  const all = stepsIn(state)
  for (const { key } of documents) if (!all.has(key)) all.set(key, new Map())
  const spans = new Map<string, readonly ServedSpan[]>()
  for (const document of documents) spans.set(document.key, await spansOf(control, state, document, sinceMs, all))
  return spans
}

async function spansOf(
  control: Control,
  state: ReplicaState,
  document: Document,
  sinceMs: number,
  all: Map<string, Steps>,
): Promise<readonly ServedSpan[]> {
  let chain = chainOf(all.get(document.key), document, sinceMs)
  let beforeSeq: number | null = null
  while (chain.outcome === 'unknown') {
    const page: JournalPage = await control.store.journal({
      subject: document.key,
      limit: PAGE,
      ...(beforeSeq === null ? {} : { beforeSeq }),
    })
    learn(all, page)
    chain = chainOf(all.get(document.key), document, sinceMs)
    beforeSeq = page.next
    if (beforeSeq === null) break
  }
  // It was deleted and made again: what its agents were told before that they may still run.
  if (chain.outcome === 'made again') return channelSpans(control, channelNameOf(document.key) ?? '')
  const [oldest] = chain.steps
  const found = oldest === undefined ? document : oldest.before
  const first = found === null ? [] : [{ at: sinceMs, revision: found.revision, channel: channelOf(found) }]
  const steps: readonly HistoryStep[] = [...first, ...chain.steps]
  const spans = servedSpans(steps, state.isBlocked, control.clock.now())
  return withTold(spans, found === null ? null : channelOf(found), sinceMs)
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
  readonly outcome: 'known' | 'unknown' | 'made again'
  /** Those since then, oldest first, as far as they are known without a gap. */
  readonly steps: readonly Step[]
}

/** Goes back from a document, each step saying which revision it has changed. */
function chainOf(known: Steps | undefined, document: Document, sinceMs: number): Chain {
  const steps: Step[] = []
  for (let revision: number | null = document.revision; revision !== null;) {
    const step: Step | undefined = known?.get(revision)
    if (step === undefined) return { outcome: 'unknown', steps: steps.toReversed() }
    if (step.at < sinceMs) break
    steps.push(step)
    if (step.before === null && step.revision > 1) return { outcome: 'made again', steps: steps.toReversed() }
    revision = step.before?.revision ?? null
  }
  return { outcome: 'known', steps: steps.toReversed() }
}

function learn(all: Map<string, Steps>, { entries }: JournalPage): void {
  for (const { at, changes } of entries) {
    for (const { key, before, after } of changes) {
      if (after === null) continue
      const step = { at: Date.parse(at), revision: after.revision, before }
      all.get(key)?.set(after.revision, { ...step, channel: channelOf(after) })
    }
  }
}

function stepsIn(state: ReplicaState): Map<string, Steps> {
  const before = histories.get(state)
  const count = [...(before?.values() ?? [])].reduce((sum, { size }) => sum + size, 0)
  if (before !== undefined && count < STEPS_MAX) return before
  const fresh = new Map<string, Steps>()
  histories.set(state, fresh)
  return fresh
}
