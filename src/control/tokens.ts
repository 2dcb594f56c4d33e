// Tokens: recognised and listed. Only a hash of a token is ever stored.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { hasPassed } from '../channels/target.ts'
import type { Document, JsonObject } from '../store/port.ts'
import { knownState, type Control } from './control.ts'
import type { Identity, Role } from './identity.ts'

export const TOKEN_KIND = 'token'
const TOKEN_PREFIX = `${TOKEN_KIND}/`
const TOKEN = /^bw_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/
/** 256 bits: nobody guesses one, so a plain SHA-256 of it is enough to store. */
const SECRET_BYTES = 32

/** A token is limited to this many channel patterns at most; every request is matched against them. */
export const TOKEN_PATTERNS_MAX = 50

/** What the API shows of a token; the stored document has its hash besides. */
export interface Token {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly channels: readonly string[] | null
  readonly createdAt: string
  readonly createdBy: string
  readonly expiresAt: string | null
  /** Who uses it, where that is not its name: what counts where different people are required. */
  readonly person?: string
}

export interface TokenRecord extends Token {
  readonly person: string
  readonly revision: number
}

interface StoredToken extends Token {
  /** SHA-256 of the whole token, in hex. */
  readonly hash: string
}

export type Identification =
  | { readonly outcome: 'identified'; readonly identity: Identity }
  | { readonly outcome: 'expired'; readonly at: string }
  /** It has the form of a stored token, and this replica has loaded none to compare it with. */
  | { readonly outcome: 'not-loaded' }
  | { readonly outcome: 'unknown' }

export function tokenKey(id: string): string {
  return TOKEN_PREFIX + id
}

export function isTokenKey(key: string): boolean {
  return key.startsWith(TOKEN_PREFIX)
}

/** A new token's text: `bw_<id>_<secret>`. */
export function makeTokenText(id: string): string {
  return `bw_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
}

/** Says whose token this is. Hashes are compared in constant time; an unknown id costs the same as a wrong secret. */
export function identify(control: Control, adminToken: string, text: string): Identification {
  const hash = sha256(text)
  if (timingSafeEqual(hash, sha256(adminToken))) {
    return { outcome: 'identified', identity: { actor: 'admin', role: 'admin', channels: null } }
  }
  const id = TOKEN.exec(text)?.[1] ?? ''
  const { state } = control.replica
  if (state === null && id !== '') return { outcome: 'not-loaded' }
  const document = state?.document(tokenKey(id))
  const stored = document === undefined ? null : tokenOf(document)
  const same = timingSafeEqual(hash, stored === null ? Buffer.alloc(hash.length) : Buffer.from(stored.hash, 'hex'))
  if (stored === null || !same) return { outcome: 'unknown' }
  if (stored.expiresAt !== null && hasPassed(stored.expiresAt, control.clock.accessTime())) {
    return { outcome: 'expired', at: stored.expiresAt }
  }
  const { name, role, channels, person } = stored
  const identity = { actor: `${name}/${id}`, role, channels, ...(person === undefined ? {} : { person }) }
  return { outcome: 'identified', identity }
}

/** Whether a caller who was identified would be again: its token was not revoked since, and has not expired. */
export function isStillIdentified(control: Control, { actor }: Identity): boolean {
  const slash = actor.lastIndexOf('/')
  // Only the first token's actor has no slash, and it ends with the process.
  if (slash === -1) return true
  const document = control.replica.state?.document(tokenKey(actor.slice(slash + 1)))
  return document !== undefined && !hasPassed(tokenOf(document).expiresAt, control.clock.accessTime())
}

/** A stored token as the API shows it. */
export function presentToken(document: Document): TokenRecord {
  const { hash: _hash, ...token } = tokenOf(document)
  return { ...token, person: token.person ?? token.name, revision: document.revision }
}

/** Every token that was not revoked, expired ones too, by name. */
export function listTokens(control: Control): readonly TokenRecord[] {
  const tokens: TokenRecord[] = []
  for (const document of knownState(control).documentsOf(TOKEN_KIND)) tokens.push(presentToken(document))
  return tokens.toSorted(compareTokens)
}

/** The order of the list of tokens. */
export function compareTokens(a: Pick<Token, 'name' | 'id'>, b: Pick<Token, 'name' | 'id'>): number {
  return a.name === b.name ? compare(a.id, b.id) : compare(a.name, b.name)
}

/** What is stored of a token whose text is `secret`. */
export function tokenBody(token: Token, secret: string): JsonObject {
  return { ...token, hash: sha256(secret).toString('hex') } satisfies JsonObject
}

function tokenOf(document: Document): StoredToken {
  // The store has checked the body (control/check-document.ts) and marked it where it is no token.
  return document.body as unknown as StoredToken
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
