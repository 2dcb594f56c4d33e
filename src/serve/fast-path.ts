// The fast path: answers polls on a connection's bytes, before any HTTP server has seen them. What it is not certain of
// (poll-request.ts) goes to the HTTP server together with the connection, every byte of it unread.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Answer } from './answers.ts'
import type { Clock } from '../lib/clock.ts'
import { AnswerTexts, IDLE_MAX_MS } from './answer-texts.ts'
import type { SnapshotHolder } from './holder.ts'
import type { HttpSlices } from './http-slices.ts'
import type { Lifecycle } from './lifecycle.ts'
import { answerPoll, HEALTH_PATH, matchesEntityTag, READY_PATH } from './poll.ts'
import type { CutOff, PollCounts } from './poll-counts.ts'
import { HeadersMemo, recognizePoll, type PollRequest } from './poll-request.ts'
import type { TurnQueue } from './turn-queue.ts'

/** Connections are looked through this often, so every wait below may take so much longer. */
const SWEEP_INTERVAL_MS = 2_000
/** Whoever opens a connection has something to ask. */
const FIRST_POLL_MAX_MS = 10_000
/** Answers are a few hundred bytes: whoever has not taken them by then is not reading. */
const WRITE_WAIT_MAX_MS = 10_000
/** With more than this waiting to be written nothing more is answered on a connection, or read from it. */
const WAITING_BYTES_MAX = 16 * 1_024
/** Polls answered on one connection in one turn of the event loop: 64 KB have 1,700, and others wait meanwhile. */
const SLICE_POLLS_MAX = 16

/** Where there are too many connections, one on which nothing has come for so many sweeps ends for a new one. */
const CROWDED_IDLE_SWEEPS = 2
/** Connections looked at for one that can end; the next new connection goes on from there. */
const CROWDED_LOOKS_MAX = 64

/** A target in which every byte stands for itself. What else a target may have in it, the HTTP server knows. */
const PLAIN_TARGET = /^\/[A-Za-z0-9._/-]*$/

export interface FastPathOptions {
  readonly holder: SnapshotHolder
  readonly counts: PollCounts
  readonly clock: Clock
  readonly lifecycle: Lifecycle
  /** What the server emits when there is a connection to read from: `connection`, and `secureConnection` over TLS. */
  readonly event: 'connection' | 'secureConnection'
  /** Where connections wait on which more than a slice has come at once. */
  readonly turns: TurnQueue
  /** Takes what is handed over, on the way to the HTTP server. */
  readonly slices: HttpSlices
  /** From so many connections on, each new one ends an idle one. */
  readonly crowdedFrom: number
}

/** How a connection stands; times are counted in sweeps. */
interface Connection {
  /** When it was taken, last polled on, or began to end. */
  since: number
  hasPolled: boolean
  /** Whether nothing more is answered: what is still to be written ends it. */
  isEnding: boolean
}

type HttpListener = (this: Server, socket: Socket) => void

export class FastPath {
  readonly #options: FastPathOptions
  readonly #server: Server
  readonly #handOver: HttpListener
  readonly #memo = new HeadersMemo()
  readonly #connections = new Map<Socket, Connection>()
  // The same functions for all connections: three of its own would be a good part of what a connection costs.
  readonly #onData: (this: Socket, bytes: Buffer) => void
  readonly #onEnd: (this: Socket) => void
  readonly #onError: (this: Socket) => void
  readonly #texts: AnswerTexts
  /** Where the search for idle connections goes on. */
  #hand = this.#connections.entries()
  #sweeps = 0
  #endsAll = false

  /** Puts itself before the HTTP server's own listener. */
  constructor(server: Server, options: FastPathOptions) {
    this.#server = server
    this.#options = options
    this.#texts = new AnswerTexts(options.clock)
    const [handOver, ...others] = server.listeners(options.event)
    if (handOver === undefined || others.length > 0) throw new Error('this is not an HTTP server as Node.js makes it')
    this.#handOver = handOver as HttpListener // The one listener that an HTTP server has for it.
    const read = this.#read.bind(this)
    const leave = this.#leave.bind(this)
    const forget = this.#forget.bind(this)
    this.#onData = function (bytes) {
      read(this, bytes)
    }
    this.#onEnd = function () {
      leave(this)
    }
    this.#onError = function () {
      forget(this)
    }
    // A full listener drops connections before they are taken.
    server.on('drop', () => this.#makeRoom())
    server.removeAllListeners(options.event)
    server.on(options.event, (socket: Socket) => this.#take(socket))
    server.once('listening', () => {
      const stops = [this.#texts.start(), this.#keepSweeping()]
      server.once('close', () => {
        for (const stop of stops) stop()
      })
    })
  }

  /** Ends connections from now on: idle ones after a moment for polls on their way, others with their next answer or by the sweeps. */
  endConnections(): void {
    this.#endsAll = true
    // Two turns of the loop: in the first, what has arrived may not have been asked for yet.
    setImmediate(() => setImmediate(() => this.#sweep()))
  }

  #take(socket: Socket): void {
    const { counts, slices, crowdedFrom } = this.#options
    counts.connections += 1
    if (this.#connections.size + slices.open.size >= crowdedFrom) this.#makeRoom()
    this.#connections.set(socket, { since: this.#sweeps, hasPolled: false, isEnding: false })
    socket.on('error', this.#onError)
    socket.on('end', this.#onEnd)
    socket.on('data', this.#onData)
  }

  /** Ends a connection that is idle, of the fast path or of the HTTP server: first there where there are more. */
  #makeRoom(): void {
    const { counts, slices } = this.#options
    const isEnded =
      slices.open.size > this.#connections.size
        ? slices.open.endIdle() || this.#endIdle()
        : this.#endIdle() || slices.open.endIdle()
    if (isEnded) counts.cutOff.crowded += 1
  }

  #endIdle(): boolean {
    for (let looks = 0; looks < CROWDED_LOOKS_MAX; looks += 1) {
      const next = this.#hand.next()
      if (next.done === true) {
        this.#hand = this.#connections.entries()
        continue
      }
      const [socket, { since, isEnding }] = next.value
      const isBusy = isEnding || socket.writableLength > 0 || socket.readableLength > 0
      if (!socket.destroyed && (isBusy || this.#sweeps - since < CROWDED_IDLE_SWEEPS)) continue
      this.#forget(socket)
      socket.destroy()
      return true
    }
    return false
  }

  /** Answers the polls in `bytes`, a slice of them in one write, up to the first thing that is not certainly one. */
  #read(socket: Socket, bytes: Buffer): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.isEnding) return
    const snapshot = this.#options.holder.current
    const text = bytes.toString('latin1')
    let answers = ''
    let from = 0
    for (let polls = 0; from < text.length && polls < SLICE_POLLS_MAX; polls += 1) {
      const request = recognizePoll(text, from, this.#memo)
      if (request === null || !isCertain(request.target)) {
        this.#giveAway(socket, answers, bytes.subarray(from))
        return
      }
      const isLast = request.headers.isLast || this.#options.lifecycle.isClosing
      answers += this.#respond(request, answerPoll(snapshot, request.target), isLast)
      if (isLast) {
        this.#finish(socket, connection, answers, request.end === text.length)
        return
      }
      from = request.end
    }
    connection.since = this.#sweeps
    connection.hasPolled = true
    socket.write(answers, 'latin1')
    if (from < text.length) this.#readLater(socket, bytes.subarray(from))
    else if (socket.writableLength > WAITING_BYTES_MAX) this.#waitForReader(socket)
  }

  /** Puts back what is left. Paused first: a stream that flows would give it back at once. */
  #readLater(socket: Socket, rest: Buffer): void {
    socket.pause()
    socket.unshift(rest)
    const goOn = (): void => this.#options.turns.add(() => socket.resume())
    if (socket.writableLength > WAITING_BYTES_MAX) socket.once('drain', goOn)
    else goOn()
  }

  #respond({ headers, isHead }: PollRequest, answer: Answer, isLast: boolean): string {
    const { fast } = this.#options.counts
    const { etag, notModifiedHead, status } = answer
    const { ifNoneMatch } = headers
    if (ifNoneMatch !== null && etag !== null && notModifiedHead !== null && matchesEntityTag(ifNoneMatch, etag)) {
      fast[304] += 1
      return this.#texts.headText(notModifiedHead, isLast)
    }
    fast[status] += 1
    if (isHead) return this.#texts.headText(answer.head, isLast)
    return isLast ? this.#texts.headText(answer.head, true) + answer.body : this.#texts.keptText(answer)
  }

  /** Writes the last answers and ends the connection. */
  #finish(socket: Socket, connection: Connection, answers: string, isAllRead: boolean): void {
    socket.write(answers, 'latin1')
    // The kernel has it all, and the client has nothing more to say: to close at once saves waiting for its side, which is
    // half of what such a poll costs. With bytes unread it would reset the connection; TLS has a farewell of its own.
    if (isAllRead && socket.writableLength === 0 && this.#options.event === 'connection') {
      this.#forget(socket)
      socket.destroy()
      return
    }
    this.#startEnding(connection)
    socket.destroySoon()
  }

  /** The client has ended its side, or is not waited for any longer: what it was answered still goes out. */
  #leave(socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    this.#startEnding(connection)
    socket.end()
    if (socket.readableEnded && socket.writableLength === 0) this.#forget(socket)
  }

  #startEnding(connection: Connection): void {
    if (!connection.isEnding) connection.since = this.#sweeps
    connection.isEnding = true
  }

  /** The HTTP server takes the connection as if it had just been opened, with `rest` as the first bytes on it. */
  #giveAway(socket: Socket, answers: string, rest: Buffer): void {
    if (answers !== '') socket.write(answers, 'latin1')
    this.#forget(socket)
    this.#options.counts.handedOver += 1
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    // Paused, so that what is put back waits for the new listener, and nothing is read past it.
    socket.pause()
    socket.unshift(rest)
    this.#handOver.call(this.#server, socket)
    this.#options.slices.take(socket)
    socket.resume()
  }

  #waitForReader(socket: Socket): void {
    socket.pause()
    socket.once('drain', () => socket.resume())
  }

  #forget(socket: Socket): void {
    this.#connections.delete(socket)
  }

  /** Looks through the connections every so often; the answer stops that. No periodic task: the poll path awaits nothing. */
  #keepSweeping(): () => void {
    let stop = this.#options.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep()
      stop = this.#keepSweeping()
    })
    return () => stop()
  }

  #sweep(): void {
    this.#sweeps += 1
    for (const [socket, connection] of this.#connections) {
      if (socket.destroyed) this.#forget(socket)
      else this.#lookAt(socket, connection)
    }
  }

  #lookAt(socket: Socket, connection: Connection): void {
    if (this.#endsAll && !connection.isEnding) {
      // Polls that wait for their turn get their answer, the first of them as the last one.
      if (socket.readableLength > 0 && this.#sweeps - connection.since <= 1) return
      this.#leave(socket)
      return
    }
    const why = this.#reasonToCutOff(socket, connection)
    if (why === null) return
    this.#options.counts.cutOff[why] += 1
    this.#forget(socket)
    socket.destroy()
  }

  #reasonToCutOff(socket: Socket, connection: Connection): CutOff | null {
    const waitedMs = (this.#sweeps - connection.since) * SWEEP_INTERVAL_MS
    if (connection.isEnding) return this.#endsAll || waitedMs > WRITE_WAIT_MAX_MS ? 'not reading' : null
    if (!connection.hasPolled) return waitedMs > FIRST_POLL_MAX_MS ? 'silent' : null
    if (socket.writableLength > 0) return waitedMs > WRITE_WAIT_MAX_MS ? 'not reading' : null
    return waitedMs > IDLE_MAX_MS ? 'idle' : null
  }
}

function isCertain(target: string): boolean {
  return PLAIN_TARGET.test(target) && target !== HEALTH_PATH && target !== READY_PATH
}
