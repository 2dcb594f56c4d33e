// Mirroring another version server: a forward channel for each of a list of names.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Control } from '../../control/control.ts'
import { covers } from '../../control/identity.ts'
import { mirrorChannels } from '../../control/mirror.ts'
import { writeAnswers } from './answers.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendUnfinished, writeParts } from './change.ts'
import { sendProblem } from './problem.ts'
import { MirrorBody } from './request-schemas.ts'
import { writeRequest, writing } from './write-request.ts'

const MirroredSchema = Type.Object({
  dryRun: Type.Optional(Type.Literal(true)),
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
      config: { role: 'operator' },
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
      handler: async (request, reply): Promise<unknown> => {
        const { reason, dryRun } = writeParts(request)
        const { url, channels } = request.body
        const identity = callerOf(request)
        const outside = channels.find((name) => !covers(identity, name))
        if (outside !== undefined) {
          const limited = (identity.channels ?? []).join(', ')
          const detail = `this needs a token whose scope covers ${outside}; the token ${identity.actor} is limited to ${limited}`
          return sendProblem(request, reply, 'out_of_scope', detail, { missingScope: outside })
        }
        const outcome = await mirrorChannels(control, writeRequest(request, reason), { url, channels }, dryRun)
        switch (outcome.outcome) {
          case 'mirrored':
            return reply.send({ ...(dryRun ? { dryRun } : {}), items: outcome.channels })
          case 'refused':
            return sendRefusal(request, reply, outcome)
          case 'not-served-yet':
          case 'contended':
          case 'key-reused':
            return sendUnfinished(request, reply, outcome)
        }
      },
    })
  }
}
