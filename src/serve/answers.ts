// The answers of the poll plane, byte for byte (DESIGN §3). They are rendered when a change is published, never per poll.
import type { Channel } from '../channels/channel.ts'
import type { Target } from '../channels/target.ts'
import { isVersion } from '../channels/version.ts'

/** One whole answer: status, headers as a flat list of names and values, and the body. Frozen. */
export interface Answer {
  readonly status: 200 | 400 | 404 | 405 | 503
  readonly headers: readonly string[]
  readonly body: string
  /** The entity tag and the 304's headers; null where an answer has no tag and is always given whole. */
  readonly revalidation: { readonly etag: string; readonly headers: readonly string[] } | null
}

/** A channel with every answer about it ready. Deeply frozen. */
export interface ServedChannel {
  readonly name: string
  readonly revision: number
  readonly target: Target
  readonly version: Answer
  readonly webapiVersion: Answer
  /** The same bytes on both paths. */
  readonly critical: Answer
}

/** How long an agent or proxy waits before it asks again where there is nothing to serve yet. */
const RETRY_AFTER_S = 10

const TEXT = ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff'] as const

/** Answers that are about no channel. `maxAgeS` is how long they may be cached. */
export interface CommonAnswers {
  readonly unknownChannel: Answer
  readonly notFound: Answer
}

export const methodNotAllowed = plain(405, 'method not allowed', [
  ...['Allow', 'GET, HEAD', 'Cache-Control', 'no-store'],
  // The body of such a request is not read; closing keeps what is left of it from being taken for a request.
  ...['Connection', 'close'],
])

export const missingHost = plain(400, 'bad request', ['Cache-Control', 'no-store', 'Connection', 'close'])

export const noSnapshot = unavailable('no channel is loaded yet')

export function renderCommon(maxAgeS: number): CommonAnswers {
  return Object.freeze({
    unknownChannel: plain(404, 'unknown channel', cacheable(maxAgeS)),
    notFound: plain(404, 'not found', cacheable(maxAgeS)),
  })
}

/** Renders every answer about one channel. */
export function renderChannel(channel: Channel, revision: number, target: Target, maxAgeS: number): ServedChannel {
  const { name } = channel
  const { version } = target
  const base = { name, revision, target: Object.freeze({ ...target }) }
  // `v15.1.4` is a version too, but no answer: each path says itself whether there is a `v`.
  if (version !== null && (!isVersion(version) || version.startsWith('v'))) {
    // Guards keep this from being stored. Should a store ever hold it, an agent must not be told to install it.
    const broken = unavailable(`channel ${name} has a target that is not a version`)
    return Object.freeze({ ...base, version: broken, webapiVersion: broken, critical: broken })
  }
  if (target.because === 'unanswered') {
    const waiting = unavailable(`channel ${name} has no answer from its upstream yet`)
    return Object.freeze({ ...base, version: waiting, webapiVersion: waiting, critical: waiting })
  }
  const render = (body: string): Answer => ok(body, revision, maxAgeS)
  if (version === null) {
    const held = plain(404, `channel ${name} has no target version`, [...cacheable(maxAgeS), ...stamp(revision)])
    return Object.freeze({ ...base, version: held, webapiVersion: render('none'), critical: render('no') })
  }
  return Object.freeze({
    ...base,
    version: render(version),
    webapiVersion: render(`v${version}`),
    critical: render(target.critical ? 'yes' : 'no'),
  })
}

/** A version, `none`, `yes` or `no`: letters that may stand in an entity tag as they are, so the tag is the body. */
function ok(body: string, revision: number, maxAgeS: number): Answer {
  const etag = `"${body}"`
  const shared = [...cacheable(maxAgeS), 'ETag', etag, ...stamp(revision)]
  return Object.freeze({
    status: 200,
    headers: Object.freeze([...TEXT, ...shared, 'Content-Length', String(body.length)]),
    body,
    revalidation: Object.freeze({ etag, headers: Object.freeze(shared) }),
  })
}

function unavailable(body: string): Answer {
  return plain(503, body, ['Retry-After', String(RETRY_AFTER_S), 'Cache-Control', 'no-store'])
}

function plain(status: 400 | 404 | 405 | 503, body: string, headers: readonly string[]): Answer {
  const all = [...TEXT, ...headers, 'Content-Length', String(body.length)]
  return Object.freeze({ status, headers: Object.freeze(all), body, revalidation: null })
}

function cacheable(maxAgeS: number): readonly string[] {
  return ['Cache-Control', `public, max-age=${maxAgeS}`]
}

function stamp(revision: number): readonly string[] {
  return ['Bellwether-Revision', String(revision)]
}
