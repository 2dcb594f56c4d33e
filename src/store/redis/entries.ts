// Entries of the stream by entries.lua: within a number of bytes, or only what filters look at, so that no reply is larger than
// what may be held at once.
import { CHANGES_MARK } from '../journal-query.ts'
import type { RedisClient } from './connection.ts'
import { subjectMember, subjectPrefix, seqOfMember, type Keys } from './keys.ts'
import { listOf } from './replies.ts'
import { runScript } from './scripts.ts'

/** One entry as its text, or as what that has before its changes. */
export interface EntryText {
  readonly seq: number
  /** The size of the whole text. */
  readonly bytes: number
  readonly text: string
  readonly mark: string
  /** The mark of the entry before. */
  readonly previous: string
  readonly epoch: string
  /** The format of the store that it is in. */
  readonly storeFormat: number
}

export interface Slice {
  readonly entries: readonly EntryText[]
  /** Whether there are more, of those that were asked for. */
  readonly more: boolean
}

/** How much of what is wanted. */
export interface Portion {
  readonly what: 'whole' | 'head'
  readonly countMax: number
  readonly bytesMax: number
  /** Whether the first entry is wanted whatever its size. */
  readonly atLeastOne: boolean
}

const PARTS = 6

export type Place =
  | { readonly how: 'back'; readonly before: number }
  | { readonly how: 'on'; readonly after: number; readonly to: number }
  | { readonly how: 'at'; readonly seqs: readonly number[] }

export async function entriesIn(client: RedisClient, keys: Keys, place: Place, portion: Portion): Promise<Slice> {
  const { what, countMax, bytesMax, atLeastOne } = portion
  const args = [what, CHANGES_MARK, String(Math.max(bytesMax, 0)), String(countMax), atLeastOne ? '1' : '0', place.how]
  const reply = listOf(await runScript(client, 'entries', [keys.journal, keys.meta], [...args, ...argumentsOf(place)]))
  const entries: EntryText[] = []
  const storeFormat = Number(reply[1])
  for (let index = 2; index < reply.length; index += PARTS) {
    const [seq = '', bytes, text = '', mark = '', previous = '', epoch = ''] = reply.slice(index, index + PARTS)
    entries.push({ seq: Number(seq), bytes: Number(bytes), text, mark, previous, epoch, storeFormat })
  }
  return { entries, more: reply[0] === '1' }
}

/** Entries below `before`, newest first; only those about `subject` where it is given. */
export async function entriesBefore(
  client: RedisClient,
  keys: Keys,
  { before, subject }: { readonly before: number; readonly subject: string | undefined },
  portion: Portion,
): Promise<Slice> {
  if (before <= 1) return { entries: [], more: false }
  if (subject === undefined) return entriesIn(client, keys, { how: 'back', before: Math.ceil(before) }, portion)
  const oldest = `[${subjectPrefix(subject)}`
  for (let from = `(${subjectMember(subject, Math.ceil(before))}`; ;) {
    // One more than wanted, so that the script can tell whether there is more.
    const members = await client.zrevrangebylex(keys.subjects, from, oldest, 'LIMIT', 0, portion.countMax + 1)
    if (members.length === 0) return { entries: [], more: false }
    const seqs = members.map(seqOfMember).filter((seq) => Number.isSafeInteger(seq) && seq > 0)
    const slice = await entriesIn(client, keys, { how: 'at', seqs }, portion)
    // All of them may have been trimmed between the two reads; then there is nothing older either, but look.
    const more = slice.more || members.length > portion.countMax
    if (slice.entries.length > 0 || slice.more) return { entries: slice.entries, more }
    from = `(${members.at(-1)}`
  }
}

function argumentsOf(place: Place): readonly string[] {
  switch (place.how) {
    case 'back':
      return [String(place.before)]
    case 'on':
      return [String(place.after), String(place.to)]
    case 'at':
      return place.seqs.map(String)
  }
}
