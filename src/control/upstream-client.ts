// Asks an upstream for one channel's target. What it says is believed only where it is certain: a 200 with a version, or
// one of the words that version servers have; everything else is a problem in words.
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, get as httpsGet } from 'node:https'
import { readUpstreamCritical, readUpstreamVersion, saysNoTarget } from '../channels/upstream-answer.ts'
import { parseUpstreamUrl } from '../channels/upstream-url.ts'
import type { UpstreamHosts } from './upstream-hosts.ts'

/** A version server answers from memory; one that takes longer is down. For the whole of one request. */
const UPSTREAM_TIMEOUT_MS = 5_000
/** A version is at most 256 characters; whoever sends more is no version server. */
export const UPSTREAM_BODY_BYTES_MAX = 1_024
const UPSTREAM_HEAD_BYTES_MAX = 16 * 1_024
/** Entity tags kept for conditional requests; two for each channel. */
const TAGS_MAX = 20_000
const CONNECTIONS_PER_HOST_MAX = 8

export interface UpstreamTarget {
  readonly version: string | null
  readonly critical: boolean
}

export type UpstreamAnswer =
  | ({ readonly outcome: 'answered' } & UpstreamTarget)
  | { readonly outcome: 'problem'; readonly kind: 'unreachable' | 'invalid'; readonly message: string }
  /** It changed while it was being asked; asked again later, it gives one of the two. */
  | { readonly outcome: 'changing' }

type Reply =
  | { readonly outcome: 'reply'; readonly status: number; readonly body: string }
  | { readonly outcome: 'problem'; readonly kind: 'unreachable' | 'invalid'; readonly message: string }

type Read<T> = { readonly outcome: 'read'; readonly value: T } | Extract<UpstreamAnswer, { outcome: 'problem' }>

const NOT_CRITICAL = { outcome: 'read', value: false } as const

export class UpstreamClient {
  readonly #hosts: UpstreamHosts
  readonly #timeoutMs: number
  readonly #agents: { readonly 'http:': HttpAgent; readonly 'https:': HttpsAgent }
  /** The last 200 of each URL that had an entity tag. */
  readonly #tagged = new Map<string, { readonly etag: string; readonly body: string }>()

  constructor(hosts: UpstreamHosts, timeoutMs = UPSTREAM_TIMEOUT_MS) {
    this.#hosts = hosts
    this.#timeoutMs = timeoutMs
    const options = { keepAlive: true, maxSockets: CONNECTIONS_PER_HOST_MAX, maxFreeSockets: 1, lookup: hosts.lookup }
    this.#agents = { 'http:': new HttpAgent(options), 'https:': new HttpsAgent(options) }
  }

  /**
   * The target of the channel at `url` now. Version and critical are two requests: where they differ from what is known,
   * the version is asked once more, so that no pair is of two states.
   */
  async ask(url: string, known: UpstreamTarget): Promise<UpstreamAnswer> {
    const upstream = parseUpstreamUrl(url)
    if (upstream.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: upstream.message }
    const refused = this.#hosts.refusal(upstream.value)
    if (refused !== null) return { outcome: 'problem', kind: 'unreachable', message: `${url} ${refused}` }
    const version = await this.#version(url)
    if (version.outcome !== 'read') return version
    const critical = version.value === null ? NOT_CRITICAL : await this.#critical(url)
    if (critical.outcome !== 'read') return critical
    const answer = { version: version.value, critical: critical.value }
    if (answer.version !== known.version || answer.critical !== known.critical) {
      const again = await this.#version(url)
      if (again.outcome !== 'read') return again
      if (again.value !== answer.version) return { outcome: 'changing' }
    }
    return { outcome: 'answered', ...answer }
  }

  close(): void {
    this.#agents['http:'].destroy()
    this.#agents['https:'].destroy()
    this.#tagged.clear()
  }

  async #version(url: string): Promise<Read<string | null>> {
    const reply = await this.#get(`${url}/version`)
    if (reply.outcome === 'problem') return reply
    const { status, body } = reply
    if (status === 404 && saysNoTarget(body)) return { outcome: 'read', value: null }
    if (status !== 200) return { outcome: 'problem', kind: 'invalid', message: `/version is answered ${status}` }
    const read = readUpstreamVersion(body)
    if (read.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: read.message }
    return { outcome: 'read', value: read.value }
  }

  /** A flag that cannot be had is `no`: urgency overrules maintenance windows, so it must be said in so many words. */
  async #critical(url: string): Promise<Read<boolean>> {
    const reply = await this.#get(`${url}/critical`)
    if (reply.outcome === 'problem' || reply.status !== 200) return NOT_CRITICAL
    const read = readUpstreamCritical(reply.body)
    if (read.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: read.message }
    return { outcome: 'read', value: read.value }
  }

  /** One request, without redirects; never rejects. */
  async #get(url: string): Promise<Reply> {
    const tagged = this.#tagged.get(url)
    const signal = AbortSignal.timeout(this.#timeoutMs)
    const path = url.slice(url.lastIndexOf('/'))
    try {
      const response = await this.#request(url, tagged?.etag ?? null, signal)
      if (response.statusCode === 304 && tagged !== undefined) {
        response.resume()
        return { outcome: 'reply', status: 200, body: tagged.body }
      }
      const body = await bodyOf(response)
      if (body === null) {
        const message = `${path} is answered with more than ${UPSTREAM_BODY_BYTES_MAX} bytes, or encoded`
        return { outcome: 'problem', kind: 'invalid', message }
      }
      this.#remember(url, response, body)
      return { outcome: 'reply', status: response.statusCode ?? 0, body }
    } catch (error) {
      const message = signal.aborted ? `${path} was not answered in ${this.#timeoutMs / 1_000} s` : wordsOf(error)
      return { outcome: 'problem', kind: 'unreachable', message }
    }
  }

  #request(url: string, etag: string | null, signal: AbortSignal): Promise<IncomingMessage> {
    const isTls = url.startsWith('https:')
    const options = {
      agent: isTls ? this.#agents['https:'] : this.#agents['http:'],
      headers: {
        Accept: 'text/plain',
        'User-Agent': 'bellwether',
        ...(etag === null ? {} : { 'If-None-Match': etag }),
      },
      maxHeaderSize: UPSTREAM_HEAD_BYTES_MAX,
      signal,
    }
    return new Promise((resolve, reject) => {
      const request = isTls ? httpsGet(url, options, resolve) : httpGet(url, options, resolve)
      request.on('error', reject)
    })
  }

  #remember(url: string, { statusCode, headers }: IncomingMessage, body: string): void {
    this.#tagged.delete(url)
    if (statusCode !== 200 || headers.etag === undefined) return
    // The oldest goes; forgetting one only costs a whole answer.
    if (this.#tagged.size >= TAGS_MAX) this.#tagged.delete(this.#tagged.keys().next().value ?? '')
    this.#tagged.set(url, { etag: headers.etag, body })
  }
}

/** A response's body, null where it is longer than any answer or in an encoding that was not asked for. */
async function bodyOf(response: IncomingMessage): Promise<string | null> {
  const encoding = response.headers['content-encoding']
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    // Without an encoding set, a response gives Buffers.
    const part = chunk as Buffer
    bytes += part.length
    if (bytes > UPSTREAM_BODY_BYTES_MAX) break
    chunks.push(part)
  }
  if (bytes > UPSTREAM_BODY_BYTES_MAX || (encoding !== undefined && encoding !== 'identity')) {
    response.destroy()
    return null
  }
  return Buffer.concat(chunks).toString('utf8')
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A host with several addresses fails with one error for each, and no words of its own.
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join('; ')
  return error.message === '' ? error.name : error.message
}
