// The live replicas of the store, as they tell of themselves.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Control } from '../../control/control.ts'
import { listReplicas, type ReplicaFacts } from '../../control/replicas.ts'
import { answers } from './answers.ts'
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

export function replicaRoutes(control: Control, facts: ReplicaFacts): FastifyPluginAsyncTypebox {
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
        response: answers({ 200: ReplicaList }),
      },
      handler: async () => {
        const { replicas, warnings } = await listReplicas(control, facts)
        return { items: replicas, next: null, warnings }
      },
    })
  }
}
