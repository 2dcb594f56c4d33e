// Releases as they are asked for, and every change of one as a pure function: (release, what is asked) → the next release.
import { malformed, quoted } from '../channels/outcome.ts'
import { momentOf, type Times } from '../channels/time.ts'
import { parseVersion } from '../channels/version.ts'
import { draftChanges, isWebUrl, notAUrl, type ChangeDraft } from './change-draft.ts'
import { cutTime } from './cut-time.ts'
import { leakingChange, withPast } from './embargo.ts'
import { tidied } from './folded-words.ts'
import { refuse, type RolloutRefusal } from './outcome.ts'
import {
  authorOf,
  barredFromSigning,
  contentAuthors,
  isSignedOff,
  signatureOf,
  type Author,
  type People,
} from './people.ts'
import { isSamePullRequest, pullRequestOf, readRepository } from './pull-request.ts'
import type { Release, ReleaseChange, ReleaseKind, ReleasePackage } from './release.ts'

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

export interface RuleContext extends Times, Author {
  readonly reason: string | null
}

/** Where it counts who is who. */
export interface PeopleContext extends RuleContext {
  readonly people: People
}

/** Who edits a release, and why. */
export type Editor = Pick<RuleContext, 'actor' | 'person' | 'reason'>

/** So many people can write one release: far more than do. All of them are barred from approving it, so none may be forgotten. */
export const AUTHORS_MAX = 100

/** What is hidden wherever it stands while it is embargoed, so it must not be a word that stands everywhere. */
const FIX = /^[A-Za-z][A-Za-z0-9._-]{7,99}$/

/** The name of a token or a login at GitHub, and what the journal has after those that its webhook names: `bot[bot]/github`. */
const PERSON = /^[A-Za-z0-9][A-Za-z0-9 ._@[\]-]*(?:\/github)?$/

type Drafted = { readonly outcome: 'drafted'; readonly release: Release } | RolloutRefusal

/** The release that a registration asks for. `packages` were found to exist. */
export function draftRelease(draft: ReleaseDraft, packages: readonly ReleasePackage[], context: RuleContext): Drafted {
  const { now, actor } = context
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
    authors: [authorOf(context)],
  }
  return withEdit(blank, draft, { ...context, reason: null })
}

/** The release with what an edit says of it; sign-offs of changes that stay are kept. */
export function editRelease(release: Release, edit: ReleaseEdit, editor: Editor): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const drafted = withEdit(release, edit, editor)
  return drafted.outcome === 'refused' ? drafted : inEdition(drafted.release, release, editor)
}

/** The next edition, with one more author, where something else is in the release than before. */
function inEdition(next: Release, before: Release, author: Author): Drafted {
  return contentOf(next) === contentOf(before)
    ? { outcome: 'drafted', release: next }
    : nextEdition(next, before, author)
}

function nextEdition(next: Release, before: Release, author: Author): Drafted {
  const authors = [...new Set([...contentAuthors(before), authorOf(author)])]
  if (authors.length > AUTHORS_MAX) {
    return refuse(
      'too_many_authors',
      `${AUTHORS_MAX} people have written release ${before.version}; cut another version`,
    )
  }
  return { outcome: 'drafted', release: { ...next, edition: before.edition + 1, authors } }
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

function withEdit(release: Release, edit: ReleaseEdit, editor: Editor): Drafted {
  let next = release
  if (edit.changes !== undefined) {
    const changes = draftChanges(edit.changes, release, authorOf(editor))
    if ('outcome' in changes) return changes
    const dropped = (release.changes ?? []).find(
      ({ id, significant, withdrawn }) =>
        significant && withdrawn === null && !changes.some((change) => change.id === id && change.significant),
    )
    if (dropped !== undefined && (editor.reason?.trim() ?? '') === '') {
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
    next = withRepository(next, repository)
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
    // Everybody may know of it now. The edit would be stored with the lift, so a new fix in it would be under no embargo.
    if (before?.embargoed === true && before.liftedAt !== null) {
      return malformed(
        'security',
        `cannot change: the embargo of release ${release.version} was lifted at ${before.liftedAt}; register the new fix in a release of its own`,
      )
    }
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

/** The release with its repository. A sign-off of a change that is another pull request there does not count for that one. */
function withRepository(release: Release, repository: string | null): Release {
  const { changes, repository: before = null } = release
  const moved = changes?.map((change): ReleaseChange => {
    const [was, is] = [pullRequestOf(change, before), pullRequestOf(change, repository)]
    const isSame = was === null || (is !== null && isSamePullRequest(was, is))
    return isSame ? change : { ...change, signedOff: null, labelAt: null }
  })
  return { ...release, changes: moved ?? null, repository }
}

/** The release with the packages that agents install, or with no others than these; `packages` were found to exist. */
export function addArtifacts(
  release: Release,
  packages: readonly ReleasePackage[],
  areAll: boolean,
  author: Author,
): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const urls = new Set(packages.map(({ url }) => url))
  const kept = areAll ? [] : release.packages.filter(({ url }) => !urls.has(url))
  const next: Release = { ...release, kind: 'full', packages: [...kept, ...packages] }
  return inEdition(next, release, author)
}

/** One change signed off, or with its sign-off taken back, or withdrawn. */
export type ChangeVerdict = 'verify' | 'unverify' | 'withdraw'

export function judgeChange(release: Release, id: string, verdict: ChangeVerdict, context: PeopleContext): Drafted {
  if (release.withdrawn !== null) return endedRelease(release)
  const change = (release.changes ?? []).find((candidate) => candidate.id === id)
  if (change === undefined) return refuse('unknown_change', `release ${release.version} has no change ${quoted(id)}`)
  const { people } = context
  const stamp = { ...signatureOf(context), at: momentOf(context.now) }
  const isOwn = barredFromSigning(release, change, people).has(authorOf(context))
  switch (verdict) {
    case 'verify':
      if (isSignedOff(release, change, people)) return { outcome: 'drafted', release }
      if (isOwn) {
        const message = `${authorOf(context)} has written or listed change ${quoted(id)}; somebody else must sign it off`
        return refuse('own_change', message)
      }
      return { outcome: 'drafted', release: withChange(release, { ...change, signedOff: stamp }) }
    case 'unverify':
      if (change.signedOff === null) return refuse('not_verified', `change ${quoted(id)} is not signed off`)
      return { outcome: 'drafted', release: withChange(release, { ...change, signedOff: null }) }
    case 'withdraw': {
      const reason = context.reason?.trim() ?? ''
      if (reason === '') return malformed('reason', 'is missing; say why the change needs no sign-off any more')
      // Said again it is so already, and who said it first stands.
      if (change.withdrawn?.reason === reason) return { outcome: 'drafted', release }
      const next = withChange(release, { ...change, withdrawn: { reason, ...stamp } })
      // That is no judgement of somebody else: who approves the release must know of it.
      return isOwn && change.withdrawn === null
        ? nextEdition(next, release, context)
        : { outcome: 'drafted', release: next }
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

function withChange(release: Release, changed: ReleaseChange): Release {
  const changes = (release.changes ?? []).map((change) => (change.id === changed.id ? changed : change))
  return { ...release, changes }
}

/** The refusal of everything but a rollback and the end of an embargo. */
export function endedRelease({ version, withdrawn }: Release): RolloutRefusal {
  return refuse('release_over', `release ${version} was withdrawn: ${withdrawn?.reason}`)
}
