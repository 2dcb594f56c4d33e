// What a caller may see of documents: an allow-list by kind. What no rule here names is for admins of the whole server.
import { BLOCKED_KIND, blockedVersionOf } from '../channels/blocked-version.ts'
import { CHANNEL_KIND, channelNameOf } from '../channels/channel.ts'
import { PEOPLE_KIND } from '../rollouts/people.ts'
import { PIPELINE_KIND, pipelineBody, pipelineOf } from '../rollouts/pipeline.ts'
import { RELEASE_KIND, releaseKey } from '../rollouts/release.ts'
import { ROLLOUT_KIND, rolloutBody, rolloutOf } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { EPOCH_SUBJECT, type Document, type DocumentChange, type JsonObject } from '../store/port.ts'
import { isIndexKey, keptLabelsView } from './core/views.ts'
import { covers, coversAll, seesAll, type Identity } from './identity.ts'
import { isSameBody } from './same-body.ts'
import { pipelineFor, rolloutFor } from './scoped-rollouts.ts'

/** The part of a document that a caller limited to channels may see, null for none of it. */
type ScopedRule = (identity: Identity, document: Document, state: ReplicaState | null) => Document | null

/** What tokens limited to channels see. */
const scopedRules: ReadonlyMap<string, ScopedRule> = new Map<string, ScopedRule>([
  [CHANNEL_KIND, (identity, document) => (coversChannel(identity, document.key) ? document : null)],
  [BLOCKED_KIND, (identity, document, state) => (isBlockedSeen(state, identity, document) ? document : null)],
  [PIPELINE_KIND, (identity, document) => partOf(document, pipelineBodyFor(identity, document))],
  [ROLLOUT_KIND, (identity, document) => partOf(document, rolloutBodyFor(identity, document))],
])

/**
 * What tokens for the whole server see, beside the index documents; others are for its admins. Labels of GitHub name the repositories
 * of changes, and a label can come before the release that puts its change under an embargo.
 */
const wholeServerKinds: ReadonlySet<string> = new Set([
  ...[CHANNEL_KIND, BLOCKED_KIND, RELEASE_KIND, PEOPLE_KIND, PIPELINE_KIND, ROLLOUT_KIND],
])

/** What this caller may see of a document, null for none of it. `state` says which releases there are. */
function visiblePart(state: ReplicaState | null, identity: Identity, document: Document): Document | null {
  if (seesAll(identity)) return document
  if (coversAll(identity)) return isForWholeServer(document.key) ? document : null
  return scopedRules.get(kindOf(document.key))?.(identity, document, state) ?? null
}

function isForWholeServer(key: string): boolean {
  return wholeServerKinds.has(kindOf(key)) || (isIndexKey(key) && key !== keptLabelsView.indexKey)
}

/** What this caller may see of a change; null where that is nothing, or nothing that the change has made another. */
export function visibleChange(
  state: ReplicaState | null,
  identity: Identity,
  { key, before, after }: DocumentChange,
): DocumentChange | null {
  const shown = visibleEnds(state, identity, { key, before, after })
  if (shown === null || shown.before === before || shown.after === after) return shown
  // What was changed is what this caller does not see.
  return shown.after !== null && isSameBody(shown.after.body, shown.before?.body ?? null) ? null : shown
}

/** Whether a caller sees that a version is on the block list: an entry made for a release is for those who may see releases. */
export function isBlockedSeen(state: ReplicaState | null, identity: Identity, document: Document): boolean {
  if (coversAll(identity)) return true
  // Nobody knows why it is on the list.
  if (document.unreadable !== undefined) return false
  const { version, because } = blockedVersionOf(document)
  return because === undefined && state?.stored(releaseKey(version)) === undefined
}

/** Whether entries about this document are for the caller whatever they have changed of it: a journal may be searched for it. */
export function isSearchable(identity: Identity, subject: string): boolean {
  if (seesAll(identity)) return true
  if (!coversAll(identity)) return coversChannel(identity, subject)
  return subject === EPOCH_SUBJECT || isForWholeServer(subject)
}

/** The kind of document that a key begins with. */
export function kindOf(key: string): string {
  const end = key.indexOf('/')
  return end === -1 ? '' : key.slice(0, end)
}

function visibleEnds(
  state: ReplicaState | null,
  identity: Identity,
  { key, before, after }: DocumentChange,
): DocumentChange | null {
  const shown = (document: Document | null): Document | null =>
    document === null ? null : visiblePart(state, identity, document)
  const [seenBefore, seenAfter] = [shown(before), shown(after)]
  return seenBefore === null && seenAfter === null ? null : { key, before: seenBefore, after: seenAfter }
}

function coversChannel(identity: Identity, key: string): boolean {
  const name = channelNameOf(key)
  return name !== null && covers(identity, name)
}

function pipelineBodyFor(identity: Identity, document: Document): JsonObject | null {
  const pipeline = document.unreadable === undefined ? pipelineFor(identity, pipelineOf(document)) : null
  return pipeline && pipelineBody(pipeline)
}

function rolloutBodyFor(identity: Identity, document: Document): JsonObject | null {
  const rollout = document.unreadable === undefined ? rolloutFor(identity, rolloutOf(document)) : null
  return rollout && rolloutBody(rollout)
}

function partOf(document: Document, body: JsonObject | null): Document | null {
  return body === null ? null : { ...document, body }
}
