// What a release is: what was cut, which changes are in it, who has signed them off, and what it may not be used for.
import type { Document, JsonObject } from '../store/port.ts'

/** RFD 134 builds a release in two parts: the control plane's comes first, agents' packages later or never. */
export type ReleaseKind = 'control-plane' | 'full'

export interface SignedOff {
  readonly by: string
  readonly at: string
  /** Of the token, where that is not its name. */
  readonly person?: string
}

export interface Withdrawal {
  readonly reason: string
  readonly by: string
  readonly at: string
  /** Of the token, where that is not its name. */
  readonly person?: string
}

/** A change that the release brings over the one before. Significant ones are signed off before many agents get them. */
export interface ReleaseChange {
  readonly id: string
  readonly title: string
  readonly author: string
  readonly url: string | null
  readonly significant: boolean
  readonly signedOff: SignedOff | null
  /** Taken back: it is not in the release any more, or needs no sign-off. */
  readonly withdrawn: Withdrawal | null
  /** The moment of the last event of its label on GitHub that has counted: an older one that comes late does not. */
  readonly labelAt: string | null
  /** Those who have put it on the list, or changed it there (people.ts). Missing on those of earlier builds. */
  readonly addedBy?: readonly string[]
}

export interface ReleasePackage {
  readonly url: string
  /** When it was last found to exist. */
  readonly foundAt: string
}

/** What a release says that is hidden while it is embargoed. */
export interface ReleaseWords {
  readonly fixes: readonly string[]
  /** Titles and links. */
  readonly texts: readonly string[]
}

/** What a release has to do with security fixes. */
export interface ReleaseSecurity {
  /** Whether its fixes must not be known yet: shown to admins only, until an admin lifts the embargo. */
  readonly embargoed: boolean
  readonly fixes: readonly string[]
  /** When the embargo was lifted; null while it is open, and where there was none. */
  readonly liftedAt: string | null
  /** What edits took away, hidden as long as what is there now: people may have quoted it. Never answered. */
  readonly earlier?: ReleaseWords
  /** What it said when the embargo was lifted, where that was edited since: what came later is not public by it. Never answered. */
  readonly lifted?: ReleaseWords
}

export interface Release {
  readonly version: string
  /** The whole hash, or what is known of it. */
  readonly commit: string
  readonly cutAt: string
  /** Who cut it, as the journal names actors, with or without what stands after the slash. */
  readonly cutBy: string
  readonly registeredAt: string
  readonly registeredBy: string
  readonly kind: ReleaseKind
  /** `owner/name` on GitHub: where changes are whose id is a number alone. Missing on releases of earlier builds. */
  readonly repository?: string | null
  /** null where nobody has said yet what it brings. */
  readonly changes: readonly ReleaseChange[] | null
  /** The lowest version of an agent that it still works with; null for any. */
  readonly minAgentVersion: string | null
  readonly security: ReleaseSecurity | null
  readonly notesUrl: string | null
  readonly packages: readonly ReleasePackage[]
  /** Its version is on the block list, and no pipeline promotes it any more. */
  readonly withdrawn: Withdrawal | null
  /** It was rolled back: no pipeline promotes it, until its rollout is resumed. */
  readonly bad: Withdrawal | null
  /** Counts up whenever something else is in it than before: who has approved an earlier edition has not approved this one. */
  readonly edition: number
  /** Those who have written some of what is in it (people.ts). Missing on releases of earlier builds. */
  readonly authors?: readonly string[]
}

/** The kind of document, as keys of the store begin. */
export const RELEASE_KIND = 'release'
const RELEASE_PREFIX = `${RELEASE_KIND}/`

export function releaseKey(version: string): string {
  return `${RELEASE_PREFIX}${version}`
}

export function isReleaseKey(key: string): boolean {
  return key.startsWith(RELEASE_PREFIX)
}

export function releaseOf(document: Document): Release {
  // The store has checked the body (control/check-document.ts) and marked it where it is no release.
  return document.body as unknown as Release
}

export function releaseBody(release: Release): JsonObject {
  // A Release is made of strings, booleans, nulls, and lists and objects of them.
  return release as unknown as JsonObject
}

/** The name that an actor begins with: two tokens of one name are one person unless they say otherwise. */
export function personOf(actor: string): string {
  const slash = actor.lastIndexOf('/')
  return (slash === -1 ? actor : actor.slice(0, slash)).trim().toLowerCase()
}
