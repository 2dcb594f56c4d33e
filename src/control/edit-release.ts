// The commands that change a release's document alone: say more of it, judge one of its changes, lift its embargo.
import {
  editRelease as draftEdit,
  judgeChange as draftVerdict,
  liftEmbargo as draftLift,
} from '../rollouts/release-draft.ts'
import type { ChangeVerdict, ReleaseEdit } from '../rollouts/release-draft.ts'
import { pullRequestsOf, withKeptLabels } from '../rollouts/github-label.ts'
import { isSamePullRequest, pullRequestOf, type PullRequest } from '../rollouts/pull-request.ts'
import type { Conditions, Control, Request } from './control.ts'
import { keptLabelsView } from './core/views.ts'
import { peopleIn } from './people.ts'
import { changeRelease, type ReleaseChange, type ReleaseOutcome } from './release-result.ts'

export function editRelease(
  control: Control,
  request: Request,
  { version, edit }: { readonly version: string; readonly edit: ReleaseEdit },
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  const change: ReleaseChange = {
    version,
    kind: 'release.edit',
    draft(release, context, _, tx) {
      const drafted = draftEdit(release, edit, context)
      if (drafted.outcome === 'refused' || (edit.changes ?? edit.repository) === undefined) return drafted
      const { repository = null } = release
      // A change whose pull request was known is signed off again where it is another one now.
      const known = (release.changes ?? []).filter((one) => pullRequestOf(one, repository) !== null)
      const before = pullRequestsOf(release)
      // So is one whose pull request the release had by another id.
      const isNew = (id: string, pullRequest: PullRequest): boolean =>
        !known.some((one) => one.id === id) && !before.some((one) => isSamePullRequest(one, pullRequest))
      return { ...drafted, release: withKeptLabels(drafted.release, tx.view(keptLabelsView), isNew, tx.now) }
    },
  }
  return changeRelease(control, request, change, conditions)
}

/** Signs a change off, takes that back, or withdraws the change. */
export function judgeChange(
  control: Control,
  request: Request,
  { version, id, verdict }: { readonly version: string; readonly id: string; readonly verdict: ChangeVerdict },
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  const change: ReleaseChange = {
    version,
    kind: `release.${verdict}`,
    draft: (release, context, _, tx) => draftVerdict(release, id, verdict, { ...context, people: peopleIn(tx) }),
  }
  return changeRelease(control, request, change, conditions)
}

export function liftEmbargo(
  control: Control,
  request: Request,
  version: string,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  const change: ReleaseChange = {
    version,
    kind: 'release.lift-embargo',
    draft: (release, context) => draftLift(release, context),
  }
  return changeRelease(control, request, change, conditions)
}
