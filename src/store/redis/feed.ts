// Following the journal: a connection of its own waits for the next entries of the stream, which are the truth and the
// wake-up at once. No entry is given that does not continue the last one.
import { JournalTrimmed, StoreUnavailable, type JournalEntry, type ReadLane, type StorePosition } from '../port.ts'
import { confirmations } from './confirm.ts'
import { untilReady, whyLost, whyUnusable, type RedisClient } from './connection.ts'
import { readEntry } from './documents.ts'
import { entriesIn, type EntryText } from './entries.ts'
import { readFault } from './faults.ts'
import { withForeignKeys } from './foreign-keys.ts'
import { confirmedBy, headOf, type StoreHead } from './head.ts'
import { checkFollowable, standingOf } from './history.ts'
import { TURN_BYTES_MAX, type Turns } from '../turns.ts'
import { streamEntries } from './replies.ts'
import type { Session } from './session.ts'

/** How entries are followed. */
export interface Following {
  readonly after: StorePosition
  readonly on: (entry: JournalEntry) => void
  readonly signal: AbortSignal
  readonly lane: ReadLane
  readonly turns: Turns
  /** No entry is given before so many Redis replicas have it: what was served must not be lost with the primary. */
  readonly waitReplicas: number
}

/** The entries that come next, and the head of the store after they were read. */
interface Next {
  readonly entries: readonly EntryText[]
  readonly head: StoreHead
}

/** Gives every entry after `after` until `signal` aborts; rejects as the port's `follow` does. */
export async function followJournal(session: Session, following: Following): Promise<void> {
  const { signal } = following
  const { limits } = session
  const client = session.open(limits.followMs + limits.commandMs)
  // Ends the wait of a command that is under way.
  const end = (): void => client.disconnect()
  signal.addEventListener('abort', end)
  try {
    await untilReady(client, limits)
    const unusable = whyUnusable(client)
    if (unusable !== null) throw new StoreUnavailable(`Following the journal: ${unusable}`)
    if (!signal.aborted) await follow(client, session, following)
  } finally {
    signal.removeEventListener('abort', end)
    client.disconnect()
  }
}

async function follow(client: RedisClient, session: Session, following: Following): Promise<void> {
  const { after, signal, waitReplicas } = following
  const { keys, limits } = session
  let last = after
  const ask = async <T>(asked: Promise<T>): Promise<T | null> => {
    try {
      return await asked
    } catch (error) {
      if (signal.aborted || session.isClosed) return null
      const fault = readFault(error, 'Following the journal', whyLost(client))
      throw await withForeignKeys(error, fault, client, keys)
    }
  }
  const check = async (): Promise<void> => {
    const standing = await ask(standingOf(client, session.keys, last))
    if (standing !== null) checkFollowable(standing)
  }
  const ended = (): boolean => signal.aborted || session.isClosed
  const confirmed = async (newest: StorePosition): Promise<boolean> => {
    const count = await ask(confirmations(client, keys, newest, { wanted: waitReplicas, waitMs: limits.waitMs }))
    return count !== null && count >= waitReplicas
  }
  /** The entries, where each continues the one before; else why not is thrown. */
  const continued = async (entries: readonly EntryText[]): Promise<readonly EntryText[]> => {
    let before = last
    for (const [index, entry] of entries.entries()) {
      if (continues(before, entry)) before = positionOf([entry])
      else if (index > 0) return entries.slice(0, index)
      else {
        await check()
        if (ended()) return []
        throw new JournalTrimmed(`the journal has no entry ${last.seq + 1} any more`)
      }
    }
    return entries
  }
  // The head is asked for behind the entries, so it is read after them and takes no time of its own.
  /** Waits for the next entry. */
  const nextEntry = async (): Promise<Next> => {
    const wait = ['COUNT', 1, 'BLOCK', limits.followMs, 'STREAMS', keys.journal, `${last.seq}-0`] as const
    const [reply, head] = await Promise.all([client.xread(...wait), headOf(client, keys)])
    return { entries: streamEntries(reply?.[0]?.[1] ?? [], head.format), head }
  }
  /** What there is after it, which XREAD would not bound by bytes. */
  const nextEntries = async (): Promise<Next> => {
    const place = { how: 'on', after: last.seq, to: Number.MAX_SAFE_INTEGER } as const
    const portion = { countMax: limits.batchMax, bytesMax: limits.batchBytesMax, atLeastOne: true } as const
    const asked = entriesIn(client, keys, place, { what: 'whole', ...portion })
    const [{ entries }, head] = await Promise.all([asked, headOf(client, keys)])
    return { entries, head }
  }
  await check()
  let mayHaveMore = false
  while (!ended()) {
    const found = await ask(mayHaveMore ? nextEntries() : nextEntry())
    if (ended() || found === null) return
    const { entries, head } = found
    const next = confirmedBy(head, await continued(entries))
    // Nothing came that is in the history: the store may have gone back, or be damaged, and then nothing ever would.
    if (next.length === 0 && (entries.length > 0 || !mayHaveMore)) await check()
    mayHaveMore = next.length > 0
    while (!ended() && waitReplicas > 0 && next.length > 0 && !(await confirmed(positionOf(next)))) await check()
    await give(following, next, ended, (entry) => (last = positionOf([entry])))
  }
}

/** Gives entries in their turns. Those that belong to one turn are given together, so that a replica publishes them together. */
async function give(
  { on, lane, turns }: Following,
  entries: readonly EntryText[],
  ended: () => boolean,
  given: (entry: EntryText) => void,
): Promise<void> {
  let count = 0
  const giveSome = (): number => {
    let bytes = 0
    for (const entry of entries.slice(count)) {
      if (bytes >= TURN_BYTES_MAX || ended()) break
      on(readEntry(entry.text, entry))
      given(entry)
      count += 1
      bytes += entry.bytes
    }
    return bytes
  }
  while (count < entries.length && !ended()) await turns.run(lane, giveSome, (bytes) => bytes)
}

/** An operator's decision may go on from here without a break, and is still another history. */
function continues(last: StorePosition, { seq, epoch, previous }: EntryText): boolean {
  // Who has found a store that was never filled follows what it is filled with.
  const isSame = last.epoch === '' || epoch === last.epoch
  return isSame && seq === last.seq + 1 && previous === last.mark
}

/** The position after the last of some entries. */
function positionOf(entries: readonly EntryText[]): StorePosition {
  const { epoch = '', seq = 0, mark = '' } = entries.at(-1) ?? {}
  return { epoch, seq, mark }
}
