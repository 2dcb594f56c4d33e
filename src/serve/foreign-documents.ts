// Documents that a commit has found in the store otherwise than the journal says: another program has changed them there.
import type { ReplicaLog } from './replica-log.ts'
import type { ReplicaState } from './replica-state.ts'

/**
 * Logs them. Those that the commit has written are as it says now. Answers whether any other one is served otherwise than it is
 * stored, so that the state must be loaded again; one that cannot be read is known already, and fails closed.
 */
export function logForeign(
  log: ReplicaLog,
  state: ReplicaState | null,
  keys: readonly string[],
  rewritten: ReadonlySet<string>,
): boolean {
  const unknown = keys.filter((key) => state?.unreadable.has(key) !== true)
  for (const key of unknown) {
    const what = rewritten.has(key) ? 'it is written over' : 'the whole state is loaded again'
    log.warn({ key }, `another program has changed a document in the store; ${what}`)
  }
  return unknown.some((key) => !rewritten.has(key))
}
