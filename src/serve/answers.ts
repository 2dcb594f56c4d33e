// The answers of the poll plane, byte for byte (DESIGN §3). They are rendered when a change is published, never per poll.
import { cohortRanks } from '../channels/cohort.ts'
import type { CohortTargets, Target } from '../channels/target.ts'
import { isVersion } from '../channels/version.ts'

/** Every status that a poll can be answered with, in the order in which they are counted. */
export const STATUSES = [200, 304, 400, 404, 405, 503] as const

export type Status = (typeof STATUSES)[number]

const REASONS: Readonly<Record<Status, string>> = {
  200: 'OK',
  304: 'Not Modified',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  503: 'Service Unavailable',
}

/** One whole answer but for the lines that belong to the connection (Date, Connection, Keep-Alive). Frozen. */
export class Answer {
  readonly status: Status
  /** The status line and the answer's own header lines, each with its line end. ASCII. */
  readonly head: string
  readonly body: string
  /** The entity tag and the 304's head; both null where an answer has no tag and is always given whole. */
  readonly etag: string | null
  readonly notModifiedHead: string | null
  // Lists for the HTTP server, made when it first asks: most answers are never its.
  #headers: readonly string[] | null = null
  #notModifiedHeaders: readonly string[] | null = null

  constructor(status: Status, headers: readonly string[], body: string, revalidation: Revalidation | null = null) {
    this.status = status
    this.head = headOf(status, [...TEXT, ...headers, 'Content-Length', String(body.length)])
    this.body = body
    this.etag = revalidation?.etag ?? null
    this.notModifiedHead = revalidation === null ? null : headOf(304, revalidation.headers)
    Object.freeze(this)
  }

  /** The header lines as a flat list of names and values, as Node's HTTP server takes them. */
  get headers(): readonly string[] {
    return (this.#headers ??= headersIn(this.head))
  }

  /** The same of the 304; none where the answer has no tag. */
  get notModifiedHeaders(): readonly string[] {
    return (this.#notModifiedHeaders ??= headersIn(this.notModifiedHead ?? ''))
  }
}

interface Revalidation {
  readonly etag: string
  readonly headers: readonly string[]
}

/** Every answer that tells one target. */
export interface Face {
  readonly version: Answer
  readonly webapiVersion: Answer
  /** The same bytes on both paths. */
  readonly critical: Answer
}

/** A channel with every answer about it ready. Deeply frozen. */
export interface ServedChannel extends Face {
  readonly name: string
  readonly revision: number
  readonly target: Target
  readonly ramp: CohortTargets | null
  /** The answers for each cohort, while a ramp makes a difference between them; null: they are the channel's. */
  readonly cohorts: readonly Face[] | null
}

/** How long an agent or proxy waits before it asks again where there is nothing to serve yet. */
const RETRY_AFTER_S = 10

const TEXT = ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff'] as const

/** Answers that are about no channel of the snapshot. */
export interface CommonAnswers {
  /** To a path that is one of a channel. */
  readonly unknownChannel: Answer
}

/** To any other path. A cache that normalises paths would keep it for the path that it makes of this one (ADR 44). */
export const notFound = new Answer(404, ['Cache-Control', 'no-store'], 'not found')

export const methodNotAllowed = new Answer(
  405,
  [
    ...['Allow', 'GET, HEAD', 'Cache-Control', 'no-store'],
    // The body of such a request is not read; closing keeps what is left of it from being taken for a request.
    ...['Connection', 'close'],
  ],
  'method not allowed',
)

export const badRequest = new Answer(400, ['Cache-Control', 'no-store', 'Connection', 'close'], 'bad request')

export const noSnapshot = unavailable('no channel is loaded yet')

/** `maxAgeS` is how long they may be cached: as long as a 200, for the channel may be made. */
export function renderCommon(maxAgeS: number): CommonAnswers {
  return Object.freeze({ unknownChannel: new Answer(404, cacheable(maxAgeS), 'unknown channel') })
}

/** Renders every answer about one channel: all that is served of it follows from these. */
export function renderChannel(
  { name, revision }: Pick<ServedChannel, 'name' | 'revision'>,
  target: Target,
  maxAgeS: number,
  cohorts: CohortTargets | null = null,
): ServedChannel {
  const { version, webapiVersion, critical } = renderFace(name, revision, target, maxAgeS)
  const base = { name, revision, target: Object.freeze({ ...target }), version, webapiVersion, critical }
  if (cohorts === null) return Object.freeze({ ...base, ramp: null, cohorts: null })
  const { seed, percent } = cohorts
  const [early, late] = [Object.freeze({ ...cohorts.early }), Object.freeze({ ...cohorts.late })]
  const [reached, others] = [early, late].map((told) => renderFace(name, revision, told, maxAgeS)) as [Face, Face] // Of two.
  const faces = cohortRanks(seed).map((rank) => (rank < percent ? reached : others))
  return Object.freeze({
    ...base,
    ramp: Object.freeze({ seed, percent, early, late }),
    cohorts: Object.freeze(faces),
  })
}

function renderFace(name: string, revision: number, target: Target, maxAgeS: number): Face {
  const { version } = target
  // `v15.1.4` is a version too, but no answer: each path says itself whether there is a `v`.
  const isInstallable = version === null || (isVersion(version) && !version.startsWith('v'))
  if (target.because === 'unreadable' || !isInstallable) {
    // Agents hold on every path of it, and are never told what `default` serves.
    const broken = unavailable(`channel ${name} cannot be read`)
    return Object.freeze({ version: broken, webapiVersion: broken, critical: broken })
  }
  if (target.because === 'unanswered') {
    const waiting = unavailable(`channel ${name} has no answer from its upstream yet`)
    return Object.freeze({ version: waiting, webapiVersion: waiting, critical: waiting })
  }
  const render = (body: string): Answer => targetAnswer(body, revision, maxAgeS)
  if (version === null) {
    const headers = [...cacheable(maxAgeS), ...stamp(revision)]
    const held = new Answer(404, headers, `channel ${name} has no target version`)
    return Object.freeze({ version: held, webapiVersion: render('none'), critical: render('no') })
  }
  return Object.freeze({
    version: render(version),
    webapiVersion: render(`v${version}`),
    critical: render(target.critical ? 'yes' : 'no'),
  })
}

/**
 * Answers rendered lately. Nothing in a 200 names its channel, so channels at one version and revision have the same
 * answers: most of 100,000 channels share theirs.
 */
const lately = new Map<string, Answer>()
/** Forgotten as a whole when it is full: what is served is kept by the channels themselves. */
const LATELY_MAX = 10_000

function targetAnswer(body: string, revision: number, maxAgeS: number): Answer {
  const key = `${maxAgeS} ${revision} ${body}`
  const known = lately.get(key)
  if (known !== undefined) return known
  if (lately.size >= LATELY_MAX) lately.clear()
  const answer = ok(body, revision, maxAgeS)
  lately.set(key, answer)
  return answer
}

/** A version, `none`, `yes` or `no`: letters that may stand in an entity tag as they are, so the tag is the body. */
function ok(body: string, revision: number, maxAgeS: number): Answer {
  const etag = `"${body}"`
  const headers = [...cacheable(maxAgeS), 'ETag', etag, ...stamp(revision)]
  return new Answer(200, headers, body, { etag, headers })
}

function unavailable(body: string): Answer {
  return new Answer(503, ['Retry-After', String(RETRY_AFTER_S), 'Cache-Control', 'no-store'], body)
}

function cacheable(maxAgeS: number): readonly string[] {
  return ['Cache-Control', `public, max-age=${maxAgeS}`]
}

function stamp(revision: number): readonly string[] {
  return ['Bellwether-Revision', String(revision)]
}

function headOf(status: Status, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${REASONS[status]}\r\n`
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`
  // Put together from pieces, a text is kept as its pieces; through a buffer it becomes one, in a third of the memory.
  return Buffer.from(head, 'latin1').toString('latin1')
}

function headersIn(head: string): readonly string[] {
  const lines = head.split('\r\n').slice(1, -1)
  const headers = lines.flatMap((line) => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)]
  })
  return Object.freeze(headers)
}
