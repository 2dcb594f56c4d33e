// Replies of Redis as they are used here: texts, and lists of texts. Anything else is a fault of the server.
import { StoreDamaged } from '../port.ts'

/** A reply that is a list; what is no text in it is ''. */
export function listOf(reply: unknown): readonly string[] {
  return textsOf(reply).map((text) => text ?? '')
}

/** The same; null where there is nothing. */
export function textsOf(reply: unknown): readonly (string | null)[] {
  if (!Array.isArray(reply)) throw new StoreDamaged('Redis has answered in a form that is not known')
  return reply.map((item: unknown) => (typeof item === 'string' || typeof item === 'number' ? String(item) : null))
}

/** One entry of a stream. */
export interface StreamEntry {
  readonly seq: number
  readonly fields: ReadonlyMap<string, string>
}

/** The entries of a stream's range. A field that is there several times has its last value. */
export function streamEntries(
  reply: readonly (readonly [id: string, fields: readonly string[]])[],
): readonly StreamEntry[] {
  return reply.map(([id, list]) => {
    const fields = new Map<string, string>()
    for (let index = 0; index < list.length; index += 2) fields.set(list[index] ?? '', list[index + 1] ?? '')
    return { seq: Number(id.slice(0, id.indexOf('-'))), fields }
  })
}
