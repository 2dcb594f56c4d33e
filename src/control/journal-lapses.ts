// Journals what time has done: pins and critical flags that have ended take effect by themselves in every replica
// (channels/target.ts); here the change is committed once, by whichever replica is first.
import { channelBody, channelKey, channelOf, type Channel, type Held } from '../channels/channel.ts'
import { lapse } from '../channels/lapse.ts'
import { momentOf } from '../channels/time.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { COMMIT_WRITES_MAX, StoreUnavailable, type Write } from '../store/port.ts'
import { blockListReads } from './change-channel.ts'
import type { Control } from './control.ts'

/** How often it is looked whether something has lapsed. The target does not wait for it. */
const LAPSE_CHECK_MS = 1_000

/** The journal's name for the server itself; no token can have it, since a token's actor has a slash. */
const SYSTEM_ACTOR = 'bellwether'

/** Starts journaling lapses; the answer stops it, once the commit under way has ended. */
export function journalLapses(control: Control): () => Promise<void> {
  let stopped = false
  let cancel = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const check = (): void => {
    if (stopped) return
    running = journalAll(control).finally(() => {
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

async function journalAll(control: Control): Promise<void> {
  for (const name of control.replica.state?.lapsed(control.clock.now()) ?? []) {
    try {
      await journalOne(control, name)
    } catch {
      // The store is down: what has lapsed stays so in every replica, and the next check tries again.
      return
    }
  }
}

async function journalOne(control: Control, name: string): Promise<void> {
  const { replica, store, clock } = control
  const { state } = replica
  const now = clock.now()
  const due = state === null ? null : dueLapse(state, name, now)
  if (state === null || due === null) return
  const { write, held } = due
  // A conflict means that another replica has journaled it, or that somebody has changed the channel: nothing is left to do.
  await store.commit({
    at: momentOf(now),
    actor: SYSTEM_ACTOR,
    kind: held === null ? 'channel.expire' : 'channel.hold',
    reason: held === null ? 'its time was over' : `the pin's time was over, but it stays: ${held.detail}`,
    requestId: null,
    writes: [write],
    reads: blockListReads(state, due.channel),
  })
}

/** Every channel's part of what has expired by `now`, for a commit that changes the block list (channels/lapse.ts says why). */
export function dueLapses(state: ReplicaState, now: number): readonly Write[] {
  const due = state.lapsed(now).flatMap((name) => dueLapse(state, name, now)?.write ?? [])
  // They are journaled every second, so this many can only be due while nothing is being journaled.
  if (due.length >= COMMIT_WRITES_MAX) throw new StoreUnavailable(`${due.length} expiries are not journaled yet`)
  return due
}

interface DueLapse {
  readonly write: Write
  readonly channel: Channel
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
  return { write: { key, expected: document.revision, body }, channel, held }
}
