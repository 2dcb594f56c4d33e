// Opening a listener, with one line that says what to do where it cannot be opened, and closing it in time.
import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Listen } from './config.ts'

/** A client that has not finished its request by then is cut off, so that there is time to close the rest in order. */
const PLANE_GRACE_MS = 5_000

/** Listens, and gives the address as a URL without a slash at the end. Throws an error of one line. */
export async function listen(
  plane: FastifyInstance,
  { host, port }: Listen,
  name: 'POLL' | 'CONTROL',
  scheme: 'http' | 'https' = 'http',
): Promise<string> {
  try {
    await plane.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const plain = name === 'POLL' ? 'poll plane' : 'control plane'
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: `port ${port} on ${host} is in use by another program; stop it, or set BELLWETHER_${name}_PORT`,
      EACCES: `port ${port} may not be opened by this user; set BELLWETHER_${name}_PORT to 1024 or more`,
      EADDRNOTAVAIL: `${host} is no address of this machine; set BELLWETHER_${name}_HOST`,
      ENOTFOUND: `${host} is no known host; set BELLWETHER_${name}_HOST`,
    }
    const why = reasons[code] ?? (error instanceof Error ? error.message : String(error))
    throw new Error(`the ${plain} cannot listen: ${why}`, { cause: error })
  }
  // A TCP server that listens has an AddressInfo.
  const address = plane.server.address() as AddressInfo
  return `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

export async function closePlane(plane: FastifyInstance): Promise<void> {
  const cutOff = setTimeout(() => plane.server.closeAllConnections(), PLANE_GRACE_MS)
  await plane.close()
  clearTimeout(cutOff)
}
