// What is under an embargo leaves this server for admins only: what people have written is looked through in every JSON answer
// to anybody else, whatever route it comes from. The detail of a problem that only says back what the caller sent is not:
// hidden or not, it would tell whether that is a secret.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Control } from '../../control/control.ts'
import { hideInTurns, secretsFor } from '../../control/embargoes.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Json, JsonObject } from '../../store/port.ts'

/**
 * Problems whose words are this server's own, or say back what the caller has sent. All others may have in them what somebody else has
 * written: a code that is not named here is looked through.
 */
const OWN_WORDS: ReadonlySet<Json> = new Set<ErrorCode>([
  ...(['invalid_request', 'invalid_json', 'invalid_utf8', 'body_too_large', 'unsupported_media_type'] as const),
  ...(['unauthenticated', 'bad_signature', 'role_too_low', 'out_of_scope', 'rate_limited', 'webhook_off'] as const),
  ...(['not_found', 'unknown_channel', 'unknown_token', 'unknown_release', 'unknown_change'] as const),
  ...(['unknown_pipeline', 'unknown_rollout', 'unknown_stage', 'not_blocked'] as const),
  ...(['channel_exists', 'follows_upstream', 'not_pinned', 'not_halted', 'no_target', 'no_earlier_version'] as const),
  ...(['release_exists', 'version_served', 'not_verified', 'not_embargoed', 'no_packages', 'not_security'] as const),
  ...(['packages_missing', 'pipeline_in_use', 'channel_in_pipeline', 'rollout_exists', 'which_rollout'] as const),
  ...(['not_paused', 'not_approver', 'other_edition', 'nothing_reached', 'not_rebased'] as const),
  ...(['not_regressed', 'store_damaged', 'replica_behind', 'store_regressed', 'newer_format'] as const),
  ...(['idempotency_key_reused', 'secret_lost', 'document_unreadable', 'document_readable'] as const),
  ...(['change_too_large', 'contended', 'journal_trimmed', 'stale_write', 'store_unavailable'] as const),
  ...(['not_served_yet', 'overloaded', 'too_many_streams', 'too_many_reads'] as const),
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
    if (!OWN_WORDS.has(answer['code'] ?? null)) return problem
    return { ...problem, detail, ...('errors' in answer ? { errors } : {}) }
  })
}

function isProblem(answer: unknown): answer is JsonObject {
  const type = answer !== null && typeof answer === 'object' && 'type' in answer ? answer.type : null
  return typeof type === 'string' && type.startsWith('urn:bellwether:error:')
}
