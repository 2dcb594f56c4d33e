// What no server on Node.js sockets can do without: it reads bytes without looking at them, and writes a fixed buffer.
//   net-floor.ts [close]
import { createServer, type AddressInfo } from 'node:net'
import { BODY, HEADERS } from './answer.ts'

const isClosing = process.argv[2] === 'close'
const lines = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}`)
const connection = isClosing ? ['Connection: close'] : ['Connection: keep-alive', 'Keep-Alive: timeout=65']
const answer = Buffer.from(
  ['HTTP/1.1 200 OK', ...lines, `Date: ${new Date().toUTCString()}`, ...connection, '', BODY].join('\r\n'),
)
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.on('data', () => {
    if (isClosing) socket.end(answer)
    else socket.write(answer)
  })
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo // It listens on TCP.
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
