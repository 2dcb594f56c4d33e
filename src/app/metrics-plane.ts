// A listener that has metrics and nothing else. It asks for no token, as the metrics of the control plane do not.
import Fastify, { type FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { metricsRoutes } from '../routes/metrics.ts'

/** A scrape has no body. */
const REQUEST_TIMEOUT_MS = 10_000
/** Scrapers are few. */
const CONNECTIONS_MAX = 100

/** Builds the listener; it is not listening yet. */
export function buildMetricsPlane(registry: Registry): FastifyInstance {
  const app = Fastify({ logger: false, requestTimeout: REQUEST_TIMEOUT_MS, forceCloseConnections: true })
  app.server.maxConnections = CONNECTIONS_MAX
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain; charset=utf-8').send('not found'))
  metricsRoutes(app, registry)
  return app
}
