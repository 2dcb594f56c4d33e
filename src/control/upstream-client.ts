// Asks an upstream for one channel's target. What it says is believed only where it is certain: a 200 with a version, or
// one of the words that version servers have; everything else is a problem in words.
import { readUpstreamCritical, readUpstreamVersion, saysNoTarget } from '../channels/upstream-answer.ts'
import { parseUpstreamUrl } from '../channels/upstream-url.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { Outbound, type OutboundLog, type OutboundReply } from './outbound-request.ts'

/** A version server answers from memory; one that takes longer is down. For the whole of one request. */
const UPSTREAM_TIMEOUT_MS = 5_000
/** A version is at most 256 characters; whoever sends more is no version server. */
export const UPSTREAM_BODY_BYTES_MAX = 1_024
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

type Problem = Extract<UpstreamAnswer, { outcome: 'problem' }>

type Reply = Pick<OutboundReply, 'outcome' | 'status' | 'body'> | Problem

type Read<T> = { readonly outcome: 'read'; readonly value: T } | Problem

const NOT_CRITICAL = { outcome: 'read', value: false } as const

export class UpstreamClient {
  readonly #outbound: Outbound
  /** The last 200 of each URL that had an entity tag. */
  readonly #tagged = new Map<string, { readonly etag: string; readonly body: string }>()

  constructor(hosts: AllowedHosts, timeoutMs = UPSTREAM_TIMEOUT_MS, log: OutboundLog | null = null) {
    this.#outbound = new Outbound(hosts, {
      timeoutMs,
      bodyBytesMax: UPSTREAM_BODY_BYTES_MAX,
      connectionsPerHostMax: CONNECTIONS_PER_HOST_MAX,
      keepAlive: true,
      log,
    })
  }

  /**
   * The target of the channel at `url` now. Version and critical are two requests: where they differ from what is known,
   * the version is asked once more, so that no pair is of two states.
   */
  async ask(url: string, known: UpstreamTarget): Promise<UpstreamAnswer> {
    const upstream = parseUpstreamUrl(url)
    if (upstream.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: upstream.message }
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
    this.#outbound.close()
    this.#tagged.clear()
  }

  async #version(url: string): Promise<Read<string | null>> {
    const reply = await this.#get(`${url}/version`)
    if (reply.outcome === 'problem') return reply
    const { status, body } = reply
    if (status === 404 && body !== null && saysNoTarget(body)) return { outcome: 'read', value: null }
    if (status !== 200) return { outcome: 'problem', kind: 'invalid', message: `/version is answered ${status}` }
    if (body === null) {
      return { outcome: 'problem', kind: 'invalid', message: `/version ${this.#outbound.unreadBody}` }
    }
    const read = readUpstreamVersion(body)
    if (read.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: read.message }
    return { outcome: 'read', value: read.value }
  }

  /** A flag that cannot be had is `no`: urgency overrules maintenance windows, so it must be said in so many words. */
  async #critical(url: string): Promise<Read<boolean>> {
    const reply = await this.#get(`${url}/critical`)
    if (reply.outcome === 'problem' || reply.status !== 200 || reply.body === null) return NOT_CRITICAL
    const read = readUpstreamCritical(reply.body)
    if (read.outcome === 'unparsed') return { outcome: 'problem', kind: 'invalid', message: read.message }
    return { outcome: 'read', value: read.value }
  }

  /** One request; never rejects. */
  async #get(url: string): Promise<Reply> {
    const tagged = this.#tagged.get(url)
    const condition = tagged === undefined ? {} : { 'If-None-Match': tagged.etag }
    const reply = await this.#outbound.ask(url, { method: 'GET', headers: { Accept: 'text/plain', ...condition } })
    if (reply.outcome === 'problem') {
      const subject = reply.kind === 'refused' ? url : url.slice(url.lastIndexOf('/'))
      return { outcome: 'problem', kind: 'unreachable', message: `${subject} ${reply.message}` }
    }
    if (reply.status === 304 && tagged !== undefined) return { outcome: 'reply', status: 200, body: tagged.body }
    this.#remember(url, reply)
    return reply
  }

  #remember(url: string, { status, headers, body }: OutboundReply): void {
    this.#tagged.delete(url)
    if (status !== 200 || body === null || headers.etag === undefined) return
    // The oldest goes; forgetting one only costs a whole answer.
    if (this.#tagged.size >= TAGS_MAX) this.#tagged.delete(this.#tagged.keys().next().value ?? '')
    this.#tagged.set(url, { etag: headers.etag, body })
  }
}
