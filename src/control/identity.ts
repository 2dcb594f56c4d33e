// Who is calling and what they may do: roles, and the channel patterns a token is limited to.
import { patternCovers } from '../channels/name.ts'

/** Lowest first: each role may do what the ones before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

export interface Identity {
  /** What the journal says: `<token name>/<token id>`, or `admin` for the first token. */
  readonly actor: string
  /** Of the token; absent where that is its name. */
  readonly person?: string
  readonly role: Role
  /** Patterns of the only channels this caller sees and changes, null for all. */
  readonly channels: readonly string[] | null
}

export function roleReaches(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed)
}

/** Whether a caller may see and change what is about the whole server. */
export function coversAll({ channels }: Identity): boolean {
  return channels === null || channels.includes('*')
}

/** Whether a caller may see everything: an admin of the whole server. */
export function seesAll(identity: Identity): boolean {
  return identity.role === 'admin' && coversAll(identity)
}

export function covers(identity: Identity, channel: string): boolean {
  return identity.channels === null || identity.channels.some((pattern) => patternCovers(pattern, channel))
}
