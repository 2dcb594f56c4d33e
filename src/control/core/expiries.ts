// What time has changed on channels and no journal entry says yet, as documents to write.
import { channelBody, channelKey, channelOf, type Channel, type Held } from '../../channels/channel.ts'
import { lapse } from '../../channels/lapse.ts'
import type { IsBlocked } from '../../channels/blocked-version.ts'
import { momentOf } from '../../channels/time.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import type { Document, JsonObject } from '../../store/port.ts'

/** The journal's name for the server itself; no token can have it, since a token's actor has a slash. */
export const SYSTEM_ACTOR = 'bellwether'

export interface Expiry {
  readonly key: string
  readonly body: JsonObject
  /** The channel as it is stored. */
  readonly channel: Channel
  /** Set where a pin is held from now on. */
  readonly held: Held | null
}

/** What has expired on the channel of a document by `now`; null for nothing. */
export function expiryOf(document: Document, isBlocked: IsBlocked, now: number): Expiry | null {
  const channel = channelOf(document)
  const expired = lapse(channel, isBlocked, now)
  if (expired === null) return null
  const held = expired.pin !== null && expired.pin.held !== channel.pin?.held ? expired.pin.held : null
  const body = channelBody({ ...expired, updatedAt: momentOf(now), updatedBy: SYSTEM_ACTOR })
  return { key: document.key, body, channel, held }
}

/** Everything that has expired by `now`. */
function expiriesIn(state: ReplicaState, now: number): readonly Expiry[] {
  return state.lapsed(now).flatMap((name) => {
    const document = state.document(channelKey(name))
    return document === undefined ? [] : (expiryOf(document, state.isBlocked, now) ?? [])
  })
}

/** What has expired on channels whose source is at such a version, or was before a ramp. */
export function expiriesAt(state: ReplicaState, isMeant: (version: string) => boolean, now: number): readonly Expiry[] {
  return expiriesIn(state, now).filter(({ channel: { source, ramp } }) =>
    [source.version, ramp?.before.version].some((version) => typeof version === 'string' && isMeant(version)),
  )
}
