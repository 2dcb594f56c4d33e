// The command that says where packages of a release are.
import { unknownRelease } from '../rollouts/outcome.ts'
import { blockedVersionKey, blockedVersionOf } from '../channels/blocked-version.ts'
import { addArtifacts, endedRelease } from '../rollouts/release-draft.ts'
import { knownState, type Conditions, type Control, type Request } from './control.ts'
import { packageFinder, type Packages } from './find-packages.ts'
import { bare, changeRelease, type ReleaseOutcome } from './release-result.ts'
import { releaseRecord } from './releases.ts'
import { putRollouts } from './start-rollouts.ts'

export interface PackagesRequest {
  readonly version: string
  readonly urls: readonly string[]
  /** Whether these are all packages: those that the release had before are gone then. */
  readonly areAll: boolean
}

/** Adds packages to a release. Only where every one of them is found, agents may be told to install it. */
export async function addPackages(
  control: Control,
  request: Request,
  { version, urls, areAll }: PackagesRequest,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  // Before any other server is asked.
  const record = releaseRecord(knownState(control), bare(version))
  if (record === null) return unknownRelease(version)
  return changeRelease<Packages>(
    control,
    request,
    {
      version,
      kind: 'release.artifacts',
      prepare: packageFinder(control, request, urls),
      draft(release, context, packages) {
        // Whether its packages are there makes no difference any more.
        if (release.withdrawn !== null) return endedRelease(release)
        return packages.outcome === 'found' ? addArtifacts(release, packages.packages, areAll, context) : packages
      },
      beside(tx, release, context) {
        const key = blockedVersionKey(release.version)
        const blocked = tx.get(key)
        // An operator who has put it on the list for another reason takes it off the list, too.
        if (blocked !== undefined && blockedVersionOf(blocked).because === 'no packages') tx.put(key, null)
        putRollouts(tx, release, context)
      },
    },
    conditions,
  )
}
