// Releases as they are asked for, and every change of one as a pure function: (release, what is asked) → the next release.
import { malformed, quoted } from '../channels/outcome.ts'
import { momentOf, type Times } from '../channels/time.ts'
import { parseVersion } from '../channels/version.ts'
import { cutTime } from './cut-time.ts'
import { EMBARGOED, leakingChange, withPast } from './embargo.ts'
import { tidied } from './folded-words.ts'
import { refuse, type RolloutRefusal } from './outcome.ts'
import { isSamePullRequest, nameOfPullRequest, readFullId, readPullRequestUrl, readRepository } from './pull-request.ts'
import type { Release, ReleaseChange, ReleaseKind, ReleasePackage } from './release.ts'

/** A change as it is asked for. */
export interface ChangeDraft {
  readonly id: string
  readonly title: string
  readonly author: string
  readonly url?: string | null
  readonly significant?: boolean
}

/** What may be said of a release at its registration, and again later. */
export interface ReleaseEdit {
  readonly changes?: readonly ChangeDraft[]
  readonly minAgentVersion?: string | null
  readonly security?: { readonly embargoed?: boolean; readonly fixes: readonly string[] }
  readonly notesUrl?: string | null
  /** `owner/name` on GitHub, or its URL: where changes are whose id is a number alone. */
  readonly repository?: string | null
}

export interface ReleaseDraft extends ReleaseEdit {
  readonly version: string
  readonly commit: string
  readonly cutAt?: string
  /** The person who cut it, where that is not who registers it. */
  readonly cutBy?: string
  readonly kind: ReleaseKind
}

export interface RuleContext extends Times {
  readonly actor: string
  readonly reason: string | null
}

/** What is hidden wherever it stands while it is embargoed, so it must not be a word that stands everywhere. */
const FIX = /^[A-Za-z][A-Za-z0-9._-]{7,99}$/

/** The name of a token or a login at GitHub, and what the journal has after those that its webhook names: `bot[bot]/github`. */
const PERSON = /^[A-Za-z0-9][A-Za-z0-9 ._@[\]-]*(?:\/github)?$/

type Drafted = { readonly outcome: 'drafted'; readonly release: Release } | RolloutRefusal

/** The release that a registration asks for. `packages` were found to exist. */
export function draftRelease(
  draft: ReleaseDraft,
  packages: readonly ReleasePackage[],
  { now, actor }: RuleContext,
): Drafted {
  const version = parseVersion(draft.version)
  if (version.outcome === 'unparsed') return malformed('version', version.message)
  if (!/^[0-9a-f]{6,64}$/.test(draft.commit)) {
    return malformed('commit', `must be 6 to 64 of 0-9 and a-f, not ${quoted(draft.commit)}`)
  }
  const cutAt = cutTime(draft, version.value, now)
  if (cutAt.outcome === 'refused') return cutAt
  const cutBy = draft.cutBy?.trim() ?? actor
  // What is no such name would bar nobody from approving, like @alice.
  if (draft.cutBy !== undefined && !PERSON.test(cutBy)) {
    const isPath = cutBy.includes('/')
    const help = isPath ? '; only `/github` may stand after the name: of `acme/alice` give `alice`' : ''
    return malformed(
      'cutBy',
      `must be a person's name as on their token or on GitHub, not ${quoted(draft.cutBy)}${help}`,
    )
  }
  const blank: Release = {
    version: version.value,
    commit: draft.commit,
    cutAt: cutAt.value,
    cutBy,
    registeredAt: momentOf(now),
    registeredBy: actor,
    kind: draft.kind,
    changes: null,
    minAgentVersion: null,
    security: null,
    notesUrl: null,
    packages,
    withdrawn: null,
    bad: null,
    edition: 1,
  }
  return withEdit(blank, draft, null)
}

/** The release with what an edit says of it; sign-offs of changes that stay are kept. */
export function editRelease(release: Release, edit: ReleaseEdit, reason: string | null): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const drafted = withEdit(release, edit, reason)
  return drafted.outcome === 'refused' ? drafted : { ...drafted, release: inEdition(drafted.release, release) }
}

/** The next edition where something else is in the release than before. */
function inEdition(next: Release, before: Release): Release {
  return contentOf(next) === contentOf(before) ? next : { ...next, edition: before.edition + 1 }
}

/** What somebody who approves a release has to know of it, as one text. */
function contentOf({ kind, changes, minAgentVersion, security, packages }: Release): string {
  return JSON.stringify([
    kind,
    changes?.map(({ id, title, author, url, significant }) => [id, tidied(title), author, url, significant]),
    minAgentVersion,
    security?.fixes,
    packages.map(({ url }) => url).toSorted(),
  ])
}

function withEdit(release: Release, edit: ReleaseEdit, reason: string | null): Drafted {
  let next = release
  if (edit.changes !== undefined) {
    const changes = draftChanges(edit.changes, release.changes ?? [])
    if ('outcome' in changes) return changes
    const dropped = (release.changes ?? []).find(
      ({ id, significant, withdrawn }) =>
        significant && withdrawn === null && !changes.some((change) => change.id === id && change.significant),
    )
    if (dropped !== undefined && (reason?.trim() ?? '') === '') {
      return malformed('reason', `is missing; say why change ${quoted(dropped.id)} needs no sign-off any more`)
    }
    next = { ...next, changes }
  }
  if (edit.minAgentVersion !== undefined) {
    const lowest = edit.minAgentVersion === null ? null : parseVersion(edit.minAgentVersion)
    if (lowest?.outcome === 'unparsed') return malformed('minAgentVersion', lowest.message)
    next = { ...next, minAgentVersion: lowest?.value ?? null }
  }
  if (edit.notesUrl !== undefined) {
    if (edit.notesUrl !== null && !isWebUrl(edit.notesUrl)) return malformed('notesUrl', notAUrl(edit.notesUrl))
    next = { ...next, notesUrl: edit.notesUrl }
  }
  if (edit.repository !== undefined) {
    const repository = edit.repository === null ? null : readRepository(edit.repository)
    if (repository === null && edit.repository !== null) {
      return malformed('repository', `must be owner/name or the URL of a repository, not ${quoted(edit.repository)}`)
    }
    next = { ...next, repository }
  }
  if (edit.security !== undefined) {
    const { embargoed = false, fixes } = edit.security
    const short = fixes.findIndex((fix) => !FIX.test(fix))
    if (short !== -1)
      return malformed(
        `security/fixes/${short}`,
        'must be 8 characters or more, like CVE-2026-12345, and begin with a letter',
      )
    const twice = fixes.findIndex((fix, index) => fixes.indexOf(fix) !== index)
    if (twice !== -1) return malformed(`security/fixes/${twice}`, 'is there twice')
    const before = release.security
    // Only an admin lifts an embargo, and not by leaving it out.
    if (before?.embargoed === true && (!embargoed || before.fixes.some((fix) => !fixes.includes(fix)))) {
      return malformed('security', 'cannot take an embargo back; lift it with POST …/embargo/lift')
    }
    next = { ...next, security: { embargoed, fixes, liftedAt: before?.embargoed === true ? before.liftedAt : null } }
  }
  const leak = leakingChange(next)
  if (leak !== -1) {
    return malformed(
      `changes/${leak}/id`,
      'must not be the id of a security fix: it is shown to everybody; use the pull request',
    )
  }
  return { outcome: 'drafted', release: withPast(next, release) }
}

function draftChanges(
  drafts: readonly ChangeDraft[],
  before: readonly ReleaseChange[],
): readonly ReleaseChange[] | RolloutRefusal {
  const changes: ReleaseChange[] = []
  for (const [index, { id, title: written, author, url = null, significant = true }] of drafts.entries()) {
    const title = tidied(written)
    if (changes.some((change) => change.id === id))
      return malformed(`changes/${index}/id`, `${quoted(id)} is there twice`)
    if (url !== null && !isWebUrl(url)) return malformed(`changes/${index}/url`, notAUrl(url))
    const [linked, named] = [url === null ? null : readPullRequestUrl(url), readFullId(id)]
    if (linked !== null && named !== null && !isSamePullRequest(linked, named)) {
      return malformed(`changes/${index}/url`, `is that of ${nameOfPullRequest(linked)}, but the id is ${quoted(id)}`)
    }
    if (title === '') return malformed(`changes/${index}/title`, 'has nothing in it')
    const known = before.find((change) => change.id === id)
    if (title === EMBARGOED || author === EMBARGOED) {
      return malformed(
        `changes/${index}/title`,
        'is what is shown instead of it; only an admin reads it while it is embargoed',
      )
    }
    // Somebody has signed off what it was, not what it is now.
    const isSame = known?.author === author && known.url === url && tidied(known.title) === title
    const { signedOff = null, withdrawn = null, labelAt = null } = isSame ? known : {}
    changes.push({ id, title, author, url, significant, signedOff, withdrawn, labelAt })
  }
  return changes
}

/** The release with the packages that agents install, or with no others than these; `packages` were found to exist. */
export function addArtifacts(release: Release, packages: readonly ReleasePackage[], areAll: boolean): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const urls = new Set(packages.map(({ url }) => url))
  const kept = areAll ? [] : release.packages.filter(({ url }) => !urls.has(url))
  const next: Release = { ...release, kind: 'full', packages: [...kept, ...packages] }
  return { outcome: 'drafted', release: inEdition(next, release) }
}

/** One change signed off, or with its sign-off taken back, or withdrawn. */
export type ChangeVerdict = 'verify' | 'unverify' | 'withdraw'

export function judgeChange(release: Release, id: string, verdict: ChangeVerdict, context: RuleContext): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const change = (release.changes ?? []).find((candidate) => candidate.id === id)
  if (change === undefined) return refuse('unknown_change', `release ${release.version} has no change ${quoted(id)}`)
  const stamp = { by: context.actor, at: momentOf(context.now) }
  switch (verdict) {
    case 'verify':
      if (change.signedOff !== null) return { outcome: 'drafted', release }
      return withChange(release, { ...change, signedOff: stamp })
    case 'unverify':
      if (change.signedOff === null) return refuse('not_verified', `change ${quoted(id)} is not signed off`)
      return withChange(release, { ...change, signedOff: null })
    case 'withdraw': {
      const reason = context.reason?.trim() ?? ''
      if (reason === '') return malformed('reason', 'is missing; say why the change needs no sign-off any more')
      // Said again it is so already, and who said it first stands.
      if (change.withdrawn?.reason === reason) return { outcome: 'drafted', release }
      return withChange(release, { ...change, withdrawn: { reason, ...stamp } })
    }
  }
}

export function withdrawRelease(release: Release, context: RuleContext): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const reason = context.reason?.trim() ?? ''
  if (reason === '') return malformed('reason', 'is missing; say what is wrong with the release')
  return {
    outcome: 'drafted',
    release: { ...release, withdrawn: { reason, by: context.actor, at: momentOf(context.now) } },
  }
}

export function liftEmbargo(release: Release, context: RuleContext): Drafted {
  const { security } = release
  if (security?.embargoed !== true || security.liftedAt !== null) {
    return refuse('not_embargoed', `release ${release.version} is under no embargo`)
  }
  const { earlier: _, ...rest } = security
  const lifted = { ...rest, liftedAt: momentOf(context.now) }
  return { outcome: 'drafted', release: { ...release, security: lifted } }
}

function withChange(release: Release, changed: ReleaseChange): Drafted {
  const changes = (release.changes ?? []).map((change) => (change.id === changed.id ? changed : change))
  return { outcome: 'drafted', release: { ...release, changes } }
}

/** The refusal of everything but a rollback and the end of an embargo. */
export function endedRelease({ version, withdrawn }: Release): RolloutRefusal {
  return refuse('release_over', `release ${version} was withdrawn: ${withdrawn?.reason}`)
}

function isWebUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

function notAUrl(text: string): string {
  return `${quoted(text)} is not a URL that begins with https:// or http://`
}
