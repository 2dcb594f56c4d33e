// Texts that people write here have no control characters, no marks of the direction of writing and no halves of characters: each is
// refused with its field and position, whatever the route. What is stored already is not looked at.
import type { FastifyInstance } from 'fastify'
import { findUnsafe } from '../../channels/unsafe-text.ts'
import { FIELD_ERRORS_MAX, type FieldError } from './field-errors.ts'
import { sendProblem } from './problem.ts'

/** Members whose texts may have several lines, and tabs; all others are one line. */
const WITH_LAYOUT: ReadonlySet<string> = new Set(['reason', 'description', 'query'])

/** Adds the hook to every route of this scope; bodies and queries are valid by then. */
export function refuseUnsafeText(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    // A reader may look for what was stored before texts were looked at.
    if (request.method === 'GET' || request.method === 'HEAD') return
    const errors = [...unsafeIn(request.body, ''), ...unsafeIn(request.query, '')].slice(0, FIELD_ERRORS_MAX)
    if (errors.length === 0) return
    const detail = errors.map(({ field, message }) => `${field} ${message}`).join('; ')
    return sendProblem(request, reply, 'invalid_request', { detail, errors })
  })
}

/** Every field of a value with a character that may not be in it. */
function unsafeIn(value: unknown, field: string, member = ''): readonly FieldError[] {
  if (typeof value === 'string') {
    const found = findUnsafe(value, WITH_LAYOUT.has(member))
    if (found === null) return []
    const { meaning, codePoint, position } = found
    return [{ field, message: `has the ${meaning} ${codePoint} at character ${position}; leave it out` }]
  }
  if (typeof value !== 'object' || value === null) return []
  const isList = Array.isArray(value)
  return Object.entries(value).flatMap(([name, inner]) =>
    unsafeIn(inner, field === '' ? name : `${field}/${name}`, isList ? member : name),
  )
}
