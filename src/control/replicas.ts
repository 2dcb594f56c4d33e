// The replicas of one store: each announces itself, any of them lists all, and a write can wait for all to serve it.
import type { SnapshotHolder } from '../serve/holder.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { momentOf } from '../channels/time.ts'
import { NewerFormat, StoreDamaged, StoreUnavailable } from '../store/port.ts'
import { REFUSES_WRITES, type StoreWarning } from '../store/warning.ts'
import {
  announcementKey,
  readAnnouncements,
  readPositions,
  unreadableWarnings,
  type Announcement,
} from './announcements.ts'
import { pauseOf, type Control } from './control.ts'
import { duplicateWarnings } from './duplicate-replicas.ts'

/** How often a replica tells the others of itself while nothing changes. */
const ANNOUNCE_INTERVAL_MS = 1_000
/** Under a stream of changes it tells of them at most this often: often enough for `?wait=replicas`. */
const ANNOUNCE_SPACING_MS = 20
/** A replica that was not heard of for this long is not live any more. */
const ANNOUNCE_TTL_MS = 5_000

/** How long a write waits for the other replicas; longer than a replica that has just died counts as live. */
export const REPLICAS_WAIT_MAX_MS = 10_000
const REPLICAS_WAIT_STEP_MS = 10

/** One live replica, as it is seen from this one. */
export interface ReplicaRecord extends Announcement {
  /** Entries that the store, or another replica of the same epoch, has and this one does not serve. */
  readonly lag: number | null
  /** Whether it is the replica that answers. */
  readonly self: boolean
}

export interface ReplicaList {
  readonly replicas: readonly ReplicaRecord[]
  readonly warnings: readonly StoreWarning[]
}

export interface ReplicaFacts {
  readonly holder: SnapshotHolder
  readonly role: string
  readonly build: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** How many processes answer polls now. */
  readonly processes: () => number
}

/** Starts announcing this replica; the answer stops it and takes it off the list. */
export function announceReplica(control: Control, facts: ReplicaFacts, log: ReplicaLog): () => Promise<void> {
  const stop = new AbortController()
  const running = (async () => {
    let failing = false
    while (!stop.signal.aborted) {
      const announced = announcementOf(control, facts)
      const failed = await announce(control, announced, ANNOUNCE_TTL_MS)
      if (failed !== null && !failing) log.warn({ err: failed }, 'this replica could not be announced to the others')
      failing = failed !== null
      await pauseOf(control.clock, ANNOUNCE_SPACING_MS, stop.signal)
      await nextNews(control, announced, stop.signal)
    }
  })()
  return async () => {
    stop.abort()
    await running
    // Its time is over at once; where that cannot be told, it ends by itself.
    await announce(control, announcementOf(control, facts), 1)
  }
}

/**
 * Every live process, this one included, by name; what is announced and cannot be read, and names that several processes have, are in
 * the warnings.
 */
export async function listReplicas(control: Control, facts: ReplicaFacts): Promise<ReplicaList> {
  const own = announcementOf(control, facts)
  const known = new Map<string, Announcement>()
  // Replicas whose announcements the store refuses are not in the list.
  const warnings = control.warnings().filter(({ code }) => code === REFUSES_WRITES)
  let newest: { readonly epoch: string; readonly seq: number } | null = null
  try {
    const { announcements, unreadable } = await readAnnouncements(control.coordination)
    for (const announcement of announcements) known.set(announcementKey(announcement), announcement)
    warnings.push(...unreadableWarnings(unreadable))
    newest = await control.store.position()
  } catch (error) {
    // Without the store, or one that can be read, the others cannot be asked; this one still says how it is.
    const isAway = [StoreUnavailable, StoreDamaged, NewerFormat].some((kind) => error instanceof kind)
    if (!isAway) throw error
  }
  known.set(announcementKey(own), own)
  const all = [...known.values()]
  const replicas = all
    .map((one) => ({ ...one, lag: lagOf(one, newest, all), self: one === own }))
    .toSorted((a, b) => (replicaPlace(a) < replicaPlace(b) ? -1 : 1))
  return { replicas, warnings: [...warnings, ...duplicateWarnings(all)] }
}

/** A process' place in the list: by name, then by token. A blank is before every character of a name. */
export function replicaPlace(replica: Announcement): string {
  return `${replica.id} ${announcementKey(replica)}`
}

/** Names of replicas; one that several processes have is there for each of them. */
export interface AppliedBy {
  readonly applied: readonly string[]
  /** Live replicas that had not applied it when the wait was over. */
  readonly missing: readonly string[]
  /** Whether somebody has announced what this replica cannot read. */
  readonly hasUnreadable: boolean
}

interface Progress {
  readonly id: string
  readonly seq: number
}

/**
 * Waits until every live process serves entry `seq`, for REPLICAS_WAIT_MAX_MS at most; null where they cannot be asked.
 * Announcements that cannot be read are not waited for. One whose process has been killed, or replaced by another of its name, is over
 * after ANNOUNCE_TTL_MS.
 */
export async function waitForReplicas(control: Control, seq: number): Promise<AppliedBy | null> {
  const { clock, coordination, replica, replicaId, processToken } = control
  const endsAt = clock.now() + REPLICAS_WAIT_MAX_MS
  for (;;) {
    const processes = new Map<string, Progress>()
    let hasUnreadable = false
    try {
      const { announcements, unreadable } = await readAnnouncements(coordination)
      hasUnreadable = unreadable.length > 0
      for (const other of announcements) processes.set(announcementKey(other), { id: other.id, seq: other.seq ?? 0 })
    } catch (error) {
      if (error instanceof StoreUnavailable || error instanceof StoreDamaged) return null
      throw error
    }
    processes.set(processToken, { id: replicaId, seq: replica.state?.seq ?? 0 })
    const [applied, missing] = [namesOf(processes, (one) => one.seq >= seq), namesOf(processes, (one) => one.seq < seq)]
    if (missing.length === 0 || clock.now() >= endsAt) return { applied, missing, hasUnreadable }
    await pauseOf(clock, REPLICAS_WAIT_STEP_MS)
  }
}

function namesOf(processes: ReadonlyMap<string, Progress>, matches: (one: Progress) => boolean): readonly string[] {
  return [...processes.values()]
    .filter(matches)
    .map(({ id }) => id)
    .toSorted()
}

/** Live replicas that know more of the same history than this process does. */
export async function replicasAhead(control: Control): Promise<readonly ReplicaRecord['id'][]> {
  const { state } = control.replica
  if (state === null) return []
  const positions = await readPositions(control.coordination)
  return positions
    .filter(({ key, epoch, seq }) => key !== control.processToken && epoch === state.epoch && seq > state.seq)
    .map(({ id }) => id)
    .toSorted()
}

/** Resolves when there is something new to tell, and after ANNOUNCE_INTERVAL_MS at the latest. */
async function nextNews({ replica, clock }: Control, told: Announcement, signal: AbortSignal): Promise<void> {
  const ended = new AbortController()
  const changed = replica.until((state) => signal.aborted || state.seq !== told.seq || state.epoch !== told.epoch)
  await Promise.race([changed, pauseOf(clock, ANNOUNCE_INTERVAL_MS, AbortSignal.any([signal, ended.signal]))])
  ended.abort()
}

async function announce({ coordination }: Control, body: Announcement, ttlMs: number): Promise<unknown> {
  try {
    await coordination.announce(announcementKey(body), { ...body }, ttlMs)
    return null
  } catch (error) {
    return error
  }
}

function announcementOf({ replica, replicaId, processToken, clock }: Control, facts: ReplicaFacts): Announcement {
  const snapshot = facts.holder.current
  return {
    id: replicaId,
    processToken,
    role: facts.role,
    status: replica.status,
    problem: replica.problem,
    seq: snapshot?.seq ?? null,
    epoch: snapshot?.epoch ?? null,
    snapshotAgeS: snapshot === null ? null : Math.max(0, clock.now() - snapshot.at) / 1_000,
    pollProcesses: facts.processes(),
    build: facts.build,
    startedAt: momentOf(facts.startedAt),
  }
}

function lagOf(
  { epoch, seq }: Announcement,
  newest: { readonly epoch: string; readonly seq: number } | null,
  others: readonly Announcement[],
): number | null {
  if (seq === null) return null
  const seqs = others.flatMap((other) => (other.epoch === epoch && other.seq !== null ? [other.seq] : []))
  if (newest?.epoch === epoch) seqs.push(newest.seq)
  return Math.max(seq, ...seqs) - seq
}
