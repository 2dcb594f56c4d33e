// Connections of an HTTP server that are open, so that idle ones can end early where there are too many.
import type { Socket } from 'node:net'
import { answerUnderWay } from './answer-under-way.ts'

/** From this share of the limit on, each new connection ends an idle one. */
const CROWDED_SHARE = 0.9
/** Connections looked at for one new connection; busy ones are looked at last the next time. */
const LOOKS_MAX = 64

/** From how many connections on a listener is crowded that takes at most so many. */
export function crowdedFrom(connectionsMax: number): number {
  return Math.floor(connectionsMax * CROWDED_SHARE)
}

export class OpenConnections {
  /** The one that has been idle, or not looked at, for longest is the first. */
  readonly #open = new Set<Socket>()
  /** Connections with bytes that their clients do not take: how many were taken at the last look, and for how many looks it is so. */
  readonly #stuck = new WeakMap<Socket, { readonly taken: number; readonly looks: number }>()

  get size(): number {
    return this.#open.size
  }

  add(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
  }

  /** Ends connections whose clients have taken nothing of what waits for them for this many calls in turn. */
  endStuck(looksMax: number): void {
    for (const socket of this.#open) {
      const taken = socket.bytesWritten - socket.writableLength
      const before = this.#stuck.get(socket)
      if (socket.writableLength === 0) this.#stuck.delete(socket)
      else if (before?.taken !== taken) this.#stuck.set(socket, { taken, looks: 0 })
      else if (before.looks + 1 >= looksMax) socket.destroy()
      else this.#stuck.set(socket, { taken, looks: before.looks + 1 })
    }
  }

  /** Ends the longest open connection on which no request is being carried out, or whose answer waits unread; gives whether there was one. */
  endIdle(): boolean {
    let looks = 0
    for (const socket of this.#open) {
      looks += 1
      if (looks > LOOKS_MAX) return false
      this.#open.delete(socket)
      if (socket.destroyed) continue
      const answer = answerUnderWay(socket)
      // An answer that is whole waits only for a client that does not read.
      if (answer === null || answer.writableEnded) {
        socket.destroy()
        return true
      }
      this.#open.add(socket)
    }
    return false
  }
}
