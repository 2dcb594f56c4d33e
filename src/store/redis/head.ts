// The head of the store, as its meta data say: the last entry that was written to its end. Only up to there is the journal
// given to anybody.
import type { StorePosition } from '../port.ts'
import type { RedisClient } from './connection.ts'
import type { Keys } from './keys.ts'
import type { EntryText } from './entries.ts'

export interface StoreHead extends StorePosition {
  readonly format: number
}

export async function headOf(client: RedisClient, keys: Keys): Promise<StoreHead> {
  const [epoch, seq, mark, format] = await client.hmget(keys.meta, 'epoch', 'seq', 'mark', 'format')
  return { epoch: epoch ?? '', seq: Number(seq ?? 0), mark: mark ?? '', format: Number(format ?? 0) }
}

/** The entries, in order, up to the first that a head read after them does not confirm. */
export function confirmedBy(head: StorePosition, entries: readonly EntryText[]): readonly EntryText[] {
  const first = entries.findIndex(({ seq, epoch, mark }) => {
    if (epoch !== head.epoch || !(seq <= head.seq)) return true
    return seq === head.seq && mark !== head.mark
  })
  return first === -1 ? entries : entries.slice(0, first)
}
