// What a release says, as it is compared with what people have written: folded once for each revision of it, since an embargo can have
// hundreds of titles and is looked at with every answer.
import type { Release, ReleaseWords } from './release.ts'

/** What can stand in a word without being read: accents by themselves, soft hyphens, blanks without width. */
const UNREAD = /[\p{Mn}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu

/** What an admin has made public with the embargo of a release, and since when. */
export interface LiftedWords {
  readonly at: string
  readonly fixes: readonly string[]
  readonly texts: readonly string[]
}

/** A release is never changed, only replaced by its next revision. */
const known = new WeakMap<Release, FoldedWords>()

/** Most releases have no part in an embargo: nothing is folded before it is asked for. */
class FoldedWords {
  readonly #release: Release
  #fixes: readonly string[] | null = null
  #texts: readonly string[] | null = null
  #listed: readonly string[] | null = null
  #lifted: LiftedWords | null = null

  constructor(release: Release) {
    this.#release = release
  }

  /** Without what nobody can read, like a blank: that would be found everywhere. */
  get fixes(): readonly string[] {
    return (this.#fixes ??= wordsOf(this.#release)
      .fixes.map(folded)
      .filter((fix) => fix !== ''))
  }

  /** Titles and links, also those that edits took away; without what nobody can read. */
  get texts(): readonly string[] {
    const earlier = this.#release.security?.earlier?.texts ?? []
    return (this.#texts ??= [...wordsOf(this.#release).texts, ...earlier].map(folded).filter((text) => text !== ''))
  }

  /** Every fix that it lists, or did before an edit. */
  get listed(): readonly string[] {
    const { fixes = [], earlier } = this.#release.security ?? {}
    return (this.#listed ??= [...fixes, ...(earlier?.fixes ?? [])].map(folded))
  }

  /** null where no embargo of it was lifted. What the release was told since is not public by it. */
  get lifted(): LiftedWords | null {
    const { security } = this.#release
    if (security === null || security.liftedAt === null) return null
    if (this.#lifted !== null) return this.#lifted
    const { fixes, texts } = security.lifted ?? wordsOf(this.#release)
    return (this.#lifted = { at: security.liftedAt, fixes: fixes.map(folded), texts: texts.map(folded) })
  }
}

export function foldedWords(release: Release): FoldedWords {
  const found = known.get(release)
  if (found !== undefined) return found
  const made = new FoldedWords(release)
  known.set(release, made)
  return made
}

/** What a release says now that is hidden while it is embargoed. */
export function wordsOf({ changes, notesUrl, security }: Release): ReleaseWords {
  const texts = (changes ?? []).flatMap(({ title, url }) => (url === null ? [title] : [title, url]))
  return { fixes: security?.fixes ?? [], texts: notesUrl === null ? texts : [...texts, notesUrl] }
}

/**
 * A text as it is compared: in capitals, in the compatibility form of Unicode with its letters taken apart (a mark behind a text
 * must not join its last letter), without what nobody reads, every dash a hyphen, and one blank for all white space.
 */
export function folded(text: string): string {
  const isPlain = !/[^ -~]/.test(text)
  const letters = isPlain
    ? text
    : text
        .normalize('NFKD')
        .replaceAll(UNREAD, '')
        .replaceAll(/\p{Dash}/gu, '-')
  // Upper case at last, because a small Greek sigma depends on the letters around it.
  return tidied(letters.toLowerCase().toUpperCase())
}

/** A text without blanks around it, and with one for all white space within. */
export function tidied(text: string): string {
  // Most texts are tidy; to look is much faster than to replace every blank by itself.
  const isTidy = !/[^\S ]|\u0085| {2}/.test(text)
  return (isTidy ? text : text.replaceAll(/[\s\u0085]+/g, ' ')).trim()
}
