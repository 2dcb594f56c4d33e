// What Node's own HTTP server does with a poll when nothing is asked of it but to write a prepared answer.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BODY, HEADERS } from './answer.ts'

const headers = Object.entries(HEADERS).flat()
const server = createServer({ keepAliveTimeout: 65_000 }, (_request, response) => {
  response.writeHead(200, headers)
  response.end(BODY)
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo // It listens on TCP.
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
