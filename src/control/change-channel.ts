// The command behind every change of a channel.
import { blockedVersionKey, blockedVersionOf, isBlockedVersionKey } from '../channels/blocked-version.ts'
import { applyChange, judgeDeletion, type Accepted } from '../channels/change.ts'
import { hasBuildMetadata, withServed } from '../channels/build-metadata.ts'
import { channelBody, channelKey, channelOf, type Channel } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import { rollbackVersion, type ServedSpan } from '../channels/history.ts'
import { malformed, type Refusal, type Verdict } from '../channels/outcome.ts'
import { parseUpstreamUrl } from '../channels/upstream-url.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { channelSpans } from './channel-history.ts'
import { putBlockedVersion } from './block-version.ts'
import {
  changedRecord,
  creationWarnings,
  fallbackBesideOf,
  fallbackOf,
  recordOf,
  type ChannelRecord,
} from './channel-view.ts'
import { isExpected, type Control, type ExpectedRevisions, type Request } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { UnreadableDocument } from './core/unreadable-document.ts'
import { blankChannel, lastReadable } from './repair.ts'
import { isSameBody } from './same-body.ts'
import { servedBy } from './served-by.ts'

/** A rollback as it is asked for: where to is found in the channel's history. */
export interface RollbackRequest {
  readonly kind: 'rollback-to'
  readonly to?: string | number
  readonly critical?: boolean
  /** Whether the version that it leaves is put on the block list. */
  readonly block?: boolean
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
      /** What was put on the block list as well; not there for nothing. */
      readonly blocked?: BlockedBeside
    }
  | { readonly outcome: 'deleted'; readonly verdicts: readonly Verdict[] }
  | { readonly outcome: 'unknown-channel' }
  | { readonly outcome: 'stale'; readonly current: ChannelRecord | null }
  | Refusal
  | Unfinished

interface BlockedBeside {
  readonly version: string
  /** Channels that serve it still. */
  readonly servedBy: readonly string[]
}

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
  const changedOf = (document: Document, state: ReplicaState): ChannelRecord =>
    changedRecord(viewOf(document, state), change)
  const outcome = await executeCommand<ChannelOutcome, readonly Verdict[], Prepared>(control, request, {
    kind: change.kind === 'rollback-to' ? 'channel.rollback' : `channel.${change.kind}`,
    dryRun,
    // What is due on channels at a version that is blocked goes into the same commit, so there must be little of it.
    ...(isBlocking(change) ? { recordExpiries: 'tried' } : {}),
    async prepare(tx) {
      // The history that is read belongs to this revision.
      const stored = tx.stored(key)
      return {
        base: stored?.unreadable === undefined ? null : await lastReadable(control, stored),
        spans: change.kind === 'rollback-to' || namedBuild(change) !== null ? await channelSpans(control, name) : [],
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
      const left = judged.outcome === 'accepted' ? (judged.channel.pin?.rolledBackFrom?.at(-1) ?? null) : null
      if (isBlocking(change) && left === null) {
        return replyWith(malformed('block', 'cannot be true: this rollback leaves no version'))
      }
      const blocks = isBlocking(change) && left !== null && tx.stored(blockedVersionKey(left)) === undefined
      if (stored?.unreadable === undefined && stored !== undefined && !blocks && isSameBody(stored.body, next)) {
        return leaveUnchanged(stored)
      }
      tx.overwrite(key, next)
      if (blocks) putBlockedVersion(tx, left, request)
      return commitWith(judged.verdicts)
    },
    reply({ changes }, verdicts, state) {
      const after = changes.find((one) => one.key === key)?.after ?? null
      if (after === null) return { outcome: 'deleted', verdicts: verdicts ?? [] }
      const list = changes.find((one) => isBlockedVersionKey(one.key))?.after ?? null
      const version = list === null ? null : blockedVersionOf(list).version
      const blocked = version === null ? {} : { blocked: { version, servedBy: othersServing(state, version, name) } }
      const made = change.kind === 'create' ? [name] : []
      const record = changedOf(after, state)
      const warnings = [...creationWarnings(state, made, control.clock.expiryTime()), ...record.warnings]
      return { outcome: 'changed', record: { ...record, warnings }, verdicts: verdicts ?? [], ...blocked }
    },
    replyUnchanged: (document, state) => ({ outcome: 'changed', record: changedOf(document, state), verdicts: [] }),
  })
  if (outcome.outcome === 'refused' && outcome.why === 'guard') control.count('refusal', outcome.guard)
  return outcome
}

function isBlocking(change: ChannelRequest['change']): boolean {
  return change.kind === 'rollback-to' && change.block === true
}

/** Channels that serve a version but for the one that is rolled back: the state of a dry run serves it there still. */
function othersServing(state: ReplicaState, version: string, name: string): readonly string[] {
  return servedBy(state, version).filter((channel) => channel !== name)
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
  const fallbackBeside = change.kind === 'delete' ? fallbackBesideOf(tx, name, expiryTime) : []
  const context = { ...tx.times, actor, reason, force, fallback, fallbackBeside, isBlocked }
  const found = document === undefined ? null : channelOf(document)
  const stored = found === null ? null : knowing(found, namedBuild(change), spans)
  const refusedHost = upstreamRefusal(control, change)
  if (refusedHost !== null) return malformed('source/url', refusedHost)
  if (change.kind === 'delete') {
    const verdicts = stored === null ? [] : judgeDeletion(stored, context)
    return 'outcome' in verdicts ? verdicts : { outcome: 'accepted-deletion', verdicts }
  }
  if (change.kind !== 'rollback-to') return applyChange(stored, change, context)
  const back = rollbackVersion(spans, change.to, isBlocked)
  if (back.outcome === 'refused') return back
  const { version } = back
  return applyChange(
    stored && knowing(stored, version, spans),
    { kind: 'rollback', version, critical: change.critical ?? false },
    context,
  )
}

/** The version with build metadata that a change names; null for none. */
function namedBuild(change: ChannelRequest['change']): string | null {
  const named = change.kind === 'edit' ? change.source?.version : 'version' in change ? change.version : null
  return typeof named === 'string' && hasBuildMetadata(named) ? normalized(named) : null
}

function normalized(version: string): string {
  return version.startsWith('v') ? version.slice(1) : version
}

/** The channel with `version` counted as served where its history has it: the channel remembers the newest only (ADR 42). */
function knowing(channel: Channel, version: string | null, spans: readonly ServedSpan[]): Channel {
  const isServed = version !== null && spans.some((span) => span.version === version || span.beside === version)
  return isServed ? withServed(channel, version) : channel
}

/** Why a source may not be where the change puts it; null where it may, or is not moved, or is no URL at all. */
function upstreamRefusal({ upstreams }: Control, change: ChannelRequest['change']): string | null {
  if (change.kind !== 'create' && change.kind !== 'edit') return null
  const upstream = change.source?.url === undefined ? null : parseUpstreamUrl(change.source.url)
  return upstream?.outcome === 'parsed' ? upstreams.hosts.refusal(upstream.value) : null
}
