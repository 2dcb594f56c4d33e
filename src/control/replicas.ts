// The replicas of one store: each announces itself, any of them lists all, and a write can wait for all to serve it.
import type { SnapshotHolder } from '../serve/holder.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { momentOf } from '../channels/time.ts'
import { NewerFormat, StoreDamaged, StoreUnavailable, type StoreWarning } from '../store/port.ts'
import { readAnnouncements, readPositions, unreadableWarnings, type Announcement } from './announcements.ts'
import { pauseOf, type Control } from './control.ts'

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

/** Every live replica, this one included, by id; what is announced and cannot be read is in the warnings. */
export async function listReplicas(control: Control, facts: ReplicaFacts): Promise<ReplicaList> {
  const own = announcementOf(control, facts)
  const known = new Map<string, Announcement>()
  const warnings: StoreWarning[] = []
  let newest: { readonly epoch: string; readonly seq: number } | null = null
  try {
    const { announcements, unreadable } = await readAnnouncements(control.coordination)
    for (const announcement of announcements) known.set(announcement.id, announcement)
    warnings.push(...unreadableWarnings(unreadable))
    newest = await control.store.position()
  } catch (error) {
    // Without the store, or one that can be read, the others cannot be asked; this one still says how it is.
    const isAway = [StoreUnavailable, StoreDamaged, NewerFormat].some((kind) => error instanceof kind)
    if (!isAway) throw error
  }
  known.set(own.id, own)
  const replicas = [...known.values()]
    .map((one) => ({ ...one, lag: lagOf(one, newest, [...known.values()]), self: one.id === own.id }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return { replicas, warnings }
}

export interface AppliedBy {
  readonly applied: readonly string[]
  /** Live replicas that had not applied it when the wait was over. */
  readonly missing: readonly string[]
  /** Whether somebody has announced what this replica cannot read. */
  readonly hasUnreadable: boolean
}

/**
 * Waits until every live replica serves entry `seq`, for REPLICAS_WAIT_MAX_MS at most; null where they cannot be asked.
 * Announcements that cannot be read are not waited for.
 */
export async function waitForReplicas(control: Control, seq: number): Promise<AppliedBy | null> {
  const { clock, coordination, replica, replicaId } = control
  const endsAt = clock.now() + REPLICAS_WAIT_MAX_MS
  for (;;) {
    const seqs = new Map([[replicaId, replica.state?.seq ?? 0]])
    let hasUnreadable = false
    try {
      const { announcements, unreadable } = await readAnnouncements(coordination)
      hasUnreadable = unreadable.length > 0
      for (const other of announcements) if (other.id !== replicaId) seqs.set(other.id, other.seq ?? 0)
    } catch (error) {
      if (error instanceof StoreUnavailable || error instanceof StoreDamaged) return null
      throw error
    }
    const ids = [...seqs.keys()].toSorted()
    const missing = ids.filter((id) => (seqs.get(id) ?? 0) < seq)
    if (missing.length === 0 || clock.now() >= endsAt) {
      return { applied: ids.filter((id) => !missing.includes(id)), missing, hasUnreadable }
    }
    await pauseOf(clock, REPLICAS_WAIT_STEP_MS)
  }
}

/** Live replicas that know more of the same history than this one does. */
export async function replicasAhead(control: Control): Promise<readonly ReplicaRecord['id'][]> {
  const { state } = control.replica
  if (state === null) return []
  const positions = await readPositions(control.coordination)
  return positions
    .filter(({ id, epoch, seq }) => id !== control.replicaId && epoch === state.epoch && seq > state.seq)
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
    await coordination.announce(body.id, { ...body }, ttlMs)
    return null
  } catch (error) {
    return error
  }
}

function announcementOf({ replica, replicaId, clock }: Control, facts: ReplicaFacts): Announcement {
  const snapshot = facts.holder.current
  return {
    id: replicaId,
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
