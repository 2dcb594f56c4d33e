// The live replicas of the store, as they tell of themselves.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { listReplicas, replicaPlace, type ReplicaFacts } from '../../control/replicas.ts'
import { answers } from './answers.ts'
import { sendList, type Lists } from './list-page.ts'
import { PageQuery } from './request-schemas.ts'
import { Nullable } from './schemas.ts'

const ReplicaSchema = Type.Object({
  id: Type.String({ description: 'The name of the replica (`BELLWETHER_REPLICA_ID`).' }),
  processToken: Nullable(
    Type.String({
      description:
        'Made by the process at its start: tells two processes of one name apart. It is no secret. Null for an older build.',
    }),
  ),
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
      '`unreadable_announcement`: something announced is not a replica of this build; it is not in the list. `duplicate_replica_id`: several processes have one name; all of them are in the list. `refuses_writes`: the store takes no writes, so replicas that only announce themselves are missing.',
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
          'Every process that was heard of in the last seconds. Where the store cannot be reached, only the one that answers.',
        tags: ['replicas'],
        querystring: PageQuery,
        response: answers({ 200: ReplicaList }),
      },
      handler: async (request, reply) => {
        // Before its turn: others do not wait for Redis.
        const { replicas, warnings } = await listReplicas(lists.control, facts)
        return sendList(lists, request, reply, {
          after: (place, count) => replicas.filter((replica) => replicaPlace(replica) > place).slice(0, count),
          nameOf: replicaPlace,
          present: (replica) => replica,
          more: { warnings: warnings.map(({ code, message }) => ({ code, message })) },
        })
      },
    })
  }
}
