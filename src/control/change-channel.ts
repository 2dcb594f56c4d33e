// The use case behind every change of a channel: decide on what is known, commit against exactly that, serve, answer.
import { blockedVersionKey } from '../channels/blocked-version.ts'
import { applyChange, judgeDeletion, type Accepted } from '../channels/change.ts'
import { channelBody, channelKey, channelOf, type Channel } from '../channels/channel.ts'
import type { ChannelChange } from '../channels/draft.ts'
import { rollbackVersion, type ServedSpan } from '../channels/history.ts'
import { malformed, type Refusal, type Verdict } from '../channels/outcome.ts'
import { targetAt, type Target } from '../channels/target.ts'
import { momentOf, type Times } from '../channels/time.ts'
import { parseUpstreamUrl } from '../channels/upstream-url.ts'
import type { Document, Expectation, JournalEntry } from '../store/port.ts'
import { WEBAPI_FALLBACK } from '../serve/poll.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { channelSpans } from './channel-history.ts'
import {
  commitAndServe,
  CONTENTION_TRIES_MAX,
  currentState,
  earlierTry,
  isExpected,
  knownState,
  type Contended,
  type Control,
  type ExpectedRevisions,
  type KeyReused,
  type NotServedYet,
  type Request,
} from './control.ts'
import { UnreadableDocument } from './decide.ts'
import { blankChannel, lastReadable } from './repair.ts'

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

/** A channel as the API shows it: its document, its revision, and what it tells agents now. */
export interface ChannelRecord {
  readonly channel: Channel
  readonly revision: number
  readonly effective: Target
  /** How old the answer of a forward channel's upstream is; null for other channels. */
  readonly upstream: UpstreamRecord | null
}

export interface UpstreamRecord {
  /** When it last answered well, also where that changed nothing; null where it never has, as far as is known here. */
  readonly lastAnswerAt: string | null
  readonly ageS: number | null
}

export type ChannelOutcome =
  | { readonly outcome: 'changed'; readonly record: ChannelRecord }
  | { readonly outcome: 'deleted' }
  /** A dry run: what would be, or why not. `after` is null where the channel would be gone or nothing would change. */
  | {
      readonly outcome: 'would'
      readonly before: ChannelRecord | null
      readonly after: ChannelRecord | null
      readonly verdicts: readonly Verdict[]
      readonly refusal: Refusal | null
    }
  | { readonly outcome: 'unknown-channel' }
  | { readonly outcome: 'stale'; readonly current: ChannelRecord | null }
  | Refusal
  | NotServedYet
  | Contended
  | KeyReused

type Decision = Accepted | { readonly outcome: 'accepted-deletion'; readonly verdicts: readonly Verdict[] } | Refusal

/** Changes a channel, or says why not. A change that lost a race is decided again on what the winner left. */
export async function changeChannel(control: Control, request: ChannelRequest): Promise<ChannelOutcome> {
  const key = channelKey(request.name)
  // Before anything is decided: an unpinning that was applied would else be refused for want of a pin.
  const earlier = request.dryRun ? null : await earlierTry(control, request, journalKind(request.change), key)
  if (earlier !== null && earlier.outcome !== 'applied') return earlier
  if (earlier !== null) return outcomeOf(control, earlier.entry, key)
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    const outcome = await tryChange(control, request)
    if (outcome !== null) return outcome
  }
  return { outcome: 'contended' }
}

/** Reads one channel out of a state, null where there is none. */
export function channelRecord(
  control: Control,
  state: ReplicaState,
  name: string,
  expiryTime: number,
): ChannelRecord | null {
  const document = state.document(channelKey(name))
  return document === undefined ? null : recordOf(control, channelOf(document), document.revision, state, expiryTime)
}

/** One try; null where somebody else was faster and it is to be decided anew. */
async function tryChange(control: Control, request: ChannelRequest): Promise<ChannelOutcome | null> {
  const { name, change, expectedRevisions } = request
  const key = channelKey(name)
  const seen = currentState(control).stored(key)
  const base = seen?.unreadable === undefined ? null : await lastReadable(control, seen)
  const spans = change.kind === 'rollback-to' ? await channelSpans(control, name) : []
  // From here to the commit nothing is awaited: the state moves on with every journal entry, and what the guards have
  // seen of the block list must be exactly what the commit expects of it.
  const state = currentState(control)
  const times = timesOf(control.clock)
  const { now, expiryTime } = times
  if (state.stored(key) !== seen) return null
  const document = seen?.unreadable === undefined ? seen : judgedInstead(request, seen, base, now)
  if (document === undefined && change.kind !== 'create') {
    return Array.isArray(expectedRevisions) ? { outcome: 'stale', current: null } : { outcome: 'unknown-channel' }
  }
  const before = channelRecord(control, state, name, expiryTime)
  if (!isExpected(expectedRevisions, document)) return { outcome: 'stale', current: before }
  const decision = decide(control, request, spans, state, document, times)
  if (decision.outcome === 'refused') {
    if (decision.why === 'guard') control.count('refusal', decision.guard)
    if (!request.dryRun) return decision
    const verdicts = decision.why === 'guard' ? decision.verdicts : []
    return { outcome: 'would', before, after: null, verdicts, refusal: decision }
  }
  const next = decision.outcome === 'accepted' ? decision : null
  if (request.dryRun) {
    const revision = (document?.revision ?? 0) + 1
    const after = next === null ? null : recordOf(control, next.channel, revision, state, expiryTime)
    return { outcome: 'would', before, after, verdicts: decision.verdicts, refusal: null }
  }
  const committed = await commitAndServe(control, request, {
    at: momentOf(now),
    kind: journalKind(change),
    writes: [{ key, expected: document?.revision ?? 0, body: next === null ? null : channelBody(next.channel) }],
    reads: [
      ...(next === null ? [] : blockListReads(state, next.channel)),
      ...(change.kind === 'create' || change.kind === 'delete' ? fallbackReads(state, name) : []),
    ],
  })
  switch (committed.outcome) {
    case 'conflict':
      return null
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return committed
    case 'served':
      return outcomeOf(control, committed.entry, key)
  }
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

/** What an entry has made of a channel. */
function outcomeOf(control: Control, entry: JournalEntry, key: string): ChannelOutcome {
  const after = entry.changes.find((change) => change.key === key)?.after ?? null
  if (after === null) return { outcome: 'deleted' }
  const record = recordOf(control, channelOf(after), after.revision, knownState(control), control.clock.expiryTime())
  return { outcome: 'changed', record }
}

function decide(
  control: Control,
  request: ChannelRequest,
  spans: readonly ServedSpan[],
  state: ReplicaState,
  document: Document | undefined,
  times: Times,
): Decision {
  const { change, actor, reason, force } = request
  const fallback = fallbackOf(control, state, request.name, times.expiryTime)
  const context = { ...times, actor, reason, force, fallback, isBlocked: state.isBlocked }
  const stored = document === undefined ? null : channelOf(document)
  const refusedHost = upstreamRefusal(control, change)
  if (refusedHost !== null) return malformed('source/url', refusedHost)
  if (change.kind === 'delete') {
    const verdicts = stored === null ? [] : judgeDeletion(stored, context)
    return 'outcome' in verdicts ? verdicts : { outcome: 'accepted-deletion', verdicts }
  }
  if (change.kind !== 'rollback-to') return applyChange(stored, change, context)
  const found = rollbackVersion(spans, change.to, state.isBlocked)
  if (found.outcome === 'refused') return found
  const { version } = found
  return applyChange(stored, { kind: 'rollback', version, critical: change.critical ?? false }, context)
}

/**
 * The guards have found the versions of this channel off the block list (or on it, and left them where they were).
 * That must still be so when the change is committed, or a version blocked meanwhile would slip through.
 */
export function blockListReads(state: ReplicaState, channel: Channel): readonly Expectation[] {
  const { source, pin, ramp } = channel
  const versions = new Set([source.version, pin?.version ?? null, ramp?.before.version ?? null])
  versions.delete(null)
  return [...versions].map((version) => {
    const key = blockedVersionKey(version ?? '')
    return { key, expected: state.revisionOf(key) }
  })
}

/** What webapi agents of this channel are told while it does not exist. */
export function fallbackOf(control: Control, state: ReplicaState, name: string, expiryTime: number): string | null {
  if (name === WEBAPI_FALLBACK) return null
  return channelRecord(control, state, WEBAPI_FALLBACK, expiryTime)?.effective.version ?? null
}

/** What a channel that is made or deleted was judged by, beside itself. */
export function fallbackReads(state: ReplicaState, name: string): readonly Expectation[] {
  const key = channelKey(WEBAPI_FALLBACK)
  return name === WEBAPI_FALLBACK ? [] : [{ key, expected: state.revisionOf(key) }]
}

/** Why a source may not be where the change puts it; null where it may, or is not moved, or is no URL at all. */
function upstreamRefusal({ upstreams }: Control, change: ChannelRequest['change']): string | null {
  if (change.kind !== 'create' && change.kind !== 'edit') return null
  const upstream = change.source?.url === undefined ? null : parseUpstreamUrl(change.source.url)
  return upstream?.outcome === 'parsed' ? upstreams.hosts.refusal(upstream.value) : null
}

function journalKind(change: ChannelRequest['change']): string {
  return change.kind === 'rollback-to' ? 'channel.rollback' : `channel.${change.kind}`
}

function recordOf(
  { upstreams, clock }: Control,
  channel: Channel,
  revision: number,
  state: ReplicaState,
  expiryTime: number,
): ChannelRecord {
  const at = upstreams.lastAnswerAt(channel.name)
  const lastAnswerAt = at === null ? null : momentOf(at)
  const ageS = at === null ? null : Math.max(0, clock.now() - at) / 1_000
  const upstream = channel.source.kind === 'forward' ? { lastAnswerAt, ageS } : null
  return { channel, revision, effective: targetAt(channel, state.isBlocked, expiryTime), upstream }
}
