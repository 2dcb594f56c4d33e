// The block list: one document for each version that must not be served again (a pulled release).
import type { Document, JsonObject } from '../store/port.ts'

export interface BlockedVersion {
  readonly version: string
  readonly reason: string
  readonly by: string
  readonly at: string
}

/** Says whether a version is on the block list. Versions are compared to the letter: other build metadata, other package. */
export type IsBlocked = (version: string) => boolean

const BLOCKED_PREFIX = 'blocked-version/'

export function blockedVersionKey(version: string): string {
  return `${BLOCKED_PREFIX}${version}`
}

export function isBlockedVersionKey(key: string): boolean {
  return key.startsWith(BLOCKED_PREFIX)
}

export function blockedVersionOf(document: Document): BlockedVersion {
  // Only blockedVersionBody writes documents under blocked-version/.
  return document.body as unknown as BlockedVersion
}

export function blockedVersionBody(blocked: BlockedVersion): JsonObject {
  return { version: blocked.version, reason: blocked.reason, by: blocked.by, at: blocked.at }
}
