// Metrics of rollouts: how many are under way in each pipeline, and how many of them wait for somebody.
import { Gauge, type Registry } from 'prom-client'
import { rolloutOf } from '../rollouts/rollout.ts'
import { runningRollouts } from '../control/rollouts.ts'
import type { Replica } from '../serve/replica.ts'

export function rolloutMetrics(registry: Registry, replica: Replica): void {
  gauge(registry, replica, 'bellwether_rollouts', 'Rollouts under way, by pipeline.', () => true)
  const help =
    'Rollouts that are paused, by a gate or an operator, by pipeline; somebody resumes them or takes them back.'
  gauge(registry, replica, 'bellwether_rollouts_paused', help, (paused) => paused)
}

function gauge(
  registry: Registry,
  replica: Replica,
  name: string,
  help: string,
  isCounted: (paused: boolean) => boolean,
): void {
  new Gauge({
    name,
    help,
    labelNames: ['pipeline'],
    registers: [registry],
    collect() {
      this.reset()
      const { state } = replica
      if (state === null) return
      for (const document of runningRollouts(state)) {
        const { pipeline, paused } = rolloutOf(document)
        this.inc({ pipeline }, isCounted(paused !== null) ? 1 : 0)
      }
    },
  })
}
