// The block list: one document for each version that must not be served again (a pulled release).
import type { Document, JsonObject } from '../store/port.ts'

export interface BlockedVersion {
  readonly version: string
  readonly reason: string
  readonly by: string
  readonly at: string
  /**
   * Not there where an operator has put it on the list. A release without agent packages leaves it with them, one that was
   * rolled back when its rollout is resumed.
   */
  readonly because?: 'no packages' | 'rolled back'
}

/** Says whether a version is on the block list. Versions are compared to the letter: other build metadata, other package. */
export type IsBlocked = (version: string) => boolean

/** The kind of document, as keys of the store begin. */
export const BLOCKED_KIND = 'blocked-version'
const BLOCKED_PREFIX = `${BLOCKED_KIND}/`

export function blockedVersionKey(version: string): string {
  return `${BLOCKED_PREFIX}${version}`
}

export function isBlockedVersionKey(key: string): boolean {
  return key.startsWith(BLOCKED_PREFIX)
}

export function blockedVersionOf(document: Document): BlockedVersion {
  // checkDocument has looked at its members: unreadable documents are kept apart, and are not given to this.
  return document.body as unknown as BlockedVersion
}

export function blockedVersionBody(blocked: BlockedVersion): JsonObject {
  const { version, reason, by, at, because } = blocked
  return { version, reason, by, at, ...(because === undefined ? {} : { because }) }
}
