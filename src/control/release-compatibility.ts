// Which agents a release would leave behind: the answer to whoever asks before anything is promoted.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { lowestVersion } from '../channels/version.ts'
import { tooOldFor, type TooOld } from '../rollouts/conditions.ts'
import { takes } from '../rollouts/pipeline-draft.ts'
import type { Release } from '../rollouts/release.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { currentState, type Control } from './control.ts'
import { readerOf } from './core/transaction.ts'
import { listPipelines } from './pipelines.ts'
import { runningIn } from './rollout-facts.ts'

export interface ReleaseCompatibility {
  readonly version: string
  readonly minAgentVersion: string | null
  readonly compatible: boolean
  readonly stages: readonly {
    readonly pipeline: string
    readonly stage: string
    /** The lowest version that agents of the stage may run; null where none was served. */
    readonly oldest: string | null
    readonly tooOld: readonly TooOld[]
    /** Channels of which nobody knows any more what they have served before a moment within the grace period. */
    readonly unknown: readonly { readonly channel: string; readonly before: string }[]
  }[]
}

/**
 * For one pipeline, or every one that takes the release; `grace` (ISO 8601) instead of the pipeline's where it is given. Stops
 * at once, with null, where `isGone` says that nobody waits for the answer any more. Throws while the store is not followed:
 * other replicas may have channels serve what is not known here.
 */
export async function releaseCompatibility(
  control: Control,
  { version, minAgentVersion }: Release,
  { pipeline, grace }: { readonly pipeline: string | null; readonly grace: string | null },
  isGone: () => boolean,
): Promise<ReleaseCompatibility | null> {
  const state = currentState(control)
  const asked = listPipelines(state).filter((one) => (pipeline === null ? takes(one, version) : one.name === pipeline))
  const stages: ReleaseCompatibility['stages'][number][] = []
  for (const one of asked) {
    for (const { name, channels } of one.stages) {
      // A stage of 900 channels takes some 10 ms; polls are answered in between.
      await nextTurn()
      if (isGone()) return null
      const { versions, unknown } = runningIn(
        control,
        readerOf(state),
        { names: channels, grace: grace ?? one.grace },
        timesOf(control.clock),
      )
      const oldest = lowestVersion([...versions.values()].flat())
      const tooOld = tooOldFor(minAgentVersion, versions)
      const gaps = minAgentVersion === null ? [] : [...unknown].map(([channel, before]) => ({ channel, before }))
      stages.push({ pipeline: one.name, stage: name, oldest, tooOld, unknown: gaps })
    }
  }
  return {
    version,
    minAgentVersion,
    compatible: stages.every(({ tooOld, unknown }) => tooOld.length + unknown.length === 0),
    stages,
  }
}
