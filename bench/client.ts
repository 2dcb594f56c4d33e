// A small HTTP client with connections that are kept: what updaters and operators use in the benches and crash tests.
import { Agent, request as sendRequest, type IncomingHttpHeaders } from 'node:http'

/** Nothing on this machine is this slow unless it hangs; then the run must end. */
const ANSWER_TIMEOUT_MS = 30_000

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export class Client {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent: Agent

  /** `token` is for the admin API; polls need none. */
  constructor(url: string, connectionsMax: number, token: string | null = null) {
    this.#url = url
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` }
    this.#agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })
  }

  /** Sends a request, with a JSON body where one is given; rejects where the connection breaks before the whole answer. */
  send(method: string, path: string, body?: object, more: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? null : JSON.stringify(body)
      const headers = {
        ...this.#headers,
        ...more,
        ...(text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      }
      const options = { method, headers, agent: this.#agent, timeout: ANSWER_TIMEOUT_MS }
      const request = sendRequest(`${this.#url}${path}`, options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0, headers: received } = response
          resolve({ status, headers: received, body: Buffer.concat(chunks).toString('utf8') })
        })
      })
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} was not answered in time`)))
      request.on('error', reject)
      request.end(text ?? undefined)
    })
  }

  get(path: string): Promise<Reply> {
    return this.send('GET', path)
  }

  /** Calls the admin API. */
  admin(method: string, path: string, body?: object, more: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.send(method, `/admin/v1${path}`, body, more)
  }

  close(): void {
    this.#agent.destroy()
  }
}
