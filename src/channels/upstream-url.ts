// The URL of a channel on another version server: which forms there are, and what is asked there.
import { parseChannelName } from './name.ts'
import { parsed, quoted, unparsed, type Parsed, type Unparsed } from './outcome.ts'

/** Long enough for any host and channel; a URL is shown in lists and stays in the journal. */
export const UPSTREAM_URL_LENGTH_MAX = 500

/** RFD 109, or the form that the Teleport proxy serves: versions with a `v`, and `none` for no version. */
export type UpstreamForm = 'rfd109' | 'webapi'

export interface UpstreamUrl {
  /** Without a slash at its end; `/version` and `/critical` are asked under it. */
  readonly url: string
  readonly form: UpstreamForm
  /** The host as URLs write it: lower case, an IPv6 address in brackets. */
  readonly hostname: string
  readonly port: number
}

const WEBAPI_PATH = /^((?:\/[^/]+)*?(?:\/v1)?\/webapi\/automaticupgrades\/channel)\/(.+)$/
const RFD109_PATH = /^((?:\/[^/]+)*?\/v1)\/(.+)$/
const FORMS = 'https://host/v1/<channel> or https://host/webapi/automaticupgrades/channel/<channel>'

/** Reads the URL of one channel. */
export function parseUpstreamUrl(text: string): Parsed<UpstreamUrl> | Unparsed {
  const base = parseBase(text)
  if (base.outcome === 'unparsed') return base
  const { url, path } = base.value
  const match = WEBAPI_PATH.exec(path) ?? RFD109_PATH.exec(path)
  if (match === null) return unparsed(`${quoted(text)} is no channel of a version server; it must be like ${FORMS}`)
  const name = parseChannelName(match[2] ?? '')
  if (name.outcome === 'unparsed') return unparsed(`${quoted(text)} names no channel: ${name.message}`)
  const form = WEBAPI_PATH.test(path) ? 'webapi' : 'rfd109'
  return parsed({ url: url.origin + path, form, hostname: url.hostname, port: portOf(url) })
}

/** The URL of channel `name` on the server at `base`: a host alone, one with `/v1`, or the webapi form up to `channel`. */
export function upstreamUrlOf(base: string, name: string): Parsed<UpstreamUrl> | Unparsed {
  const read = parseBase(base)
  if (read.outcome === 'unparsed') return read
  const { url, path } = read.value
  const isBase = /\/(?:v1|channel)$/.test(path)
  return parseUpstreamUrl(`${url.origin}${path}${isBase ? '' : '/v1'}/${name}`)
}

function parseBase(text: string): Parsed<{ readonly url: URL; readonly path: string }> | Unparsed {
  if (text.length > UPSTREAM_URL_LENGTH_MAX) return unparsed(`is longer than ${UPSTREAM_URL_LENGTH_MAX} characters`)
  if (/[\s\\]/.test(text) || !URL.canParse(text))
    return unparsed(`${quoted(text)} is not a URL; it must be like ${FORMS}`)
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return unparsed(`${quoted(text)} must begin with https:// or http://`)
  }
  // The whole URL is shown to every viewer and kept in the journal.
  if (url.username !== '' || url.password !== '') return unparsed('must not have a user or password in it')
  if (url.search !== '' || url.hash !== '') return unparsed(`${quoted(text)} must not have a query or a fragment`)
  return parsed({ url, path: url.pathname.replace(/\/$/, '') })
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port)
  return protocol === 'https:' ? 443 : 80
}
