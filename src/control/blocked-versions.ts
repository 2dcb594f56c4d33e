// The block list: versions that must not be served again.
import { BLOCKED_KIND, blockedVersionOf, type BlockedVersion } from '../channels/blocked-version.ts'
import { compareVersions } from '../channels/version.ts'
import { knownState, type Control } from './control.ts'

/** The block list, lowest version first. */
export function listBlockedVersions(control: Control): readonly BlockedVersion[] {
  const blocked = [...knownState(control).documentsOf(BLOCKED_KIND)].map(blockedVersionOf)
  return blocked.toSorted((a, b) => compareVersions(a.version, b.version))
}
