// Names, once at the start, the gates that this server could not ask as it is set up: their rollouts would be paused only once a
// stage is under way.
import { rolloutOf } from '../rollouts/rollout.ts'
import type { StageRules } from '../rollouts/pipeline.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { Control } from './control.ts'
import { runningRollouts } from './find-rollout.ts'
import { listPipelines } from './pipelines.ts'

/** Logs a warning for every gate of a pipeline, or of a rollout under way, that may not be asked. */
export function warnOfGates({ replica, outside }: Control, log: Pick<ReplicaLog, 'warn'>): void {
  const { state } = replica
  if (state === null) return
  const warnOf = (of: object, stages: readonly StageRules[]): void => {
    for (const { name: stage, gates } of stages) {
      for (const gate of gates) {
        const mistake = outside.gateRefusal(gate)
        if (mistake === null) continue
        const { name, secret } = gate
        const problem = `${mistake.field} ${mistake.message}`
        log.warn({ ...of, stage, gate: name, ...(mistake.field === 'secret' && { secret }), problem }, UNUSABLE)
      }
    }
  }
  for (const { name, stages } of listPipelines(state)) warnOf({ pipeline: name }, stages)
  for (const { pipeline, release, rules } of runningRollouts(state).map(rolloutOf)) {
    warnOf({ pipeline, release }, rules.stages)
  }
}

const UNUSABLE = 'a gate cannot be evaluated with the settings of this server'
