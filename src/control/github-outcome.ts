// What becomes of a GitHub event once it is applied to the releases.
import type { Refusal } from '../channels/outcome.ts'
import type { GithubEvent } from '../rollouts/github-event.ts'
import type { RolloutRefusal } from '../rollouts/outcome.ts'
import type { Contended, KeyReused, NotServedYet, Request } from './control.ts'

/** Why what was written down does not count, or not yet. */
export interface PersonWarning {
  readonly code: 'unknown_person' | 'own_change'
  readonly message: string
}

export type GithubOutcome =
  /** The versions of the releases that were changed. */
  | { readonly outcome: 'applied'; readonly releases: readonly string[]; readonly warnings?: readonly PersonWarning[] }
  /** No release has the change yet; the label counts for those that are registered until then. */
  | {
      readonly outcome: 'kept'
      readonly why: string
      readonly keptUntil: string
      readonly warnings?: readonly PersonWarning[]
    }
  /** There was nothing to change. */
  | { readonly outcome: 'nothing'; readonly why: string }
  | Refusal
  | RolloutRefusal
  | NotServedYet
  | Contended
  | KeyReused

export type ApplyGithubEvent = (
  request: Request,
  event: Exclude<GithubEvent, { kind: 'ignored' }>,
) => Promise<GithubOutcome>
