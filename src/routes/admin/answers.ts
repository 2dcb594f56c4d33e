// What routes declare that they answer: the good answers, and a problem document for whatever can go wrong.
import { Type, type TSchema } from 'typebox'
import { Nullable, ref } from './schemas.ts'

/** A page of a list. */
export const page = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), next: Nullable(Type.String()) })

/** A route's answers: the good ones, and a problem document for each status that can go wrong. */
export function answers(good: Readonly<Record<number, TSchema>>, ...bad: readonly number[]) {
  const described = Object.entries(good).map(([status, schema]) => [
    status,
    status === '204' || status === '304'
      ? { description: descriptions[Number(status)], type: 'null' }
      : { description: descriptions[Number(status)] ?? 'Done.', content: { 'application/json': { schema } } },
  ])
  const problems = [...new Set([...bad, 400, 401, 403, 429, 500, 503])].map((status) => [
    status,
    {
      description: descriptions[status] ?? 'Refused.',
      content: { 'application/problem+json': { schema: ref('Problem') } },
    },
  ])
  return Object.fromEntries([...described, ...problems]) as Record<number, unknown> // fromEntries loses the key type.
}

/** The same of a route that writes: beside its own problems those that every write has. */
export function writeAnswers(good: Readonly<Record<number, TSchema>>, ...bad: readonly number[]) {
  return answers(good, ...bad, 409, 413, 415, 422)
}

const descriptions: Readonly<Record<number, string>> = {
  200: 'Done.',
  201: 'Made.',
  204: 'Done; there is nothing to say.',
  304: 'As the caller has it (If-None-Match).',
  400: 'The request is not valid.',
  401: 'No valid token.',
  403: 'The token does not allow it.',
  404: 'Not there.',
  409: 'The state does not allow it.',
  410: 'Not kept any more.',
  412: 'Changed since it was read; the current document is in `current`.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  422: 'A guard refused it, or its Idempotency-Key was sent with another request.',
  429: 'Too many failed attempts.',
  500: 'A fault of the server.',
  503: 'The store is unavailable, or the server is overloaded.',
}
