// Entity tags of documents, and conditional requests (RFC 9110 §13). A document that is read has a tag of its bytes and its revision,
// `"7.<hash>"`; the answer to a write has the revision alone and is declared weak, `W/"7"`. Conditions on writes compare revisions.
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { malformed, type Refusal } from '../../channels/outcome.ts'
import type { ExpectedRevisions } from '../../control/control.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** The revision of the document that is answered; null where the answer is none. */
    revision: number | null
  }
}

/** 64 bits: two answers of one document at one revision do not share it by chance. */
const HASH_LENGTH = 16

/** The revision in a tag that this server has given, weak or strong: proxies weaken tags. */
const TAG = /^(?:W\/)?"(\d{1,15})(?:\.[0-9a-f]+)?"$/

/** The tag of a document in the answer to a write. */
export function weakTag(revision: number): string {
  return `W/"${revision}"`
}

/** Tags every answer that has a revision, and answers 304 where the caller has it already. Put after what changes answers. */
export function tagDocuments(app: FastifyInstance): void {
  app.decorateReply('revision', null)
  app.addHook('onSend', async (request, reply, payload) => {
    if (reply.revision === null || reply.statusCode !== 200 || typeof payload !== 'string') return payload
    const hash = createHash('sha256').update(payload).digest('hex').slice(0, HASH_LENGTH)
    const tag = `"${reply.revision}.${hash}"`
    void reply.header('ETag', tag).header('Cache-Control', 'no-cache, private')
    if (!isKnown(request.headers['if-none-match'], tag)) return payload
    void reply.code(304).removeHeader('Content-Type')
    // No text at all: an empty one would say that the document has no bytes.
    return null
  })
}

/** Answers a document that was read. */
export function sendDocument(reply: FastifyReply, revision: number, body: object): FastifyReply {
  reply.revision = revision
  return reply.send(body)
}

/** Whether If-None-Match has the tag, or any. Tags are compared weakly there. */
function isKnown(field: string | undefined, tag: string): boolean {
  if (field === undefined) return false
  return field.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag)
}

export type ReadCondition = { readonly outcome: 'read'; readonly revisions: ExpectedRevisions } | Refusal

/** To which document a write may be made: what If-Match allows or, where the request can create it, If-None-Match: *. */
export function readConditions({ headers }: Pick<FastifyRequest, 'headers'>): ReadCondition {
  const none = headers['if-none-match']
  if (none === undefined) return readIfMatch(headers['if-match'])
  if (headers['if-match'] !== undefined)
    return malformed('If-None-Match', 'cannot be met together with If-Match; send one')
  if (none.trim() === '*') return { outcome: 'read', revisions: 'none' }
  return malformed('If-None-Match', `of a write must be *, not ${none.trim().slice(0, 40)}`)
}

/** The revisions that an If-Match field allows. */
export function readIfMatch(field: string | undefined): ReadCondition {
  if (field === undefined) return { outcome: 'read', revisions: null }
  if (field.trim() === '*') return { outcome: 'read', revisions: 'any' }
  const revisions: number[] = []
  for (const tag of field.split(',')) {
    const revision = TAG.exec(tag.trim())?.[1]
    if (revision === undefined) {
      const message = `must be the ETag of the document as it was read, like "7", not ${tag.trim().slice(0, 40)}`
      return malformed('If-Match', message)
    }
    revisions.push(Number(revision))
  }
  return { outcome: 'read', revisions }
}
