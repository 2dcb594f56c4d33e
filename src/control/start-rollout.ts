// The command that begins the rollout of a release.
import { refuse, unknownPipeline, unknownRelease } from '../rollouts/outcome.ts'
import { loweringRefusal } from '../rollouts/lowered-rules.ts'
import { pipelineKey } from '../rollouts/pipeline.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { rolloutKey, rolloutOf } from '../rollouts/rollout.ts'
import { startAgain } from '../rollouts/rollout-draft.ts'
import type { Conditions, Control, Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import { peopleIn } from './people.ts'
import { bare } from './release-result.ts'
import { putRollout, rolloutDone, ruleContext, type RolloutOutcome } from './rollout-result.ts'
import { beginning } from './start-rollouts.ts'

/** Begins the rollout of a release that is registered, or that of one that was superseded from the beginning. */
export function startRollout(
  control: Control,
  request: Request,
  { pipeline, release: text }: { readonly pipeline: string; readonly release: string },
  { dryRun }: Conditions,
): Promise<RolloutOutcome> {
  const version = bare(text)
  return executeCommand<RolloutOutcome, null, null>(control, request, {
    kind: 'rollout.start',
    dryRun,
    run(tx) {
      const document = tx.readable(pipelineKey(pipeline))
      if (document === undefined) return replyWith(unknownPipeline(pipeline))
      const released = tx.get(releaseKey(version))
      if (released === undefined) return replyWith(unknownRelease(version))
      const release = releaseOf(released)
      if (release.kind === 'control-plane') {
        const message = `release ${version} has no agent packages yet; say where they are with POST …/artifacts`
        return replyWith(refuse('no_packages', message))
      }
      const ended = release.withdrawn ?? release.bad
      if (ended !== null) {
        return replyWith(refuse('release_over', `release ${version} was taken back: ${ended.reason}`))
      }
      const known = tx.readable(rolloutKey(pipeline, version))
      const before = known === undefined ? null : rolloutOf(known)
      if (before !== null && before.state !== 'superseded') {
        const message = `release ${version} has a rollout in ${pipeline}, which is ${before.state}`
        return replyWith(refuse('rollout_exists', message))
      }
      const fresh = beginning(tx, document, release, ruleContext(request, tx.times))
      const lowering = before === null ? null : loweringRefusal(before, fresh.rules, { release, people: peopleIn(tx) })
      if (lowering !== null) return replyWith(lowering)
      putRollout(tx, before === null ? fresh : startAgain(fresh, before))
      return commitWith(null)
    },
    reply: (applied, _, state) => rolloutDone(applied, null, state, control.clock.expiryTime()),
  })
}
