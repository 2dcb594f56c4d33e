// Embargoed fixes: who may know of them, and which releases must have them. While an embargo is open, its fixes and the
// titles of changes are for admins only; releases that are cut meanwhile must list the fix, or no pipeline promotes them.
import type { Json } from '../store/port.ts'
import type { Release } from './release.ts'

/** What everybody but an admin reads instead. */
export const EMBARGOED = 'embargoed change'

/** Shorter titles are not looked for in what people have written: they would be found everywhere. */
const TITLE_LENGTH_MIN = 10

/** Members in which documents and answers have what people wrote. */
const FREE_TEXTS: ReadonlySet<string> = new Set([
  ...['reason', 'description', 'message', 'why', 'detail', 'title', 'author', 'url', 'notesUrl'],
])

/** An embargo, open or lifted, as other releases are held against it. */
export interface Embargo {
  /** The release that brought the fix. */
  readonly release: string
  readonly fixes: readonly string[]
  readonly since: string
  readonly liftedAt: string | null
}

/** The embargo that a release has brought; null for most. */
export function embargoOf({ version, security, cutAt }: Release): Embargo | null {
  if (security?.embargoed !== true) return null
  return { release: version, fixes: security.fixes, since: cutAt, liftedAt: security.liftedAt }
}

/** The embargo during which `release` was cut without its fixes; null where it has what it must have. */
export function missingFix(release: Release, embargoes: readonly Embargo[]): Embargo | null {
  const { cutAt, version, security } = release
  const has = security?.fixes ?? []
  return (
    embargoes.find(
      ({ release: bringer, since, liftedAt, fixes }) =>
        bringer !== version &&
        cutAt >= since &&
        (liftedAt === null || cutAt < liftedAt) &&
        fixes.some((fix) => !has.includes(fix)),
    ) ?? null
  )
}

/** What must not be shown now, read from every release. */
export class Secrets {
  readonly #fixes: ReadonlySet<string>
  /** Releases that have an embargoed fix now: what was said of them before that was known is hidden too. */
  readonly #versions: ReadonlySet<string>
  /** Whatever is embargoed, in lower case, as it could stand in somebody's words. */
  readonly #texts: readonly string[]

  constructor(releases: readonly Release[]) {
    const open = releases.filter(({ security }) => security?.embargoed === true && security.liftedAt === null)
    const fixes = open.flatMap(({ security }) => security?.fixes ?? [])
    this.#fixes = new Set(fixes)
    const touched = releases.filter(({ security }) => security?.fixes.some((fix) => this.#fixes.has(fix)) === true)
    this.#versions = new Set(touched.map(({ version }) => version))
    const titles = touched.flatMap(titlesOf)
    // A fix has eight characters or more (release-draft.ts).
    const texts = [...fixes, ...titles.filter((title) => title.length >= TITLE_LENGTH_MIN)]
    // Upper case, because a small Greek sigma depends on the letters around it.
    this.#texts = [...new Set(texts.map((text) => text.toLowerCase().toUpperCase()))]
  }

  get isEmpty(): boolean {
    return this.#fixes.size === 0
  }

  /** The release as everybody may see it: one that has an embargoed fix is shown without fixes, titles, authors and links. */
  shown(release: Release): Release {
    if (!this.#hasEmbargoed(release)) return release
    const { changes, security } = release
    const hidden = { title: EMBARGOED, author: EMBARGOED, url: null }
    return {
      ...release,
      changes: changes?.map((change) => ({ ...change, ...hidden })) ?? null,
      security: security && { ...security, fixes: security.fixes.map(() => EMBARGOED) },
      notesUrl: null,
    }
  }

  /**
   * Any value without what people have written of something embargoed, wherever they can write: the same value where there is
   * nothing of it. Names, versions and times are never hidden, and what a caller has sent is not looked through: that would tell
   * whoever asks whether it is a secret.
   */
  hide(value: Json, member: string | null = null): Json {
    if (this.isEmpty || value === null) return value
    if (typeof value === 'string') return member !== null && FREE_TEXTS.has(member) ? this.words(value) : value
    if (Array.isArray(value)) return value.map((item: Json) => this.hide(item, member))
    if (typeof value !== 'object') return value
    // An own `__proto__` of somebody's JSON would be lost by assignment.
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.hide(inner, name)]))
  }

  /** What somebody has written, or that it cannot be shown. */
  words(text: string): string {
    const upper = text.toLowerCase().toUpperCase()
    return this.#texts.some((secret) => upper.includes(secret)) ? EMBARGOED : text
  }

  #hasEmbargoed({ version, security }: Release): boolean {
    return this.#versions.has(version) || security?.fixes.some((fix) => this.#fixes.has(fix)) === true
  }
}

function titlesOf({ changes, notesUrl }: Release): readonly string[] {
  const titles = (changes ?? []).flatMap(({ title, url }) => [title, ...(url === null ? [] : [url])])
  return notesUrl === null ? titles : [...titles, notesUrl]
}
