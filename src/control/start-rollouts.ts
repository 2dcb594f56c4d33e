// Where rollouts begin: a release that agents can install starts one in every pipeline that takes it, in the commit that
// makes it so.
import { CHANNEL_KIND, channelOf } from '../channels/channel.ts'
import { compareReleases, releaseOrder } from '../rollouts/cloud-version.ts'
import { PIPELINE_KIND, pipelineOf } from '../rollouts/pipeline.ts'
import { takes } from '../rollouts/pipeline-draft.ts'
import type { Release } from '../rollouts/release.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { startRollout } from '../rollouts/rollout-draft.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { readerOf, type Reader, type Transaction } from './core/transaction.ts'
import { fitting } from './fitting.ts'
import { isRunning, rolloutDocuments } from './find-rollout.ts'
import { putRollout } from './rollout-result.ts'

/** Ended rollouts kept of each pipeline: a year of weekly releases twice over; going back needs a few. */
const ENDED_MAX = 100
/** With room for what else the commit has. */
const PRUNED_AT_ONCE_MAX = 20

/** Puts the rollouts of this release that are to begin now: none where it has no packages, or has one already. */
export function putRollouts(tx: Transaction, release: Release, context: RuleContext): void {
  if (release.kind !== 'full' || release.withdrawn !== null) return
  const pipelines = tx.find(PIPELINE_KIND, (document) => {
    const pipeline = pipelineOf(document)
    return takes(pipeline, release.version)
  })
  const outdated: Document[] = []
  for (const document of pipelines) {
    const { name } = pipelineOf(document)
    if (tx.get(rolloutKey(name, release.version)) !== undefined) continue
    putRollout(tx, beginning(tx, document, release, context))
    // What is pruned is expected by its write. A channel that is set to such a release meanwhile loses its rollout, which the
    // journal keeps: as if it were set a moment later.
    outdated.push(...outdatedRollouts(tx.untracked, name))
  }
  for (const { key } of fitting(outdated, PRUNED_AT_ONCE_MAX)) tx.put(key, null)
}

/** A rollout of this release in the pipeline of a document as it begins now: over at once where a newer one has overtaken it. */
export function beginning(reader: Reader, pipeline: Document, release: Release, context: RuleContext): Rollout {
  const { name } = pipelineOf(pipeline)
  const newer = rolloutDocuments(reader, name, (other) => releaseOrder(other.release, release.version) === 'newer')
  return startRollout(
    { pipeline: pipelineOf(pipeline), revision: pipeline.revision },
    release,
    newer.map(rolloutOf),
    context,
  )
}

/**
 * The oldest of many ended rollouts, those first that never reached a channel: they stay in the journal. What a channel of theirs
 * tells or would tell is kept, and so are rollbacks that stand.
 */
function outdatedRollouts(state: ReplicaState, pipeline: string): readonly Document[] {
  const ended = rolloutDocuments(readerOf(state), pipeline, (rollout) => !isRunning(rollout))
  if (ended.length <= ENDED_MAX) return []
  const inUse = versionsInUse(state)
  const hasMoved = (document: Document): number =>
    Number(rolloutOf(document).stages.some(({ moved }) => moved.length > 0))
  return ended
    .filter((document) => {
      const { release, rollback } = rolloutOf(document)
      return !inUse.has(release) && (rollback === null || rollback.unpinnedAt !== null)
    })
    .toSorted((a, b) => hasMoved(a) - hasMoved(b) || compareReleases(rolloutOf(a).release, rolloutOf(b).release))
    .slice(0, Math.min(ended.length - ENDED_MAX, PRUNED_AT_ONCE_MAX))
}

/** Every version that a channel tells, or would without its pin. */
function versionsInUse(state: ReplicaState): ReadonlySet<string> {
  const versions = [...state.documentsOf(CHANNEL_KIND)].flatMap((document) => {
    const { source, pin, ramp } = channelOf(document)
    return [source.version, pin?.version ?? null, ramp?.before.version ?? null]
  })
  return new Set(versions.flatMap((version) => version ?? []))
}
