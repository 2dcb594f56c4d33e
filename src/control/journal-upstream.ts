// What a poll of an upstream leads to: a change of its channel where the answer or the upstream's state is another one, and
// nothing at all where it is not, so that the journal has an entry for every change and none for a poll.
import { applyChange, type Accepted } from '../channels/change.ts'
import { channelBody, channelKey, channelOf, type ForwardSource, type UpstreamProblem } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import { momentOf, type Times } from '../channels/time.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import type { Change } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import { currentState, type Control } from './control.ts'
import { SYSTEM_ACTOR } from './journal-lapses.ts'
import type { UpstreamAnswer } from './upstream-client.ts'

/** How often a change that lost a race is decided anew; the next poll comes anyway. */
const TRIES_MAX = 3

export type UpstreamOutcome = 'unchanged' | 'changed' | 'problem' | 'gone'

type Judged = Exclude<UpstreamAnswer, { outcome: 'changing' }>

/** Takes in what the upstream at `url` has answered for a channel. Rejects as the store does. */
export async function journalUpstream(
  control: Control,
  name: string,
  url: string,
  answer: Judged,
): Promise<UpstreamOutcome> {
  const key = channelKey(name)
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const state = currentState(control)
    const document = state.document(key)
    const channel = document === undefined ? null : channelOf(document)
    if (document === undefined || channel?.source.kind !== 'forward' || channel.source.url !== url) return 'gone'
    const times = timesOf(control.clock)
    const decision = decide(state, name, channel.source, answer, times)
    if (decision.change === null) return decision.outcome
    const { kind, accepted, reason } = decision.change
    const write = { key, expected: document.revision, body: channelBody(accepted.channel) }
    const change: Change = {
      at: momentOf(times.now),
      actor: SYSTEM_ACTOR,
      kind,
      reason,
      requestId: null,
      decidedOn: state.position,
      writes: [write],
      reads: blockListReads(state, accepted.channel),
    }
    const committed = await control.store.commit(change)
    if (committed.outcome === 'committed') {
      control.count('commit', kind)
      return decision.outcome
    }
    control.count('conflict', kind)
    const { expected } = committed
    await control.replica.until((seen) => seen.revisionOf(committed.key) !== expected)
  }
  return 'unchanged'
}

interface Decision {
  readonly outcome: UpstreamOutcome
  readonly change: { readonly kind: string; readonly accepted: Accepted; readonly reason: string } | null
}

function decide(state: ReplicaState, name: string, source: ForwardSource, answer: Judged, times: Times): Decision {
  if (answer.outcome === 'problem') return problemDecision(state, name, source, answer, times)
  const { version, critical } = answer
  const isNews = source.answeredAt === null || version !== source.version || critical !== source.critical
  if (!isNews && source.problem === null) return { outcome: 'unchanged', change: null }
  const applied = apply(state, name, { kind: 'upstream', version, critical }, times)
  if (applied.outcome === 'accepted') {
    const said = version === null ? 'no version' : `${version}${critical ? ', critical' : ''}`
    const reason = isNews ? `the upstream answers ${said}` : `the upstream answers again: ${said}`
    return { outcome: 'changed', change: { kind: 'channel.upstream', accepted: applied, reason } }
  }
  // The rules of operators hold for upstreams too; nobody is there to force them.
  const why = applied.why === 'malformed' ? `${applied.field} ${applied.message}` : applied.message
  const problem = { kind: 'refused', message: `the upstream answers ${version ?? 'no version'}: ${why}` } as const
  return problemDecision(state, name, source, problem, times)
}

function problemDecision(
  state: ReplicaState,
  name: string,
  source: ForwardSource,
  { kind, message }: Omit<UpstreamProblem, 'at'>,
  times: Times,
): Decision {
  // Of one kind of trouble the first words stay: a port in a message must not make an entry of every poll.
  const same = source.problem?.kind === kind && (kind !== 'refused' || source.problem.message === message)
  if (same) return { outcome: 'problem', change: null }
  const applied = apply(state, name, { kind: 'upstream-problem', problem: { kind, message } }, times)
  if (applied.outcome === 'refused') throw new Error(`the trouble of an upstream was refused: ${applied.message}`)
  return { outcome: 'problem', change: { kind: 'channel.upstream-problem', accepted: applied, reason: message } }
}

function apply(state: ReplicaState, name: string, change: ChannelChange, times: Times): ReturnType<typeof applyChange> {
  const document = state.document(channelKey(name))
  const context = {
    ...times,
    actor: SYSTEM_ACTOR,
    reason: null,
    force: false,
    fallback: null,
    isBlocked: state.isBlocked,
  }
  return applyChange(document === undefined ? null : channelOf(document), change, context)
}
