// What becomes of a GitHub event once it is applied to the releases.
import type { Refusal } from '../channels/outcome.ts'
import type { GithubEvent } from '../rollouts/github-event.ts'
import type { Contended, KeyReused, NotServedYet, Request } from './control.ts'

export type GithubOutcome =
  /** The versions of the releases that were changed. */
  | { readonly outcome: 'applied'; readonly releases: readonly string[] }
  /** There was nothing to change. */
  | { readonly outcome: 'nothing'; readonly why: string }
  | Refusal
  | NotServedYet
  | Contended
  | KeyReused

export type ApplyGithubEvent = (
  request: Request,
  event: Exclude<GithubEvent, { kind: 'ignored' }>,
) => Promise<GithubOutcome>
