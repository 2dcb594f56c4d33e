// The journal: pages of it, newest first.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { parseMoment } from '../../channels/time.ts'
import type { Control } from '../../control/control.ts'
import type { PageReaders } from '../../control/page-readers.ts'
import { readJournal } from '../../control/journal-view.ts'
import { answers, page } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { readSeqCursor, writeCursor } from './cursor.ts'
import { inTurn, type Answer } from './page-turn.ts'
import { sendProblem } from './problem.ts'
import { JournalQuery, PAGE_LIMIT_DEFAULT } from './request-schemas.ts'
import { ref } from './schemas.ts'

/** What pages of the journal, and of a channel's history, answer with. */
export const JournalPage = Type.Object({
  ...page(ref('JournalEntry')).properties,
  unreadable: Type.Array(Type.Object({ seq: Type.Integer(), detail: Type.String() }), {
    description:
      'Entries that belong on this page and cannot be read: another program, a newer build or a fault has written them.',
  }),
})

export function journalRoutes(control: Control, readers: PageReaders): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/journal',
      config: { role: 'viewer' },
      schema: {
        operationId: 'readJournal',
        summary: 'Read the journal',
        description:
          'Every change: who, when, what, why, before and after, newest first. A page ends early where its entries are large, or where few match; it can be short, even empty, and still have a next one.',
        tags: ['journal'],
        querystring: JournalQuery,
        response: answers({ 200: JournalPage }),
      },
      handler: (request, reply) =>
        inTurn(readers, control.clock, reply, () => journalPage(control, request, reply, request.query)),
    })
  }
}

/** Reads the page of the journal that a query asks for. */
export async function journalPage(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  query: Static<typeof JournalQuery>,
): Promise<Answer> {
  const { cursor, limit = PAGE_LIMIT_DEFAULT, since, until, ...filters } = query
  const errors: { field: string; message: string }[] = []
  const beforeSeq = cursor === undefined ? undefined : readSeqCursor(cursor)
  if (beforeSeq === null)
    errors.push({ field: 'cursor', message: 'is not a cursor of this list; give the `next` of the page before' })
  const moments: { since?: string; until?: string } = {}
  for (const [field, text] of [['since', since] as const, ['until', until] as const]) {
    if (text === undefined) continue
    const moment = parseMoment(text)
    if (moment.outcome === 'unparsed') errors.push({ field, message: moment.message })
    else moments[field] = moment.value
  }
  if (errors.length > 0) {
    const detail = errors.map(({ field, message }) => `${field} ${message}`).join('; ')
    return () => sendProblem(request, reply, 'invalid_request', { detail, errors })
  }
  const read = await readJournal(control, callerOf(request), {
    ...filters,
    ...moments,
    limit,
    ...(beforeSeq === undefined || beforeSeq === null ? {} : { beforeSeq }),
  })
  const { items, unreadable } = read
  const next = read.next === null ? null : writeCursor('seq', read.next)
  const rest = JSON.stringify({ next, unreadable }).slice(1)
  return () => reply.type('application/json; charset=utf-8').send(`{"items":[${items.join(',')}],${rest}`)
}
