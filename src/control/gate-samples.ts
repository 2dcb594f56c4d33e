// What gates have found lately. The replica that evaluates them tells the others; nothing of it is durable, and what a
// rollout was decided on stands in its document besides.
import type { GateSamples } from '../rollouts/advance.ts'
import { SAMPLES_MAX } from '../rollouts/gate-standing.ts'
import type { GateSample, Rollout } from '../rollouts/rollout.ts'
import type { Coordination } from '../store/port.ts'

function topicOf({ pipeline, release }: Rollout): string {
  return `gates/${pipeline}/${release}`
}

/** The samples of one stage, by the gate's name, oldest first. */
export async function notedSamples(coordination: Coordination, rollout: Rollout, stage: string): Promise<GateSamples> {
  const samples: [gate: string, found: readonly GateSample[]][] = []
  for (const [name, text] of await coordination.noted(topicOf(rollout))) {
    // Only noteSamples writes under this topic.
    if (!name.startsWith(`${stage}/`)) continue
    samples.push([name.slice(stage.length + 1), JSON.parse(text) as readonly GateSample[]])
  }
  return Object.fromEntries(samples)
}

/** Tells the others what a gate has found. */
export function noteSamples(
  coordination: Coordination,
  rollout: Rollout,
  stage: string,
  gate: string,
  samples: readonly GateSample[],
): Promise<void> {
  return coordination.note(topicOf(rollout), { [`${stage}/${gate}`]: JSON.stringify(samples) })
}

/** Takes back what was told of a rollout that has ended. */
export async function forgetSamples(coordination: Coordination, rollout: Rollout): Promise<void> {
  const names = [...(await coordination.noted(topicOf(rollout))).keys()]
  if (names.length > 0) await coordination.note(topicOf(rollout), Object.fromEntries(names.map((name) => [name, null])))
}

/** The samples with one more, the oldest dropped. */
export function withSample(samples: readonly GateSample[], sample: GateSample): readonly GateSample[] {
  return [...samples, sample].slice(-SAMPLES_MAX)
}
