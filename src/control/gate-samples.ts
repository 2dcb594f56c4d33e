// What gates have found lately. The replica that evaluates them tells the others, and whoever comes after it; it may be lost,
// and what a rollout was decided on stands in its document besides.
import { parseMoment } from '../channels/time.ts'
import type { GateSamples } from '../rollouts/advance.ts'
import { SAMPLES_MAX } from '../rollouts/gate-standing.ts'
import { GATE_VERDICTS, type GateSample, type Rollout } from '../rollouts/rollout.ts'
import type { Coordination } from '../store/port.ts'

/**
 * A gate is evaluated every hour at the least: samples that nobody has added to for so long are of a process that died before it
 * could take them back.
 */
const SAMPLES_KEPT_MS = 7 * 86_400_000

function topicOf({ pipeline, release }: Rollout): string {
  return `gates/${pipeline}/${release}`
}

/** The samples of one stage, by the gate's name, oldest first. */
export async function notedSamples(coordination: Coordination, rollout: Rollout, stage: string): Promise<GateSamples> {
  const samples: [gate: string, found: readonly GateSample[]][] = []
  for (const [name, text] of await coordination.noted(topicOf(rollout))) {
    if (name.startsWith(`${stage}/`)) samples.push([name.slice(stage.length + 1), readSamples(text)])
  }
  return Object.fromEntries(samples)
}

/** Tells the others what a gate has found. */
export function noteSamples(
  coordination: Coordination,
  rollout: Rollout,
  { stage, gate }: { readonly stage: string; readonly gate: string },
  samples: readonly GateSample[],
): Promise<void> {
  return coordination.note(topicOf(rollout), { [`${stage}/${gate}`]: JSON.stringify(samples) }, SAMPLES_KEPT_MS)
}

/** Takes back what was told of a rollout that has ended. */
export async function forgetSamples(coordination: Coordination, rollout: Rollout): Promise<void> {
  const names = [...(await coordination.noted(topicOf(rollout))).keys()]
  if (names.length > 0) await coordination.note(topicOf(rollout), Object.fromEntries(names.map((name) => [name, null])))
}

/** Another Bellwether may have noted them in another form; what is not understood was not found, and the gate is asked anew. */
function readSamples(text: string): readonly GateSample[] {
  let samples: unknown
  try {
    samples = JSON.parse(text)
  } catch {
    return []
  }
  return Array.isArray(samples) && samples.every(isSample) ? samples : []
}

function isSample(value: unknown): value is GateSample {
  if (typeof value !== 'object' || value === null) return false
  const { at, value: found, verdict, detail } = value as Readonly<Record<string, unknown>> // Any member can be asked for.
  return (
    typeof at === 'string' &&
    // As a rollout's document must have it, where samples are copied to.
    parseMoment(at).outcome === 'parsed' &&
    (found === null || Number.isFinite(found)) &&
    GATE_VERDICTS.some((known) => known === verdict) &&
    (detail === null || typeof detail === 'string')
  )
}

/** The samples with one more, the oldest dropped. */
export function withSample(samples: readonly GateSample[], sample: GateSample): readonly GateSample[] {
  return [...samples, sample].slice(-SAMPLES_MAX)
}
