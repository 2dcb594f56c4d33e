// The state that a command decides on once expiries are recorded, without recording them: what a dry run must decide on.
import { CHANNEL_KIND, channelNameOf } from '../../channels/channel.ts'
import type { ReplicaState } from '../../serve/replica-state.ts'
import type { Document } from '../../store/port.ts'
import { expiryOf } from './expiries.ts'

/** `state` as it would be if everything that has ended by `expiryTime` were recorded: each channel at its next revision. */
export function afterExpiries(state: ReplicaState, expiryTime: number): ReplicaState {
  const ended = new Set(state.lapsed(expiryTime))
  if (ended.size === 0) return state
  const isEnded = (key: string): boolean => ended.has(channelNameOf(key) ?? '')
  const after = (document: Document): Document => {
    const expiry = isEnded(document.key) ? expiryOf(document, state.isBlocked, expiryTime) : null
    return expiry === null ? document : { ...document, revision: document.revision + 1, body: expiry.body }
  }
  const read = (key: string): Document | undefined => {
    const document = state.document(key)
    return document === undefined ? undefined : after(document)
  }
  return withMembers(state, {
    document: read,
    stored: (key) => read(key) ?? state.stored(key),
    revisionOf: (key) => read(key)?.revision ?? state.revisionOf(key),
    documentsOf: (kind) => (kind === CHANNEL_KIND ? mapped(state.documentsOf(kind), after) : state.documentsOf(kind)),
    // The history knows the channel as it is stored, and finds in it what has ended.
    history: withMembers(state.history, {
      served: (document, isBlocked, times) =>
        state.history.served(
          isEnded(document.key) ? (state.document(document.key) ?? document) : document,
          isBlocked,
          times,
        ),
    }),
  })
}

/** An object with some members in place of its own. */
function withMembers<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      // Own methods need the object itself: its private members are not to be found through a proxy.
      const value: unknown = Object.hasOwn(members, name)
        ? Reflect.get(members, name)
        : Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function* mapped<T>(items: Iterable<T>, change: (item: T) => T): Generator<T> {
  for (const item of items) yield change(item)
}
