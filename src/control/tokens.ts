// Tokens: made, listed, revoked, and recognised. Only a hash of a token is ever stored.
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { parseChannelPattern } from '../channels/name.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { hasPassed } from '../channels/target.ts'
import { momentOf, parseMoment } from '../channels/time.ts'
import type { Document, JournalEntry, JsonObject } from '../store/port.ts'
import {
  commitAndServe,
  CONTENTION_TRIES_MAX,
  currentState,
  earlierTry,
  isExpected,
  knownState,
  type Conditions,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
  type Stale,
} from './control.ts'
import type { Identity, Role } from './identity.ts'

export const TOKEN_KIND = 'token'
const TOKEN_PREFIX = `${TOKEN_KIND}/`
const TOKEN = /^bw_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/
const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
const ID_LENGTH = 12
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
}

interface StoredToken extends Token {
  /** SHA-256 of the whole token, in hex. */
  readonly hash: string
}

export interface TokenDraft {
  readonly name: string
  readonly role: Role
  readonly channels?: readonly string[] | null
  readonly expiresAt?: string | null
}

export type TokenCreation =
  | { readonly outcome: 'created'; readonly token: Token; readonly secret: string }
  /** An earlier try has made it; its text was in the answer that was lost. */
  | { readonly outcome: 'made-before'; readonly id: string }
  | Refusal
  | NotServedYet
  | Contended
  | KeyReused

export type Identification =
  | { readonly outcome: 'identified'; readonly identity: Identity }
  | { readonly outcome: 'expired'; readonly at: string }
  | { readonly outcome: 'unknown' }
  /** It has the form of a stored token, and this replica has loaded none to compare it with. */
  | { readonly outcome: 'not-loaded' }

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
  const document = state?.document(TOKEN_PREFIX + id)
  const stored = document === undefined ? null : tokenOf(document)
  const same = timingSafeEqual(hash, stored === null ? Buffer.alloc(hash.length) : Buffer.from(stored.hash, 'hex'))
  if (stored === null || !same) return { outcome: 'unknown' }
  if (stored.expiresAt !== null && hasPassed(stored.expiresAt, control.clock.now())) {
    return { outcome: 'expired', at: stored.expiresAt }
  }
  const { name, role, channels } = stored
  return { outcome: 'identified', identity: { actor: `${name}/${id}`, role, channels } }
}

/** Whether a caller who was identified would be again: its token was not revoked since, and has not expired. */
export function isStillIdentified(control: Control, { actor }: Identity): boolean {
  const slash = actor.lastIndexOf('/')
  // Only the first token's actor has no slash, and it ends with the process.
  if (slash === -1) return true
  const document = control.replica.state?.document(TOKEN_PREFIX + actor.slice(slash + 1))
  return document !== undefined && !hasPassed(tokenOf(document).expiresAt, control.clock.now())
}

/** A stored token as the API shows it. */
export function presentToken(document: Document): Token {
  return shown(tokenOf(document))
}

/** Every token that was not revoked, expired ones too, by name. */
export function listTokens(control: Control): readonly Token[] {
  const tokens: Token[] = []
  for (const document of knownState(control).documentsOf(TOKEN_KIND)) tokens.push(presentToken(document))
  return tokens.toSorted(compareTokens)
}

/** The order of the list of tokens. */
export function compareTokens(a: Pick<Token, 'name' | 'id'>, b: Pick<Token, 'name' | 'id'>): number {
  return a.name === b.name ? compare(a.id, b.id) : compare(a.name, b.name)
}

/** Makes a token; its text is in the answer and nowhere else. */
export async function createToken(
  control: Control,
  request: Request,
  draft: TokenDraft,
  dryRun: boolean,
): Promise<TokenCreation> {
  for (const [index, pattern] of (draft.channels ?? []).entries()) {
    const parsed = parseChannelPattern(pattern)
    if (parsed.outcome === 'unparsed') return malformed(`channels/${index}`, parsed.message)
  }
  const now = control.clock.now()
  const expiresAt = draft.expiresAt === undefined || draft.expiresAt === null ? null : parseMoment(draft.expiresAt)
  if (expiresAt?.outcome === 'unparsed') return malformed('expiresAt', expiresAt.message)
  if (expiresAt !== null && hasPassed(expiresAt.value, now)) {
    return malformed('expiresAt', `${expiresAt.value} has passed; give a moment in the future`)
  }
  const id = Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('')
  const token: Token = {
    id,
    name: draft.name,
    role: draft.role,
    channels: draft.channels ?? null,
    createdAt: momentOf(now),
    createdBy: request.actor,
    expiresAt: expiresAt?.value ?? null,
  }
  currentState(control)
  if (dryRun) return { outcome: 'created', token, secret: '' }
  const earlier = await earlierTry(control, request, 'token.create', null)
  if (earlier !== null) return earlier.outcome === 'applied' ? madeBefore(earlier.entry) : earlier
  const secret = makeTokenText(id)
  const body = { ...token, hash: sha256(secret).toString('hex') } satisfies JsonObject
  const committed = await commitAndServe(control, request, {
    at: momentOf(now),
    kind: 'token.create',
    writes: [{ key: TOKEN_PREFIX + id, expected: 0, body }],
    reads: [],
  })
  // Two tokens with one random id of 62 bits: not expected in the life of the world, and then simply asked for again.
  if (committed.outcome === 'conflict') return { outcome: 'contended' }
  if (committed.outcome !== 'served') return committed
  return committed.repeated ? madeBefore(committed.entry) : { outcome: 'created', token, secret }
}

function madeBefore({ subjects: [key = ''] }: JournalEntry): TokenCreation {
  return { outcome: 'made-before', id: key.slice(TOKEN_PREFIX.length) }
}

/** Revokes a token: it is worth nothing on this replica from the answer on. */
export async function revokeToken(
  control: Control,
  request: Request,
  id: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<{ readonly outcome: 'revoked' | 'unknown-token' } | Stale | NotServedYet | Contended | KeyReused> {
  const key = TOKEN_PREFIX + id
  const earlier = dryRun ? null : await earlierTry(control, request, 'token.revoke', key)
  if (earlier !== null) return earlier.outcome === 'applied' ? { outcome: 'revoked' } : earlier
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    // One that cannot be read lets nobody in; it can still be taken away.
    const document = currentState(control).stored(key)
    if (document === undefined) return { outcome: 'unknown-token' }
    if (!isExpected(expectedRevisions, document)) return { outcome: 'stale', current: document }
    if (dryRun) return { outcome: 'revoked' }
    const committed = await commitAndServe(control, request, {
      at: momentOf(control.clock.now()),
      kind: 'token.revoke',
      writes: [{ key, expected: document.revision, body: null }],
      reads: [],
    })
    if (committed.outcome !== 'conflict') return committed.outcome === 'served' ? { outcome: 'revoked' } : committed
  }
  return { outcome: 'contended' }
}

function tokenOf(document: Document): StoredToken {
  // The store has checked the body (control/check-document.ts) and marked it where it is no token.
  return document.body as unknown as StoredToken
}

function shown(stored: StoredToken): Token {
  const { hash: _hash, ...token } = stored
  return token
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
