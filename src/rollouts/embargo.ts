// Embargoed fixes: who may know of them, and which releases must have them. While an embargo is open, its fixes and the
// titles of changes are for admins only; releases that are cut or registered meanwhile must list the fix, or no pipeline promotes
// them.
import type { Json } from '../store/port.ts'
import { folded, foldedWords, wordsOf, type LiftedWords } from './folded-words.ts'
import type { Release } from './release.ts'
import { TextFinder } from './text-finder.ts'

/** What everybody but an admin reads instead. */
export const EMBARGOED = 'embargoed change'

/** Shorter titles are not looked for in what people have written: they would be found everywhere. */
const TITLE_LENGTH_MIN = 10

/** How many fixes, and how many texts, are kept of what edits took away: one edit can replace 200 changes with their links. */
const EARLIER_MAX = 500

/** Members in which documents and answers have what people wrote. */
const FREE_TEXTS: ReadonlySet<string> = new Set([
  ...['reason', 'description', 'message', 'why', 'detail', 'title', 'author', 'url', 'notesUrl'],
])

/** An embargo, open or lifted, as other releases are held against it. */
export interface Embargo {
  /** The release that brought the fix. */
  readonly release: string
  readonly fixes: readonly string[]
  /** When that release was cut, and when it was registered here. */
  readonly since: string
  readonly registeredAt: string
  readonly liftedAt: string | null
}

/** The embargo that a release has brought; null for most. */
export function embargoOf({ version, security, cutAt, registeredAt }: Release): Embargo | null {
  if (security?.embargoed !== true) return null
  return { release: version, fixes: security.fixes, since: cutAt, registeredAt, liftedAt: security.liftedAt }
}

/** The embargo that holds `release`, which is without its fixes; null where it has what it must have. */
export function missingFix(release: Release, embargoes: readonly Embargo[]): Embargo | null {
  const has = release.security?.fixes ?? []
  return (
    embargoes.find(
      (embargo) =>
        embargo.release !== release.version &&
        isHeldBy(release, embargo) &&
        embargo.fixes.some((fix) => !has.includes(fix)),
    ) ?? null
  )
}

/**
 * Whether a release must have the fixes of an embargo. When it was cut is what somebody has said; when it was registered is
 * known here. So it counts as cut before the embargo, or after it, only if it was registered then, too (ADR 38).
 */
function isHeldBy({ cutAt, registeredAt }: Release, embargo: Embargo): boolean {
  const { since, registeredAt: begun, liftedAt } = embargo
  // Two registrations of one millisecond cannot be told apart.
  const isBefore = cutAt < since && registeredAt <= begun
  const isAfter = liftedAt !== null && cutAt >= liftedAt && registeredAt >= liftedAt
  return !isBefore && !isAfter
}

/** When it was that an embargo came to hold a release, as the end of a sentence about the release. */
export function whenHeld({ cutAt, registeredAt }: Release, { release, since, liftedAt }: Embargo): string {
  const isDuring = (moment: string): boolean => moment >= since && (liftedAt === null || moment < liftedAt)
  if (isDuring(cutAt)) return `cut while the fix of ${release} was embargoed`
  if (liftedAt === null || registeredAt < liftedAt) return `registered while the fix of ${release} was embargoed`
  return `cut before the fix of ${release}`
}

/** The release after an edit, with what has to stay hidden, or is public already, of what it said before. */
export function withPast(next: Release, before: Release): Release {
  const { security } = next
  if (security === null) return next
  const then = wordsOf(before)
  const now = wordsOf(next)
  const earlier = {
    fixes: takenAway([...(before.security?.earlier?.fixes ?? []), ...then.fixes], now.fixes),
    texts: takenAway([...(before.security?.earlier?.texts ?? []), ...then.texts], now.texts),
  }
  const isSame = JSON.stringify(then) === JSON.stringify(now)
  const lifted = before.security?.lifted ?? (security.liftedAt === null || isSame ? null : then)
  const { embargoed, fixes, liftedAt } = security
  const past = {
    ...(earlier.fixes.length + earlier.texts.length === 0 ? {} : { earlier }),
    ...(lifted === null ? {} : { lifted }),
  }
  return { ...next, security: { embargoed, fixes, liftedAt, ...past } }
}

/** The release as it is answered, to admins too: what it said before an edit is for `Secrets` only. */
export function withoutPast(release: Release): Release {
  const { security } = release
  if (security === null || (security.earlier === undefined && security.lifted === undefined)) return release
  const { embargoed, fixes, liftedAt } = security
  return { ...release, security: { embargoed, fixes, liftedAt } }
}

/** The index of a change whose id, which everybody sees, has a fix in it; -1 for none. */
export function leakingChange({ changes, security }: Release): number {
  const fixes = (security?.fixes ?? []).map((fix) => fix.toLowerCase())
  return (changes ?? []).findIndex(({ id }) => fixes.some((fix) => id.toLowerCase().includes(fix)))
}

/** How much was looked through: who hides much counts it, and gives others their turn. */
export interface Meter {
  characters: number
}

/** What must not be shown now, read from every release. */
export class Secrets {
  /** What is compared here is folded: fixes and titles are found however they are written. */
  readonly #fixes: ReadonlySet<string>
  /** Releases that are embargoed or have an embargoed fix: what was said of them before that was known is hidden too. */
  readonly #versions: ReadonlySet<string>
  /** Titles of any length, which are hidden where they are the title of another release's change. */
  readonly #titles: ReadonlySet<string>
  /** Whatever is embargoed, as it could stand in somebody's words. */
  readonly #texts: readonly string[]
  readonly #finder: TextFinder

  /** Whether everything that people have written is hidden: a release that cannot be read may embargo any of it. */
  readonly #hidesAll: boolean

  /** `before` are the secrets of an earlier state: what has not changed is not made again. */
  constructor(releases: readonly Release[], hidesAll = false, before: Secrets | null = null) {
    this.#hidesAll = hidesAll
    const lifted = releases.flatMap((release) => foldedWords(release).lifted ?? [])
    const [publicFixes, publicTexts] = [publicSince(lifted, 'fixes'), publicSince(lifted, 'texts')]
    // What was public when a release was registered is no secret of it. What was lifted later may be: a release that lists another
    // one's fix, as it must, and is lifted first, does not make that public.
    const isSecret = (text: string, since: ReadonlyMap<string, string>, { registeredAt }: Release): boolean => {
      const at = since.get(text)
      return at === undefined || at >= registeredAt
    }
    const open = releases.filter(isOpen)
    this.#fixes = new Set(
      open.flatMap((release) => foldedWords(release).fixes.filter((fix) => isSecret(fix, publicFixes, release))),
    )
    const hidden = releases.filter((release) => isOpen(release) || this.#listsFix(release))
    this.#versions = new Set(hidden.map(({ version }) => version))
    this.#titles = new Set(
      hidden.flatMap((release) => foldedWords(release).texts.filter((text) => isSecret(text, publicTexts, release))),
    )
    // A fix has eight characters or more (release-draft.ts). Letters that were taken apart are one character.
    const long = [...this.#titles].filter((title) => title.normalize('NFC').length >= TITLE_LENGTH_MIN)
    this.#texts = [...this.#fixes, ...long]
    this.#finder = before?.finderOf(this.#texts) ?? new TextFinder(this.#texts)
  }

  /** What finds these texts; null where these secrets have others. */
  finderOf(texts: readonly string[]): TextFinder | null {
    const isSame = this.#texts.length === texts.length && this.#texts.every((text, index) => text === texts[index])
    return isSame ? this.#finder : null
  }

  get isEmpty(): boolean {
    return this.#versions.size === 0 && !this.#hidesAll
  }

  /**
   * The release as everybody may see it: one that is embargoed, or has an embargoed fix, is shown without fixes, titles, authors,
   * links and its repository.
   */
  shown(release: Release): Release {
    const present = withoutPast(release)
    if (!this.#hidesAll && !this.#versions.has(release.version) && !this.#listsFix(release)) return present
    const { changes, security } = present
    const hidden = { title: EMBARGOED, author: EMBARGOED, url: null }
    return {
      ...present,
      changes: changes?.map((change) => ({ ...change, ...hidden })) ?? null,
      security: security && { ...security, fixes: security.fixes.map(() => EMBARGOED) },
      notesUrl: null,
      // Changes that are numbers are pull requests there.
      ...(present.repository === undefined ? {} : { repository: null }),
    }
  }

  /**
   * Any value without what people have written of something embargoed, wherever they can write: the same value where there is
   * nothing of it. Names, versions and times are never hidden, and what a caller has sent is not looked through: that would tell
   * whoever asks whether it is a secret.
   */
  hide(value: Json, member: string | null = null, meter: Meter = { characters: 0 }): Json {
    if (this.isEmpty || value === null) return value
    if (typeof value === 'string') {
      meter.characters += value.length
      return member === null || !FREE_TEXTS.has(member) ? value : this.#shownText(value, member === 'title')
    }
    if (Array.isArray(value)) return value.map((item: Json) => this.hide(item, member, meter))
    if (typeof value !== 'object') return value
    // An own `__proto__` of somebody's JSON would be lost by assignment.
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.hide(inner, name, meter)]))
  }

  /** What somebody has written, or that it cannot be shown. */
  words(text: string): string {
    return this.#shownText(text, false)
  }

  #shownText(text: string, isTitle: boolean): string {
    if (this.#hidesAll) return EMBARGOED
    const written = folded(text)
    return (isTitle && this.#titles.has(written)) || this.#finder.isIn(written) ? EMBARGOED : text
  }

  /** Whether an embargoed fix is in it, or was before an edit: nobody shows its titles by taking the fix off its list. */
  #listsFix(release: Release): boolean {
    return release.security !== null && foldedWords(release).listed.some((fix) => this.#fixes.has(fix))
  }
}

/** Each text that is public, and since when. */
function publicSince(lifted: readonly LiftedWords[], of: 'fixes' | 'texts'): ReadonlyMap<string, string> {
  const since = new Map<string, string>()
  for (const { at, [of]: texts } of lifted) {
    for (const text of texts) {
      const earlier = since.get(text)
      if (earlier === undefined || at < earlier) since.set(text, at)
    }
  }
  return since
}

function isOpen({ security }: Release): boolean {
  return security?.embargoed === true && security.liftedAt === null
}

/** What is not there any more, the latest of it. */
function takenAway(before: readonly string[], now: readonly string[]): readonly string[] {
  const kept = new Set(now)
  return [...new Set(before)].filter((text) => !kept.has(text)).slice(-EARLIER_MAX)
}
