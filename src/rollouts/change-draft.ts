// The changes of a release as they are asked for: what is wrong with them, and what is kept of those that were listed before.
import { malformed, quoted } from '../channels/outcome.ts'
import { EMBARGOED } from './embargo.ts'
import { tidied } from './folded-words.ts'
import type { RolloutRefusal } from './outcome.ts'
import { contentAuthors } from './people.ts'
import { isSamePullRequest, nameOfPullRequest, readFullId, readPullRequestUrl } from './pull-request.ts'
import type { Release, ReleaseChange } from './release.ts'

/** A change as it is asked for. */
export interface ChangeDraft {
  readonly id: string
  readonly title: string
  readonly author: string
  readonly url?: string | null
  readonly significant?: boolean
}

/** The changes that are asked for, in place of those that the release has. `editor` is stored as who has listed them. */
export function draftChanges(
  drafts: readonly ChangeDraft[],
  release: Release,
  editor: string,
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
    const known = release.changes?.find((change) => change.id === id)
    if (title === EMBARGOED || author === EMBARGOED) {
      return malformed(
        `changes/${index}/title`,
        'is what is shown instead of it; only an admin reads it while it is embargoed',
      )
    }
    // Somebody has signed off what it was, not what it is now.
    const isSame = known?.author === author && known.url === url && tidied(known.title) === title
    const { signedOff = null, withdrawn = null, labelAt = null } = isSame ? known : {}
    changes.push({
      id,
      title,
      author,
      url,
      significant,
      signedOff,
      withdrawn,
      labelAt,
      ...addersOf(release, known, isSame ? null : editor),
    })
  }
  return changes
}

/** Who has listed a change, with an editor who has changed it; nothing where that was not written down and stays as it is. */
function addersOf(
  release: Release,
  known: ReleaseChange | undefined,
  editor: string | null,
): Pick<ReleaseChange, 'addedBy'> {
  if (editor === null) return known?.addedBy === undefined ? {} : { addedBy: known.addedBy }
  const adders = known === undefined ? [] : (known.addedBy ?? contentAuthors(release))
  return { addedBy: [...new Set([...adders, editor])] }
}

export function isWebUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

export function notAUrl(text: string): string {
  return `${quoted(text)} is not a URL that begins with https:// or http://`
}
