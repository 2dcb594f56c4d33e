// The block list: versions that must not be served again.
import { BLOCKED_KIND, blockedVersionOf, type BlockedVersion } from '../channels/blocked-version.ts'
import { orderVersions } from '../channels/version.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Identity } from './identity.ts'
import { isBlockedSeen } from './visible-documents.ts'

export interface BlockedRecord extends BlockedVersion {
  readonly revision: number
}

/** What a caller may see of the block list, lowest version first. */
export function listBlockedVersions(state: ReplicaState, identity: Identity): readonly BlockedRecord[] {
  const seen = [...state.documentsOf(BLOCKED_KIND)].filter((document) => isBlockedSeen(state, identity, document))
  const blocked = seen.map((document) => {
    return { ...blockedVersionOf(document), revision: document.revision }
  })
  return blocked.toSorted((a, b) => orderVersions(a.version, b.version))
}
