// What is under an embargo leaves this server for admins only: every JSON answer to anybody else is looked through, whatever
// route it comes from, for somebody may have written of it in a reason.
import type { FastifyInstance } from 'fastify'
import type { Control } from '../../control/control.ts'
import { secretsFor } from '../../control/embargoes.ts'
import type { Json } from '../../store/port.ts'

/** Adds the hook to every route of this scope; the caller must be known by then. */
export function hideEmbargoed(app: FastifyInstance, control: Control): void {
  app.addHook('preSerialization', async (request, _reply, payload) => {
    if (request.identity === null) return payload
    const secrets = secretsFor(control.replica.state, request.identity)
    // What routes answer is JSON by its schemas.
    return secrets === null ? payload : secrets.hide(payload as Json)
  })
}
