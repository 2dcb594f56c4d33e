// Whether a document that is to be written says what the stored one does already. Who has set it, and when, does not count.
import { isDeepStrictEqual } from 'node:util'
import type { Json, JsonObject } from '../store/port.ts'

/** Whether two bodies of one document differ in nothing but their stamps; null is no document. */
export function isSameBody(one: JsonObject, other: JsonObject | null): boolean {
  return other !== null && isDeepStrictEqual(withoutStamps(one), withoutStamps(other))
}

function withoutStamps({ updatedAt: _at, updatedBy: _by, pin = null, halt = null, ...rest }: JsonObject): JsonObject {
  return { ...rest, pin: unstamped(pin), halt: unstamped(halt) }
}

function unstamped(set: Json): Json {
  if (set === null || typeof set !== 'object' || Array.isArray(set)) return set
  const { at: _at, by: _by, ...rest } = set as JsonObject // Neither null nor a list.
  return rest
}
