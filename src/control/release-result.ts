// What every change of a release shares: how it is decided, and its answer, read off what it has written.
import { isDeepStrictEqual } from 'node:util'
import { unknownRelease, type RolloutRefusal } from '../rollouts/outcome.ts'
import { isReleaseKey, releaseBody, releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { isRolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { isExpected, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import { documentAfter, type Applied, type Transaction } from './core/transaction.ts'
import type { PackageCheck } from './package-client.ts'
import { ruleContext } from './rollout-result.ts'
import { servedBy, servedByOf, type ServedBy } from './served-by.ts'

export interface ReleaseRecord {
  readonly release: Release
  readonly revision: number
}

/** With the channels that tell agents the release now. */
export interface ReleaseDone extends ServedBy {
  readonly outcome: 'done'
  readonly record: ReleaseRecord
  /** Rollouts that the change has begun or ended. */
  readonly rollouts: readonly Rollout[]
  /** What the caller may not have meant. */
  readonly warnings: readonly ReleaseWarning[]
}

export interface ReleaseWarning {
  readonly code: 'superseded'
  readonly message: string
}

export type ReleaseOutcome =
  | ReleaseDone
  /** Packages that were not found; nothing was changed. */
  | PackagesMissing
  | RolloutRefusal
  | Stale
  | Unfinished

export interface PackagesMissing {
  readonly outcome: 'packages-missing'
  readonly packages: readonly PackageCheck[]
}

/** What an edit makes of a release; the same release where it changes nothing. */
export type ReleaseDraft = { readonly outcome: 'drafted'; readonly release: Release } | RolloutRefusal | PackagesMissing

export interface ReleaseChange<P = null> {
  readonly version: string
  /** The journal's name for it. */
  readonly kind: string
  readonly prepare?: () => Promise<P>
  readonly draft: (release: Release, context: RuleContext, prepared: P, tx: Transaction) => ReleaseDraft
  /** Puts what changes beside the release, which is drafted as given. */
  readonly beside?: (tx: Transaction, drafted: Release, context: RuleContext) => void
}

/** Changes a release that is registered. */
export function changeRelease<P = null>(
  control: Control,
  request: Request,
  { version: text, kind, prepare, draft, beside }: ReleaseChange<P>,
  { dryRun, expectedRevisions }: Conditions,
): Promise<ReleaseOutcome> {
  const version = bare(text)
  const key = releaseKey(version)
  return executeCommand<ReleaseOutcome, null, P>(control, request, {
    kind,
    dryRun,
    recordExpiries: 'tried',
    ...(prepare === undefined ? {} : { prepare }),
    run(tx, prepared) {
      const document = tx.get(key)
      if (document === undefined) return replyWith(unknownRelease(version))
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      const before = releaseOf(document)
      const context = ruleContext(request, tx.times)
      const drafted = draft(before, context, prepared, tx)
      if (drafted.outcome !== 'drafted') return replyWith(drafted)
      tx.put(key, releaseBody(drafted.release))
      beside?.(tx, drafted.release, context)
      // The same release may still begin rollouts in pipelines that take it since.
      const isSame = tx.isOnly(key) && isDeepStrictEqual(drafted.release, before)
      return isSame ? leaveUnchanged(document) : commitWith(null)
    },
    reply: (applied, _, state) => releaseDone(applied, state),
    replyUnchanged(document, state) {
      const record = { release: releaseOf(document), revision: document.revision }
      return { outcome: 'done', record, rollouts: [], warnings: [], ...servedByOf(servedBy(state, version)) }
    },
  })
}

/** What was done, or would be, to a release and its rollouts. */
export function releaseDone(applied: Applied, state: ReplicaState): ReleaseDone {
  const document = documentAfter(applied, applied.subjects.find(isReleaseKey) ?? '')
  const release = releaseOf(document)
  const rollouts = applied.changes.flatMap(({ key, after }) =>
    isRolloutKey(key) && after !== null ? rolloutOf(after) : [],
  )
  const record = { release, revision: document.revision }
  const warnings = supersededWarnings(applied)
  return { outcome: 'done', record, rollouts, warnings, ...servedByOf(servedBy(state, release.version)) }
}

/** One for each rollout that was over as it began, since a newer release is ahead of it. */
function supersededWarnings({ changes }: Applied): readonly ReleaseWarning[] {
  return changes.flatMap(({ key, before, after }) => {
    if (!isRolloutKey(key) || before !== null || after === null) return []
    const { pipeline, release, supersededBy } = rolloutOf(after)
    if (supersededBy === null) return []
    const message = `${release} goes to no channel of the pipeline ${pipeline}: the newer ${supersededBy} is ahead of it there`
    return { code: 'superseded', message } as const
  })
}

/** A version as documents are named after it. */
export function bare(version: string): string {
  return version.startsWith('v') ? version.slice(1) : version
}
