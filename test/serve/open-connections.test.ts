// Connections of an HTTP server whose clients read nothing: ended after some looks, and those that read a little are not.
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { OpenConnections } from '../../src/serve/open-connections.ts'

class FakeSocket extends EventEmitter {
  /** Where Node.js keeps the response that is under way. */
  ['_httpMessage']: { readonly writableEnded: boolean } | null = null
  bytesWritten = 0
  writableLength = 0
  destroyed = false

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

function opened(open: OpenConnections): FakeSocket {
  const socket = new FakeSocket()
  open.add(socket as unknown as Socket) // What is looked at is there.
  return socket
}

t.test('a connection is ended once nothing was taken of what waits for its client for some looks', async (t) => {
  const open = new OpenConnections()
  const [stuck, slow, idle] = [opened(open), opened(open), opened(open)]
  for (const socket of [stuck, slow]) Object.assign(socket, { bytesWritten: 1_000, writableLength: 900 })
  for (let look = 0; look < 3; look += 1) {
    t.equal(stuck.destroyed, false)
    open.endStuck(3)
    slow.writableLength -= 1
  }
  open.endStuck(3)
  t.same([stuck.destroyed, slow.destroyed, idle.destroyed, open.size], [true, false, false, 2])
})

t.test('where room is needed, an answer that is whole and waits unread holds no connection', async (t) => {
  const open = new OpenConnections()
  const [busy, unread] = [opened(open), opened(open)]
  busy['_httpMessage'] = { writableEnded: false }
  unread['_httpMessage'] = { writableEnded: true }
  t.equal(open.endIdle(), true)
  t.same([busy.destroyed, unread.destroyed], [false, true])
  t.equal(open.endIdle(), false)
})
