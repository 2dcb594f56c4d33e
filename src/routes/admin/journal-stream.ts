// The journal as it grows: server-sent events, resumed from any seq.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ServerResponse } from 'node:http'
import { Type } from 'typebox'
import { knownState, type Control } from '../../control/control.ts'
import { seesAll, type Identity } from '../../control/identity.ts'
import { isAppliedHere, isKnownHere, positionAfter, unreadableOf, viewOf } from '../../control/journal-view.ts'
import { isStillIdentified } from '../../control/tokens.ts'
import type { Clock } from '../../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../../lib/periodic-task.ts'
import { JournalTrimmed, type JournalEntry, type StorePosition } from '../../store/port.ts'
import { answers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendProblem } from './problem.ts'

/** Streams open at once; each costs a follower of the store. */
const STREAMS_MAX = 100
/** While a reader has this much unread, the journal is not read on for it; an entry more may be under way. */
const UNSENT_BYTES_MAX = 256 * 1024
/** A reader that has not caught up after this long is cut off; it resumes from its last event id when it is ready. */
const UNSENT_MS = 30_000
/** Proxies drop connections that are silent for a minute. */
const HEARTBEAT_MS = 15_000

export function journalStreamRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    const open = new Set<AbortController>()
    // preClose: the server would wait for these answers, which never end by themselves.
    app.addHook('preClose', async () => {
      for (const reader of open) reader.abort()
    })

    app.route({
      method: 'GET',
      url: '/journal/stream',
      // HEAD would hold a stream open that nobody reads.
      exposeHeadRoute: false,
      config: { role: 'viewer' },
      schema: {
        operationId: 'streamJournal',
        summary: 'Follow the journal',
        description:
          'Server-sent events: one `entry` event for each journal entry, in order and without a gap, with its seq as id; for an entry that cannot be read an `unreadable` event in its place, with `seq` and `detail`: read again what you keep. Where entries are kept no more, or an operator has begun a new epoch, it ends with a `trimmed` event: read the channels anew. Where this replica has not applied an entry within 5 s, it ends with a `behind` event, except for admins: resume it, here in a while or at another replica. Neither event has an id. Starts after `after`, or after `Last-Event-ID`, or at the newest entry.',
        tags: ['journal'],
        querystring: Type.Object(
          { after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })) },
          { additionalProperties: false },
        ),
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 32 })) }),
        response: {
          ...answers({}, 410),
          200: { description: 'The stream.', content: { 'text/event-stream': { schema: Type.String() } } },
        },
      },
      handler: async (request, reply) => {
        const lastId = request.headers['last-event-id']
        if (lastId !== undefined && !/^\d{1,15}$/.test(lastId)) {
          return refuse(request, reply, 'Last-Event-ID', 'is not the id of an event of this stream')
        }
        if (open.size >= STREAMS_MAX) {
          return sendProblem(
            request,
            reply,
            'too_many_streams',
            `${STREAMS_MAX} streams are open; close one, or read GET /journal`,
          )
        }
        const asked = lastId === undefined ? request.query.after : Number(lastId)
        const after = asked === undefined ? knownState(control).position : await positionAfter(control, asked)
        if (after === null) {
          const field = lastId === undefined ? 'after' : 'Last-Event-ID'
          const message = `is ahead of the journal, whose newest entry here is ${knownState(control).seq}`
          return refuse(request, reply, field, message)
        }
        const stop = new AbortController()
        open.add(stop)
        reply.raw.on('close', () => stop.abort())
        // Without a listener, an error of this connection would end the process.
        reply.raw.on('error', () => stop.abort())
        void reply.hijack()
        stream(control, { identity: callerOf(request), response: reply.raw, stop }, after).then(
          () => open.delete(stop),
          (error: unknown) => {
            open.delete(stop)
            request.log.warn({ err: error }, 'a journal stream ended')
          },
        )
        return reply
      },
    })
  }
}

function refuse(request: FastifyRequest, reply: FastifyReply, field: string, message: string): FastifyReply {
  return sendProblem(request, reply, 'invalid_request', { detail: `${field} ${message}`, errors: [{ field, message }] })
}

interface StreamReader {
  readonly identity: Identity
  readonly response: ServerResponse
  /** Aborted when the stream is to end, by either side. */
  readonly stop: AbortController
}

async function stream(
  control: Control,
  { identity, response, stop }: StreamReader,
  after: StorePosition,
): Promise<void> {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // nginx would collect events until its buffer is full.
    'X-Accel-Buffering': 'no',
  })
  const send = (text: string): void => {
    // A token that is worth nothing any more reads nothing more, on a stream that is open already neither.
    if (isStillIdentified(control, identity)) response.write(text)
    else stop.abort()
  }
  send(': following the journal\n\n')
  const stopHeartbeat = startHeartbeat(control.clock, send, stop)
  // What may be shown of an entry is said by documents that this replica must have applied first; admins see everything.
  const tell = async (entry: JournalEntry): Promise<void> => {
    if (stop.signal.aborted) return
    if (seesAll(identity) || (await isKnownHere(control, entry.seq))) {
      return send(eventOf(control, entry, identity))
    }
    // The reader may have gone, or the server be about to end, while it was waited for.
    if (!stop.signal.aborted) send(endOf('behind', behindAt(entry.seq)))
    stop.abort()
  }
  let told = Promise.resolve()
  let isWaiting = false
  let position = after
  try {
    while (!stop.signal.aborted) {
      const pause = new AbortController()
      const give = (entry: JournalEntry): void => {
        position = { epoch: after.epoch, seq: entry.seq, mark: entry.mark }
        if (!isWaiting && (seesAll(identity) || isAppliedHere(control, entry.seq))) {
          send(eventOf(control, entry, identity))
          if (response.writableLength > UNSENT_BYTES_MAX) pause.abort()
          return
        }
        isWaiting = true
        told = told.then(() => tell(entry)).catch(() => stop.abort())
        // Nothing more is read before this one could be told.
        pause.abort()
      }
      await control.store.follow(position, give, AbortSignal.any([stop.signal, pause.signal]), 'reader')
      await told
      isWaiting = false
      // It ends by itself where the store was closed.
      if (!pause.signal.aborted) break
      await drained(control.clock, response, stop)
    }
  } catch (error) {
    if (!(error instanceof JournalTrimmed)) throw error
    await told
    send(endOf('trimmed', error.message))
  } finally {
    void stopHeartbeat()
    // A reader that was cut off has much waiting that it does not take; it is not waited for.
    if (response.writableLength > UNSENT_BYTES_MAX) response.destroy()
    else response.end()
  }
}

/** Sends a comment every so often, so that nothing on the way takes a silent stream for a dead one. */
function startHeartbeat(clock: Clock, send: (text: string) => void, stop: AbortController): StopTask {
  return startPeriodicTask({
    clock,
    intervalMs: HEARTBEAT_MS,
    run: () => send(': still here\n\n'),
    // A caller whose token cannot be looked up now is shown no more.
    failed: () => stop.abort(),
  })
}

/** Waits until a reader has taken what was sent; one that does not, in UNSENT_MS, is cut off. */
function drained(clock: Clock, response: ServerResponse, stop: AbortController): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(UNSENT_MS, () => stop.abort())
    const go = (): void => {
      cancel()
      response.off('drain', go)
      stop.signal.removeEventListener('abort', go)
      resolve()
    }
    response.on('drain', go)
    stop.signal.addEventListener('abort', go)
    if (stop.signal.aborted || !response.writableNeedDrain) go()
  })
}

/** The last event of a stream, which says why it ends. Without an id: a reader resumes from the last entry that it was told. */
function endOf(event: 'trimmed' | 'behind', detail: string): string {
  return `event: ${event}\ndata: ${JSON.stringify({ detail })}\n\n`
}

function behindAt(seq: number): string {
  return `this replica has not applied journal entry ${seq} yet, or does not follow its store now; go on after the last event that you have had (Last-Event-ID), here in a while or at another replica`
}

/** An entry outside the caller's scope is a comment with its id, so that a resumed stream still knows where it was. */
function eventOf(control: Control, entry: JournalEntry, identity: Identity): string {
  const unreadable = unreadableOf(entry, identity)
  if (unreadable !== null) return `id: ${entry.seq}\nevent: unreadable\ndata: ${JSON.stringify(unreadable)}\n\n`
  const view = viewOf(control, entry, identity)
  return view === null ? `id: ${entry.seq}\n\n` : `id: ${entry.seq}\nevent: entry\ndata: ${JSON.stringify(view)}\n\n`
}
