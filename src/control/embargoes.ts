// Embargoes as this replica knows them: what of anything may be shown to whom.
import { withoutPast, type Secrets } from '../rollouts/embargo.ts'
import type { Release } from '../rollouts/release.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { embargoView, readView } from './core/views.ts'
import type { Identity } from './identity.ts'

/** What must be hidden from this caller; null where nothing is. */
export function secretsFor(state: ReplicaState | null, identity: Identity): Secrets | null {
  if (state === null || identity.role === 'admin') return null
  const { secrets } = readView(state, embargoView)
  return secrets.isEmpty ? null : secrets
}

/** A release as this caller may see it. */
export function shownRelease(state: ReplicaState, identity: Identity, release: Release): Release {
  return secretsFor(state, identity)?.shown(release) ?? withoutPast(release)
}
