// Gives the HTTP server the bytes of a connection one request at a time. Node.js would parse all that has arrived in one turn of the
// event loop, which is 1,700 requests in 64 KB, and every other connection would wait for them.
import type { Socket } from 'node:net'
import { answerUnderWay } from './answer-under-way.ts'
import { OpenConnections } from './open-connections.ts'
import type { PollCounts } from './poll-counts.ts'
import type { TurnQueue } from './turn-queue.ts'

/** A client that has not taken an answer by then is not reading. */
const WRITE_WAIT_MAX_MS = 10_000

const HEAD_END = '\r\n\r\n'

type DataListener = (this: Socket, bytes: Buffer) => void

export class HttpSlices {
  readonly #turns: TurnQueue
  readonly #counts: PollCounts
  /** Connections of the HTTP server. */
  readonly open = new OpenConnections()
  readonly #sliced = new WeakMap<Socket, SlicedConnection>()

  constructor(turns: TurnQueue, counts: PollCounts) {
    this.#turns = turns
    this.#counts = counts
  }

  /** Steps in between a connection and the HTTP server, which has just taken it. */
  take(socket: Socket): void {
    const [feed, ...others] = socket.listeners('data')
    if (feed === undefined || others.length > 0) throw new Error('this is not a connection as Node.js takes it')
    const sliced = new SlicedConnection(socket, feed as DataListener, this.#turns, this.#counts) // The one it has for data.
    this.open.add(socket)
    this.#sliced.set(socket, sliced)
    socket.off('data', feed as DataListener) // The same.
    socket.on('data', (bytes: Buffer) => sliced.read(bytes))
  }

  /** The HTTP server has let go of the connection: it must get no further bytes of it. */
  release(socket: Socket): void {
    this.#sliced.get(socket)?.release()
  }
}

class SlicedConnection {
  readonly #socket: Socket
  readonly #feed: DataListener
  readonly #turns: TurnQueue
  readonly #counts: PollCounts
  /** Whether the bytes that are left wait for a later turn. */
  #isWaiting = false
  #isReleased = false

  constructor(socket: Socket, feed: DataListener, turns: TurnQueue, counts: PollCounts) {
    this.#socket = socket
    this.#feed = feed
    this.#turns = turns
    this.#counts = counts
  }

  release(): void {
    this.#isReleased = true
  }

  read(bytes: Buffer): void {
    // After its last answer nothing on a connection is read, but to see the client go.
    if (this.#isReleased || !this.#socket.writable) return
    if (this.#isWaiting) {
      this.#putBack(bytes)
      return
    }
    const end = bytes.indexOf(HEAD_END)
    const length = end === -1 ? bytes.length : end + HEAD_END.length
    this.#feed.call(this.#socket, bytes.subarray(0, length))
    if (length === bytes.length || this.#isReleased || this.#socket.destroyed) return
    this.#isWaiting = true
    this.#putBack(bytes.subarray(length))
    this.#turns.add(() => this.#goOn())
  }

  /** Paused first: a stream that flows would give the bytes back at once. */
  #putBack(bytes: Buffer): void {
    this.#socket.pause()
    this.#socket.unshift(bytes)
  }

  #goOn(): void {
    const answering = answerUnderWay(this.#socket)
    if (answering === null || this.#socket.destroyed) {
      this.#isWaiting = false
      this.#socket.resume()
      return
    }
    // The answer is not taken yet. Until it is, no further request is read, so no more than this one waits in memory.
    const cutOff = setTimeout(() => {
      this.#counts.cutOff['not reading'] += 1
      this.#socket.destroy()
    }, WRITE_WAIT_MAX_MS).unref()
    answering.once('close', () => {
      clearTimeout(cutOff)
      this.#turns.add(() => this.#goOn())
    })
  }
}
