// What the rules of releases and rollouts refuse, in words that say what to do. A channel's guards have refusals of their
// own (channels/outcome.ts).
import type { Malformed } from '../channels/outcome.ts'

/** Why something does not fit the state that a release, a pipeline or a rollout is in, by the codes of the API. */
export type RolloutProblem =
  | 'unknown_release'
  | 'unknown_change'
  | 'unknown_pipeline'
  | 'unknown_rollout'
  | 'unknown_stage'
  | 'release_exists'
  | 'release_over'
  | 'version_served'
  | 'not_verified'
  | 'not_embargoed'
  | 'no_packages'
  | 'not_security'
  | 'pipeline_in_use'
  | 'channel_in_pipeline'
  | 'rollout_exists'
  | 'which_rollout'
  | 'rollout_over'
  | 'not_paused'
  | 'not_rolled_back'
  | 'not_approver'
  | 'own_change'
  | 'too_many_authors'
  | 'approvals_required'
  | 'other_edition'
  | 'nothing_reached'
  | 'not_rebased'

/** One thing that holds a stage back. `code` is for programs, `message` for people: it says what to do or wait for. */
export interface Blocker {
  readonly code: BlockerCode
  readonly message: string
}

export type BlockerCode =
  | 'ended'
  | 'paused'
  | 'withdrawn'
  | 'bad'
  | 'blocked'
  | 'control-plane'
  | 'packages'
  | 'embargo'
  | 'stage-before'
  | 'promoted'
  | 'unknown_person'
  | 'sign-off'
  | 'approvals'
  | 'window'
  | 'compatibility'
  | 'channels'
  | 'newer'
  | 'ramp'
  | 'guard'
  | 'gates'
  | 'time'

/** A channel that a guard keeps where it is. */
export interface GuardedChannel {
  readonly channel: string
  readonly guard: string
  readonly message: string
}

export type RolloutRefusal =
  | Malformed
  | {
      readonly outcome: 'refused'
      readonly why: 'rollout'
      readonly problem: RolloutProblem
      readonly message: string
    }
  /** Something holds a stage back; all of it is named. */
  | {
      readonly outcome: 'refused'
      readonly why: 'held-back'
      readonly stage: string
      readonly blockers: readonly Blocker[]
    }
  /** Guards of channels refuse what would be done to several at once; nothing was done to any. */
  | { readonly outcome: 'refused'; readonly why: 'guards'; readonly channels: readonly GuardedChannel[] }

/** The refusal of what does not fit the state. */
export function refuse(problem: RolloutProblem, message: string): Extract<RolloutRefusal, { why: 'rollout' }> {
  return { outcome: 'refused', why: 'rollout', problem, message }
}

export function unknownPipeline(name: string): RolloutRefusal {
  return refuse('unknown_pipeline', `there is no pipeline ${name}; make it with PUT …/pipelines/${name}`)
}

export function unknownRelease(version: string): RolloutRefusal {
  return refuse('unknown_release', `no release ${version} is registered`)
}
