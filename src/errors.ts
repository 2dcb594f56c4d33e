// The catalogue of error codes: every `code` the API answers with, its HTTP status and its title, one line each.
// docs/errors.md says for each what to do; a house test keeps the two and the tests together.

const catalogue = {
  invalid_request: [400, 'The request is not valid'],
  invalid_json: [400, 'The body is not JSON'],
  invalid_utf8: [400, 'The body is not UTF-8'],
  unauthenticated: [401, 'No valid token was given'],
  bad_signature: [401, 'The signature is missing or wrong'],
  role_too_low: [403, "The token's role does not allow this"],
  out_of_scope: [403, "The channel is outside the token's scope"],
  not_found: [404, 'There is nothing at this path'],
  unknown_channel: [404, 'There is no such channel'],
  unknown_token: [404, 'There is no such token'],
  unknown_release: [404, 'There is no such release'],
  unknown_change: [404, 'The release has no such change'],
  unknown_pipeline: [404, 'There is no such pipeline'],
  unknown_rollout: [404, 'There is no such rollout'],
  unknown_stage: [404, 'The pipeline has no such stage'],
  webhook_off: [404, 'Webhooks are not set up'],
  not_blocked: [404, 'The version is not on the block list'],
  channel_exists: [409, 'The channel exists already'],
  follows_upstream: [409, 'The channel follows an upstream'],
  not_pinned: [409, 'The channel has no pin'],
  not_halted: [409, 'The channel is not halted'],
  release_exists: [409, 'The release is registered already'],
  version_served: [409, 'Channels serve the version already'],
  release_over: [409, 'The release is withdrawn'],
  not_verified: [409, 'The change is not signed off'],
  not_embargoed: [409, 'The release is under no embargo'],
  no_packages: [409, 'The release has no agent packages yet'],
  not_security: [409, 'Only a security release may be critical'],
  pipeline_in_use: [409, 'A rollout of the pipeline is under way'],
  channel_in_pipeline: [409, 'The channel belongs to another pipeline'],
  rollout_exists: [409, 'The release has a rollout there already'],
  which_rollout: [409, 'Several rollouts could be meant'],
  rollout_over: [409, 'The rollout has ended'],
  not_paused: [409, 'The rollout is not paused'],
  not_rolled_back: [409, 'The rollout was not rolled back'],
  not_approver: [409, 'Who cut or wrote the release may not approve it'],
  own_change: [409, 'Sign-off of a change by its own author'],
  too_many_authors: [409, 'Too many people have written the release'],
  approvals_required: [409, 'The new rules ask fewer people'],
  other_edition: [409, 'The release is another than the one that was looked at'],
  nothing_reached: [409, 'The release has not reached any channel'],
  not_rebased: [409, 'The new rules do not fit the rollout'],
  no_target: [409, 'The channel has no version'],
  no_earlier_version: [409, 'There is no such version to go back to'],
  not_regressed: [409, 'The store has not gone back'],
  store_damaged: [409, 'The store is damaged'],
  replica_behind: [409, 'Another replica knows more'],
  idempotency_key_reused: [422, 'The key belongs to another request'],
  secret_lost: [409, 'The secret was in an answer that was lost'],
  document_unreadable: [409, 'The document cannot be read'],
  document_readable: [409, 'The document can be read'],
  change_too_large: [409, 'The change is too large for one step'],
  contended: [409, 'Others kept changing the same documents'],
  journal_trimmed: [410, 'The journal is not kept that far back'],
  stale_write: [412, 'The document has changed since you read it'],
  body_too_large: [413, 'The body is too large'],
  unsupported_media_type: [415, 'The body must be JSON'],
  guard_refused: [422, 'A guard refused the change'],
  held_back: [422, 'Something holds the stage back'],
  packages_missing: [422, 'Packages were not found'],
  rate_limited: [429, 'Too many requests of this kind'],
  internal_error: [500, 'Something went wrong in the server'],
  write_outcome_unknown: [503, 'It is not known whether the change was made'],
  store_regressed: [503, 'The store has gone back'],
  newer_format: [503, 'A newer Bellwether has written to the store'],
  store_unavailable: [503, 'The store cannot be used now'],
  not_served_yet: [503, 'The change is stored but not served here yet'],
  overloaded: [503, 'The server is overloaded'],
  too_many_streams: [503, 'Too many journal streams are open'],
  too_many_reads: [503, 'Too many reads are waiting'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorCode = keyof typeof catalogue

export const errorCodes = Object.keys(catalogue) as readonly ErrorCode[] // Object.keys loses the keys' type.

export function statusOf(code: ErrorCode): number {
  return catalogue[code][0]
}

export function titleOf(code: ErrorCode): string {
  return catalogue[code][1]
}
