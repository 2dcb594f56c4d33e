// Releases: registered, told more of, signed off change by change, given their packages, and withdrawn.
import { blockedVersionBody, blockedVersionKey, blockedVersionOf } from '../channels/blocked-version.ts'
import { momentOf } from '../channels/time.ts'
import { compareReleases } from '../rollouts/cloud-version.ts'
import { malformed } from '../channels/outcome.ts'
import { named } from '../rollouts/conditions.ts'
import { refuse } from '../rollouts/outcome.ts'
import {
  RELEASE_KIND,
  releaseBody,
  releaseKey,
  releaseOf,
  type Release,
  type ReleasePackage,
} from '../rollouts/release.ts'
import {
  addArtifacts,
  draftRelease,
  editRelease,
  judgeChange,
  liftEmbargo,
  withdrawRelease,
  type ChangeVerdict,
  type ReleaseDraft,
  type ReleaseEdit,
  type RuleContext,
} from '../rollouts/release-draft.ts'
import { ROLLOUT_KIND, rolloutBody, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document, Write } from '../store/port.ts'
import { servedBy } from './block-version.ts'
import {
  alone,
  answer,
  bare,
  changeRelease,
  decided,
  lapsed,
  outcomeOf,
  unknownRelease,
  type ReleaseOutcome,
  type ReleaseRecord,
} from './change-release.ts'
import { knownState, type Conditions, type Control, type Request } from './control.ts'
import { carryOut, hasChanged, readOf, writeOf } from './decide.ts'
import { embargoWrites } from './embargoes.ts'
import { dueLapses } from './journal-lapses.ts'
import { keyOf, startRollouts } from './start-rollouts.ts'

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

/** Registers a release. One that agents can install begins its rollouts; another is kept from every channel until it can. */
export async function registerRelease(
  control: Control,
  request: Request,
  draft: ReleaseDraft & { readonly packages?: readonly string[] },
  dryRun: boolean,
): Promise<ReleaseOutcome> {
  const urls = draft.packages ?? []
  if (draft.kind === 'control-plane' && urls.length > 0) {
    return malformed('packages', 'have no meaning for a control-plane release; it has none yet')
  }
  const find = once(() => findPackages(control, urls))
  return carryOut<Packages, ReleaseOutcome>(control, request, {
    kind: 'release.register',
    key: releaseKey(bare(draft.version)),
    dryRun,
    async prepare() {
      if (!dryRun) await lapsed(control)
      return find()
    },
    decide(state, times, packages) {
      if (packages.outcome !== 'found') return answer(packages)
      const context = { ...times, actor: request.actor, reason: request.reason }
      const drafted = draftRelease(draft, packages.packages, context)
      if (drafted.outcome === 'refused') return answer(drafted)
      const { release } = drafted
      const key = releaseKey(release.version)
      if (state.document(key) !== undefined) {
        return answer(
          refuse('release_exists', `release ${release.version} is registered already; PATCH tells more of it`),
        )
      }
      const served = servedBy(state, release.version)
      if (release.kind === 'control-plane' && served.length > 0) {
        const message = `${named(served)} tell agents ${release.version}, so it has packages; register it as full, or move them first`
        return answer(refuse('version_served', message))
      }
      const kept = release.kind === 'control-plane' ? keepFromChannels(state, release, context) : []
      if (kept === null) return { outcome: 'again' }
      const started = startRollouts(state, release, context)
      const embargo = embargoWrites(state, null, release)
      const writes = [writeOf(state, key, releaseBody(release)), ...embargo, ...kept, ...started.writes]
      const reads = [readOf(state, blockedVersionKey(release.version)), ...started.reads]
      return decided(dryRun, state, release, started.rollouts, writes, reads)
    },
    answerOf: (entry) => outcomeOf(control, entry),
  })
}

/**
 * Says where packages of a release are, or (`areAll`) where all of them are: those it had before are gone then. Only where every
 * one of them is found, agents may be told to install it.
 */
export async function addPackages(
  control: Control,
  request: Request,
  version: string,
  { urls, areAll }: { readonly urls: readonly string[]; readonly areAll: boolean },
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  if (releaseRecord(knownState(control), bare(version)) === null) return unknownRelease(version)
  const packages = await findPackages(control, urls)
  return changeRelease(control, request, version, 'release.artifacts', conditions, (release, context, state) => {
    if (packages.outcome !== 'found') return packages
    const drafted = addArtifacts(release, packages.packages, areAll)
    if (drafted.outcome === 'refused') return drafted
    const key = blockedVersionKey(release.version)
    const blocked = state.document(key)
    // An operator who has put it on the list for another reason takes it off the list, too.
    const isOurs = blocked !== undefined && blockedVersionOf(blocked).because === 'no packages'
    const lapses = isOurs ? dueLapses(state, release.version, context.expiryTime) : []
    if (lapses === null) return null
    const started = startRollouts(state, drafted.release, context)
    return {
      ...drafted,
      rollouts: started.rollouts,
      writes: [...started.writes, ...lapses, ...(isOurs ? [writeOf(state, key, null)] : [])],
      reads: [readOf(state, key), ...started.reads],
    }
  })
}

/** Puts the version on the block list and ends its rollouts; the answer says where agents are told it still. */
export function withdraw(
  control: Control,
  request: Request,
  version: string,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  return changeRelease(control, request, version, 'release.withdraw', conditions, (release, context, state) => {
    const drafted = withdrawRelease(release, context)
    if (drafted.outcome === 'refused') return drafted
    const reason = drafted.release.withdrawn?.reason ?? ''
    const at = momentOf(context.now)
    const lapses = dueLapses(state, release.version, context.expiryTime)
    if (lapses === null) return null
    const body = blockedVersionBody({ version: release.version, reason, by: context.actor, at })
    const ended = [...state.documentsOf(ROLLOUT_KIND)]
      .map(rolloutOf)
      .filter((rollout) => rollout.release === release.version && rollout.state === 'running')
      .map((rollout): Rollout => ({ ...rollout, state: 'withdrawn', endedAt: at, paused: null }))
    const writes = [
      writeOf(state, blockedVersionKey(release.version), body),
      ...lapses,
      ...ended.map((rollout) => writeOf(state, keyOf(rollout), rolloutBody(rollout))),
    ]
    return { ...drafted, rollouts: ended, writes, reads: [] }
  })
}

export function edit(
  control: Control,
  request: Request,
  version: string,
  change: ReleaseEdit,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  return changeRelease(control, request, version, 'release.edit', conditions, (release, { reason }) =>
    alone(editRelease(release, change, reason)),
  )
}

/** Signs a change off, takes that back, or withdraws the change. */
export function judge(
  control: Control,
  request: Request,
  version: string,
  id: string,
  verdict: ChangeVerdict,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  const changeIn = (document: Document): unknown => releaseOf(document).changes?.find((change) => change.id === id)
  return changeRelease(
    control,
    request,
    version,
    `release.${verdict}`,
    conditions,
    (release, context) => alone(judgeChange(release, id, verdict, context)),
    (entry) => hasChanged(entry, releaseKey(bare(version)), changeIn),
  )
}

export function lift(
  control: Control,
  request: Request,
  version: string,
  conditions: Conditions,
): Promise<ReleaseOutcome> {
  return changeRelease(control, request, version, 'release.lift-embargo', conditions, (release, context) =>
    alone(liftEmbargo(release, context)),
  )
}

/** Asks once, however often a change is decided anew. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null
  return () => (asked ??= ask())
}

/** The block list's entry of a release that agents cannot install, with what it changes; null for more than one commit takes. */
function keepFromChannels(
  state: ReplicaState,
  { version }: Release,
  { now, expiryTime, actor }: RuleContext,
): readonly Write[] | null {
  const key = blockedVersionKey(version)
  if (state.document(key) !== undefined) return []
  const lapses = dueLapses(state, version, expiryTime)
  if (lapses === null) return null
  const reason = 'a control-plane release: it has no agent packages yet'
  const body = blockedVersionBody({ version, reason, by: actor, at: momentOf(now), because: 'no packages' })
  return [writeOf(state, key, body), ...lapses]
}

type Packages =
  | { readonly outcome: 'found'; readonly packages: readonly ReleasePackage[] }
  | Extract<ReleaseOutcome, { outcome: 'packages-missing' }>

async function findPackages(control: Control, urls: readonly string[]): Promise<Packages> {
  const checked = urls.length === 0 ? [] : await control.outside.checkPackages(urls)
  const missing = checked.filter(({ problem }) => problem !== null)
  if (missing.length > 0) return { outcome: 'packages-missing', packages: missing }
  const foundAt = momentOf(control.clock.now())
  return { outcome: 'found', packages: [...new Set(urls)].map((url) => ({ url, foundAt })) }
}
