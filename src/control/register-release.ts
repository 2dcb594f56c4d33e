// The command that registers a release.
import { blockedVersionBody, blockedVersionKey } from '../channels/blocked-version.ts'
import { malformed } from '../channels/outcome.ts'
import { momentOf } from '../channels/time.ts'
import { named } from '../rollouts/conditions.ts'
import { refuse } from '../rollouts/outcome.ts'
import { withKeptLabels } from '../rollouts/github-label.ts'
import { releaseBody, releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import { draftRelease, type ReleaseDraft, type RuleContext } from '../rollouts/release-draft.ts'
import type { Control, Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'
import { keptLabelsView } from './core/views.ts'
import { packageFinder, type Packages } from './find-packages.ts'
import { releaseDone, type ReleaseOutcome } from './release-result.ts'
import { ruleContext } from './rollout-result.ts'
import { servedBy } from './served-by.ts'
import { putRollouts } from './start-rollouts.ts'

/** Registers a release. One that agents can install begins its rollouts; another is kept from every channel until it can. */
export async function registerRelease(
  control: Control,
  request: Request,
  draft: ReleaseDraft & { readonly packages?: readonly string[] },
  dryRun: boolean,
): Promise<ReleaseOutcome> {
  const urls = draft.packages ?? []
  if (draft.kind === 'control-plane' && urls.length > 0) {
    return malformed('packages', 'have no meaning for a control-plane release; it has none yet')
  }
  return executeCommand<ReleaseOutcome, null, Packages>(control, request, {
    kind: 'release.register',
    dryRun,
    recordExpiries: 'tried',
    prepare: packageFinder(control, request, urls),
    run(tx, packages) {
      if (packages.outcome !== 'found') return replyWith(packages)
      const context = ruleContext(request, tx.times)
      const drafted = draftRelease(draft, packages.packages, context)
      if (drafted.outcome === 'refused') return replyWith(drafted)
      const release = withLabels(tx, drafted.release)
      const { version, kind } = release
      const key = releaseKey(version)
      const registered = tx.get(key)
      if (registered !== undefined)
        return replyWith(refuse('release_exists', whyRegistered(releaseOf(registered), release)))
      // A channel that is set to it meanwhile finds it on the block list, or, if it is first, is named in the answer: as where a
      // version is blocked.
      const served = servedBy(tx.untracked, version)
      if (kind === 'control-plane' && served.length > 0) {
        const message = `${named(served)} tell agents ${version}, so it has packages; register it as full, or move them first`
        return replyWith(refuse('version_served', message))
      }
      tx.put(key, releaseBody(release))
      if (kind === 'control-plane') keepFromChannels(tx, release, context)
      else tx.stored(blockedVersionKey(version))
      putRollouts(tx, release, context)
      return commitWith(null)
    },
    reply: (applied, _, state) => releaseDone(applied, state),
  })
}

/** The release with the labels that its changes had before it; what is known of labels is recorded. */
function withLabels(tx: Transaction, release: Release): Release {
  if (release.changes === null) return release
  return withKeptLabels(release, tx.view(keptLabelsView), () => true, tx.now)
}

/** What to do about a version that is registered, or which commit it is of. */
function whyRegistered(before: Release, { version, commit }: Release): string {
  if (isSameCommit(before.commit, commit)) return `release ${version} is registered already; PATCH tells more of it`
  return `release ${version} is registered with the commit ${before.commit}, not with ${commit}; cut another version`
}

/** Whether two hashes, whole or in part, can be of one commit. */
export function isSameCommit(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

/** Puts a release that agents cannot install on the block list. */
function keepFromChannels(tx: Transaction, { version }: Release, { now, actor }: RuleContext): void {
  const key = blockedVersionKey(version)
  // An entry that cannot be read blocks the version, too.
  if (tx.stored(key) !== undefined) return
  const reason = 'a control-plane release: it has no agent packages yet'
  tx.put(key, blockedVersionBody({ version, reason, by: actor, at: momentOf(now), because: 'no packages' }))
}
