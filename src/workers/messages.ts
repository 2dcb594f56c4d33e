// What the primary and its poll workers tell each other. The channel between two processes keeps the order.
import type { CohortTargets, Target } from '../channels/target.ts'
import type { PollTotals } from '../serve/poll-counts.ts'
import type { SnapshotStamp } from '../serve/snapshot.ts'

/** All that a worker needs to render every answer about a channel; `target` null where the channel is gone. */
export type ChannelFacts = readonly [
  name: string,
  revision: number,
  target: Target | null,
  cohorts: CohortTargets | null,
]

export type ToWorker =
  /** The first one. */
  | { readonly kind: 'start'; readonly ticketSecret: string }
  /** A part of what is served, kept until the message that it is complete. */
  | { readonly kind: 'channels'; readonly channels: readonly ChannelFacts[] }
  /** From now on this is served: the channels sent before as changes of what was served, or `whole` as all there is. */
  | { readonly kind: 'serve'; readonly turn: number; readonly stamp: SnapshotStamp; readonly isWhole: boolean }
  /** There is nothing to serve yet: polls are answered 503. */
  | { readonly kind: 'serve nothing'; readonly turn: number }
  /** It serves everything there is: it may listen. From now on every change waits for it. */
  | { readonly kind: 'listen' }
  /** The process is not ready any more; it answers polls as before. */
  | { readonly kind: 'drain' }
  /** Ends its connections, then itself. */
  | { readonly kind: 'close' }

export type ToPrimary =
  | { readonly kind: 'started' }
  | { readonly kind: 'listening'; readonly address: string }
  /** It cannot listen; why, in one line. */
  | { readonly kind: 'failed'; readonly why: string }
  /** Polls are answered from what came with this turn, or a later one. */
  | { readonly kind: 'serving'; readonly turn: number }
  | { readonly kind: 'counts'; readonly counts: PollTotals }
  /** For the log. */
  | { readonly kind: 'told'; readonly level: 'info' | 'warn' | 'error'; readonly message: string }
