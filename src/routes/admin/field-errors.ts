// Says of bad input which field is wrong and how to put it right: the validator's errors in words.
import type { FastifySchemaValidationError } from 'fastify'

export interface FieldError {
  /** Where in the body (`source/version`) or which parameter; empty for the whole body. */
  readonly field: string
  readonly message: string
}

/** Errors are reported up to this number; a body of 64 KB could have thousands. */
export const FIELD_ERRORS_MAX = 20

/** A field's name is shown up to this length; what nobody knows here can have a name of 64 KB. */
const FIELD_LENGTH_MAX = 100

/** The validator's errors as fields and messages, each field once. */
export function fieldErrors(errors: readonly FastifySchemaValidationError[], part: string): readonly FieldError[] {
  const found = new Map<string, FieldError>()
  for (const error of errors) {
    const { field, message } = fieldError(error, part)
    const known = found.get(field)
    // Of a choice (anyOf) the validator reports every branch; the first says enough unless they say different things.
    if (known === undefined) found.set(field, { field, message })
    else if (error.keyword !== 'anyOf' && !known.message.includes(message)) {
      found.set(field, { field, message: `${known.message}, or ${message}` })
    }
  }
  return [...found.values()].slice(0, FIELD_ERRORS_MAX)
}

function fieldError(
  { instancePath, keyword, params, message }: FastifySchemaValidationError,
  part: string,
): FieldError {
  const field = instancePath.slice(1).replaceAll('~1', '/').replaceAll('~0', '~')
  switch (keyword) {
    case 'required':
      return { field: joined(field, String(params['missingProperty'])), message: 'is missing' }
    case 'additionalProperties':
      return {
        field: joined(field, String(params['additionalProperty'])),
        message: 'is not known here; see /admin/v1/docs',
      }
    case 'type':
      if (field === '' && part === 'body') return { field, message: 'the body must be a JSON object' }
      return { field, message: `must be ${String(params['type'])}` }
    case 'format':
      return { field, message: 'is above 3,000 bytes as JSON; shorten it' }
    case 'const':
      return { field, message: `must be ${JSON.stringify(params['allowedValue'])}` }
    default:
      return { field, message: message ?? 'is not valid' }
  }
}

function joined(parent: string, name: string): string {
  const field = parent === '' ? name : `${parent}/${name}`
  return field.length > FIELD_LENGTH_MAX ? `${field.slice(0, FIELD_LENGTH_MAX)}…` : field
}
