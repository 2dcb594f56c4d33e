// How many bytes of request bodies are held at once: those that arrive, and those of requests that are being carried out.
import createError from '@fastify/error'
import type { FastifyInstance, RequestPayload } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Transform, type TransformCallback } from 'node:stream'

/** Of requests that have proved who sends them: 250 of the largest usual body, or 64 pipelines. */
const USUAL_BYTES_MAX = 16 * 1_024 * 1_024
/** Beside it, for what stops a bad release. */
const URGENT_BYTES_MAX = 4 * 1_024 * 1_024
/** Of webhooks, of which nobody knows who sends them until all is read: a delivery has some 30 KB. */
const WEBHOOK_BYTES_MAX = 16 * 1_024 * 1_024
/** So few at once, because a body that never comes holds its connection and no byte. */
const WEBHOOKS_ARRIVING_MAX = 64

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route stops or takes back a release: its bodies have room of their own. */
    isUrgent?: boolean
  }
}

const NoBodyRoom = createError(
  'BELLWETHER_NO_BODY_ROOM',
  'too many request bodies are arriving at once; nothing was done, send the request again later',
  503,
)

/** Bounds the bodies of this scope. Register it after what refuses requests without their bodies. */
export function limitBodies(app: FastifyInstance): void {
  const usual = new BodyRoom(USUAL_BYTES_MAX)
  const urgent = new BodyRoom(URGENT_BYTES_MAX)
  app.addHook('preParsing', async (request, reply, payload) => {
    const room = request.routeOptions.config.isUrgent === true ? urgent : usual
    return hasBody(request.raw) ? room.receive(payload, reply.raw) : payload
  })
}

/** The same for webhooks. */
export function limitWebhookBodies(app: FastifyInstance): void {
  const room = new BodyRoom(WEBHOOK_BYTES_MAX, WEBHOOKS_ARRIVING_MAX)
  app.addHook('preParsing', async (request, reply, payload) =>
    hasBody(request.raw) ? room.receive(payload, reply.raw) : payload,
  )
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

export class BodyRoom {
  readonly #bytesMax: number
  readonly #arrivingMax: number
  #bytes = 0
  /** Bodies that still arrive, the oldest first. */
  readonly #arriving = new Set<CountedBody>()

  constructor(bytesMax: number, arrivingMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax
    this.#arrivingMax = arrivingMax
  }

  /** The bytes that are held now. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Gives a body on, counted until `response` is over. Where there is no room for a part of it, the body that has been arriving for
   * longest fails: a client that sends slowly on purpose must not keep out the others.
   */
  receive(payload: RequestPayload, response: ServerResponse): RequestPayload {
    const body = new CountedBody((counted, bytes) => this.#add(counted, bytes))
    this.#arriving.add(body)
    const release = (): void => this.#release(body)
    response.once('finish', release)
    response.once('close', release)
    body.once('end', () => this.#arriving.delete(body))
    // Fastify does not listen any more where it has refused the body, as too large or of another type.
    body.on('error', () => {})
    // Not a pipeline: it would cut the connection of a body that fails, and no answer would get through.
    payload.once('error', (error) => body.destroy(error))
    const [oldest] = this.#arriving
    if (oldest !== undefined && this.#arriving.size > this.#arrivingMax) this.#refuse(oldest)
    return payload.pipe(body)
  }

  #release(body: CountedBody): void {
    if (body.isOver) return
    body.isOver = true
    this.#arriving.delete(body)
    this.#bytes -= body.receivedEncodedLength
  }

  #add(body: CountedBody, bytes: number): void {
    if (body.isOver) return
    body.receivedEncodedLength += bytes
    this.#bytes += bytes
    for (const oldest of this.#arriving) {
      if (this.#bytes <= this.#bytesMax) return
      this.#refuse(oldest)
    }
  }

  #refuse(body: CountedBody): void {
    this.#release(body)
    body.destroy(new NoBodyRoom())
  }
}

class CountedBody extends Transform {
  /** Read by Fastify, which compares it with Content-Length. */
  receivedEncodedLength = 0
  /** Whether it is not counted any more: it has failed, or its request is answered. */
  isOver = false
  readonly #count: (body: CountedBody, bytes: number) => void

  constructor(count: (body: CountedBody, bytes: number) => void) {
    super()
    this.#count = count
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#count(this, chunk.length)
    done(null, chunk)
  }
}
