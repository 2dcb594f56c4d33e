// Metrics of rollouts: how many are under way in each pipeline, and how many of them wait for somebody.
import { Gauge, type Registry } from 'prom-client'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { runningRollouts } from '../control/find-rollout.ts'
import type { Replica } from '../serve/replica.ts'

export function rolloutMetrics(registry: Registry, replica: Replica): void {
  const gauge = (name: string, help: string, isCounted: (rollout: Rollout) => boolean): void => {
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
          const rollout = rolloutOf(document)
          this.inc({ pipeline: rollout.pipeline }, isCounted(rollout) ? 1 : 0)
        }
      },
    })
  }
  gauge('bellwether_rollouts', 'Rollouts under way, by pipeline.', () => true)
  gauge(
    'bellwether_rollouts_paused',
    'Rollouts that are paused, by a gate, missing packages or an operator, by pipeline; somebody resumes them or takes them back.',
    ({ paused }) => paused !== null,
  )
  gauge(
    'bellwether_rollouts_suspended',
    'Rollouts with a stage under way that no channel tells agents, by pipeline; no time counts for it until one does.',
    ({ paused, stages }) =>
      paused === null && stages.some(({ state, since }) => /^(promoting|soaking)$/.test(state) && since === null),
  )
}
