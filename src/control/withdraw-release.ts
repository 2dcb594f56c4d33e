// The command that withdraws a release.
import { blockedVersionBody, blockedVersionKey } from '../channels/blocked-version.ts'
import { momentOf } from '../channels/time.ts'
import { withdrawRelease as draftWithdrawal } from '../rollouts/release-draft.ts'
import { rolloutOf } from '../rollouts/rollout.ts'
import type { Conditions, Control, Request } from './control.ts'
import { underWayView } from './core/views.ts'
import { changeRelease, type ReleaseChange, type ReleaseOutcome } from './release-result.ts'
import { putRollout } from './rollout-result.ts'

/** Puts the version on the block list and ends its rollouts; the answer says where agents are told it still. */
export function withdrawRelease(
  control: Control,
  request: Request,
  version: string,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  const change: ReleaseChange = {
    version,
    kind: 'release.withdraw',
    draft: draftWithdrawal,
    beside(tx, release, { now, actor }) {
      const at = momentOf(now)
      const reason = release.withdrawn?.reason ?? ''
      const body = blockedVersionBody({ version: release.version, reason, by: actor, at })
      // As where a version is blocked: an entry that cannot be read is written over.
      tx.overwrite(blockedVersionKey(release.version), body)
      const running = tx.view(underWayView).map(rolloutOf)
      for (const rollout of running.filter((one) => one.release === release.version)) {
        putRollout(tx, { ...rollout, state: 'withdrawn', endedAt: at, paused: null })
      }
    },
  }
  return changeRelease(control, request, change, conditions)
}
