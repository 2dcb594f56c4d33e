// What GitHub's events do: a label signs a change off in every release that has it, and a pushed tag registers its release.
import {
  applyLabel,
  isKeptLabelKey,
  keepLabel,
  keptLabelBody,
  keptLabelKey,
  keptLabelOf,
  outdatedBy,
  outdatedLabels,
  type KeptLabel,
  type LabelEvent,
} from '../rollouts/github-label.ts'
import type { GithubEvent } from '../rollouts/github-event.ts'
import { named } from '../rollouts/conditions.ts'
import { isSignedOff, signerOf, unknownAuthors, type People } from '../rollouts/people.ts'
import { isReleaseKey, RELEASE_KIND, releaseBody, releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import { COMMIT_WRITES_MAX } from '../store/port.ts'
import { knownState, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith, type Decision } from './core/execute.ts'
import { readerOf, type Applied, type Transaction } from './core/transaction.ts'
import { keptLabelsView } from './core/views.ts'
import { fitting } from './fitting.ts'
import type { GithubOutcome, PersonWarning } from './github-outcome.ts'
import { peopleIn } from './people.ts'
import { isSameCommit, registerRelease } from './register-release.ts'
import { releaseRecord } from './releases.ts'

type Label = Extract<GithubEvent, { kind: 'label' }>

/** Kept labels that one commit deletes: each event adds one, so this is always enough in the end. */
const DELETED_AT_ONCE_MAX = 20
/** The event's own document, and the index of all. */
const BESIDE_RELEASES_MAX = DELETED_AT_ONCE_MAX + 2

/** Applies an event that was proven to be GitHub's. */
export function applyGithubEvent(
  control: Control,
  request: Request,
  event: Exclude<GithubEvent, { kind: 'ignored' }>,
): Promise<GithubOutcome> {
  return event.kind === 'label' ? applyLabelEvent(control, request, event) : register(control, request, event)
}

/**
 * Signs the change off, or takes that back, in every release that has it and is not withdrawn, and keeps the event for releases
 * that come: one commit.
 */
function applyLabelEvent(control: Control, request: Request, event: Label): Promise<GithubOutcome> {
  const label: LabelEvent = { ...event, by: request.actor }
  return executeCommand<GithubOutcome, string, null>(control, request, {
    kind: label.isVerified ? 'release.verify' : 'release.unverify',
    dryRun: false,
    run: (tx) => decideLabel(tx, label),
    reply: (applied, why, state) => labelApplied(applied, label, why ?? noRelease(label), peopleIn(readerOf(state))),
  })
}

function decideLabel(tx: Transaction, label: LabelEvent): Decision<GithubOutcome, string> {
  const kept = keptOf(tx, label)
  // A change that was edited since has no time of a label, so the release alone does not tell that this one is late.
  const late = kept && outdatedBy(label, kept)
  if (late !== null) return replyWith({ outcome: 'nothing', why: late })
  // The view's index document is written with every release that brings other changes: none is overlooked.
  const labels = tx.view(keptLabelsView)
  const people = peopleIn(tx)
  const outcomes = [...tx.untracked.documentsOf(RELEASE_KIND)].flatMap(
    (document) => applyLabel(releaseOf(document), label, { now: tx.now, people }) ?? [],
  )
  const applied = outcomes.flatMap((one) => (one.outcome === 'applied' ? one.release : []))
  const [refused] = outcomes.flatMap((one) => (one.outcome === 'refused' ? one.why : []))
  const [unknown] = outcomes.flatMap((one) => (one.outcome === 'unknown' ? one.why : []))
  // The newest are the ones that somebody still waits for.
  const [newest, ...older] = applied.toSorted((a, b) => (a.cutAt < b.cutAt ? 1 : -1))
  const written = newest === undefined ? [] : [newest, ...fitting(older, COMMIT_WRITES_MAX - BESIDE_RELEASES_MAX)]
  for (const release of written) tx.put(releaseKey(release.version), releaseBody(release))
  keep(tx, label, { kept, labels })
  const why = refused ?? unknown ?? noRelease(label)
  if (tx.isEmpty) return replyWith({ outcome: 'nothing', why: `${why}; ${tooOldToKeep(label)}` })
  if (written.length > 0) return commitWith(why)
  return commitWith(why, { kind: label.isVerified ? 'github.label' : 'github.unlabel' })
}

/** Puts the event in the place of an earlier one of its pull request, and deletes what has expired or is too much. */
function keep(
  tx: Transaction,
  label: LabelEvent,
  { kept, labels }: { readonly kept: KeptLabel | null; readonly labels: readonly KeptLabel[] },
): void {
  const key = keptLabelKey(label.pullRequest)
  const next = keepLabel(label, kept, tx.now)
  if (next === null) return
  tx.overwrite(key, keptLabelBody(next))
  const others = labels.filter((other) => keptLabelKey({ ...other }) !== key)
  for (const other of fitting(outdatedLabels([...others, next], tx.expiryTime), DELETED_AT_ONCE_MAX)) {
    const otherKey = keptLabelKey(other)
    if (otherKey !== key) tx.put(otherKey, null)
  }
}

function noRelease({ url }: LabelEvent): string {
  return `no release has the change ${url}`
}

/** The event that is kept of the same pull request; null for none. */
function keptOf(tx: Transaction, { pullRequest }: LabelEvent): KeptLabel | null {
  const document = tx.get(keptLabelKey(pullRequest))
  return document === undefined ? null : keptLabelOf(document)
}

/** Why an event is not kept for releases that come, as the rest of a sentence. */
function tooOldToKeep({ at }: LabelEvent): string {
  return `the event of ${at} is too old to be kept for releases that come`
}

function labelApplied({ subjects, changes }: Applied, label: LabelEvent, why: string, people: People): GithubOutcome {
  const releases = subjects.filter(isReleaseKey).map((key) => key.slice(`${RELEASE_KIND}/`.length))
  const kept = changes.find(({ key, after }) => isKeptLabelKey(key) && after !== null)?.after ?? null
  const changed = changes.flatMap(({ key, after }) => (isReleaseKey(key) && after !== null ? releaseOf(after) : []))
  const warnings = label.isVerified ? signerWarnings(label.by, changed, people) : []
  if (releases.length > 0 || kept === null) return { outcome: 'applied', releases, warnings }
  return { outcome: 'kept', why, keptUntil: keptLabelOf(kept).expiresAt, warnings }
}

/** Why the sign-off of a login does not count in these releases. */
function signerWarnings(by: string, releases: readonly Release[], people: People): readonly PersonWarning[] {
  const login = by.slice(0, by.lastIndexOf('/'))
  if (signerOf({ by }, people) === null) {
    const message = `${login} is mapped to no person, so the sign-off does not count; an admin maps logins with PUT …/people`
    return [{ code: 'unknown_person', message }]
  }
  const own = releases.filter((release) =>
    (release.changes ?? []).some((change) => change.signedOff?.by === by && !isSignedOff(release, change, people)),
  )
  if (own.length === 0) return []
  const where = named(own.map(({ version }) => version))
  const message = `${login} has written or listed the change, so the sign-off does not count in ${where}`
  return [{ code: 'own_change', message }]
}

/** That a release is held where approvals are required, since nobody knows who has written it. */
function authorWarnings(release: Release, people: People): readonly PersonWarning[] {
  const unknown = unknownAuthors(release, people)
  if (unknown.length === 0) return []
  const message = `${named(unknown)} is mapped to no person, so the release is held where approvals are required; an admin maps logins with PUT …/people`
  return [{ code: 'unknown_person', message }]
}

/** A tag says nothing of packages or changes: until somebody does, the release is the control plane's alone. */
async function register(
  control: Control,
  request: Request,
  { version, commit, repository }: Extract<GithubEvent, { kind: 'release' }>,
): Promise<GithubOutcome> {
  const draft = { version, commit, repository, kind: 'control-plane' } as const
  const outcome = await registerRelease(control, request, draft, false)
  switch (outcome.outcome) {
    case 'done': {
      const { release } = outcome.record
      const warnings = authorWarnings(release, peopleIn(readerOf(knownState(control))))
      return { outcome: 'applied', releases: [release.version], warnings }
    }
    case 'refused':
      if (outcome.why === 'malformed' || isOfOtherCommit(control, version, commit)) return outcome
      return { outcome: 'nothing', why: outcome.why === 'rollout' ? outcome.message : 'the release was refused' }
    case 'stale':
    case 'packages-missing':
      throw new Error(`a registration without packages and revisions came to ${outcome.outcome}`)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return outcome
  }
}

/** Whether the version is registered with a commit that is not the tag's: somebody must see that. A commit is never edited. */
function isOfOtherCommit(control: Control, version: string, commit: string): boolean {
  const record = releaseRecord(knownState(control), version)
  return record !== null && !isSameCommit(record.release.commit, commit)
}
