// The command behind every change of a channel.
import { applyChange, judgeDeletion, type Accepted } from '../channels/change.ts'
import { channelBody, channelKey, channelOf } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import { rollbackVersion, type ServedSpan } from '../channels/history.ts'
import { malformed, type Refusal, type Verdict, type Warning } from '../channels/outcome.ts'
import { parseUpstreamUrl } from '../channels/upstream-url.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { channelSpans } from './channel-history.ts'
import { creationWarnings, fallbackOf, recordOf, type ChannelRecord } from './channel-view.ts'
import { isExpected, type Control, type ExpectedRevisions, type Request } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { UnreadableDocument } from './core/unreadable-document.ts'
import { blankChannel, lastReadable } from './repair.ts'
import { isSameBody } from './same-body.ts'

/** A rollback as it is asked for: where to is found in the channel's history. */
export interface RollbackRequest {
  readonly kind: 'rollback-to'
  readonly to?: string | number
  readonly critical?: boolean
}

export interface DeleteRequest {
  readonly kind: 'delete'
}

export interface ChannelRequest extends Request {
  readonly name: string
  readonly change: ChannelChange | RollbackRequest | DeleteRequest
  readonly force: boolean
  readonly expectedRevisions: ExpectedRevisions
  readonly dryRun: boolean
}

export type ChannelOutcome =
  /** `verdicts` are the guards', empty in the answer to a retry. */
  | {
      readonly outcome: 'changed'
      readonly record: ChannelRecord
      readonly verdicts: readonly Verdict[]
      readonly warnings: readonly Warning[]
    }
  | { readonly outcome: 'deleted'; readonly verdicts: readonly Verdict[] }
  | { readonly outcome: 'unknown-channel' }
  | { readonly outcome: 'stale'; readonly current: ChannelRecord | null }
  | Refusal
  | Unfinished

type Judged = Accepted | { readonly outcome: 'accepted-deletion'; readonly verdicts: readonly Verdict[] } | Refusal

/** What is read for a change before it is decided. */
interface Prepared {
  /** The last version of a channel that cannot be read. */
  readonly base: Document | null
  readonly spans: readonly ServedSpan[]
}

/** Changes a channel, or says why not. */
export async function changeChannel(control: Control, request: ChannelRequest): Promise<ChannelOutcome> {
  const { name, change, dryRun, expectedRevisions } = request
  const key = channelKey(name)
  const viewOf = (document: Document, state: ReplicaState): ChannelRecord =>
    recordOf(control, document, state, control.clock.expiryTime())
  const outcome = await executeCommand<ChannelOutcome, readonly Verdict[], Prepared>(control, request, {
    kind: change.kind === 'rollback-to' ? 'channel.rollback' : `channel.${change.kind}`,
    dryRun,
    async prepare(tx) {
      // The history that is read belongs to this revision.
      const stored = tx.stored(key)
      return {
        base: stored?.unreadable === undefined ? null : await lastReadable(control, stored),
        spans: change.kind === 'rollback-to' ? await channelSpans(control, name) : [],
      }
    },
    run(tx, { base, spans }) {
      const stored = tx.stored(key)
      const document = stored?.unreadable === undefined ? stored : judgedInstead(request, stored, base, tx.now)
      if (document === undefined && change.kind !== 'create') {
        const isStale = Array.isArray(expectedRevisions)
        return replyWith(isStale ? { outcome: 'stale', current: null } : { outcome: 'unknown-channel' })
      }
      if (!isExpected(expectedRevisions, document)) {
        // Shown to a caller who is refused: nothing is committed by it.
        const current = stored === undefined || stored.unreadable !== undefined ? null : viewOf(stored, tx.untracked)
        return replyWith({ outcome: 'stale', current })
      }
      const judged = judge(control, request, { spans, document }, tx)
      if (judged.outcome === 'refused') return replyWith(judged)
      const next = judged.outcome === 'accepted' ? channelBody(judged.channel) : null
      if (stored?.unreadable === undefined && stored !== undefined && isSameBody(stored.body, next)) {
        return leaveUnchanged(stored)
      }
      tx.overwrite(key, next)
      return commitWith(judged.verdicts)
    },
    reply({ changes }, verdicts, state) {
      const after = changes.find((one) => one.key === key)?.after ?? null
      if (after === null) return { outcome: 'deleted', verdicts: verdicts ?? [] }
      const made = change.kind === 'create' ? [name] : []
      const warnings = creationWarnings(state, made, control.clock.expiryTime())
      return { outcome: 'changed', record: viewOf(after, state), verdicts: verdicts ?? [], warnings }
    },
    replyUnchanged: (document, state) => ({
      outcome: 'changed',
      record: viewOf(document, state),
      verdicts: [],
      warnings: [],
    }),
  })
  if (outcome.outcome === 'refused' && outcome.why === 'guard') control.count('refusal', outcome.guard)
  return outcome
}

/**
 * What a change of a channel that cannot be read is judged against: its last version that can be, or, where an admin forces
 * the change, a channel that has never served anything. Throws UnreadableDocument for a change that takes neither.
 */
function judgedInstead(request: ChannelRequest, found: Document, base: Document | null, now: number): Document {
  const { name, change, actor, force } = request
  if (change.kind !== 'create' && base !== null) return base
  if (change.kind !== 'create' && force) return blankChannel(name, found, actor, now)
  const advice = base === null ? 'an admin may change it with force and a reason' : 'set a version, or edit it'
  throw new UnreadableDocument(found.key, found.unreadable ?? '', advice)
}

function judge(
  control: Control,
  { name, change, actor, reason, force }: ChannelRequest,
  { spans, document }: { readonly spans: readonly ServedSpan[]; readonly document: Document | undefined },
  tx: Transaction,
): Judged {
  const { isBlocked, expiryTime } = tx
  // Where agents go while there is no such channel is asked only where that begins or ends.
  const fallback = change.kind === 'create' || change.kind === 'delete' ? fallbackOf(tx, name, expiryTime) : null
  const context = { ...tx.times, actor, reason, force, fallback, isBlocked }
  const stored = document === undefined ? null : channelOf(document)
  const refusedHost = upstreamRefusal(control, change)
  if (refusedHost !== null) return malformed('source/url', refusedHost)
  if (change.kind === 'delete') {
    const verdicts = stored === null ? [] : judgeDeletion(stored, context)
    return 'outcome' in verdicts ? verdicts : { outcome: 'accepted-deletion', verdicts }
  }
  if (change.kind !== 'rollback-to') return applyChange(stored, change, context)
  const found = rollbackVersion(spans, change.to, isBlocked)
  if (found.outcome === 'refused') return found
  const { version } = found
  return applyChange(stored, { kind: 'rollback', version, critical: change.critical ?? false }, context)
}

/** Why a source may not be where the change puts it; null where it may, or is not moved, or is no URL at all. */
function upstreamRefusal({ upstreams }: Control, change: ChannelRequest['change']): string | null {
  if (change.kind !== 'create' && change.kind !== 'edit') return null
  const upstream = change.source?.url === undefined ? null : parseUpstreamUrl(change.source.url)
  return upstream?.outcome === 'parsed' ? upstreams.hosts.refusal(upstream.value) : null
}
