// What is under an embargo leaves this server for admins only: what people have written is looked through in every JSON answer
// to anybody else, whatever route it comes from. The detail of a problem that only says back what the caller sent is not:
// hidden or not, it would tell whether that is a secret.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Control } from '../../control/control.ts'
import { hideInTurns, secretsFor } from '../../control/embargoes.ts'
import type { Json, JsonObject } from '../../store/port.ts'

/** Problems whose words have in them what somebody else has written; all others only say back what the caller has sent. */
const TELLING: ReadonlySet<Json> = new Set([
  'held_back',
  'guard_refused',
  'release_over',
  'rollout_over',
  'not_rolled_back',
])

/** What is answered where something failed, this hook included: fixed words, and ids of the caller's own request. */
const FAULTS: ReadonlySet<Json> = new Set(['internal_error', 'write_outcome_unknown'])

/** The same for one item of a list, whose JSON is written before the hook would see it. */
export function hiddenFrom(control: Control, request: FastifyRequest): (item: Json) => Json {
  const secrets = request.identity === null ? null : secretsFor(control.replica.state, request.identity)
  return (item) => secrets?.hide(item) ?? item
}

/** Adds the hook to every route of this scope; the caller must be known by then. */
export function hideEmbargoed(app: FastifyInstance, control: Control): void {
  app.addHook('preSerialization', async (request, _reply, payload) => {
    if (request.identity === null) return payload
    // Looked at before anything else: what follows may be what has failed.
    if (isProblem(payload) && FAULTS.has(payload['code'] ?? null)) return payload
    const secrets = secretsFor(control.replica.state, request.identity)
    if (secrets === null) return payload
    // What routes answer is JSON by its schemas.
    const answer = payload as Json
    const shown = await hideInTurns(secrets, answer)
    if (!isProblem(answer)) return shown
    const { title = '', detail = '', errors = [] } = answer
    // It was an object before, and the title of a problem is this server's own, like no title of a change.
    const problem = { ...(shown as JsonObject), title }
    if (TELLING.has(answer['code'] ?? null)) return problem
    return { ...problem, detail, ...('errors' in answer ? { errors } : {}) }
  })
}

function isProblem(answer: unknown): answer is JsonObject {
  const type = answer !== null && typeof answer === 'object' && 'type' in answer ? answer.type : null
  return typeof type === 'string' && type.startsWith('urn:bellwether:error:')
}
