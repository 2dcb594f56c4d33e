// What every change of a release shares: how it is decided and committed, and what it answers.
import { journalDueLapses } from './journal-lapses.ts'
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { RELEASE_KIND, releaseBody, releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import type { editRelease, RuleContext } from '../rollouts/release-draft.ts'
import { isRolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Expectation, JournalEntry, Write } from '../store/port.ts'
import { servedBy } from './block-version.ts'
import { isExpected, knownState, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { embargoWrites } from './embargoes.ts'
import { carryOut, documentAfter, nothing, writeOf, type Decided, type Unfinished } from './decide.ts'
import type { PackageCheck } from './package-client.ts'

export interface ReleaseRecord {
  readonly release: Release
  readonly revision: number
}

export type ReleaseOutcome =
  | {
      readonly outcome: 'done'
      readonly record: ReleaseRecord
      /** Rollouts that the change has begun or ended. */
      readonly rollouts: readonly Rollout[]
      /** Channels that tell agents the release now. */
      readonly servedBy: readonly string[]
    }
  /** Packages that were not found; nothing was changed. */
  | { readonly outcome: 'packages-missing'; readonly packages: readonly PackageCheck[] }
  | RolloutRefusal
  | Stale
  | Unfinished

export function unknownRelease(version: string): RolloutRefusal {
  return refuse('unknown_release', `no release ${version} is registered`)
}

interface Changed {
  readonly outcome: 'drafted'
  readonly release: Release
  readonly rollouts: readonly Rollout[]
  readonly writes: readonly Write[]
  readonly reads: readonly Expectation[]
}

/** What an edit makes of a release; null where it is to be decided anew. */
type ChangeOf = (
  release: Release,
  context: RuleContext,
  state: ReplicaState,
) => Changed | RolloutRefusal | Extract<ReleaseOutcome, { outcome: 'packages-missing' }> | null

/** Changes a release that is registered. */
export function changeRelease(
  control: Control,
  request: Request,
  text: string,
  kind: string,
  { dryRun, expectedRevisions }: Conditions,
  changeOf: ChangeOf,
  isSame: (entry: JournalEntry) => boolean = () => true,
): Promise<ReleaseOutcome> {
  const version = bare(text)
  const key = releaseKey(version)
  return carryOut(control, request, {
    kind,
    key,
    dryRun,
    prepare: () => (dryRun ? nothing() : lapsed(control)),
    decide(state, times) {
      const document = state.document(key)
      if (document === undefined) return answer(unknownRelease(version))
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const changed = changeOf(releaseOf(document), { ...times, actor: request.actor, reason: request.reason }, state)
      if (changed === null) return { outcome: 'again' }
      if (changed.outcome !== 'drafted') return answer(changed)
      const before = releaseOf(document)
      if (changed.release === before) {
        const record = { release: before, revision: document.revision }
        return answer({ outcome: 'done', record, rollouts: [], servedBy: servedBy(state, version) })
      }
      const writes = [
        writeOf(state, key, releaseBody(changed.release)),
        ...embargoWrites(state, before, changed.release),
        ...changed.writes,
      ]
      return decided(dryRun, state, changed.release, changed.rollouts, writes, changed.reads)
    },
    isSame,
    answerOf: (entry) => outcomeOf(control, entry),
  })
}

/** A change of the release and of nothing else. */
export function alone(drafted: ReturnType<typeof editRelease>): Changed | RolloutRefusal {
  return drafted.outcome === 'refused' ? drafted : { ...drafted, rollouts: [], writes: [], reads: [] }
}

/** Journals what time has done, before the block list changes. */
export async function lapsed(control: Control): Promise<null> {
  await journalDueLapses(control)
  return null
}

export function answer(value: ReleaseOutcome): Decided<ReleaseOutcome> {
  return { outcome: 'answer', answer: value }
}

/** Commits, or for a dry run says what it would have come to. */
export function decided(
  dryRun: boolean,
  state: ReplicaState,
  release: Release,
  rollouts: readonly Rollout[],
  writes: readonly Write[],
  reads: readonly Expectation[],
): Decided<ReleaseOutcome> {
  if (!dryRun) return { outcome: 'commit', writes, reads }
  const revision = (state.document(releaseKey(release.version))?.revision ?? 0) + 1
  return answer({
    outcome: 'done',
    record: { release, revision },
    rollouts,
    servedBy: servedBy(state, release.version),
  })
}

/** The answer to a change, from the entry that it has made. */
export function outcomeOf(control: Control, entry: JournalEntry): ReleaseOutcome {
  const document = documentAfter(entry, entry.subjects.find((key) => key.startsWith(`${RELEASE_KIND}/`)) ?? '')
  if (document === null) return { outcome: 'key-reused' }
  const release = releaseOf(document)
  const rollouts = entry.changes.flatMap(({ key, after }) =>
    isRolloutKey(key) && after !== null ? rolloutOf(after) : [],
  )
  const record = { release, revision: document.revision }
  return { outcome: 'done', record, rollouts, servedBy: servedBy(knownState(control), release.version) }
}

/** A version as documents are named after it. */
export function bare(version: string): string {
  return version.startsWith('v') ? version.slice(1) : version
}
