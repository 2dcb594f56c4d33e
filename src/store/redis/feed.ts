// Following the journal: a connection of its own waits for the next entries of the stream, which are the truth and the
// wake-up at once. No entry is given that does not continue the last one.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { JournalTrimmed, StoreUnavailable, type JournalEntry, type StorePosition } from '../port.ts'
import { confirmations } from './confirm.ts'
import { untilReady, whyLost, whyUnusable, type RedisClient } from './connection.ts'
import { readEntry } from './documents.ts'
import { isPortError, readFault } from './faults.ts'
import { confirmedBy, headOf } from './head.ts'
import { checkFollowable, standingOf } from './history.ts'
import { streamEntries, type StreamEntry } from './replies.ts'
import type { Session } from './session.ts'

/**
 * Gives every entry after `after` until `signal` aborts; rejects as the port's `follow` does. With `waitReplicas` no entry is
 * given before so many Redis replicas have it: what was served must not be lost with the primary.
 */
export async function followJournal(
  session: Session,
  after: StorePosition,
  on: (entry: JournalEntry) => void,
  signal: AbortSignal,
  waitReplicas: number,
): Promise<void> {
  const { limits } = session
  const client = session.open(limits.followMs + limits.commandMs)
  // Ends the wait of a command that is under way.
  const end = (): void => client.disconnect()
  signal.addEventListener('abort', end)
  try {
    await untilReady(client, limits)
    const unusable = whyUnusable(client)
    if (unusable !== null) throw new StoreUnavailable(`Following the journal: ${unusable}`)
    if (!signal.aborted) await follow(client, session, after, on, signal, waitReplicas)
  } finally {
    signal.removeEventListener('abort', end)
    client.disconnect()
  }
}

async function follow(
  client: RedisClient,
  session: Session,
  after: StorePosition,
  on: (entry: JournalEntry) => void,
  signal: AbortSignal,
  waitReplicas: number,
): Promise<void> {
  let last = after
  const ask = async <T>(asked: Promise<T>): Promise<T | null> => {
    try {
      return await asked
    } catch (error) {
      if (signal.aborted || session.isClosed) return null
      throw isPortError(error) ? error : readFault(error, 'Following the journal', whyLost(client))
    }
  }
  const check = async (): Promise<void> => {
    const standing = await ask(standingOf(client, session.keys, last))
    if (standing !== null) checkFollowable(standing)
  }
  const ended = (): boolean => signal.aborted || session.isClosed
  const confirmed = async (newest: StorePosition): Promise<boolean> => {
    const { keys, limits } = session
    const count = await ask(confirmations(client, keys, newest, waitReplicas, limits.waitMs))
    return count !== null && count >= waitReplicas
  }
  /** The entries, where each continues the one before; else why not is thrown. */
  const continued = async (entries: readonly StreamEntry[]): Promise<readonly StreamEntry[]> => {
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
  await check()
  while (!ended()) {
    const { keys, limits } = session
    const reading = client.xread(
      'COUNT',
      limits.batchMax,
      'BLOCK',
      limits.followMs,
      'STREAMS',
      keys.journal,
      `${last.seq}-0`,
    )
    // Sent with it, so it is read after the entries and takes no time of its own.
    const reply = await ask(Promise.all([reading, headOf(client, keys)]))
    if (ended() || reply === null) return
    const [read, head] = reply
    const entries = streamEntries(read?.[0]?.[1] ?? [])
    const next = confirmedBy(head, await continued(entries))
    // Nothing came that is in the history: the store may have gone back, or be damaged, and then nothing ever would.
    if (next.length === 0) await check()
    while (!ended() && waitReplicas > 0 && next.length > 0 && !(await confirmed(positionOf(next)))) await check()
    for (const entry of next) {
      if (ended()) return
      on(readEntry(entry.fields.get('entry') ?? ''))
      last = positionOf([entry])
    }
    await nextTurn()
  }
}

/** An operator's decision may go on from here without a break, and is still another history. */
function continues(last: StorePosition, { seq, fields }: StreamEntry): boolean {
  // Who has found a store that was never filled follows what it is filled with.
  const isSame = last.epoch === '' || fields.get('epoch') === last.epoch
  return isSame && seq === last.seq + 1 && fields.get('previous') === last.mark
}

/** The position after the last of some entries. */
function positionOf(entries: readonly StreamEntry[]): StorePosition {
  const last = entries.at(-1)
  return { epoch: last?.fields.get('epoch') ?? '', seq: last?.seq ?? 0, mark: last?.fields.get('mark') ?? '' }
}
