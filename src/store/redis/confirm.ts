// Whether Redis replicas have an entry, asked over whatever connection there is.
import { serverOf, type RedisClient } from './connection.ts'
import type { Keys } from './keys.ts'
import { sendScript } from './scripts.ts'

/** How many replicas have this entry, once `wanted` have or `waitMs` is over; 0 where the journal does not have it. */
export async function confirmations(
  client: RedisClient,
  keys: Keys,
  { seq, mark }: { readonly seq: number; readonly mark: string },
  { wanted, waitMs }: { readonly wanted: number; readonly waitMs: number },
): Promise<number> {
  const server = (await serverOf(client, keys.meta)) ?? client
  const [isThere, count] = await Promise.all([
    sendScript(server, 'confirm', [keys.meta, keys.journal], [String(seq), mark]),
    server.wait(wanted, waitMs),
  ])
  return isThere === 1 ? count : 0
}
