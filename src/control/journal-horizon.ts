// How far back the journal can be believed to tell everything that was served.
import { EPOCH_SUBJECT, type Store } from '../store/port.ts'

export interface JournalHorizon {
  /** The last entry by which an operator has decided what a store that had gone back shall hold; 0 where there is none. */
  readonly epochSeq: number
  /** When that was (milliseconds since the epoch): before, replicas may have served what no entry tells; null for never. */
  readonly epochAt: number | null
  /** When the oldest entry that is kept was made (milliseconds since the epoch); null where none was trimmed. */
  readonly beginsAt: number | null
}

export async function journalHorizon(store: Store): Promise<JournalHorizon> {
  const { entries } = await store.journal({ subject: EPOCH_SUBJECT, limit: 1 })
  const begins = await store.journalBegins()
  const [epoch] = entries
  return {
    epochSeq: epoch?.seq ?? 0,
    epochAt: epoch === undefined ? null : Date.parse(epoch.at),
    beginsAt: begins === null ? null : Date.parse(begins),
  }
}

/**
 * Since when a channel's past is known (milliseconds since the epoch); null: all of it is. `missingBefore` is the oldest moment
 * that was read where entries before it are missing, null where none are.
 */
export function knownSince({ epochAt, beginsAt }: JournalHorizon, missingBefore: number | null): number | null {
  if (missingBefore === null) return epochAt
  // What is missing was trimmed, or was lost with a store that had gone back; since both the journal tells everything.
  if (epochAt !== null && beginsAt !== null) return Math.max(epochAt, beginsAt)
  return epochAt ?? beginsAt ?? missingBefore
}
