// How much of request bodies is held at once, on real connections: who fails when it is too much, and what is logged of clients
// that go away.
import { once } from 'node:events'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { ServerResponse, IncomingMessage } from 'node:http'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Control } from '../../../src/control/control.ts'
import { BodyRoom } from '../../../src/routes/admin/body-room.ts'
import { githubWebhookRoutes } from '../../../src/routes/admin/github-webhook.ts'
import { sendError } from '../../../src/routes/admin/problem.ts'
import { sharedSchemas } from '../../../src/routes/admin/schemas.ts'
import { eventually, turns } from '../../fixtures/poll-clock.ts'

const SIGNED_FORM = `sha256=${'0'.repeat(64)}`
const MB = 1_024 * 1_024

interface Plane {
  readonly app: FastifyInstance
  readonly port: number
  readonly log: () => string
}

async function startWebhooks(t: Test): Promise<Plane> {
  let text = ''
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => ((text += chunk.toString()), done()) })
  const loggerInstance: FastifyBaseLogger = pino({ level: 'debug' }, sink)
  const app = Fastify({ loggerInstance })
  t.teardown(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  app.setErrorHandler(sendError)
  for (const schema of sharedSchemas) app.addSchema(schema)
  const control = { replicaId: 'this-one' } as Control // Nothing of it is read before a delivery is believed.
  const rules = { secret: "It's a Secret to Everybody", verifiedLabel: 'x', repositories: null }
  const apply = () => Promise.reject(new Error('a delivery was believed'))
  await app.register(githubWebhookRoutes(control, rules, apply))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo // It listens on TCP.
  return { app, port, log: () => text }
}

/** Sends the head of a delivery of 1 MB, and so many bytes of its body. */
async function deliver(t: Test, port: number, signature: string | null, bytes: number) {
  const socket = connect({ host: '127.0.0.1', port })
  t.teardown(() => socket.destroy())
  let received = ''
  socket.setEncoding('latin1')
  socket.on('data', (some: string) => (received += some))
  socket.on('error', () => {})
  await once(socket, 'connect')
  const signed = signature === null ? '' : `X-Hub-Signature-256: ${signature}\r\n`
  socket.write(
    `POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${signed}Content-Length: ${MB}\r\n\r\n`,
  )
  socket.write(Buffer.alloc(bytes, 'x'))
  return { socket, received: () => received }
}

t.test('a delivery without a well-formed signature is bad_signature before its body has come', async (t) => {
  const { port } = await startWebhooks(t)
  for (const signature of [null, 'sha1=00', 'sha256=00', `${SIGNED_FORM}0`, SIGNED_FORM.replace('0', 'g')]) {
    const delivery = await deliver(t, port, signature, 10)
    await eventually(() => delivery.received().includes('bad_signature'))
    t.match(delivery.received(), /^HTTP\/1\.1 401 /, String(signature))
  }
  const formed = await deliver(t, port, SIGNED_FORM, 10)
  await turns(50)
  t.equal(formed.received(), '', 'one that could be right is read to its end')
})

t.test('bodies over the limit make the oldest one that still arrives fail: overloaded', async (t) => {
  const { port } = await startWebhooks(t)
  const deliveries: Awaited<ReturnType<typeof deliver>>[] = []
  for (let count = 0; count < 20; count += 1) deliveries.push(await deliver(t, port, SIGNED_FORM, MB - 1))
  await eventually(() => deliveries.filter(({ received }) => received() !== '').length >= 4)
  await turns(50)
  const failed = deliveries.map(({ received }) => /^HTTP\/1\.1 503 [^]*"code":"overloaded"/.test(received()))
  t.equal(failed.filter(Boolean).length, 4, '16 MB have room')
  // The one that is left is found wrong once it is whole: there is room for a small one beside the large.
  const last = deliveries.at(-1)
  last?.socket.write('x')
  await eventually(() => last?.received().includes('bad_signature') === true)
})

t.test('a client that goes away in the middle of its body is in the log at debug, not as a fault', async (t) => {
  const { port, log } = await startWebhooks(t)
  const { socket } = await deliver(t, port, SIGNED_FORM, 100_000)
  await turns(20)
  socket.resetAndDestroy()
  await eventually(() => log().includes('the client went away'))
  const lines = log()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly level: number; readonly msg: string })
  t.ok(lines.some(({ level, msg }) => level === 20 && msg.startsWith('the client went away')))
  t.same(
    lines.filter(({ level }) => level > 30),
    [],
  )
})

/** A body that has begun to come, and what becomes of it. */
function arriving(room: BodyRoom) {
  const payload = new PassThrough()
  const response = new ServerResponse(new IncomingMessage(new PassThrough() as unknown as Socket)) // Only its events are used.
  const body = room.receive(payload, response)
  const state = { error: null as Error | null, bytes: 0 }
  body.on('data', (chunk: Buffer) => (state.bytes += chunk.length))
  body.on('error', (error) => (state.error = error))
  return { payload, response, state }
}

t.test('what is held is counted until its request is answered', async (t) => {
  const room = new BodyRoom(100)
  const [whole, slow] = [arriving(room), arriving(room)]
  whole.payload.end(Buffer.alloc(60))
  await turns(5)
  slow.payload.write(Buffer.alloc(30))
  await turns(5)
  t.equal(room.bytes, 90)
  slow.payload.write(Buffer.alloc(20))
  await turns(5)
  t.match(slow.state.error, { statusCode: 503 }, 'a whole body is not taken back, so the one that arrives fails')
  t.equal(whole.state.error, null)
  slow.response.emit('finish')
  whole.response.emit('close')
  whole.response.emit('finish')
  t.equal(room.bytes, 0)
  const next = arriving(room)
  next.payload.end(Buffer.alloc(100))
  await turns(5)
  t.same(next.state, { error: null, bytes: 100 })
})

t.test('of bodies that never come only so many wait: the one that has waited for longest fails', async (t) => {
  const room = new BodyRoom(100, 2)
  const waiting = [arriving(room), arriving(room), arriving(room)]
  await turns(5)
  t.match(waiting[0]?.state.error, { statusCode: 503 })
  t.same(
    waiting.slice(1).map(({ state }) => state.error),
    [null, null],
  )
})
