// Opening a listener, with one line that says what to do where it cannot be opened, and closing it in time.
import type { FastifyInstance } from 'fastify'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Listen } from './config.ts'

/** A client that has not finished its request by then is cut off, so that there is time to close the rest in order. */
const PLANE_GRACE_MS = 5_000

/**
 * After a drain, open connections have this long for one more request, whose answer ends them. A connection that the server ends
 * can have a request on its way, which is lost; busy proxies use every connection that they keep within a second.
 */
const LAST_REQUEST_MS = 1_000
const LAST_REQUEST_CHECK_MS = 50

/** Listens, and gives the address as a URL without a slash at the end. Throws an error of one line. */
export async function listen(
  plane: FastifyInstance,
  { host, port }: Listen,
  name: 'POLL' | 'CONTROL' | 'METRICS',
  scheme: 'http' | 'https' = 'http',
): Promise<string> {
  try {
    await plane.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: `port ${port} on ${host} is in use by another program; stop it, or set BELLWETHER_${name}_PORT`,
      EACCES: `port ${port} may not be opened by this user; set BELLWETHER_${name}_PORT to 1024 or more`,
      EADDRNOTAVAIL: `${host} is no address of this machine; set BELLWETHER_${name}_HOST`,
      ENOTFOUND: `${host} is no known host; set BELLWETHER_${name}_HOST`,
    }
    const why = reasons[code] ?? (error instanceof Error ? error.message : String(error))
    throw new Error(`the ${name.toLowerCase()} plane cannot listen: ${why}`, { cause: error })
  }
  // A TCP server that listens has an AddressInfo.
  const address = plane.server.address() as AddressInfo
  return `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

/** Closes a plane whose answers end their connections by now; `hasDrained` gives open connections a last request. */
export async function closePlane(plane: FastifyInstance, hasDrained: boolean): Promise<void> {
  const cutOff = setTimeout(() => plane.server.closeAllConnections(), PLANE_GRACE_MS)
  if (hasDrained) await lastRequests(plane.server)
  await plane.close()
  clearTimeout(cutOff)
}

/** Resolves once no connection is open, or when LAST_REQUEST_MS are over. */
async function lastRequests(server: Server): Promise<void> {
  const openConnections = promisify(server.getConnections.bind(server))
  for (let waitedMs = 0; waitedMs < LAST_REQUEST_MS; waitedMs += LAST_REQUEST_CHECK_MS) {
    if ((await openConnections()) === 0) return
    await pause(LAST_REQUEST_CHECK_MS)
  }
}
