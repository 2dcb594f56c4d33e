// How a use case that changes several documents is carried out: decided on what is known, committed against exactly that,
// and decided anew when somebody else was faster. The retry of a request that was carried out is answered from its entry.
import { isDeepStrictEqual } from 'node:util'
import { momentOf, type Times } from '../channels/time.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import type { Change, Document, Expectation, JournalEntry, Write } from '../store/port.ts'
import {
  commitAndServe,
  CONTENTION_TRIES_MAX,
  currentState,
  earlierTry,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
} from './control.ts'

/** What a use case has come to. */
export type Decided<T> =
  /** Commit these; the answer is read from the entry, as it would be for a retry. */
  | {
      readonly outcome: 'commit'
      readonly writes: readonly Write[]
      readonly reads: readonly Expectation[]
      /** Where only the decision says what it is, and why. */
      readonly kind?: string
      readonly reason?: string
      readonly isUrgent?: boolean
    }
  /** Nothing is to be written: a refusal, a dry run, or it is so already. */
  | { readonly outcome: 'answer'; readonly answer: T }
  /** What was prepared is not what is there now; try again. */
  | { readonly outcome: 'again' }

export interface UseCase<P, T> {
  /** The journal's name for the change. */
  readonly kind: string
  /** The document that it is about, as the first of its writes; null where that is another one each time. */
  readonly key: string | null
  readonly dryRun: boolean
  /** What must be waited for before anything is decided: nothing of it is believed without looking again. */
  readonly prepare: () => Promise<P>
  /** Decides without waiting for anything: what it reads of `state` is what the commit expects. */
  readonly decide: (state: ReplicaState, times: Times, prepared: P) => Decided<T>
  readonly answerOf: (entry: JournalEntry) => T
  /** Whether an entry of this kind under the same id is of this request; where the key alone does not say so. */
  readonly isSame?: (entry: JournalEntry) => boolean
}

export type Unfinished = NotServedYet | Contended | KeyReused

/** Carries a use case out, once. */
export async function carryOut<P, T>(
  control: Control,
  request: Request,
  useCase: UseCase<P, T>,
): Promise<T | Unfinished> {
  const { kind, key, dryRun, prepare, decide, answerOf, isSame = () => true } = useCase
  const earlier = dryRun ? null : await earlierTry(control, request, kind, key)
  if (earlier?.outcome === 'applied') return isSame(earlier.entry) ? answerOf(earlier.entry) : { outcome: 'key-reused' }
  if (earlier !== null) return earlier
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    const prepared = await prepare()
    const times = timesOf(control.clock)
    const decided = decide(currentState(control), times, prepared)
    if (decided.outcome === 'again') continue
    if (decided.outcome === 'answer') return decided.answer
    const { reason = request.reason, isUrgent = false } = decided
    const change = { at: momentOf(times.now), kind: decided.kind ?? kind, isUrgent, ...splitOf(decided) }
    const committed = await commitAndServe(control, { ...request, reason }, change)
    if (committed.outcome === 'conflict') continue
    return committed.outcome === 'served' ? answerOf(committed.entry) : committed
  }
  return { outcome: 'contended' }
}

/** A document that is written is expected by its write, so it need not be read besides; none is read twice. */
function splitOf({ writes, reads }: Extract<Decided<never>, { outcome: 'commit' }>): Pick<Change, 'writes' | 'reads'> {
  const written = new Set(writes.map(({ key }) => key))
  const others = new Map(reads.filter(({ key }) => !written.has(key)).map((read) => [read.key, read]))
  return { writes, reads: [...others.values()] }
}

/** Bytes of JSON of documents that a commit writes besides, if they fit: they share the entry with up to 900 channels. */
const OTHERS_BYTES_MAX = 1024 * 1024

/** The first of several documents' contents, as many as fit into a commit beside what else it writes; others come later. */
export function fitting<T extends object>(contents: readonly T[], countMax: number): readonly T[] {
  let bytes = 0
  const over = contents.findIndex((content, index) => {
    bytes += Buffer.byteLength(JSON.stringify(content))
    return index >= countMax || bytes > OTHERS_BYTES_MAX
  })
  return over === -1 ? contents : contents.slice(0, over)
}

/** Nothing to prepare. */
export async function nothing(): Promise<null> {
  return null
}

/** That a document is still as it is in `state`, or still not there. */
export function readOf(state: ReplicaState, key: string): Expectation {
  return { key, expected: state.revisionOf(key) }
}

/** A document of `state` with another body. Throws UnreadableDocument where what is there cannot be read: nobody knows what would be lost. */
export function writeOf(state: ReplicaState, key: string, body: Write['body']): Write {
  mustBeReadable(state, key)
  return { ...readOf(state, key), body }
}

/** The document that an entry has left at `key`. */
export function documentAfter({ changes }: JournalEntry, key: string): Document | null {
  return changes.find((change) => change.key === key)?.after ?? null
}

/** Whether an entry has changed the document at `key` in what `part` reads of it. */
export function hasChanged(entry: JournalEntry, key: string, part: (document: Document) => unknown): boolean {
  const change = entry.changes.find((candidate) => candidate.key === key)
  if (change === undefined || change.after === null) return false
  const before = change.before === null ? null : part(change.before)
  return !isDeepStrictEqual(before, part(change.after))
}

/** Throws UnreadableDocument where the document at `key` is one that this build cannot act on. */
export function mustBeReadable(state: ReplicaState, key: string): void {
  const { unreadable } = state.stored(key) ?? {}
  if (unreadable !== undefined) throw new UnreadableDocument(key, unreadable)
}

/** A command needs a document that this build cannot act on; the message says what is wrong with it and what mends it. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument'

  constructor(key: string, why: string, advice = 'an admin can mend it with POST /admin/v1/store/repair') {
    super(`the document ${key} cannot be read: ${why}; ${advice}`)
  }
}
