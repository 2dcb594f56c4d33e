// What a replica is made of.
import type { CheckDocument, Store } from '../store/port.ts'
import type { SnapshotHolder } from './holder.ts'
import type { ReplicaLog } from './replica-log.ts'
import type { TrustedClock } from './trusted-clock.ts'

export interface ReplicaOptions {
  readonly store: Store
  readonly holder: SnapshotHolder
  readonly clock: TrustedClock
  readonly log: ReplicaLog
  readonly maxAgeS: number
  /** Where the last-known-good file is. */
  readonly dataDir: string
  /** Says which documents of the last-known-good file this build cannot act on; all can be read unless given. */
  readonly checkDocument?: CheckDocument
  /** Longest pause between two tries to reach the store again; 5 s unless given. */
  readonly retryLongestMs?: number
}
