// Journals what time has done: pins and critical flags that have ended take effect by themselves in every replica
// (channels/target.ts); here the change is committed once, by whichever replica is first.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { channelBody, channelKey, channelOf, type Channel, type Held } from '../channels/channel.ts'
import { lapse } from '../channels/lapse.ts'
import { momentOf } from '../channels/time.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { COMMIT_WRITES_MAX, StoreUnavailable, type Expectation, type StorePosition, type Write } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import type { Control } from './control.ts'

/** How often it is looked whether something has lapsed. The target does not wait for it. */
const LAPSE_CHECK_MS = 1_000

/** The journal's name for the server itself; no token can have it, since a token's actor has a slash. */
export const SYSTEM_ACTOR = 'bellwether'

/** Lapses that fall due together are journaled together: a commit holds the event loop, so not too many at once. */
const LAPSES_PER_COMMIT_MAX = 100

/** Starts journaling lapses; the answer stops it, once the commit under way has ended. */
export function journalLapses(control: Control, log: ReplicaLog): () => Promise<void> {
  let stopped = false
  let cancel = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const check = (): void => {
    if (stopped) return
    running = journalDueLapses(control)
      .catch((error: unknown) => {
        // While the store is down, what has lapsed stays so in every replica, and the next check tries again.
        if (!(error instanceof StoreUnavailable)) log.warn({ err: error }, 'expiries could not be journaled')
      })
      .finally(() => {
        if (!stopped) cancel = control.clock.after(LAPSE_CHECK_MS, check)
      })
  }
  cancel = control.clock.after(LAPSE_CHECK_MS, check)
  return async () => {
    stopped = true
    cancel()
    await running
  }
}

/** Journals what has lapsed by now, with turns of the event loop between the commits for the polls. */
export async function journalDueLapses(control: Control): Promise<void> {
  const { state, fault } = control.replica
  // A store that is not followed may be another one, or behind: nothing may be decided on it, and nothing written to it.
  if (state === null || fault !== null) return
  // What has ended cannot be undone. Another replica, with a clock that is confirmed, journals it.
  if (control.clock.doubt !== null) return
  const now = control.clock.expiryTime()
  const names = state.lapsed(now)
  // Each part is judged in the turn that commits it: all pins of a large fleet can end at one moment.
  for (let start = 0; start < names.length; start += LAPSES_PER_COMMIT_MAX) {
    if (start > 0) await nextTurn()
    if (control.replica.state !== state || control.replica.fault !== null) return
    const { position: decidedOn } = state
    const due = names.slice(start, start + LAPSES_PER_COMMIT_MAX).flatMap((name) => dueLapse(state, name, now) ?? [])
    const ended = due.filter(({ held }) => held === null)
    const held = due.filter(({ held: holds }) => holds !== null)
    for (const lapses of [ended, held]) {
      if (lapses.length > 0) await journalTogether(control, lapses, decidedOn, now)
    }
  }
}

async function journalTogether(
  control: Control,
  lapses: readonly DueLapse[],
  decidedOn: StorePosition,
  now: number,
): Promise<void> {
  const reads = new Map(lapses.flatMap((due) => due.reads).map((read) => [read.key, read]))
  const [first] = lapses
  const why = lapses.length === 1 ? first?.held?.detail : 'each pin says why in `held`'
  // A conflict means that another replica has journaled them, or that somebody has changed a channel: the next check sees.
  await control.store.commit({
    at: momentOf(now),
    actor: SYSTEM_ACTOR,
    kind: first?.held === null ? 'channel.expire' : 'channel.hold',
    reason: first?.held === null ? 'its time was over' : `the pin's time was over, but it stays: ${why}`,
    requestId: null,
    decidedOn,
    writes: lapses.map(({ write }) => write),
    reads: [...reads.values()],
  })
}

/**
 * What has lapsed by `now` on channels whose source is at `version`, or was before a ramp, for the commit that blocks or unblocks it
 * (channels/lapse.ts says why); null for more than fit into one commit.
 */
export function dueLapses(state: ReplicaState, version: string, now: number): readonly Write[] | null {
  const due = state.lapsed(now).flatMap((name) => dueLapse(state, name, now) ?? [])
  const writes = due.flatMap(({ channel: { source, ramp }, write }) =>
    source.version === version || ramp?.before.version === version ? [write] : [],
  )
  return writes.length < COMMIT_WRITES_MAX ? writes : null
}

interface DueLapse {
  readonly write: Write
  readonly channel: Channel
  /** The block list as the lapse was judged by it; taken now, since the state moves on between commits. */
  readonly reads: readonly Expectation[]
  /** Set where a pin is held from now on. */
  readonly held: Held | null
}

function dueLapse(state: ReplicaState, name: string, now: number): DueLapse | null {
  const key = channelKey(name)
  const document = state.document(key)
  if (document === undefined) return null
  const channel = channelOf(document)
  const lapsed = lapse(channel, state.isBlocked, now)
  if (lapsed === null) return null
  const held = lapsed.pin !== null && lapsed.pin.held !== channel.pin?.held ? lapsed.pin.held : null
  const body = channelBody({ ...lapsed, updatedAt: momentOf(now), updatedBy: SYSTEM_ACTOR })
  return { write: { key, expected: document.revision, body }, channel, held, reads: blockListReads(state, channel) }
}
