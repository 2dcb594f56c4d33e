// The head of the store, as its meta data say: the last entry that was written to its end. Only up to there is the journal
// given to anybody.
import type { StorePosition } from '../port.ts'
import type { RedisClient } from './connection.ts'
import type { Keys } from './keys.ts'
import type { StreamEntry } from './replies.ts'

export async function headOf(client: RedisClient, keys: Keys): Promise<StorePosition> {
  const [epoch, seq, mark] = await client.hmget(keys.meta, 'epoch', 'seq', 'mark')
  return { epoch: epoch ?? '', seq: Number(seq ?? 0), mark: mark ?? '' }
}

/** The seq of the head; 0 where the store was never filled. */
export async function headSeq(client: RedisClient, keys: Keys): Promise<number> {
  const { seq } = await headOf(client, keys)
  return Number.isSafeInteger(seq) ? seq : 0
}

/** The entries, in order, up to the first that a head read after them does not confirm. */
export function confirmedBy(head: StorePosition, entries: readonly StreamEntry[]): readonly StreamEntry[] {
  const first = entries.findIndex(({ seq, fields }) => {
    if (fields.get('epoch') !== head.epoch || !(seq <= head.seq)) return true
    return seq === head.seq && fields.get('mark') !== head.mark
  })
  return first === -1 ? entries : entries.slice(0, first)
}
