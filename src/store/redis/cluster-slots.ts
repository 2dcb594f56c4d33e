// How a Cluster client learns which server has which slots. ioredis drops why a server could not be asked, and servers without an
// endpoint of their own (cluster-preferred-endpoint-type unknown-endpoint), which are at the address that was asked.
import type { Cluster, Redis, RedisOptions } from 'ioredis'

type Callback = (error?: Error | null, result?: unknown) => void
type Refresh = (node: Redis | null, callback: Callback) => void

/** What of ioredis has no types: the private step that asks one node, checked at the start. */
interface Asking {
  getInfoFromNode: Refresh
}

/** `failed` is called with each reason why a connection to a node could not be made. */
export function watchSlots(client: Cluster, failed: (message: string) => void): void {
  // It is a private method, so the types do not have it.
  const asking = client as unknown as Asking
  const ask = asking.getInfoFromNode.bind(client)
  asking.getInfoFromNode = (node, callback) => ask(node === null ? null : watched(node, failed), callback)
}

/** The address of a server that has told only its port in a redirection; null for any other, which is where it says. */
export function endpointless(host: string, key: string): { host: string; port: number } | null {
  return key.startsWith(':') ? { host, port: Number(key.slice(1)) } : null
}

/** The same node, whose copies report what is wrong with them and name the host that was asked where a server names none. */
function watched(node: Redis, failed: (message: string) => void): Redis {
  const duplicate = (options?: Partial<RedisOptions>): Redis => {
    const copy = node.duplicate(options)
    const { host = '', port = 0 } = copy.options
    copy.on('error', ({ message }: Error) => failed(`${host}:${port}: ${message}`))
    const cluster = copy.cluster.bind(copy) as (command: string, callback: Callback) => unknown // One of its forms.
    const asked = (command: string, callback: Callback): unknown =>
      cluster(command, (error, result) => callback(error, withHosts(result, host)))
    return Object.assign(copy, { cluster: asked })
  }
  return new Proxy(node, {
    get: (target, name) => (name === 'duplicate' ? duplicate : Reflect.get(target, name, target)),
  })
}

/** The reply to CLUSTER SLOTS: `[first, last, [host, port, …], …]` for each range. */
function withHosts(reply: unknown, host: string): unknown {
  if (!Array.isArray(reply)) return reply
  return reply.map((range: unknown) =>
    Array.isArray(range)
      ? range.map((part: unknown) => (isEndpointless(part) ? [host, ...part.slice(1)] : part))
      : range,
  )
}

function isEndpointless(part: unknown): part is readonly unknown[] {
  return Array.isArray(part) && (part[0] === null || part[0] === '')
}
