// The live replicas of the store, as they tell of themselves.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { listReplicas, type ReplicaFacts } from '../../control/replicas.ts'
import { answers } from './answers.ts'
import { sendList, type Lists } from './list-page.ts'
import { PageQuery } from './request-schemas.ts'
import { Nullable } from './schemas.ts'

const ReplicaSchema = Type.Object({
  id: Type.String(),
  role: Type.String(),
  status: Type.String({ description: '`following` is all well.' }),
  problem: Nullable(Type.String()),
  seq: Nullable(Type.Integer({ description: 'The journal entry up to which it serves changes.' })),
  epoch: Nullable(Type.String()),
  lag: Nullable(Type.Integer({ description: 'Entries of its epoch that it does not serve yet.' })),
  snapshotAgeS: Nullable(Type.Number()),
  pollProcesses: Type.Integer({ description: 'Processes of it that answer polls now.' }),
  build: Type.String(),
  startedAt: Type.String(),
  self: Type.Boolean({ description: 'Whether it is the replica that answers.' }),
})

const ReplicaList = Type.Object({
  items: Type.Array(ReplicaSchema),
  next: Nullable(Type.String()),
  warnings: Type.Array(Type.Object({ code: Type.String(), message: Type.String() }), {
    description:
      '`unreadable_announcement`: something announced is not a replica of this build; it is not in the list.',
  }),
})

export function replicaRoutes(lists: Lists, facts: ReplicaFacts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/replicas',
      config: { role: 'viewer' },
      schema: {
        operationId: 'listReplicas',
        summary: 'List replicas',
        description:
          'Every replica that was heard of in the last seconds. Where the store cannot be reached, only the one that answers.',
        tags: ['replicas'],
        querystring: PageQuery,
        response: answers({ 200: ReplicaList }),
      },
      handler: async (request, reply) => {
        // Before its turn: others do not wait for Redis.
        const { replicas, warnings } = await listReplicas(lists.control, facts)
        return sendList(lists, request, reply, {
          after: (id, count) => replicas.filter((replica) => replica.id > id).slice(0, count),
          nameOf: (replica) => replica.id,
          present: (replica) => replica,
          more: { warnings: warnings.map(({ code, message }) => ({ code, message })) },
        })
      },
    })
  }
}
