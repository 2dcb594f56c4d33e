// Asks the Prometheus of a gate and says whether the gate passes. Only hosts that are allowed are asked, at the moment of
// asking too: a list may have become shorter since the gate was made.
import type { Gate } from '../rollouts/pipeline.ts'
import type { GateReading } from '../rollouts/rollout.ts'
import { gateMistake, type GateAccess } from './gate-access.ts'
import { Outbound, type OutboundLog } from './outbound-request.ts'
import { readGateAnswer } from './prometheus-answer.ts'

/** A query that takes longer is too heavy to be asked again and again. */
const GATE_TIMEOUT_MS = 10_000
/** Enough for the series a gate may have, with long labels. */
export const GATE_BODY_BYTES_MAX = 1_048_576
/** Gates of several rollouts may be asked at one moment; Prometheus itself evaluates so many queries at once. */
const CONNECTIONS_PER_HOST_MAX = 20

export class GateClient {
  readonly #access: GateAccess
  readonly #outbound: Outbound

  constructor(access: GateAccess, timeoutMs = GATE_TIMEOUT_MS, log: OutboundLog | null = null) {
    this.#access = access
    this.#outbound = new Outbound(access.hosts, {
      timeoutMs,
      bodyBytesMax: GATE_BODY_BYTES_MAX,
      connectionsPerHostMax: CONNECTIONS_PER_HOST_MAX,
      // A connection that has died between two evaluations would be a failure of a gate that is fine.
      keepAlive: false,
      log,
    })
  }

  /** Asks once; never rejects. The query is asked under the path of `url`, whether that ends with a slash or not. */
  async evaluate(gate: Pick<Gate, 'url' | 'query' | 'op' | 'threshold' | 'secret'>): Promise<GateReading> {
    const { url, query, secret } = gate
    const mistake = gateMistake(this.#access, gate)
    if (mistake !== null) {
      const subject = mistake.field === 'url' ? 'the URL' : 'the secret'
      return { value: null, verdict: 'error', detail: `${subject} ${mistake.message}` }
    }
    const asked = new URL(url)
    asked.pathname = `${asked.pathname.replace(/\/$/, '')}/api/v1/query`
    asked.searchParams.set('query', query)
    // Thanos and VictoriaMetrics answer with what they have where a store is down, unless they are told not to.
    asked.searchParams.set('partial_response', 'false')
    asked.searchParams.set('deny_partial_response', '1')
    const { secrets } = this.#access
    const authorization = secret === undefined ? {} : secrets?.headers(secret, url)
    const redact = (text: string): string => (secret === undefined ? text : (secrets?.redact(secret, text) ?? text))
    const headers = { Accept: 'application/json', ...authorization }
    const reply = await this.#outbound.ask(asked.href, { method: 'GET', headers })
    if (reply.outcome === 'reply') {
      const { status, body } = reply
      if (status !== 200 || body !== null) return readGateAnswer(status, body ?? '', gate, redact)
      return { value: null, verdict: 'error', detail: `the query ${this.#outbound.unreadBody}` }
    }
    const verdict = reply.kind === 'timed out' ? 'timed out' : 'error'
    return { value: null, verdict, detail: `the query ${redact(reply.message)}` }
  }

  close(): void {
    this.#outbound.close()
  }
}
