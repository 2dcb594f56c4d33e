// The block list: versions that must not be served again.
import { BLOCKED_KIND, blockedVersionOf, type BlockedVersion } from '../channels/blocked-version.ts'
import { orderVersions } from '../channels/version.ts'
import { knownState, type Control } from './control.ts'

export interface BlockedRecord extends BlockedVersion {
  readonly revision: number
}

/** The block list, lowest version first. */
export function listBlockedVersions(control: Control): readonly BlockedRecord[] {
  const blocked = [...knownState(control).documentsOf(BLOCKED_KIND)].map((document) => {
    return { ...blockedVersionOf(document), revision: document.revision }
  })
  return blocked.toSorted((a, b) => orderVersions(a.version, b.version))
}
