// Mirroring another version server: a forward channel for each of a list of names.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Control } from '../../control/control.ts'
import { covers } from '../../control/identity.ts'
import { mirrorChannels } from '../../control/mirror.ts'
import { writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendUnfinished, warningsOf } from './change.ts'
import { sendProblem } from './problem.ts'
import { MirrorBody } from './request-schemas.ts'
import { writeMarks } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'
import { sendWritten } from './write-response.ts'

const MirroredSchema = Type.Object({
  ...writeMarks,
  items: Type.Array(
    Type.Object({
      name: Type.String(),
      url: Type.String(),
      outcome: Type.Union([Type.Literal('created'), Type.Literal('exists')]),
    }),
  ),
})

export function mirrorRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/mirror',
      config: { role: 'operator', dryRunRole: 'viewer' },
      schema: {
        ...writing,
        operationId: 'mirrorChannels',
        summary: 'Mirror another version server',
        description:
          'Makes a forward channel for every name that is not there, to the same name on the other server; all of them or, where one has another source, none.',
        tags: ['channels'],
        body: MirrorBody,
        response: writeAnswers({ 200: MirroredSchema }),
      },
      handler: async (request, reply) => {
        const { url, channels } = request.body
        const identity = callerOf(request)
        const outside = channels.find((name) => !covers(identity, name))
        if (outside !== undefined) {
          const limited = (identity.channels ?? []).join(', ')
          const detail = `this needs a token whose scope covers ${outside}; the token ${identity.actor} is limited to ${limited}`
          return sendProblem(request, reply, 'out_of_scope', { detail, missingScope: outside })
        }
        return handleWrite(
          request,
          reply,
          (asked, { dryRun }) => mirrorChannels(control, asked, { url, channels }, dryRun),
          (outcome) => {
            switch (outcome.outcome) {
              case 'mirrored':
                return sendWritten(control, request, reply, {
                  revision: null,
                  body: { items: outcome.channels, ...warningsOf(outcome) },
                })
              case 'refused':
                return sendRefusal(request, reply, outcome)
              case 'not-served-yet':
              case 'contended':
              case 'key-reused':
                return sendUnfinished(request, reply, outcome)
            }
          },
        )
      },
    })
  }
}
