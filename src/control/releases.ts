// Releases as they are shown.
import { compareReleases } from '../rollouts/cloud-version.ts'
import { RELEASE_KIND, releaseKey, releaseOf } from '../rollouts/release.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { bare, type ReleaseRecord } from './release-result.ts'

/** The last list that was made; made again only where a release has changed. */
const lists = new WeakMap<ReplicaState, { readonly generation: number; readonly releases: readonly ReleaseRecord[] }>()

/** Every release, the newest first. */
export function listReleases(state: ReplicaState): readonly ReleaseRecord[] {
  const generation = state.generationOf(RELEASE_KIND)
  const known = lists.get(state)
  if (known?.generation === generation) return known.releases
  const releases = [...state.documentsOf(RELEASE_KIND)]
    .map((document) => ({ release: releaseOf(document), revision: document.revision }))
    .toSorted((a, b) => compareReleases(b.release.version, a.release.version))
  lists.set(state, { generation, releases })
  return releases
}

export function releaseRecord(state: ReplicaState, version: string): ReleaseRecord | null {
  const document = state.document(releaseKey(bare(version)))
  return document === undefined ? null : { release: releaseOf(document), revision: document.revision }
}
