// The poll plane: the public listener that agents poll. Read-only, unauthenticated, no store, no log per request.
// No plugin belongs here: each one would cost every poll of the fleet.
import Fastify, { type FastifyInstance } from 'fastify'
import type { Socket } from 'node:net'
import { systemClock, type Clock } from '../lib/clock.ts'
import { limitConnectionsPerAddress } from '../serve/address-limit.ts'
import { answerUnderWay } from '../serve/answer-under-way.ts'
import { IDLE_MAX_MS } from '../serve/answer-texts.ts'
import { FastPath } from '../serve/fast-path.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import { HttpSlices } from '../serve/http-slices.ts'
import { Lifecycle } from '../serve/lifecycle.ts'
import { crowdedFrom } from '../serve/open-connections.ts'
import { healthRoutes, pollReadinessRoutes } from '../routes/health.ts'
import { POLL_ROUTE, pollRoutes } from '../routes/poll.ts'
import { HEALTH_PATH, pathOf, READY_PATH } from '../serve/poll.ts'
import { PollCounts } from '../serve/poll-counts.ts'
import { TurnQueue } from '../serve/turn-queue.ts'
import { endAfterAnswer } from './last-answer.ts'
import type { PollTls } from './poll-tls.ts'

/** A poll has no body and a few hundred bytes of headers: whoever takes longer is not polling. */
const REQUEST_TIMEOUT_MS = 10_000
/** Node looks for requests that have timed out so many times meanwhile; its own default of 30 s would make 40 s of 10. */
const TIMEOUT_CHECKS = 5
/** A connection on which nothing moves for this long is let go of, whatever it was in the middle of. */
const SOCKET_TIMEOUT_MS = 75_000
/** Where file descriptors set no lower limit (boot/connection-limits.ts). */
const CONNECTIONS_MAX = 50_000
/** Node's own limit, named: a longer head is answered 431. */
const HEAD_BYTES_MAX = 16_384

/** Whoever was refused has this long to read that and go away. */
const REFUSAL_TIMEOUT_MS = 10_000

export interface PollPlaneOptions {
  /** Whether polls that are recognised in the connection's bytes are answered without the HTTP server; yes unless told. */
  readonly fastPath?: boolean
  readonly counts?: PollCounts
  readonly clock?: Clock
  readonly lifecycle?: Lifecycle
  /** REQUEST_TIMEOUT_MS unless given. */
  readonly requestTimeoutMs?: number
  /** null for plain HTTP. */
  readonly tls?: PollTls | null
  /** CONNECTIONS_MAX unless given. */
  readonly connectionsMax?: number
  /** Connections from one address; 0, and unless given, for any number. */
  readonly connectionsPerAddressMax?: number
}

/** How addresses of the poll plane begin. */
export function schemeOf(tls: PollTls | null): 'http' | 'https' {
  return tls === null ? 'http' : 'https'
}

/** Builds the poll plane over a holder; it is not listening yet. */
export function buildPollPlane(holder: SnapshotHolder, options: PollPlaneOptions = {}): FastifyInstance {
  const { counts = new PollCounts(), clock = systemClock, lifecycle = new Lifecycle(), tls = null } = options
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS, connectionsMax = CONNECTIONS_MAX } = options
  const { connectionsPerAddressMax = 0 } = options
  const http = { ...HTTP, connectionsCheckingInterval: requestTimeoutMs / TIMEOUT_CHECKS }
  const app: FastifyInstance = Fastify({
    logger: false,
    ...(tls === null ? { http } : { https: { ...http, ...tls.context, handshakeTimeout: requestTimeoutMs } }),
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: IDLE_MAX_MS,
    connectionTimeout: SOCKET_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // A poll that comes in while the server closes is answered as any other, on a connection that ends with it.
    return503OnClosing: false,
    // The router would decode, normalise and match; here a path means what its bytes say, and one function reads them.
    rewriteUrl: (request) => routeOf(pathOf(request.url ?? '')),
    clientErrorHandler: refuseUnreadable,
  })
  app.server.headersTimeout = requestTimeoutMs
  app.server.maxConnections = connectionsMax
  // Node has a listener of its own for each of these: one would end the connection without a word, one answer without a body.
  const turns = new TurnQueue()
  const slices = new HttpSlices(turns, counts)
  app.server.on('connect', (_request, socket: Socket) => {
    slices.release(socket)
    refuseTunnel(socket)
  })
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.addHook('preClose', async () => lifecycle.close())
  // Before Node's own listener: a connection without TLS gets no answer, and to wait for its end would double the time limit.
  app.server.prependListener('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  const event = tls === null ? 'connection' : 'secureConnection'
  if (options.fastPath === false) {
    app.server.on(event, (socket: Socket) => slices.take(socket))
  } else {
    const fastPath = new FastPath(app.server, {
      ...{ holder, counts, clock, lifecycle, event, turns, slices },
      crowdedFrom: crowdedFrom(connectionsMax),
    })
    app.addHook('preClose', async () => fastPath.endConnections())
  }
  if (connectionsPerAddressMax > 0) {
    limitConnectionsPerAddress(app.server, connectionsPerAddressMax, () => (counts.cutOff.address_limit += 1))
  }
  endAfterAnswer(app, lifecycle)
  pollRoutes(app, holder, counts)
  healthRoutes(app)
  pollReadinessRoutes(app, holder, lifecycle)
  return app
}

function routeOf(path: string): string {
  return path === HEALTH_PATH || path === READY_PATH ? path : POLL_ROUTE
}

/** How Node's server reads requests. */
const HTTP = {
  maxHeaderSize: HEAD_BYTES_MAX,
  requireHostHeader: false,
} as const

interface Unreadable {
  readonly status: string
  readonly allow?: string
}

const METHOD_NOT_ALLOWED: Unreadable = { status: '405 Method Not Allowed', allow: 'Allow: GET, HEAD\r\n' }

/** Answers what is not HTTP, or not HTTP that Node reads: one line, and the connection ends. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  switch (error.code) {
    case 'ECONNRESET':
      socket.destroy()
      return
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      refuse(socket, { status: '408 Request Timeout' })
      return
    case 'HPE_INVALID_METHOD':
      refuse(socket, METHOD_NOT_ALLOWED)
      return
    case 'HPE_HEADER_OVERFLOW':
      refuse(socket, { status: '431 Request Header Fields Too Large' })
      return
    default:
      // Methods of other protocols that Node's parser knows (DESCRIBE of RTSP) have no code of their own.
      refuse(socket, /invalid method/i.test(error.message) ? METHOD_NOT_ALLOWED : { status: '400 Bad Request' })
  }
}

/** Answers CONNECT, after which Node leaves the connection and its errors to the listener. */
function refuseTunnel(socket: Socket): void {
  socket.on('error', () => socket.destroy())
  refuse(socket, METHOD_NOT_ALLOWED)
}

/** Connections that were refused. What else comes on them is more of the same; to cut them off could lose the refusal. */
const refused = new WeakSet<Socket>()

/** Ends a connection with a refusal, behind the answers to the requests before. */
function refuse(socket: Socket, unreadable: Unreadable): void {
  if (refused.has(socket) || socket.destroyed) return
  refused.add(socket)
  // Node would wait for as long as the other side keeps its half open, and for answers that nobody takes.
  const cutOff = setTimeout(() => socket.destroy(), REFUSAL_TIMEOUT_MS).unref()
  socket.once('close', () => clearTimeout(cutOff))
  endAfterAnswers(socket, unreadable)
}

function endAfterAnswers(socket: Socket, unreadable: Unreadable): void {
  const answering = answerUnderWay(socket)
  if (answering !== null) {
    answering.once('finish', () => endAfterAnswers(socket, unreadable))
    return
  }
  // The last of the answers may have been one that ends the connection; nothing that came behind it is answered.
  if (!socket.writable) return
  const { status, allow = '' } = unreadable
  const body = status.slice(4).toLowerCase()
  socket.end(
    `HTTP/1.1 ${status}\r\n${allow}Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n` +
      `Cache-Control: no-store\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  )
}
