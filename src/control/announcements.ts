// What replicas announce of themselves, read strictly: any program with the store's password can write there.
import type { Coordination, Json, JsonObject } from '../store/port.ts'
import type { StoreWarning } from '../store/warning.ts'

/** What one replica announces. */
export interface Announcement {
  /** The replica's name. Two processes can be given the same one. */
  readonly id: string
  /** What tells the process from all others; null for a build that has none and announces itself by its name. */
  readonly processToken: string | null
  readonly role: string
  /** One of ReplicaStatus; a newer build may have others. */
  readonly status: string
  readonly problem: string | null
  /** The journal entry up to which it serves changes, null where it serves nothing yet. */
  readonly seq: number | null
  readonly epoch: string | null
  readonly snapshotAgeS: number | null
  /** Processes of it that answer polls: its workers, or itself; 0 where it answers none. */
  readonly pollProcesses: number
  readonly build: string
  readonly startedAt: string
}

export interface ReadAnnouncements {
  readonly announcements: readonly Announcement[]
  /** Keys under which something else is announced; they can be anything. */
  readonly unreadable: readonly string[]
}

/** As the configuration allows replicas to be called; ids are sent in headers, with commas between. */
const REPLICA_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
/** Unreadable announcements that are named one by one. */
const WARNINGS_MAX = 100
/** Characters of an unreadable id that are shown. */
const SHOWN_ID_LENGTH_MAX = 80

/** Everything that is announced now; rejects where the store cannot be asked. */
export async function readAnnouncements(coordination: Coordination): Promise<ReadAnnouncements> {
  const announcements: Announcement[] = []
  const unreadable: string[] = []
  for (const [id, body] of await coordination.announced()) {
    const announcement = readAnnouncement(id, body)
    if (announcement === null) unreadable.push(id)
    else announcements.push(announcement)
  }
  return { announcements, unreadable }
}

/** The key under which a process announces itself: what tells it from all others. */
export function announcementKey({ id, processToken }: Pick<Announcement, 'id' | 'processToken'>): string {
  return processToken ?? id
}

/** Where a replica stands. */
export interface AnnouncedPosition {
  /** The key of its announcement. */
  readonly key: string
  readonly id: string
  readonly epoch: string
  readonly seq: number
}

/**
 * Where the replicas stand of which that much can be read, whatever else they announce: what a newer build tells must still
 * keep its changes from being undone.
 */
export async function readPositions(coordination: Coordination): Promise<readonly AnnouncedPosition[]> {
  return [...(await coordination.announced())].flatMap(([key, body]) => {
    const { id, epoch, seq } = body ?? {}
    if (!REPLICA_ID.test(key) || !isText(epoch) || !isCount(seq)) return []
    return [{ key, id: isText(id) && REPLICA_ID.test(id) ? id : key, epoch, seq }]
  })
}

/** Names what was skipped. */
export function unreadableWarnings(ids: readonly string[]): readonly StoreWarning[] {
  const code = 'unreadable_announcement'
  const advice = 'it is skipped. A newer build or another program has written it'
  const warnings = ids.slice(0, WARNINGS_MAX).map((id) => {
    const shown = JSON.stringify(id.slice(0, SHOWN_ID_LENGTH_MAX))
    return { code, message: `the announcement of the replica ${shown} cannot be read; ${advice}` }
  })
  const more = ids.length - warnings.length
  if (more > 0) warnings.push({ code, message: `${more} more announcements cannot be read` })
  return warnings
}

/** Only the members of this build: a newer one has more, which are not this one's to show. */
function readAnnouncement(key: string, body: JsonObject | null): Announcement | null {
  if (body === null || !REPLICA_ID.test(key)) return null
  const {
    id,
    processToken = null,
    role,
    status,
    problem,
    seq,
    epoch,
    snapshotAgeS,
    pollProcesses,
    build,
    startedAt,
  } = body
  if (!isText(id) || !REPLICA_ID.test(id) || !(processToken === null || isText(processToken))) return null
  if (announcementKey({ id, processToken }) !== key) return null
  if (!isText(role) || !isText(status) || !isText(build) || !isText(startedAt)) return null
  if (!isCount(pollProcesses) || !(seq === null || isCount(seq)) || !(epoch === null || isText(epoch))) return null
  if (!(problem === null || isText(problem)) || !(snapshotAgeS === null || typeof snapshotAgeS === 'number'))
    return null
  return { id, processToken, role, status, problem, seq, epoch, snapshotAgeS, pollProcesses, build, startedAt }
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string'
}

function isCount(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
