// What GitHub's events do: a label signs a change off in every release that has it, and a pushed tag registers its release.
import { RELEASE_KIND, releaseBody, releaseKey, releaseOf } from '../rollouts/release.ts'
import { hearLabel } from '../rollouts/release-draft.ts'
import type { GithubEvent } from '../rollouts/github-event.ts'
import { COMMIT_WRITES_MAX } from '../store/port.ts'
import type { Control, Request } from './control.ts'
import { commitWith, executeCommand, replyWith } from './core/execute.ts'
import { fitting } from './fitting.ts'
import type { GithubOutcome } from './github-outcome.ts'
import { registerRelease } from './register-release.ts'

type Label = Extract<GithubEvent, { kind: 'label' }>

/** Applies an event that was proven to be GitHub's. */
export function applyGithubEvent(
  control: Control,
  request: Request,
  event: Exclude<GithubEvent, { kind: 'ignored' }>,
): Promise<GithubOutcome> {
  return event.kind === 'label' ? hear(control, request, event) : register(control, request, event)
}

/** Signs the change off, or takes that back, in every release that has it and is not withdrawn: one commit. */
function hear(control: Control, request: Request, label: Label): Promise<GithubOutcome> {
  return executeCommand<GithubOutcome, null, null>(control, request, {
    kind: label.isVerified ? 'release.verify' : 'release.unverify',
    dryRun: false,
    run(tx) {
      const context = { ...tx.times, actor: request.actor, reason: request.reason }
      // Candidates: each release that is written is expected by its write.
      const heard = [...tx.untracked.documentsOf(RELEASE_KIND)].flatMap(
        (document) => hearLabel(releaseOf(document), label, context) ?? [],
      )
      if (heard.length === 0) {
        const why = `no release has the change ${label.url}, or a later event of it was heard`
        return replyWith({ outcome: 'nothing', why })
      }
      // The newest are the ones that somebody still waits for.
      const [newest, ...older] = heard.toSorted((a, b) => (a.cutAt < b.cutAt ? 1 : -1))
      const written = newest === undefined ? [] : [newest, ...fitting(older, COMMIT_WRITES_MAX - 1)]
      for (const release of written) tx.put(releaseKey(release.version), releaseBody(release))
      return commitWith(null)
    },
    reply: ({ subjects }) => ({
      outcome: 'applied',
      releases: subjects.map((key) => key.slice(`${RELEASE_KIND}/`.length)),
    }),
  })
}

/** A tag says nothing of packages or changes: until somebody does, the release is the control plane's alone. */
async function register(
  control: Control,
  request: Request,
  { version, commit }: Extract<GithubEvent, { kind: 'release' }>,
): Promise<GithubOutcome> {
  const outcome = await registerRelease(control, request, { version, commit, kind: 'control-plane' }, false)
  switch (outcome.outcome) {
    case 'done':
      return { outcome: 'applied', releases: [outcome.record.release.version] }
    case 'refused':
      if (outcome.why === 'malformed') return outcome
      return { outcome: 'nothing', why: outcome.why === 'rollout' ? outcome.message : 'the release was refused' }
    case 'stale':
    case 'packages-missing':
      throw new Error(`a registration without packages and revisions came to ${outcome.outcome}`)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return outcome
  }
}
