// The command that revokes a token.
import { isExpected, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { commitWith, executeCommand, replyWith, type Unfinished } from './core/execute.ts'
import { tokenKey } from './tokens.ts'

export type RevokeOutcome = { readonly outcome: 'revoked' | 'unknown-token' } | Stale | Unfinished

/** Revokes a token: it is worth nothing on this replica from the answer on. */
export function revokeToken(
  control: Control,
  request: Request,
  id: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RevokeOutcome> {
  const key = tokenKey(id)
  return executeCommand<RevokeOutcome, null, null>(control, request, {
    kind: 'token.revoke',
    dryRun,
    run(tx) {
      // One that cannot be read lets nobody in; it can still be revoked.
      const document = tx.stored(key)
      if (document === undefined) return replyWith({ outcome: 'unknown-token' })
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document })
      tx.overwrite(key, null)
      return commitWith(null)
    },
    reply: () => ({ outcome: 'revoked' }),
  })
}
