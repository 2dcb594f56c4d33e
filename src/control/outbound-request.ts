// One request of the server's own to another: never to a host that is not allowed, without redirects, with one limit for the
// time of all of it and one for the body. Nothing here rejects; whatever is not an answer is a problem in words.
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { escapeUnsafe } from '../channels/unsafe-text.ts'
import type { AllowedHosts } from './allowed-hosts.ts'

const HEAD_BYTES_MAX = 16 * 1_024
/** Of an error's words, which may be about a certificate with hundreds of names. */
const WORDS_LENGTH_MAX = 300

/**
 * Codes of a TLS connection that was not trusted: of Node.js itself, and of OpenSSL's verification, whose names Node.js takes over
 * (https://nodejs.org/api/tls.html#x509-certificate-error-codes).
 */
const TLS_CODE =
  /^(?:ERR_TLS_\w+|UNABLE_TO_\w+|\w*CERT_\w+|\w+_CERT|CRL_\w+|ERROR_IN_\w+_FIELD|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/

/** Where an error goes with the addresses that no answer of the API may have. */
export interface OutboundLog {
  debug(fields: object, message: string): void
}

export interface OutboundOptions {
  /** For the whole of one request, from looking up the host to the last byte of the body. */
  readonly timeoutMs: number
  readonly bodyBytesMax: number
  /** More requests than these wait for each other, within their own time. */
  readonly connectionsPerHostMax: number
  /** Whether a connection is kept for the next request: for who asks the same server several times in a row. */
  readonly keepAlive: boolean
  /** null where nobody wants to know more than the problem says. */
  readonly log: OutboundLog | null
}

export interface OutboundRequest {
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
}

export interface OutboundReply {
  readonly outcome: 'reply'
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /**
   * Empty where only the head was asked for; null where it is longer than the limit, encoded, or did not come. The status says what
   * the answer is: look at it first.
   */
  readonly body: string | null
}

export interface OutboundProblem {
  readonly outcome: 'problem'
  /** Not allowed, too late, or no HTTP answer at all. */
  readonly kind: 'refused' | 'timed out' | 'failed'
  /** The rest of a sentence about the URL. */
  readonly message: string
}

export class Outbound {
  readonly #hosts: AllowedHosts
  readonly #options: OutboundOptions
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent }

  constructor(hosts: AllowedHosts, options: OutboundOptions) {
    this.#hosts = hosts
    this.#options = options
    const { keepAlive, connectionsPerHostMax: maxSockets } = options
    const agentOptions = { keepAlive, maxSockets, maxFreeSockets: 1, lookup: hosts.lookup }
    this.#agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) }
  }

  /** Asks once; never rejects. Hosts are refused here, so that no caller can forget to. */
  async ask(text: string, request: OutboundRequest): Promise<OutboundReply | OutboundProblem> {
    const refused = this.#hosts.urlRefusal(text)
    if (refused !== null) return problem('refused', refused)
    const { timeoutMs, bodyBytesMax } = this.#options
    const signal = AbortSignal.timeout(timeoutMs)
    const url = new URL(text)
    try {
      const response = await this.#send(url, request, signal)
      const { statusCode: status = 0, headers } = response
      const body = await bodyOf(response, bodyBytesMax).catch((error: unknown) => {
        // An error page that breaks off is an error all the same.
        if (status === 200) throw error
        return null
      })
      return { outcome: 'reply', status, headers, body }
    } catch (error) {
      const why = messagesOf(error).join('; ').slice(0, WORDS_LENGTH_MAX)
      this.#options.log?.debug({ host: url.host, why }, 'a server could not be asked')
      if (signal.aborted) return problem('timed out', `was not answered in ${timeoutMs / 1_000} s`)
      return problem('failed', `could not be asked: ${wordsOf(error).slice(0, WORDS_LENGTH_MAX)}`)
    }
  }

  /** What is wrong with a 200 that has no body here, as the rest of a sentence about the URL. */
  get unreadBody(): string {
    return `is answered with more than ${this.#options.bodyBytesMax} bytes, or encoded`
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  #send(url: URL, { method, headers }: OutboundRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const isTls = url.protocol === 'https:'
    const options = {
      method,
      agent: isTls ? this.#agents.https : this.#agents.http,
      headers: { ...headers, 'User-Agent': 'bellwether' },
      maxHeaderSize: HEAD_BYTES_MAX,
      // Where the environment has switched the check of certificates off, a secret would go to whoever takes the connection.
      ...('Authorization' in headers && { rejectUnauthorized: true }),
      signal,
    }
    return new Promise((resolve, reject) => {
      const request = isTls ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve)
      request.on('error', reject)
      request.end()
    })
  }
}

/** The other side can have a part in the words of an error. */
function problem(kind: OutboundProblem['kind'], message: string): OutboundProblem {
  return { outcome: 'problem', kind, message: escapeUnsafe(message) }
}

/** A response's body, null where it is longer than the limit or in an encoding that was not asked for. */
async function bodyOf(response: IncomingMessage, bytesMax: number): Promise<string | null> {
  const encoding = response.headers['content-encoding']
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    // Without an encoding set, a response gives Buffers.
    const part = chunk as Buffer
    bytes += part.length
    if (bytes > bytesMax) break
    chunks.push(part)
  }
  // The head of an answer without a body may say how the body would have been encoded.
  if (bytes > bytesMax || (bytes > 0 && encoding !== undefined && encoding !== 'identity')) {
    response.destroy()
    return null
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * An error in words for whoever reads rollouts and channels: without the address that the host's name was resolved to, and
 * without the names that a certificate is made out to, which tell of the inside of a network.
 */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A host with several addresses fails with one error for each, and no words of its own.
  if (error instanceof AggregateError) return [...new Set(error.errors.map(wordsOf))].join('; ')
  // Where Node names the address beside its message, the message has it too: `connect ECONNREFUSED 10.0.0.7:9090`.
  const { syscall, code, address } = error as NodeJS.ErrnoException & { readonly address?: string } // All may be missing.
  if (address !== undefined) return `${syscall} ${code}`
  if (code !== undefined && TLS_CODE.test(code)) return `the TLS connection was not trusted: ${code}`
  return error.message === '' ? error.name : error.message
}

/** The same for the log, with all that the error and what has caused it say. */
function messagesOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [String(error)]
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : []
  const causes = error.cause === undefined ? [] : [error.cause]
  return [error.message === '' ? error.name : error.message, ...[...parts, ...causes].flatMap(messagesOf)]
}
