// Requests that have changed nothing, remembered for a day under their key: sent again, they must not change anything then. It is
// a hint without a promise (the journal has no entry of them): a restart or a lost Redis forgets it.
import { createHash } from 'node:crypto'
import type { Control, KeyReused, Request } from '../control.ts'
import { idOf } from './commit.ts'

/** As long as clients repeat a request by themselves. */
const REMEMBERED_MS = 24 * 3_600_000

/** Remembers that a request has found the document at `key` as it was asked for. Never fails. */
export async function rememberUnchanged(control: Control, request: Request, key: string): Promise<void> {
  const name = nameOf(request)
  if (name === null) return
  const fact = JSON.stringify({ hash: request.requestHash ?? '', key })
  await control.coordination.remember(name, fact, REMEMBERED_MS).catch(() => {})
}

/** The key of the document that an earlier try of this request has found as it was asked for; null where none is remembered. */
export async function earlierUnchanged(
  control: Control,
  request: Request,
): Promise<{ readonly key: string } | KeyReused | null> {
  const name = nameOf(request)
  const fact = name === null ? null : await control.coordination.remembered(name).catch(() => null)
  const found = fact === null ? null : factIn(fact)
  if (found === null) return null
  return found.hash === (request.requestHash ?? '') ? { key: found.key } : { outcome: 'key-reused' }
}

/** A name of fixed length for the key of a caller; null where the caller did not choose one. */
function nameOf(request: Request): string | null {
  const { requestId } = idOf(request)
  if (requestId === null || !request.mayBeRetry) return null
  return `unchanged:${createHash('sha256').update(requestId).digest('hex')}`
}

function factIn(text: string): { readonly hash: string; readonly key: string } | null {
  try {
    const { hash, key } = JSON.parse(text) as { hash?: unknown; key?: unknown } // Looked at member by member.
    return typeof hash === 'string' && typeof key === 'string' ? { hash, key } : null
  } catch {
    return null
  }
}
