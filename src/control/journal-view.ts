// The journal as it may be shown: without secrets, and without what is outside the caller's scope.
import { channelNameOf } from '../channels/channel.ts'
import type { Document, JournalEntry, JournalPage, JournalQuery } from '../store/port.ts'
import type { Control } from './control.ts'
import { covers, coversAll, type Identity } from './identity.ts'
import { isTokenKey } from './tokens.ts'

const BLANK = '(hidden)'

/** One page of the journal for this caller; entries that are wholly outside the caller's scope are left out. */
export async function readJournal(control: Control, identity: Identity, query: JournalQuery): Promise<JournalPage> {
  const { entries, next } = await control.store.journal(query)
  return { entries: entries.flatMap((entry) => viewOf(entry, identity) ?? []), next }
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
