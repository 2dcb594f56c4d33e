// The command that makes a token.
import { randomInt } from 'node:crypto'
import { parseChannelPattern } from '../channels/name.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { hasPassed } from '../channels/target.ts'
import { momentOf, parseMoment } from '../channels/time.ts'
import type { Control, Request } from './control.ts'
import { commitWith, executeCommand, replyWith, type Unfinished } from './core/execute.ts'
import type { Role } from './identity.ts'
import { makeTokenText, presentToken, tokenBody, tokenKey, type TokenRecord } from './tokens.ts'

const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
const ID_LENGTH = 12

export interface TokenDraft {
  readonly name: string
  readonly role: Role
  readonly channels?: readonly string[] | null
  readonly expiresAt?: string | null
  readonly person?: string
}

export type TokenCreation =
  /** `secret` is the token's text. */
  | { readonly outcome: 'created'; readonly token: TokenRecord; readonly secret: string }
  /** An earlier try has made it; its text was in the answer that was lost. */
  | { readonly outcome: 'made-before'; readonly id: string }
  | Refusal
  | Unfinished

/** Makes a token; its text is in the answer and nowhere else. */
export async function createToken(
  control: Control,
  request: Request,
  draft: TokenDraft,
  dryRun: boolean,
): Promise<TokenCreation> {
  const { name, role, channels = null } = draft
  for (const [index, pattern] of (channels ?? []).entries()) {
    const parsed = parseChannelPattern(pattern)
    if (parsed.outcome === 'unparsed') return malformed(`channels/${index}`, parsed.message)
  }
  const end = draft.expiresAt === undefined || draft.expiresAt === null ? null : parseMoment(draft.expiresAt)
  if (end?.outcome === 'unparsed') return malformed('expiresAt', end.message)
  const expiresAt = end?.value ?? null
  return executeCommand<TokenCreation, string, null>(control, request, {
    kind: 'token.create',
    dryRun,
    run(tx) {
      if (expiresAt !== null && hasPassed(expiresAt, Math.max(tx.now, control.clock.accessTime()))) {
        return replyWith(malformed('expiresAt', `${expiresAt} has passed; give a moment in the future`))
      }
      const id = newId()
      const secret = makeTokenText(id)
      const made = { createdAt: momentOf(tx.now), createdBy: request.actor, expiresAt }
      const whose = draft.person === undefined ? {} : { person: draft.person }
      tx.put(tokenKey(id), tokenBody({ id, name, role, channels, ...made, ...whose }, secret))
      return commitWith(secret)
    },
    reply({ changes }, secret) {
      const [after] = changes.flatMap((change) => change.after ?? [])
      if (after === undefined) throw new Error('the entry of a new token has no token')
      const token = presentToken(after)
      return secret === null ? { outcome: 'made-before', id: token.id } : { outcome: 'created', token, secret }
    },
  })
}

function newId(): string {
  return Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('')
}
