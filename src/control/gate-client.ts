// Asks the Prometheus of a gate and says whether the gate passes. Only hosts that are allowed are asked, at the moment of
// asking too: a list may have become shorter since the gate was made.
import type { Gate } from '../rollouts/pipeline.ts'
import type { GateReading } from '../rollouts/rollout.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { Outbound, type OutboundLog } from './outbound-request.ts'
import { readGateAnswer } from './prometheus-answer.ts'

/** A query that takes longer is too heavy to be asked again and again. */
const GATE_TIMEOUT_MS = 10_000
/** Enough for the series a gate may have, with long labels. */
export const GATE_BODY_BYTES_MAX = 1_048_576
/** Gates of several rollouts may be asked at one moment; Prometheus itself evaluates so many queries at once. */
const CONNECTIONS_PER_HOST_MAX = 20

export class GateClient {
  readonly #hosts: AllowedHosts
  readonly #outbound: Outbound

  constructor(hosts: AllowedHosts, timeoutMs = GATE_TIMEOUT_MS, log: OutboundLog | null = null) {
    this.#hosts = hosts
    this.#outbound = new Outbound(hosts, {
      timeoutMs,
      bodyBytesMax: GATE_BODY_BYTES_MAX,
      connectionsPerHostMax: CONNECTIONS_PER_HOST_MAX,
      // A connection that has died between two evaluations would be a failure of a gate that is fine.
      keepAlive: false,
      log,
    })
  }

  /** Why a gate may not have this URL, as the rest of a sentence about it; null where it may. */
  refusal(url: string): string | null {
    return this.#hosts.urlRefusal(url) ?? (/[?#]/.test(url) ? 'must not have a query or a fragment' : null)
  }

  /** Asks once; never rejects. The query is asked under the path of `url`, whether that ends with a slash or not. */
  async evaluate({ url, query, ...rule }: Pick<Gate, 'url' | 'query' | 'op' | 'threshold'>): Promise<GateReading> {
    const refused = this.refusal(url)
    // Without the URL itself, which may be refused for the password in it.
    if (refused !== null) return { value: null, verdict: 'error', detail: `the URL ${refused}` }
    const asked = new URL(url)
    asked.pathname = `${asked.pathname.replace(/\/$/, '')}/api/v1/query`
    asked.searchParams.set('query', query)
    const reply = await this.#outbound.ask(asked.href, { method: 'GET', headers: { Accept: 'application/json' } })
    if (reply.outcome === 'reply') return readGateAnswer(reply.status, reply.body, rule)
    const verdict = reply.kind === 'timed out' ? 'timed out' : 'error'
    return { value: null, verdict, detail: `the query ${reply.message}` }
  }

  close(): void {
    this.#outbound.close()
  }
}
