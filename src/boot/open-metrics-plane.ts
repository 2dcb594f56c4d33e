// Metrics on a port of their own: for processes without a control plane, and for scrapers that must not reach it.
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { Config } from '../config.ts'
import { listen } from '../listening.ts'
import type { MetricsSources } from '../routes/metrics.ts'

/** Opens the port; null where none is set. `registry` is that of the control plane, null where there is none. */
export async function openMetricsPlane(
  { metrics }: Config,
  registry: Registry | null,
  sources: MetricsSources,
): Promise<{ readonly plane: FastifyInstance; readonly address: string } | null> {
  if (metrics === null) return null
  // Loaded only where it is used.
  const [{ buildMetricsPlane }, { buildMetrics }] = await Promise.all([
    import('../app/metrics-plane.ts'),
    import('../routes/metrics.ts'),
  ])
  const plane = buildMetricsPlane(registry ?? buildMetrics(sources).registry)
  return { plane, address: await listen(plane, metrics, 'METRICS') }
}
