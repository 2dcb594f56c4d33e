// Why a Sentinel could not be asked: ioredis drops it, and says only that the connection is closed.
import type { Redis } from 'ioredis'

type Connect = (endpoint: { readonly host?: string; readonly port?: number }, options?: object) => Redis

/** What of ioredis has no types: the private step that connects to one Sentinel. */
interface Asking {
  readonly connector: { connectToSentinel: Connect }
}

/** `failed` is called with each reason why a connection to a Sentinel could not be made. */
export function watchSentinels(client: Redis, failed: (message: string) => void): void {
  // The connector is protected, so the types do not have it.
  const { connector } = client as unknown as Asking
  const connect = connector.connectToSentinel.bind(connector)
  connector.connectToSentinel = (endpoint, options) => {
    const sentinel = connect(endpoint, options)
    sentinel.on('error', ({ message }: Error) => failed(`Sentinel ${endpoint.host}:${endpoint.port}: ${message}`))
    return sentinel
  }
}
