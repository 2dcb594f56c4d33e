// Entity tags of documents: `"<revision>"`, and what If-Match says of them (RFC 9110 §13.1.1).
import { malformed, type Refusal } from '../../channels/outcome.ts'
import type { ExpectedRevisions } from '../../control/control.ts'

export function entityTag(revision: number): string {
  return `"${revision}"`
}

/** The revisions an If-Match field allows. */
export function readIfMatch(
  field: string | undefined,
): { readonly outcome: 'read'; readonly revisions: ExpectedRevisions } | Refusal {
  if (field === undefined) return { outcome: 'read', revisions: null }
  if (field.trim() === '*') return { outcome: 'read', revisions: 'any' }
  const revisions: number[] = []
  for (const tag of field.split(',')) {
    const revision = /^"(\d{1,15})"$/.exec(tag.trim())?.[1]
    if (revision === undefined) {
      return malformed(
        'If-Match',
        `must be the ETag of the document as it was read, like "7", not ${tag.trim().slice(0, 40)}`,
      )
    }
    revisions.push(Number(revision))
  }
  return { outcome: 'read', revisions }
}
