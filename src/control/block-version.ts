// The block list: versions that must not be served again.
import {
  BLOCKED_KIND,
  blockedVersionBody,
  blockedVersionKey,
  blockedVersionOf,
  type BlockedVersion,
} from '../channels/blocked-version.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { momentOf } from '../channels/time.ts'
import { compareVersions, parseVersion } from '../channels/version.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import {
  commitAndServe,
  CONTENTION_TRIES_MAX,
  currentState,
  earlierTry,
  isExpected,
  knownState,
  type Conditions,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
  type Stale,
} from './control.ts'
import type { JournalEntry } from '../store/port.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { readOf } from './decide.ts'
import { dueLapses, journalDueLapses } from './journal-lapses.ts'

export interface Blocked {
  readonly outcome: 'blocked'
  readonly blocked: BlockedVersion
  readonly revision: number
  /** Channels that tell agents this version now. Blocking it has not moved them. */
  readonly servedBy: readonly string[]
}

export type BlockOutcome = Blocked | Stale | Refusal | NotServedYet | Contended | KeyReused

export type UnblockOutcome =
  /** `no-packages`: its release has no agent packages yet, and stays on the list until it has. */
  | { readonly outcome: 'unblocked' | 'not-blocked' | 'no-packages' }
  | Stale
  | Refusal
  | NotServedYet
  | Contended
  | KeyReused

/** The block list, lowest version first. */
export function listBlockedVersions(control: Control): readonly BlockedVersion[] {
  const blocked = [...knownState(control).documentsOf(BLOCKED_KIND)].map(blockedVersionOf)
  return blocked.toSorted((a, b) => compareVersions(a.version, b.version))
}

/** Puts a version on the block list, or gives the one that is there another reason; says where it is served. */
export async function blockVersion(
  control: Control,
  request: Request,
  text: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<BlockOutcome> {
  const version = parseVersion(text)
  if (version.outcome === 'unparsed') return malformed('version', version.message)
  const reason = request.reason?.trim() ?? ''
  if (reason === '') return malformed('reason', 'is missing; say what is wrong with the version')
  const key = blockedVersionKey(version.value)
  const earlier = dryRun ? null : await earlierTry(control, request, 'version.block', key)
  if (earlier !== null && earlier.outcome !== 'applied') return earlier
  if (earlier !== null) return blockedBy(control, earlier.entry, key)
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    if (!dryRun) await journalDueLapses(control)
    const state = currentState(control)
    const document = state.document(key)
    if (!isExpected(expectedRevisions, document)) return { outcome: 'stale', current: document ?? null }
    // An entry that cannot be read is written over: it blocks the version as before.
    const expected = state.revisionOf(key)
    const now = control.clock.now()
    const at = momentOf(now)
    const blocked = { version: version.value, reason, by: request.actor, at }
    if (dryRun) return { outcome: 'blocked', blocked, revision: expected + 1, servedBy: servedBy(state, version.value) }
    const lapses = dueLapses(state, version.value, control.clock.expiryTime())
    if (lapses === null) continue
    const committed = await commitAndServe(control, request, {
      at,
      kind: 'version.block',
      writes: [{ key, expected, body: blockedVersionBody(blocked) }, ...lapses],
      reads: [],
    })
    if (committed.outcome === 'conflict') continue
    return committed.outcome === 'served' ? blockedBy(control, committed.entry, key) : committed
  }
  return { outcome: 'contended' }
}

/** The answer to a blocking, from the entry that it has made. */
function blockedBy(control: Control, entry: JournalEntry, key: string): Blocked | KeyReused {
  const after = entry.changes.find((change) => change.key === key)?.after ?? null
  if (after === null) return { outcome: 'key-reused' }
  const blocked = blockedVersionOf(after)
  const { revision } = after
  return { outcome: 'blocked', blocked, revision, servedBy: servedBy(knownState(control), blocked.version) }
}

/** Takes a version off the block list. */
export async function unblockVersion(
  control: Control,
  request: Request,
  text: string,
  { dryRun, expectedRevisions }: Conditions,
): Promise<UnblockOutcome> {
  const version = parseVersion(text)
  if (version.outcome === 'unparsed') return malformed('version', version.message)
  if ((request.reason?.trim() ?? '') === '')
    return malformed('reason', 'is missing; say why the version may be served again')
  const key = blockedVersionKey(version.value)
  const earlier = dryRun ? null : await earlierTry(control, request, 'version.unblock', key)
  if (earlier !== null) return earlier.outcome === 'applied' ? { outcome: 'unblocked' } : earlier
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    if (!dryRun) await journalDueLapses(control)
    const state = currentState(control)
    const document = state.stored(key)
    const now = control.clock.now()
    if (document === undefined) return { outcome: 'not-blocked' }
    const release = state.document(releaseKey(version.value))
    // Nothing is more expensive than a fleet that is told to install what cannot be downloaded.
    if (release !== undefined && releaseOf(release).kind === 'control-plane') return { outcome: 'no-packages' }
    if (!isExpected(expectedRevisions, document)) return { outcome: 'stale', current: document }
    if (dryRun) return { outcome: 'unblocked' }
    const lapses = dueLapses(state, version.value, control.clock.expiryTime())
    if (lapses === null) continue
    const committed = await commitAndServe(control, request, {
      at: momentOf(now),
      kind: 'version.unblock',
      writes: [{ key, expected: document.revision, body: null }, ...lapses],
      reads: [readOf(state, releaseKey(version.value))],
    })
    if (committed.outcome !== 'conflict') return committed.outcome === 'served' ? { outcome: 'unblocked' } : committed
  }
  return { outcome: 'contended' }
}

/** Channels that tell agents this version now, be it some of their cohorts only. */
export function servedBy(state: ReplicaState, version: string): readonly string[] {
  const names: string[] = []
  for (const { name, target, ramp } of state.snapshot.channels()) {
    if ([target, ramp?.early, ramp?.late].some((told) => told?.version === version)) names.push(name)
  }
  return names.toSorted()
}

/** The same for several versions at once: there may be 100,000 channels. */
export function servedByVersion(
  state: ReplicaState,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const versions = new Map<string, string[]>()
  for (const { name, target, ramp } of state.snapshot.channels()) {
    for (const version of new Set([target.version, ramp?.early.version ?? null, ramp?.late.version ?? null])) {
      if (version === null || !wanted.has(version)) continue
      const names = versions.get(version)
      if (names === undefined) versions.set(version, [name])
      else names.push(name)
    }
  }
  for (const names of versions.values()) names.sort()
  return versions
}
