// What GitHub says of the label of verified changes: which releases a word counts for, and the newest word on each pull request,
// which is kept for releases that come after it (ADR 39).
import { momentOf } from '../channels/time.ts'
import type { Document, JsonObject } from '../store/port.ts'
import { isSignedOff, type People } from './people.ts'
import { isSamePullRequest, nameOfPullRequest, numberOf, pullRequestOf, type PullRequest } from './pull-request.ts'
import type { Release, ReleaseChange } from './release.ts'

/** A label was set or removed. `at` is the time of it by GitHub's clock, with seconds; `by` the actor. */
export interface LabelEvent {
  readonly isVerified: boolean
  readonly pullRequest: PullRequest
  readonly url: string
  readonly by: string
  readonly at: string
}

/** The newest event of a pull request, as it is stored. A removal is kept too: an older label that comes late must not count. */
export interface KeptLabel {
  readonly host: string
  readonly repository: string
  readonly number: number
  readonly url: string
  readonly isVerified: boolean
  readonly by: string
  readonly at: string
  readonly expiresAt: string
}

/** The kind of document, as keys of the store begin. */
export const KEPT_LABEL_KIND = 'github-label'

/** From its own time on. A pull request that is verified earlier than this before its release is looked at again. */
export const KEPT_LABEL_MS = 7 * 24 * 3_600_000

/** Some 400 bytes each; the oldest go first. A weekly release has some hundred changes. */
export const KEPT_LABELS_MAX = 1_000

/** GitHub's clock and this one may differ so much: a label that is set right after a registration seems older than that. */
const CLOCK_TOLERANCE_MS = 2 * 60_000

/** What an event is to one release. */
export type LabelOutcome =
  | { readonly outcome: 'applied'; readonly release: Release }
  /** The release has the change, but the event does not count for it. */
  | { readonly outcome: 'refused'; readonly why: string }
  /** The release has a change of that number, and nothing says in which repository. */
  | { readonly outcome: 'unknown'; readonly why: string }

export function keptLabelKey(pullRequest: PullRequest): string {
  return `${KEPT_LABEL_KIND}/${nameOfPullRequest(pullRequest)}`
}

export function isKeptLabelKey(key: string): boolean {
  return key.startsWith(`${KEPT_LABEL_KIND}/`)
}

export function keptLabelOf(document: Document): KeptLabel {
  // The store has checked the body (control/check-document.ts).
  return document.body as unknown as KeptLabel
}

export function keptLabelBody(label: KeptLabel): JsonObject {
  // Made of strings, a number and a boolean.
  return label as unknown as JsonObject
}

/** Labels are the same whatever their case, as on GitHub, and in every form that Unicode has for their letters. */
export function isSameLabel(a: string, b: string): boolean {
  return folded(a) === folded(b)
}

/** The pull requests of a release's changes, of those that name one. */
export function pullRequestsOf({ changes, repository = null }: Release): readonly PullRequest[] {
  return (changes ?? []).flatMap((change) => pullRequestOf(change, repository) ?? [])
}

/** Applies an event to a release; null where the release does not have the change, or takes none any more. */
export function applyLabel(
  release: Release,
  label: LabelEvent,
  { now, people }: { readonly now: number; readonly people: People },
): LabelOutcome | null {
  if (release.withdrawn !== null || release.changes === null) return null
  const { repository = null } = release
  const number = String(label.pullRequest.number)
  const isMeant = (change: ReleaseChange): boolean => {
    // Cheap, since every change of every release is asked.
    if (!(change.url ?? change.id).includes(number) && !change.id.includes(number)) return false
    const pullRequest = pullRequestOf(change, repository)
    return pullRequest !== null && isSamePullRequest(pullRequest, label.pullRequest)
  }
  const meant = release.changes.filter(isMeant)
  if (meant.length === 0) return repository === null ? unknownRepository(release, label.pullRequest) : null
  const refusals = new Map(meant.map((change) => [change, labelRefusal(release, change, label)]))
  const changes = release.changes.map((change) =>
    refusals.get(change) === null
      ? labeled(change, label, { isKept: isSignedOff(release, change, people), at: momentOf(now) })
      : change,
  )
  const [why = null] = refusals.values()
  const isApplied = [...refusals.values()].includes(null)
  return isApplied || why === null
    ? { outcome: 'applied', release: { ...release, changes } }
    : { outcome: 'refused', why }
}

function unknownRepository({ version, changes }: Release, { number }: PullRequest): LabelOutcome | null {
  if (!(changes ?? []).some((change) => numberOf(change) === number)) return null
  const why = `release ${version} has a change ${number}, but does not say in which repository; PATCH its repository, or give the change its url`
  return { outcome: 'unknown', why }
}

/** Why an event does not count for a change; null where it does. A removal counts unless a later event did. */
function labelRefusal(
  { version, registeredAt }: Release,
  { labelAt }: ReleaseChange,
  label: LabelEvent,
): string | null {
  const { at, isVerified } = label
  if (labelAt !== null && labelAt > at) {
    return `the event is of ${at}, but one of ${labelAt} has counted for release ${version} already`
  }
  if (!isVerified) return null
  // GitHub tells whole seconds, and does not promise the order of deliveries.
  if (labelAt === at) {
    return `another event of the same moment, ${at}, has counted for release ${version} already, and of two a removal counts; set the label again`
  }
  if (Date.parse(at) >= Date.parse(registeredAt) - CLOCK_TOLERANCE_MS) return null
  return `the label was set at ${at}, more than ${CLOCK_TOLERANCE_MS / 60_000} minutes before release ${version} was registered (${registeredAt}), and came after that; set it again`
}

/** A sign-off that counts already is kept. */
function labeled(
  change: ReleaseChange,
  { isVerified, by, at }: LabelEvent,
  now: { readonly isKept: boolean; readonly at: string },
): ReleaseChange {
  const signedOff = now.isKept ? change.signedOff : { by, at: now.at }
  return { ...change, signedOff: isVerified ? signedOff : null, labelAt: at }
}

/**
 * Why an event counts for no release, since another one of its pull request has come; null where it may. Of two of one moment the
 * removal counts.
 */
export function outdatedBy({ isVerified, pullRequest, at }: LabelEvent, kept: KeptLabel): string | null {
  const name = nameOfPullRequest(pullRequest)
  if (kept.at > at) return `the event is of ${at}, but one of ${kept.at} has come for ${name} already`
  if (kept.at < at || !isVerified) return null
  return `another event of the same moment, ${at}, has come for ${name} already, and of two a removal counts; set the label again`
}

/** The event as it is kept; null where it is too old to be, or a later one is kept. */
export function keepLabel(label: LabelEvent, kept: KeptLabel | null, now: number): KeptLabel | null {
  const { isVerified, pullRequest, url, by, at } = label
  const { repository, number } = pullRequest
  const expires = Date.parse(at) + KEPT_LABEL_MS
  if (expires <= now) return null
  if (kept !== null && outdatedBy(label, kept) !== null) return null
  const host = pullRequest.host ?? ''
  return { host, repository, number, url, isVerified, by, at, expiresAt: momentOf(expires) }
}

/**
 * The release with what was said of its changes before it: of those that `isNew` tells, since a change that is edited must be
 * signed off again.
 */
export function withKeptLabels(
  release: Release,
  labels: readonly KeptLabel[],
  isNew: (id: string, pullRequest: PullRequest) => boolean,
  now: number,
): Release {
  const { repository = null } = release
  const changes = (release.changes ?? []).map((change): ReleaseChange => {
    const pullRequest = pullRequestOf(change, repository)
    const isCounted = pullRequest !== null && isNew(change.id, pullRequest)
    const label = isCounted ? newestOf(labels, pullRequest, now) : null
    if (label === null) return change
    const { isVerified, by, at } = label
    return { ...change, signedOff: isVerified ? { by, at } : change.signedOff, labelAt: at }
  })
  return changes.length === 0 ? release : { ...release, changes }
}

/** The newest event of a pull request that is kept and has not expired; of two of one moment the removal. */
function newestOf(labels: readonly KeptLabel[], pullRequest: PullRequest, now: number): KeptLabel | null {
  const meant = labels.filter((label) => isSamePullRequest(label, pullRequest) && now < Date.parse(label.expiresAt))
  const order = ({ at, isVerified }: KeptLabel): string => `${at}${isVerified ? 0 : 1}`
  return meant.toSorted((a, b) => (order(a) < order(b) ? 1 : -1))[0] ?? null
}

/** Kept labels that are to go: those that have expired by `expiryTime`, and the oldest above the limit. */
export function outdatedLabels(labels: readonly KeptLabel[], expiryTime: number): readonly KeptLabel[] {
  const oldestFirst = labels.toSorted((a, b) => (a.at < b.at ? -1 : 1))
  const over = Math.max(labels.length - KEPT_LABELS_MAX, 0)
  return oldestFirst.filter(({ expiresAt }, index) => index < over || Date.parse(expiresAt) <= expiryTime)
}

function folded(label: string): string {
  return label.normalize('NFC').trim().toLowerCase()
}
