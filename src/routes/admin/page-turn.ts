// Pages that are read, each in its turn: routes that read much go through here.
import type { FastifyReply } from 'fastify'
import type { PageReaders } from '../../control/page-readers.ts'
import type { Clock } from '../../lib/clock.ts'
import { sendProblem } from './problem.ts'

/** A reader that has not taken its page by then is cut off. */
const UNSENT_MS = 30_000

/** Sends what was read. Not a reply: to wait for a reply is to wait until its reader has taken it. */
export type Answer = () => FastifyReply

/** Calls `read` once the request has its turn, and sends the answer. The turn of others comes when the answer was read, and a
 * place for another answer when this one was taken. */
export async function inTurn(
  readers: PageReaders,
  clock: Clock,
  reply: FastifyReply,
  read: () => Promise<Answer>,
): Promise<FastifyReply> {
  const { request } = reply
  const gone = new AbortController()
  reply.raw.on('close', () => gone.abort())
  const entered = await readers.enter(gone.signal)
  switch (entered.outcome) {
    case 'gone':
      return reply.hijack()
    case 'full':
      return sendProblem(request, reply, 'too_many_reads', 'too many reads wait for their turn; try again')
    case 'entered':
  }
  const { place } = entered
  const ended = (): void => {
    cancel()
    place.end()
  }
  let cancel = (): void => {}
  reply.raw.on('finish', ended)
  reply.raw.on('close', ended)
  let answer: Answer
  try {
    answer = await read()
  } finally {
    place.read()
    if (gone.signal.aborted) ended()
    else cancel = clock.after(UNSENT_MS, () => reply.raw.destroy())
  }
  return answer()
}
