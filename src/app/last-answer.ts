// While the process closes, every answer of an HTTP server is the last on its connection.
import type { FastifyInstance } from 'fastify'
import type { Lifecycle } from '../serve/lifecycle.ts'

export function endAfterAnswer(app: FastifyInstance, lifecycle: Lifecycle): void {
  app.addHook('onRequest', (_request, reply, done) => {
    // As if the client had asked for it: Node writes `Connection: close` and ends the connection behind the answer.
    if (lifecycle.isClosing) reply.raw.shouldKeepAlive = false
    done()
  })
}
