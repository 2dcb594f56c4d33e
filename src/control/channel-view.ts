// A channel as the API shows it: its document, its revision, and what it tells agents now.
import { channelKey, channelOf, type Channel } from '../channels/channel.ts'
import type { Warning } from '../channels/outcome.ts'
import { targetAt, versionsTold, type Target } from '../channels/target.ts'
import { momentOf } from '../channels/time.ts'
import { standingWarnings, unseenWarnings, type ChangeKind } from '../channels/warnings.ts'
import { WEBAPI_FALLBACK } from '../serve/poll.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import type { Control } from './control.ts'
import { readerOf, type Reader } from './core/transaction.ts'

export interface ChannelRecord {
  readonly channel: Channel
  readonly revision: number
  readonly effective: Target
  /** How old the answer of a forward channel's upstream is; null for other channels. */
  readonly upstream: UpstreamRecord | null
  readonly warnings: readonly Warning[]
}

export interface UpstreamRecord {
  /** When it last answered well, also where that changed nothing; null where it never has, as far as is known here. */
  readonly lastAnswerAt: string | null
  readonly ageS: number | null
}

/** Reads one channel out of a state, null where there is none. */
export function channelRecord(
  control: Control,
  state: ReplicaState,
  name: string,
  expiryTime: number,
): ChannelRecord | null {
  const document = state.document(channelKey(name))
  return document === undefined ? null : recordOf(control, document, state, expiryTime)
}

/** The channel of a document, judged by the block list of `state`. */
export function recordOf(
  { upstreams, clock }: Control,
  document: Document,
  { isBlocked }: ReplicaState,
  expiryTime: number,
): ChannelRecord {
  const channel = channelOf(document)
  const at = upstreams.lastAnswerAt(channel.name)
  const lastAnswerAt = at === null ? null : momentOf(at)
  const ageS = at === null ? null : Math.max(0, clock.now() - at) / 1_000
  const upstream = channel.source.kind === 'forward' ? { lastAnswerAt, ageS } : null
  const effective = targetAt(channel, isBlocked, expiryTime)
  const warnings = standingWarnings(channel, effective)
  return { channel, revision: document.revision, effective, upstream, warnings }
}

/** The channel as the answer to a change of it shows it: with a warning where agents are served nothing of the change yet. */
export function changedRecord(record: ChannelRecord, change: ChangeKind): ChannelRecord {
  const unseen = unseenWarnings(change, record.channel, record.effective)
  return { ...record, warnings: [...unseen, ...record.warnings] }
}

/** The version that webapi agents of a channel are told while it does not exist. */
export function fallbackOf(reader: Reader, name: string, expiryTime: number): string | null {
  if (name === WEBAPI_FALLBACK) return null
  const document = reader.get(channelKey(WEBAPI_FALLBACK))
  return document === undefined ? null : targetAt(channelOf(document), reader.isBlocked, expiryTime).version
}

/** Every version that cohorts of webapi agents are told while the channel does not exist: several during a ramp of `default`. */
export function fallbackBesideOf(reader: Reader, name: string, expiryTime: number): readonly string[] {
  const document = name === WEBAPI_FALLBACK ? undefined : reader.get(channelKey(WEBAPI_FALLBACK))
  return document === undefined ? [] : versionsTold(channelOf(document), reader.isBlocked, expiryTime)
}

/** What to know of channels that were just made, by their names: on the webapi path they take the place of `default`. */
export function creationWarnings(
  state: ReplicaState,
  names: readonly string[],
  expiryTime: number,
): readonly Warning[] {
  const [name] = names
  const version = name === undefined ? null : fallbackOf(readerOf(state), name, expiryTime)
  if (version === null) return []
  const which = names.length === 1 ? `channel ${name}` : `these ${names.length} channels`
  const message = `until now webapi agents of ${which} were served ${version}, the version of the channel ${WEBAPI_FALLBACK}; they follow the new one from now on`
  return [{ code: 'default_replaced', message }]
}
