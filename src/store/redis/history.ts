// Where the store stands, and whether what somebody knows is in its history: asked before anything is read or followed.
import { FORMAT, JournalTrimmed, StoreDamaged, StoreRegressed, type StorePosition } from '../port.ts'
import type { RedisClient } from './connection.ts'
import { newerFormat } from './documents.ts'
import type { Keys } from './keys.ts'
import { listOf } from './replies.ts'
import { runScript } from './scripts.ts'

export interface Standing {
  readonly position: StorePosition
  /** How `known` is in the history; 'same' also where nothing is known. */
  readonly known: 'same' | 'trimmed' | 'superseded'
  /** The lowest seq that the journal has. */
  readonly first: number
}

/** Throws StoreRegressed, NewerFormat or StoreDamaged. A store that was never filled begins with `freshEpoch`, if given. */
export async function standingOf(
  client: RedisClient,
  keys: Keys,
  known: StorePosition | null,
  freshEpoch = '',
): Promise<Standing> {
  const args = [String(FORMAT), known?.epoch ?? '', String(known?.seq ?? 0), known?.mark ?? '', freshEpoch]
  const reply = await runScript(client, 'position', [keys.meta, keys.journal, keys.documents], args)
  const [verdict, epoch = '', seq, mark = '', first, what = ''] = listOf(reply)
  const position = { epoch, seq: Number(seq), mark }
  switch (verdict) {
    case 'same':
    case 'trimmed':
    case 'superseded':
      return { position, known: verdict, first: Number(first) }
    case 'regressed':
      throw new StoreRegressed(known ?? position, position)
    case 'newer':
      throw newerFormat('the store', Number(what))
    default:
      throw new StoreDamaged(`The store is damaged: in Redis ${what}; an admin can restore it`, { found: position })
  }
}

/** Where the store stands for an operator's decision; a damaged store that can be restored stands somewhere, too. */
export async function foundAt(
  client: RedisClient,
  keys: Keys,
): Promise<{ readonly position: StorePosition; readonly isDamaged: boolean }> {
  try {
    return { position: (await standingOf(client, keys, null)).position, isDamaged: false }
  } catch (error) {
    if (error instanceof StoreDamaged && error.found !== null) return { position: error.found, isDamaged: true }
    throw error
  }
}

/** For whoever follows: what was replaced or is kept no more must be loaded anew. */
export function checkFollowable({ known }: Standing): void {
  if (known === 'superseded') throw new JournalTrimmed('an operator has begun a new epoch')
  if (known === 'trimmed') throw new JournalTrimmed('the journal is not kept that far back')
}
