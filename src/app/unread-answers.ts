// Bounds what a client without a token can hold of a listener by answers that it does not read.
import type { FastifyInstance } from 'fastify'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { systemClock } from '../lib/clock.ts'
import { startPeriodicTask } from '../lib/periodic-task.ts'
import type { OpenConnections } from '../serve/open-connections.ts'

/** Requests under way on one connection. Tools of operators send one at a time; Node.js would begin all that arrive together. */
const PIPELINED_MAX = 8
/** How often connections are looked at; one that takes nothing from one look to the next, STUCK_LOOKS times, is ended. */
const LOOK_MS = 5_000
/** As long as a reader of a page of the journal has. */
const STUCK_LOOKS = 6

/** Ends connections with too many requests under way, and those on which an answer waits unread. */
export function boundUnreadAnswers(app: FastifyInstance, open: OpenConnections): void {
  endPipelines(app)
  app.server.once('listening', () => {
    const stop = startPeriodicTask({
      clock: systemClock,
      intervalMs: LOOK_MS,
      run: () => open.endStuck(STUCK_LOOKS),
      failed: (error) => app.log.error({ err: error }, 'connections could not be looked at'),
    })
    app.server.once('close', () => void stop())
  })
}

function endPipelines({ server }: FastifyInstance): void {
  const underWay = new WeakMap<Socket, number>()
  // Fastify has one listener for requests.
  const handlers = server.listeners('request') as RequestListener[]
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    const { socket } = request
    const count = (underWay.get(socket) ?? 0) + 1
    if (count > PIPELINED_MAX) socket.destroy()
    // Requests that came with it are still given out.
    if (socket.destroyed) return
    underWay.set(socket, count)
    response.once('close', () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1))
    for (const handle of handlers) handle(request, response)
  })
}
