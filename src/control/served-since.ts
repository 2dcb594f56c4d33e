// What channels have served since a moment: asked of the history that the state keeps (channels/served-history.ts).
import type { ToldSpan } from '../channels/history.ts'
import type { Times } from '../channels/time.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'

/** What a channel served since a moment, oldest first, as far as it is known. */
export interface ServedSince {
  /** Beside it what agents were told to stay on then, where the channel told nothing. */
  readonly spans: readonly ToldSpan[]
  /** Before this moment (milliseconds since the epoch) it may have served more since then; null where all is known. */
  readonly unknownBefore: number | null
}

/** What the channel that stands as in this document has served from `sinceMs` (milliseconds since the epoch) on. */
export function servedSince(state: ReplicaState, document: Document, sinceMs: number, times: Times): ServedSince {
  const { spans, knownSince } = state.history.served(document, state.isBlocked, times)
  const first = spans.findIndex(({ to }) => to === null || to > sinceMs)
  const begin = first === -1 ? spans.length - 1 : first
  const running = isSilent(spans[begin]) ? spans.slice(0, begin).findLastIndex((span) => !isSilent(span)) : -1
  return {
    spans: spans.slice(running === -1 ? Math.max(begin, 0) : running),
    unknownBefore: knownSince !== null && knownSince > sinceMs ? knownSince : null,
  }
}

function isSilent(span: ToldSpan | undefined): boolean {
  return span !== undefined && span.version === null && span.beside === null
}
