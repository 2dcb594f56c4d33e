// The journal as it may be shown: without secrets, and without what is outside the caller's scope.
import { channelNameOf } from '../channels/channel.ts'
import {
  JournalTrimmed,
  type Document,
  type JournalEntry,
  type JournalPage,
  type JournalQuery,
  type StorePosition,
} from '../store/port.ts'
import { knownState, type Control } from './control.ts'
import { covers, coversAll, type Identity } from './identity.ts'
import { isTokenKey } from './tokens.ts'

const BLANK = '(hidden)'

/** One page of the journal for this caller; entries that are wholly outside the caller's scope are left out. */
export async function readJournal(control: Control, identity: Identity, query: JournalQuery): Promise<JournalPage> {
  const { entries, next } = await control.store.journal(query)
  return { entries: entries.flatMap((entry) => viewOf(entry, identity) ?? []), next }
}

/**
 * Where the journal stands after entry `seq`, for whoever goes on from there; null where this replica does not serve it
 * within its limit. Throws JournalTrimmed where that entry is kept no more.
 */
export async function positionAfter(control: Control, seq: number): Promise<StorePosition | null> {
  if (!(await control.replica.until((state) => state.seq >= seq))) return null
  const { epoch } = knownState(control)
  if (seq === 0) return { epoch, seq, mark: '' }
  const { entries } = await control.store.journal({ beforeSeq: seq + 1, limit: 1 })
  const [entry] = entries
  if (entry?.seq !== seq) throw new JournalTrimmed(`the journal has no entry ${seq} any more`)
  return { epoch, seq, mark: entry.mark }
}

/** A journal entry as this caller may see it, null where nothing of it is theirs to see. */
export function viewOf(entry: JournalEntry, identity: Identity): JournalEntry | null {
  const changes = entry.changes.filter(({ key }) => maySee(identity, key))
  if (changes.length === 0) return null
  return {
    ...entry,
    subjects: entry.subjects.filter((key) => maySee(identity, key)),
    changes: changes.map(({ key, before, after }) => ({ key, before: blanked(before), after: blanked(after) })),
  }
}

function maySee(identity: Identity, key: string): boolean {
  if (isTokenKey(key)) return identity.role === 'admin' && coversAll(identity)
  const name = channelNameOf(key)
  return name === null || covers(identity, name)
}

function blanked(document: Document | null): Document | null {
  if (document === null || !isTokenKey(document.key)) return document
  return { ...document, body: { ...document.body, hash: BLANK } }
}
