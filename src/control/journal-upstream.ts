// What a poll of an upstream leads to: a change of its channel where the answer or the upstream's state is another one, and
// nothing at all where it is not, so that the journal has an entry for every change and none for a poll.
import { applyChange, type Accepted } from '../channels/change.ts'
import { channelBody, channelKey, channelOf, type ForwardSource, type UpstreamProblem } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import type { Document } from '../store/port.ts'
import type { Control } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import { SYSTEM_ACTOR } from './core/expiries.ts'
import { SYSTEM_REQUEST } from './core/record-expiries.ts'
import type { Transaction } from './core/transaction.ts'
import type { UpstreamAnswer } from './upstream-client.ts'

/** How often a change that lost a race is decided; the next poll comes anyway. */
const ATTEMPTS_MAX = 3

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
  const outcome = await executeCommand<UpstreamOutcome | null, UpstreamOutcome, null>(control, SYSTEM_REQUEST, {
    kind: 'channel.upstream',
    dryRun: false,
    attempts: ATTEMPTS_MAX,
    run(tx) {
      const document = tx.get(key)
      const source = document === undefined ? null : channelOf(document).source
      if (document === undefined || source?.kind !== 'forward' || source.url !== url) return replyWith('gone')
      const { outcome: decided, change } = decide(tx, document, source, answer)
      if (change === null) return replyWith(decided)
      const { kind, accepted, reason } = change
      tx.put(key, channelBody(accepted.channel))
      return commitWith(decided, { kind, reason })
    },
    reply: (_, decided) => decided,
  })
  // Contended, or not served here yet: the next poll comes anyway.
  return typeof outcome === 'string' ? outcome : 'unchanged'
}

interface Decision {
  readonly outcome: UpstreamOutcome
  readonly change: { readonly kind: string; readonly accepted: Accepted; readonly reason: string } | null
}

function decide(tx: Transaction, document: Document, source: ForwardSource, answer: Judged): Decision {
  if (answer.outcome === 'problem') return problemDecision(tx, document, source, answer)
  const { version, critical } = answer
  const isNews = source.answeredAt === null || version !== source.version || critical !== source.critical
  if (!isNews && source.problem === null) return { outcome: 'unchanged', change: null }
  const applied = apply(tx, document, { kind: 'upstream', version, critical })
  if (applied.outcome === 'accepted') {
    const said = version === null ? 'no version' : `${version}${critical ? ', critical' : ''}`
    const reason = isNews ? `the upstream answers ${said}` : `the upstream answers again: ${said}`
    return { outcome: 'changed', change: { kind: 'channel.upstream', accepted: applied, reason } }
  }
  // The rules of operators hold for upstreams too; nobody is there to force them.
  const why = applied.why === 'malformed' ? `${applied.field} ${applied.message}` : applied.message
  const problem = { kind: 'refused', message: `the upstream answers ${version ?? 'no version'}: ${why}` } as const
  return problemDecision(tx, document, source, problem)
}

function problemDecision(
  tx: Transaction,
  document: Document,
  source: ForwardSource,
  { kind, message }: Omit<UpstreamProblem, 'at'>,
): Decision {
  // Of one kind of trouble the first words stay: a port in a message must not make an entry of every poll.
  const same = source.problem?.kind === kind && (kind !== 'refused' || source.problem.message === message)
  if (same) return { outcome: 'problem', change: null }
  const applied = apply(tx, document, { kind: 'upstream-problem', problem: { kind, message } })
  if (applied.outcome === 'refused') throw new Error(`the trouble of an upstream was refused: ${applied.message}`)
  return { outcome: 'problem', change: { kind: 'channel.upstream-problem', accepted: applied, reason: message } }
}

function apply(
  { times, isBlocked }: Transaction,
  document: Document,
  change: ChannelChange,
): ReturnType<typeof applyChange> {
  const context = { ...times, actor: SYSTEM_ACTOR, reason: null, force: false, fallback: null, isBlocked }
  return applyChange(channelOf(document), change, context)
}
