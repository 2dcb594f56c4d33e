// What every command and query works with.
import { StoreUnavailable, type Coordination, type Document, type JournalEntry, type Store } from '../store/port.ts'
import type { StoreWarning } from '../store/warning.ts'
import type { Clock } from '../lib/clock.ts'
import type { TrustedClock } from '../serve/trusted-clock.ts'
import type { GateRefusal } from '../rollouts/pipeline-draft.ts'
import type { PackageCheck } from './package-client.ts'
import type { Upstreams } from './upstreams.ts'
import type { Replica } from '../serve/replica.ts'
import type { ReplicaState } from '../serve/replica-state.ts'

export interface Control {
  readonly store: Store
  readonly coordination: Coordination
  readonly replica: Replica
  /** What this process is called among the replicas. Configured, so another process can have the same name: it identifies nothing. */
  readonly replicaId: string
  /** Made at random at the start of this process: what tells it from every other one. */
  readonly processToken: string
  readonly clock: TrustedClock
  readonly upstreams: Upstreams
  readonly outside: Outside
  /** What is wrong with the store although it works, as it was last looked at. */
  readonly warnings: () => readonly StoreWarning[]
  /** Called once for every commit, refusal of a guard, and so on; metrics listen here. */
  readonly count: (event: ChangeEvent, kind: string) => void
}

/** `unchanged` is a request that changes nothing, `dry_run` one that was only tried. */
export type ChangeEvent = 'commit' | 'conflict' | 'refusal' | 'unchanged' | 'dry_run'

/** What is asked of other servers beside upstreams. */
export interface Outside {
  /** Says of each package whether it can be downloaded. */
  readonly checkPackages: (urls: readonly string[]) => Promise<readonly PackageCheck[]>
  readonly gateRefusal: GateRefusal
}

/** What a commit would change: its documents, before and after. */
export type Preview = Pick<JournalEntry, 'subjects' | 'changes'>

/** Who asks for a change, and under which request. */
export interface Request {
  readonly actor: string
  /** The person of the token; absent where that is its name, and on GitHub. */
  readonly person?: string
  readonly reason: string | null
  /** The change is committed at most once under this id by this actor. */
  readonly requestId: string | null
  /** A hash of everything that was asked for: another request under the same id is refused. */
  readonly requestHash?: string
  /** Whether the caller chose the id, so that an earlier try may have been committed under it. */
  readonly mayBeRetry: boolean
  /** Whether other servers may be asked for it; true unless given. */
  readonly mayAskOthers?: boolean
  /** Called with the entry that the request has made, or that an earlier try of it had. */
  readonly onCommitted: (entry: JournalEntry, repeated: boolean) => void
  /** Called with what a dry run would change. */
  readonly onPreviewed?: (preview: Preview) => void
  /** Called where the request changes nothing; `repeated` where an earlier try of it had changed nothing. */
  readonly onUnchanged?: (repeated: boolean) => void
}

export interface KeyReused {
  readonly outcome: 'key-reused'
}

/**
 * Which document a change may be made to: one of these revisions or any that exists (If-Match), none (If-None-Match: *), or
 * (null) whatever is there.
 */
export type ExpectedRevisions = readonly number[] | 'any' | 'none' | null

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
  if (expected === 'none') return document === undefined
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
