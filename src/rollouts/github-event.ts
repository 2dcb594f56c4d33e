// What a GitHub webhook means to the release process (RFD 134): a change was verified or not any more, or a release was tagged.
// Payloads are as https://docs.github.com/en/webhooks/webhook-events-and-payloads shows them; only members used here are read.
import { malformed, parsed, quoted, type Parsed, type Refusal } from '../channels/outcome.ts'
import { parseMoment } from '../channels/time.ts'
import { parseCloudRelease } from './cloud-version.ts'
import { isSameLabel } from './github-label.ts'
import { nameOfPullRequest, readPullRequestUrl, readRepository, type PullRequest } from './pull-request.ts'

export type GithubEvent =
  /** A pull request got or lost the label that says it is verified. */
  | {
      readonly kind: 'label'
      readonly isVerified: boolean
      readonly pullRequest: PullRequest
      readonly url: string
      readonly by: string
      readonly at: string
    }
  /** A tag of the Cloud form was pushed; `at` is when its commit was made, null where GitHub does not say. */
  | {
      readonly kind: 'release'
      readonly version: string
      readonly commit: string
      /** Where it was pushed to; null where GitHub does not say. */
      readonly repository: string | null
      readonly by: string
      readonly at: string | null
    }
  | { readonly kind: 'ignored'; readonly why: string }

/** Which deliveries count, as the configuration says. */
export interface GithubRules {
  /** The label of a pull request that was verified. */
  readonly verifiedLabel: string
  /** The repositories that deliveries may be about, as `owner/name` in lower case; null for any. */
  readonly repositories: readonly string[] | null
}

/** What a member must look like, and the words for one that does not. */
interface Form {
  readonly pattern: RegExp
  readonly words: string
}

const TEXT: Form = { pattern: /^/, words: 'must be text' }
/** A bot's login ends in `[bot]`. It becomes part of the actor in the journal, so nothing else may be in it. */
const LOGIN: Form = {
  pattern: /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})(?:\[bot\])?$/,
  words: 'must be the login of a GitHub account',
}
/** Longer than any owner's, repository's and server's name together. It is shown as a link, so it can be nothing but one. */
const URL_OF_PAGE: Form = { pattern: /^https?:\/\/[\x21-\x7e]{1,490}$/, words: 'must be the URL of a page' }
const COMMIT: Form = { pattern: /^[0-9a-f]{40}$/, words: 'must be the 40 characters of a commit' }

const TAG_PREFIX = 'refs/tags/'

/**
 * Reads what an event means. `event` is the header X-GitHub-Event, `payload` the JSON of the body. What is not about
 * a listed repository is ignored, whatever it is; elsewhere a payload without the members its event must have is malformed.
 */
export function readGithubEvent(event: string, payload: unknown, rules: GithubRules): GithubEvent | Refusal {
  const unlisted = unlistedRepository(payload, rules.repositories)
  if (unlisted !== null) return ignored(unlisted)
  switch (event) {
    case 'pull_request':
      return readPullRequest(payload, rules.verifiedLabel)
    case 'push':
      return readPush(payload)
    case 'ping':
      return ignored('ping')
    case 'create':
      return ignored('a new tag counts by its push event')
    default:
      return ignored(`the event ${quoted(event)} means nothing here`)
  }
}

/** Why a delivery does not count, by the repository that it is about; null where it does. */
function unlistedRepository(payload: unknown, repositories: GithubRules['repositories']): string | null {
  if (repositories === null) return null
  const name = memberAt(payload, 'repository/full_name')
  if (typeof name !== 'string')
    return 'it names no repository, and BELLWETHER_GITHUB_REPOSITORIES lists those that count'
  // GitHub tells no repository from another by the case of its name.
  if (repositories.includes(name.toLowerCase())) return null
  return `the repository ${quoted(name)} is not among those that BELLWETHER_GITHUB_REPOSITORIES lists`
}

function readPullRequest(payload: unknown, verifiedLabel: string): GithubEvent | Refusal {
  const action = readText(payload, 'action', TEXT)
  if (action.outcome === 'refused') return action
  if (action.value !== 'labeled' && action.value !== 'unlabeled') {
    return ignored(`the action ${quoted(action.value)} of a pull request changes no label`)
  }
  const label = readText(payload, 'label/name', TEXT)
  if (label.outcome === 'refused') return label
  if (!isSameLabel(label.value, verifiedLabel)) {
    return ignored(`the label is ${quoted(label.value)}, not ${quoted(verifiedLabel)}`)
  }
  const page = readPage(payload)
  if (page.outcome === 'refused') return page
  const by = readText(payload, 'sender/login', LOGIN)
  if (by.outcome === 'refused') return by
  const at = readMoment(payload, 'pull_request/updated_at')
  if (at.outcome === 'refused') return at
  const isVerified = action.value === 'labeled'
  return { kind: 'label', isVerified, ...page.value, by: by.value, at: at.value }
}

/** The pull request by the link to its page; the other members that name it must agree. */
function readPage(payload: unknown): Parsed<{ readonly pullRequest: PullRequest; readonly url: string }> | Refusal {
  const number = readNumber(payload, 'pull_request/number')
  if (number.outcome === 'refused') return number
  const url = readText(payload, 'pull_request/html_url', URL_OF_PAGE)
  if (url.outcome === 'refused') return url
  const pullRequest = readPullRequestUrl(url.value)
  if (pullRequest === null) return malformed('pull_request/html_url', 'must be the URL of a pull request')
  const repository = repositoryIn(payload)
  if (pullRequest.number !== number.value || (repository !== null && pullRequest.repository !== repository)) {
    const expected = `${repository ?? pullRequest.repository}#${number.value}`
    return malformed('pull_request/html_url', `is that of ${nameOfPullRequest(pullRequest)}, not of ${expected}`)
  }
  return parsed({ pullRequest, url: url.value })
}

/** The repository that a delivery is about; null where it names none. */
function repositoryIn(payload: unknown): string | null {
  const name = memberAt(payload, 'repository/full_name')
  return typeof name === 'string' ? readRepository(name) : null
}

function readPush(payload: unknown): GithubEvent | Refusal {
  const ref = readText(payload, 'ref', TEXT)
  if (ref.outcome === 'refused') return ref
  if (!ref.value.startsWith(TAG_PREFIX)) return ignored(`${quoted(ref.value)} is no tag`)
  if (memberAt(payload, 'deleted') === true) return ignored(`${quoted(ref.value)} was deleted`)
  const release = parseCloudRelease(ref.value.slice(TAG_PREFIX.length))
  if (release.outcome === 'unparsed') return ignored(release.message)
  const { version } = release.value
  // Of an annotated tag `after` is the tag object; head_commit is the commit that any tag points to.
  const commitField = firstPresent(payload, 'head_commit/id', 'after')
  const commit = readText(payload, commitField, COMMIT)
  if (commit.outcome === 'refused') return commit
  // Refused and not ignored: whoever pushed a release's tag onto another commit must see that it has not counted.
  if (!commit.value.startsWith(release.value.commit)) {
    return malformed(commitField, `is ${commit.value}, which is not the commit that the tag ${quoted(version)} names`)
  }
  // A deploy key, or a person at the test button, may have a name that is no login.
  const pusher = readText(payload, 'pusher/name', LOGIN)
  const by = pusher.outcome === 'parsed' ? pusher : readText(payload, 'sender/login', LOGIN)
  if (by.outcome === 'refused') return by
  const hasTime = memberAt(payload, 'head_commit/timestamp') !== null
  const at = hasTime ? readMoment(payload, 'head_commit/timestamp') : parsed(null)
  if (at.outcome === 'refused') return at
  const repository = repositoryIn(payload)
  return { kind: 'release', version, commit: commit.value, repository, by: by.value, at: at.value }
}

function ignored(why: string): GithubEvent {
  return { kind: 'ignored', why }
}

function readText(payload: unknown, path: string, { pattern, words }: Form): Parsed<string> | Refusal {
  const value = memberAt(payload, path)
  if (value === null) return malformed(path, 'is missing')
  return typeof value === 'string' && pattern.test(value) ? parsed(value) : malformed(path, words)
}

function readNumber(payload: unknown, path: string): Parsed<number> | Refusal {
  const value = memberAt(payload, path)
  if (value === null) return malformed(path, 'is missing')
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
    ? parsed(value)
    : malformed(path, 'must be a whole number from 1 on')
}

function readMoment(payload: unknown, path: string): Parsed<string> | Refusal {
  const text = readText(payload, path, TEXT)
  if (text.outcome === 'refused') return text
  const moment = parseMoment(text.value)
  return moment.outcome === 'unparsed' ? malformed(path, moment.message) : moment
}

/** The first of two paths that leads to a member; the second where none does, so that it is the one called missing. */
function firstPresent(payload: unknown, first: string, second: string): string {
  return memberAt(payload, first) === null ? second : first
}

/** The member at a path like `pull_request/number`; null where there is none. */
function memberAt(payload: unknown, path: string): unknown {
  let here = payload
  for (const name of path.split('/')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return null
    here = (here as Readonly<Record<string, unknown>>)[name] // An object that has this member of its own.
  }
  return here ?? null
}
