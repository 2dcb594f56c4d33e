// Which pull request a change is: its repository and its number. The number alone says nothing, since every repository has one.
// GitHub tells owners, repositories and hosts apart whatever their case, so all are kept in lower case here.

/** A pull request as it is compared. */
export interface PullRequest {
  /** The host of the link to it; null where only its repository and number are known. */
  readonly host: string | null
  /** `owner/name`. */
  readonly repository: string
  readonly number: number
}

const REPOSITORY = /^[a-z0-9](?:[a-z0-9_-]{0,38})\/[a-z0-9._-]{1,100}$/
const NUMBER = /^[1-9]\d{0,8}$/
/** As people write it: `acme/web#12`. */
const FULL_ID = /^([^#]+)#(\d+)$/
/** What is said in the path of a link before the number: a page, the API, or an issue, which GitHub redirects. */
const KINDS: ReadonlySet<string> = new Set(['pull', 'pulls', 'issues'])
/** `owner/name` in lower case, read from that or from the URL of a repository, page or API; null where the text is neither. */
export function readRepository(text: string): string | null {
  const written = text.trim().toLowerCase()
  const path = URL.canParse(written) ? repositoryIn(new URL(written)) : written
  const repository = path.replace(/\.git$/, '')
  return REPOSITORY.test(repository) ? repository : null
}

/**
 * The pull request that a URL links to, in whatever form: its page and the pages below it, with `http` or `www.`, the API's URL, a
 * query, a slash at the end. Null where it links to something else.
 */
export function readPullRequestUrl(text: string): PullRequest | null {
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  const names = namesIn(url)
  const index = names.findIndex((name, at) => at >= 2 && KINDS.has(name) && NUMBER.test(numberIn(names[at + 1])))
  if (index === -1) return null
  const repository = readRepository(`${names[index - 2]}/${names[index - 1]}`)
  // Without its default port, and as links to pages name it.
  const host = url.host.replace(/^(?:www|api)\./, '')
  return repository === null ? null : { host, repository, number: Number(numberIn(names[index + 1])) }
}

/** The pull request that an id names with its repository, like `acme/web#12`; null for every other id. */
export function readFullId(id: string): PullRequest | null {
  const [, name = '', number = ''] = FULL_ID.exec(id) ?? []
  const repository = readRepository(name)
  return repository === null || !NUMBER.test(number) ? null : { host: null, repository, number: Number(number) }
}

/**
 * The pull request of a change: what its link says, else its id with its repository, else the number that is its id, in the
 * repository of its release. Null where nothing says which repository that is.
 */
export function pullRequestOf(
  { id, url }: { readonly id: string; readonly url: string | null },
  repository: string | null,
): PullRequest | null {
  const linked = url === null ? null : readPullRequestUrl(url)
  const named = linked ?? readFullId(id)
  if (named !== null) return named
  const number = numberOf({ id, url })
  return number === null || repository === null ? null : { host: null, repository, number }
}

/** The number that a change's id is, if it is one of a pull request whose repository only the release can tell; else null. */
export function numberOf({ id, url }: { readonly id: string; readonly url: string | null }): number | null {
  const number = id.replace(/^#/, '')
  // With a link to something else it is a number there.
  return url === null && NUMBER.test(number) ? Number(number) : null
}

export function isSamePullRequest(a: PullRequest, b: PullRequest): boolean {
  if (a.repository !== b.repository || a.number !== b.number) return false
  return a.host === null || b.host === null || a.host === b.host
}

/** As answers and keys name it: `github.com/acme/web#12`. */
export function nameOfPullRequest({ host, repository, number }: PullRequest): string {
  return `${host === null ? '' : `${host}/`}${repository}#${number}`
}

function namesIn(url: URL): readonly string[] {
  return url.pathname
    .toLowerCase()
    .split('/')
    .filter((name) => name !== '')
}

/** `owner/name` in the path of a URL, or empty. URLs of the API, which Enterprise has below `/api/v3`, have `repos` before it. */
function repositoryIn(url: URL): string {
  const names = namesIn(url)
  const isEnterprise = names[0] === 'api' && names[1] === 'v3'
  if (!isEnterprise && !url.host.startsWith('api.')) return names.slice(0, 2).join('/')
  const [kind, ...rest] = isEnterprise ? names.slice(2) : names
  // Anything else there is no repository, or names it by a number.
  return kind === 'repos' ? rest.slice(0, 2).join('/') : ''
}

/** The number of a pull request in the path of a link to it, or to its patch. */
function numberIn(name: string | undefined): string {
  return (name ?? '').replace(/\.(?:diff|patch)$/, '')
}
