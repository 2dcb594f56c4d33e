// How bodies and parameters are read: strict UTF-8, strict JSON, no unknown fields, and types taken as they are sent.
import createError from '@fastify/error'
import { Ajv, type ErrorObject } from 'ajv'
import type { FastifyInstance } from 'fastify'

/** The largest body: far above any change, far below what could hurt. */
export const BODY_BYTES_MAX = 64 * 1024

const InvalidUtf8 = createError(
  'BELLWETHER_INVALID_UTF8',
  'the body is not valid UTF-8; send JSON encoded as UTF-8',
  400,
)
const InvalidJson = createError('BELLWETHER_INVALID_JSON', '%s', 400)

/**
 * Bytes of a text as JSON: 1,000 characters of almost any script. A step of a rollout writes 900 channels with up to three such
 * texts each, before and after, in one entry (COMMIT_BYTES_MAX); control characters alone would make them twice as large.
 */
export const TEXT_BYTES_MAX = 3_000

/** Moments are read by channels/time.ts, which says what is wrong; here their format only documents. */
const formats = { 'date-time': true, text: isShort } as const

/** The schemas themselves are checked by the OpenAPI lint; compiling the meta schema for it here would cost 2 MB. */
const validation = { allErrors: true, allowUnionTypes: true, meta: false, validateSchema: false, formats } as const

// One pair for all servers of a process: Ajv compiles a schema once, and the routes' schemas are constants.
/** A query string has only text, so numbers and booleans are read out of it; in a body "5" is not 5. */
const ofText = new Ajv({ ...validation, coerceTypes: true })
const ofJson = new Ajv({ ...validation, coerceTypes: false })

function isShort(text: string): boolean {
  return Buffer.byteLength(JSON.stringify(text)) <= TEXT_BYTES_MAX + 2
}

/** Sets the body parser and the validators of this scope. */
export function readBodies(app: FastifyInstance): void {
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
    (request, body, done) => {
      // parseAs: 'buffer' hands over a Buffer.
      const bytes = body as Buffer
      if (bytes.length === 0) return done(null, null)
      let text: string
      try {
        text = utf8.decode(bytes)
      } catch {
        return done(new InvalidUtf8())
      }
      return parseJson(request, text, (error, value) => {
        done(error === null ? null : new InvalidJson(`the body is not JSON: ${error.message}`), value)
      })
    },
  )
  // No body at all is null, so that a route whose schema demands one says so, and one that takes null does not.
  app.addHook('preValidation', async (request) => {
    request.body ??= null
  })
  app.setValidatorCompiler(({ schema, httpPart }) => lazily(httpPart === 'body' ? ofJson : ofText, schema as object))
}

/** Compiles when first called: no server is ever sent everything, and compiling all takes a fifth of its start. */
function lazily(ajv: Ajv, schema: object): Validator {
  const validate: Validator = (data) => {
    const compiled = ajv.compile(schema) // Compiled once; after that Ajv finds it by the schema itself.
    const isValid = compiled(data)
    validate.errors = compiled.errors ?? null
    return isValid
  }
  return validate
}

/** Fastify reads `errors` right after a call that gave false. */
interface Validator {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}
