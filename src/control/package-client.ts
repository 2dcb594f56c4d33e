// Finds out whether packages are where a release says: each URL is asked for its head, and only a 200 is a package.
import { Limiter } from '../lib/limiter.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { Outbound, type OutboundLog } from './outbound-request.ts'

/** One for each system, architecture and form that an agent may be packed in, with room to spare. */
export const PACKAGE_URLS_MAX = 50
/** A URL is kept with the release and shown in lists. */
export const PACKAGE_URL_LENGTH_MAX = 1_000
const PACKAGE_TIMEOUT_MS = 10_000
/** So that a release with many packages is checked soon, and no host is flooded by it. */
const REQUESTS_AT_ONCE_MAX = 10

export interface PackageCheck {
  readonly url: string
  /** The rest of a sentence about the URL; null where the package was found. */
  readonly problem: string | null
  /** Whether nobody was asked, since this server may not: that says nothing of the package. */
  readonly isRefused?: boolean
}

export class PackageClient {
  readonly #hosts: AllowedHosts
  readonly #outbound: Outbound

  constructor(hosts: AllowedHosts, timeoutMs = PACKAGE_TIMEOUT_MS, log: OutboundLog | null = null) {
    this.#hosts = hosts
    this.#outbound = new Outbound(hosts, {
      timeoutMs,
      // The answer to HEAD has no body.
      bodyBytesMax: 0,
      connectionsPerHostMax: REQUESTS_AT_ONCE_MAX,
      keepAlive: false,
      log,
    })
  }

  /** Asks for each URL once; never rejects. The checks are in the order of the URLs. */
  async check(urls: readonly string[]): Promise<readonly PackageCheck[]> {
    const checks: PackageCheck[] = []
    const requests = new Limiter(REQUESTS_AT_ONCE_MAX)
    for (const [index, url] of urls.entries()) {
      requests.run(async () => {
        checks[index] = await this.#checkOne(url)
      })
    }
    await requests.idle()
    return checks
  }

  close(): void {
    this.#outbound.close()
  }

  async #checkOne(url: string): Promise<PackageCheck> {
    const problem = await this.#problemOf(url)
    return this.#hosts.urlRefusal(url) === null ? { url, problem } : { url, problem, isRefused: true }
  }

  async #problemOf(url: string): Promise<string | null> {
    if (url.length > PACKAGE_URL_LENGTH_MAX) return `is longer than ${PACKAGE_URL_LENGTH_MAX} characters`
    const reply = await this.#outbound.ask(url, { method: 'HEAD', headers: { Accept: '*/*' } })
    if (reply.outcome === 'problem') return reply.message
    const { status } = reply
    if (status === 200) return null
    // Where it leads may change after the check, and may be a host that nobody has allowed.
    if (status >= 300 && status < 400)
      return `is answered ${status}, a redirect; give the URL that it leads to in the end`
    return `is answered ${status}`
  }
}
