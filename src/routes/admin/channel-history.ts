// What a channel has served: its journal entries, and the versions that agents may still run.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { channelKey } from '../../channels/channel.ts'
import { parseDuration } from '../../channels/time.ts'
import { channelCompatibility, hasHistory } from '../../control/channel-history.ts'
import { knownState, type Control } from '../../control/control.ts'
import type { PageReaders } from '../../control/page-readers.ts'
import { answers } from './answers.ts'
import { sendRefusal } from './change.ts'
import { inTurn } from './page-turn.ts'
import { JournalPage, journalPage } from './journal.ts'
import { sendProblem } from './problem.ts'
import { ChannelParams, PageQuery } from './request-schemas.ts'
import { Moment, Nullable } from './schemas.ts'

/** RFD 109: agents may be this long behind. */
const GRACE_DEFAULT = 'P14D'

const Compatibility = Type.Object({
  oldest: Nullable(Type.String()),
  versions: Type.Array(
    Type.Object({ version: Type.String(), firstServedAt: Type.String(), lastServedAt: Nullable(Type.String()) }),
  ),
  unknownBefore: Type.Union([Moment, Type.Null()], {
    description:
      'Before this moment the channel may have served other versions within the grace period: the journal does not tell of them any more, or is still being read after a start, or they were more than is kept of a channel. null where all are known.',
  }),
})

export function channelHistoryRoutes(control: Control, readers: PageReaders): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/channels/:name/history',
      config: { role: 'viewer' },
      schema: {
        operationId: 'getChannelHistory',
        summary: "Read a channel's history",
        description:
          'The journal entries of this channel, newest first; also after it was deleted. A page ends early where its entries are large.',
        tags: ['channels'],
        params: ChannelParams,
        querystring: PageQuery,
        response: answers({ 200: JournalPage }, 404),
      },
      handler: async (request, reply) => {
        const { name } = request.params
        return inTurn(readers, control.clock, reply, async () => {
          if (!(await hasHistory(control, name))) {
            return () =>
              sendProblem(request, reply, 'unknown_channel', `there is no channel ${name}, and there never was`)
          }
          return journalPage(control, request, reply, { ...request.query, subject: channelKey(name) })
        })
      },
    })

    app.route({
      method: 'GET',
      url: '/channels/:name/compatibility',
      config: { role: 'viewer' },
      schema: {
        operationId: 'getChannelCompatibility',
        summary: 'Which versions agents may still run',
        description:
          'Every version served within the grace period, and the oldest of them: the lowest version that the control plane must still support (RFD 109, RFD 134).',
        tags: ['channels'],
        params: ChannelParams,
        querystring: Type.Object(
          {
            grace: Type.Optional(
              Type.String({ maxLength: 64, description: 'An ISO 8601 duration; `P14D` unless told.' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: answers({ 200: Compatibility }, 404),
      },
      handler: async (request, reply) => {
        const { name } = request.params
        const grace = parseDuration(request.query.grace ?? GRACE_DEFAULT)
        if (grace.outcome === 'unparsed') {
          return sendRefusal(request, reply, {
            outcome: 'refused',
            why: 'malformed',
            field: 'grace',
            message: grace.message,
          })
        }
        const document = knownState(control).document(channelKey(name))
        if (document === undefined) {
          return sendProblem(request, reply, 'unknown_channel', `there is no channel ${name}`)
        }
        return reply.send(channelCompatibility(control, document, grace.value))
      },
    })
  }
}
