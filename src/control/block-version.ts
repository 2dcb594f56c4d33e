// The command that puts a version on the block list.
import {
  blockedVersionBody,
  blockedVersionKey,
  blockedVersionOf,
  type BlockedVersion,
} from '../channels/blocked-version.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { momentOf } from '../channels/time.ts'
import { parseVersion } from '../channels/version.ts'
import { isExpected, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import { documentAfter, type Transaction } from './core/transaction.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import { servedBy, servedByOf, type ServedBy } from './served-by.ts'

export type BlockOutcome =
  /** With the channels that tell agents this version now. Blocking it has not moved them. */
  | ({ readonly outcome: 'blocked'; readonly blocked: BlockedVersion; readonly revision: number } & ServedBy)
  | Stale
  | Refusal
  | Unfinished

/** Puts a version on the block list, or gives the one that is there another reason; says where it is served. */
export async function blockVersion(
  control: Control,
  request: Request,
  text: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<BlockOutcome> {
  const parsed = parseVersion(text)
  if (parsed.outcome === 'unparsed') return malformed('version', parsed.message)
  const reason = request.reason?.trim() ?? ''
  if (reason === '') return malformed('reason', 'is missing; say what is wrong with the version')
  const version = parsed.value
  const key = blockedVersionKey(version)
  return executeCommand<BlockOutcome, null, null>(control, request, {
    kind: 'version.block',
    dryRun,
    recordExpiries: 'tried',
    run(tx) {
      const document = tx.get(key)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document ?? null })
      if (document !== undefined && blockedVersionOf(document).reason === reason) return leaveUnchanged(document)
      // An entry that cannot be read is written over: it blocks the version as before.
      tx.overwrite(key, blockedVersionBody({ version, reason, by: request.actor, at: momentOf(tx.now) }))
      return commitWith(null)
    },
    reply: (applied, _, state) => blockedBy(documentAfter(applied, key), state),
    replyUnchanged: blockedBy,
  })
}

/** Puts a version on the block list beside what else a command writes; the caller has seen that it is not there. */
export function putBlockedVersion(tx: Transaction, version: string, { actor, reason }: Request): void {
  const why = `rolled back: ${reason?.trim() ?? ''}`
  tx.put(blockedVersionKey(version), blockedVersionBody({ version, reason: why, by: actor, at: momentOf(tx.now) }))
}

function blockedBy(document: Document, state: ReplicaState): BlockOutcome {
  const blocked = blockedVersionOf(document)
  const { revision } = document
  return { outcome: 'blocked', blocked, revision, ...servedByOf(servedBy(state, blocked.version)) }
}
