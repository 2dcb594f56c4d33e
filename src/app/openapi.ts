// The head of the OpenAPI document: what the API is, and how it is told apart from the paths.
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { build } from '../build.ts'

export const openApiInfo: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Bellwether admin API',
      version: build.version,
      description:
        'Release channels of self-updating agents: set, pin, roll back, halt. Names with slashes are percent-encoded in paths (`stable%2Fcloud`). Errors are problem documents (RFC 9457); their codes are explained in docs/errors.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The control plane that serves this document.' }],
    tags: [
      { name: 'channels', description: 'The documents of channels.' },
      { name: 'target', description: 'What a channel tells agents.' },
      { name: 'journal', description: 'Who changed what, when and why.' },
      { name: 'blocked versions', description: 'Versions that must not be served again.' },
      { name: 'releases', description: 'What was cut, who has signed it off, and where its packages are (RFD 134).' },
      { name: 'pipelines', description: 'The stages that releases go through, and their rules.' },
      { name: 'rollouts', description: 'How far releases have come, stage by stage, and how they are taken back.' },
      { name: 'webhooks', description: 'What other systems tell.' },
      { name: 'tokens', description: 'Who may do what.' },
      { name: 'replicas', description: 'The replicas of one store, and what to do when it has gone back.' },
      { name: 'health', description: 'How this replica is.' },
    ],
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: '`bw_<id>_<secret>`' } },
    },
  },
  refResolver: {
    buildLocalReference: (json, _baseUri, _fragment, index) =>
      typeof json['$id'] === 'string' ? json['$id'] : `Shape${index}`,
  },
  transform: ({ schema, url, route }) => {
    // A route that needs no role is public; every other one needs a token.
    const security = route.config?.role === undefined ? [] : [{ token: [] }]
    return { schema: { ...schema, security }, url }
  },
}
