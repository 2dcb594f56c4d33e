// What every command and query works with.
import {
  StoreUnavailable,
  type Coordination,
  type Document,
  type JournalEntry,
  type Store,
  type StoreWarning,
} from '../store/port.ts'
import type { Clock } from '../serve/clock.ts'
import type { TrustedClock } from '../serve/trusted-clock.ts'
import type { PackageCheck } from './package-client.ts'
import type { Upstreams } from './upstreams.ts'
import type { Replica } from '../serve/replica.ts'
import type { ReplicaState } from '../serve/replica-state.ts'

export interface Control {
  readonly store: Store
  readonly coordination: Coordination
  readonly replica: Replica
  /** What this process is called among the replicas. */
  readonly replicaId: string
  readonly clock: TrustedClock
  readonly upstreams: Upstreams
  readonly outside: Outside
  /** What is wrong with the store although it works, as it was last looked at. */
  readonly warnings: () => readonly StoreWarning[]
  /** Called once for every commit and every refusal of a guard; metrics listen here. */
  readonly count: (event: 'commit' | 'conflict' | 'refusal', kind: string) => void
}

/** What is asked of other servers beside upstreams. */
export interface Outside {
  /** Says of each package whether it can be downloaded. */
  readonly checkPackages: (urls: readonly string[]) => Promise<readonly PackageCheck[]>
  /** Why a gate's URL may not be asked, as the rest of a sentence about it; null where it may. */
  readonly gateRefusal: (url: string) => string | null
}

/** Who asks for a change, and under which request. */
export interface Request {
  readonly actor: string
  readonly reason: string | null
  /** The change is committed at most once under this id by this actor. */
  readonly requestId: string | null
  /** A hash of everything that was asked for: another request under the same id is refused. */
  readonly requestHash?: string
  /** Whether the caller chose the id, so that an earlier try may have been committed under it. */
  readonly mayBeRetry: boolean
  /** Called with the entry that the request has made, or that an earlier try of it had. */
  readonly onCommitted: (entry: JournalEntry, repeated: boolean) => void
}

export interface KeyReused {
  readonly outcome: 'key-reused'
}

/** Which document a change may be made to (If-Match): one of these revisions, any that exists, or (null) whatever is there. */
export type ExpectedRevisions = readonly number[] | 'any' | null

/** How a change is to be made: for real or not, and to which document. */
export interface Conditions {
  readonly dryRun: boolean
  readonly expectedRevisions: ExpectedRevisions
}

/** The document is not the one that the caller has read; null where there is none. */
export interface Stale {
  readonly outcome: 'stale'
  readonly current: Document | null
}

export function isExpected(expected: ExpectedRevisions, document: Document | undefined): boolean {
  if (expected === null) return true
  return document !== undefined && (expected === 'any' || expected.includes(document.revision))
}

/** Committed and durable, but this replica has not applied it within its limit; it will. */
export interface NotServedYet {
  readonly outcome: 'not-served-yet'
  readonly seq: number
}

/** Others changed the same documents on every try, or this replica could not see in time what they have changed. */
export interface Contended {
  readonly outcome: 'contended'
}

/** The state to decide on. Throws StoreUnavailable while this replica does not follow its store, so cannot know it. */
export function currentState(control: Control): ReplicaState {
  const { state, fault } = control.replica
  if (fault !== null) throw fault
  if (state === null) throw new StoreUnavailable('nothing is loaded yet')
  return state
}

/** What is known, current or not: good enough to show, not to decide on. */
export function knownState(control: Control): ReplicaState {
  const { state, problem } = control.replica
  if (state === null) throw new StoreUnavailable(problem ?? 'nothing is loaded yet')
  return state
}

/** Resolves after a time, or when `signal` aborts. */
export function pauseOf(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(delayMs, end)
    signal?.addEventListener('abort', end)
    if (signal?.aborted === true) end()
  })
}
