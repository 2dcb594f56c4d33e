// The command that takes a version off the block list.
import { blockedVersionKey } from '../channels/blocked-version.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { parseVersion } from '../channels/version.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { isExpected, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { commitWith, executeCommand, replyWith, type Unfinished } from './core/execute.ts'

export type UnblockOutcome =
  /** `no-packages`: its release has no agent packages yet, and stays on the list until it has. */
  { readonly outcome: 'unblocked' | 'not-blocked' | 'no-packages' } | Stale | Refusal | Unfinished

/** Takes a version off the block list. */
export async function unblockVersion(
  control: Control,
  request: Request,
  text: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<UnblockOutcome> {
  const version = parseVersion(text)
  if (version.outcome === 'unparsed') return malformed('version', version.message)
  if ((request.reason?.trim() ?? '') === '') {
    return malformed('reason', 'is missing; say why the version may be served again')
  }
  const key = blockedVersionKey(version.value)
  return executeCommand<UnblockOutcome, null, null>(control, request, {
    kind: 'version.unblock',
    dryRun,
    recordExpiries: 'required',
    run(tx) {
      const document = tx.stored(key)
      if (document === undefined) return replyWith({ outcome: 'not-blocked' })
      const release = tx.get(releaseKey(version.value))
      // Nothing is more expensive than a fleet that is told to install what cannot be downloaded.
      if (release !== undefined && releaseOf(release).kind === 'control-plane') {
        return replyWith({ outcome: 'no-packages' })
      }
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      tx.overwrite(key, null)
      return commitWith(null)
    },
    reply: () => ({ outcome: 'unblocked' }),
  })
}
