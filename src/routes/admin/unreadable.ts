// What is not HTTP, or not HTTP that Node reads, on the control plane: a problem document too, and the connection ends.
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { problemOf, PROBLEM_TYPE } from './problem.ts'

/** Answers a request that no route will ever see. */
export function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problemOf('invalid_request', whyUnreadable(error.code), randomUUID()))
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: ${PROBLEM_TYPE}\r\nX-Content-Type-Options: nosniff\r\n` +
      `Cache-Control: no-store\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

function whyUnreadable(code: string | undefined): string {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'the head of the request is too large; send fewer or shorter header fields'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'the request did not arrive in time; send it again, whole'
    default:
      return 'this is not a request in HTTP/1.1; send one as the API documentation shows'
  }
}
