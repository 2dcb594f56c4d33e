// The documentation pages of the admin API, loaded when somebody opens them: they would cost every start 50 ms and
// every process 4 MB that hardly any of them uses.
import Fastify, { type FastifyInstance } from 'fastify'

/** Serves the pages under `prefix`, made from the document that `describe` gives. */
export function docsPages(app: FastifyInstance, prefix: string, describe: () => object): void {
  let pages: Promise<FastifyInstance> | null = null
  app.addHook('onClose', async () => {
    const built = await pages?.catch(() => null)
    await built?.close()
  })
  for (const url of ['/docs', '/docs/*']) {
    app.get(url, { schema: { hide: true } }, async (request, reply) => {
      pages ??= buildPages(prefix, describe())
      // One failed load must not be the answer for ever.
      pages.catch(() => (pages = null))
      const built = await pages
      // These headers would be lost with the reply that is not used.
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value)
      void reply.hijack()
      built.routing(request.raw, reply.raw)
      return reply
    })
  }
}

async function buildPages(prefix: string, document: object): Promise<FastifyInstance> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ])
  const pages = Fastify({ logger: false })
  // The document is what @fastify/swagger itself has made of the routes.
  await pages.register(swagger, { mode: 'static', specification: { document: document as never } })
  await pages.register(swaggerUi, { routePrefix: `${prefix}/docs`, staticCSP: true, transformStaticCSP: overPlainHttp })
  await pages.ready()
  return pages
}

/** The control plane is often reached over plain HTTP on a private network; told to upgrade, a browser would find nothing. */
function overPlainHttp(policy: string): string {
  return policy.replace(/\s*upgrade-insecure-requests;?/, '')
}
