// Replies of Redis as they are used here: texts, and lists of texts. Anything else is a fault of the server.
import { StoreDamaged } from '../port.ts'
import type { EntryText } from './entries.ts'

/** A reply that is a list; what is no text in it is ''. */
export function listOf(reply: unknown): readonly string[] {
  return textsOf(reply).map((text) => text ?? '')
}

/** The same; null where there is nothing. */
function textsOf(reply: unknown): readonly (string | null)[] {
  if (!Array.isArray(reply)) throw new StoreDamaged('Redis has answered in a form that is not known')
  return reply.map((item: unknown) => (typeof item === 'string' || typeof item === 'number' ? String(item) : null))
}

/** The entries of a stream's range. A field that is there several times has its last value. */
export function streamEntries(
  reply: readonly (readonly [id: string, fields: readonly string[]])[],
  storeFormat: number,
): readonly EntryText[] {
  return reply.map(([id, list]) => {
    const fields = new Map<string, string>()
    for (let index = 0; index < list.length; index += 2) fields.set(list[index] ?? '', list[index + 1] ?? '')
    const field = (name: string): string => fields.get(name) ?? ''
    const text = field('entry')
    const seq = Number(id.slice(0, id.indexOf('-')))
    const bytes = Buffer.byteLength(text)
    return { seq, bytes, text, mark: field('mark'), previous: field('previous'), epoch: field('epoch'), storeFormat }
  })
}
