// The limit of connections from one address, where it is set: what is over it is closed before a byte of it is read.
import { isIPv6, type Server, type Socket } from 'node:net'

type ConnectionListener = (this: Server, socket: Socket) => void

/** Steps in before every listener for connections that the server has, so it must be the last one to be set up. */
export function limitConnectionsPerAddress(server: Server, max: number, refused: () => void): void {
  const open = new Map<string, number>()
  const listeners = server.listeners('connection') as ConnectionListener[] // Which is what Node.js calls them with.
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const address = addressKey(socket.remoteAddress ?? '')
    const count = (open.get(address) ?? 0) + 1
    if (count > max) {
      refused()
      socket.destroy()
      return
    }
    open.set(address, count)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
    for (const listener of listeners) listener.call(server, socket)
  })
}

/** What counts as one address: of IPv6 its first 64 bits, which one customer of a provider has for himself. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address
  const [before = '', after] = address.split('::')
  const groups = before === '' ? [] : before.split(':')
  if (after !== undefined) {
    const last = after === '' ? [] : after.split(':')
    groups.push(...Array.from({ length: Math.max(0, 8 - groups.length - last.length) }, () => '0'), ...last)
  }
  return groups.slice(0, 4).join(':')
}
