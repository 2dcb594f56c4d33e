// A store over another one that looks at every document on its way out: what it holds may have been written by a newer build,
// by another program, or by a fault. Documents that this build cannot act on are marked, each alone; they are never refused here.
import type { CheckDocument, Document, DocumentChange, EntryInParts, JournalEntry, Store } from './port.ts'
import { asStored, whyUnread } from './stored-form.ts'

/** `check` is the same for every document of the store, wherever it is read: whole states, entries, answers to commits. */
export function checkedStore(store: Store, check: CheckDocument): Store {
  const time = store.time?.bind(store)
  return {
    async load(known) {
      const state = await store.load(known)
      return { ...state, documents: state.documents.map((document) => checked(document, check)) }
    },
    async commit(change) {
      const result = await store.commit(change)
      return result.outcome === 'committed' ? { ...result, entry: checkedEntry(result.entry, check) } : result
    },
    async committed(requestId) {
      const entry = await store.committed(requestId)
      return entry === null ? null : checkedEntry(entry, check)
    },
    follow: (after, on, signal, lane) => store.follow(after, (entry) => on(checkedEntry(entry, check)), signal, lane),
    async journal(query, lane) {
      const { entries, next } = await store.journal(query, lane)
      return { entries: entries.map((entry) => checkedEntry(entry, check)), next }
    },
    async journalInParts(query) {
      const { entries, next } = await store.journalInParts(query)
      return { entries: entries.map((entry) => checkedParts(entry, check)), next }
    },
    journalBegins: () => store.journalBegins(),
    position: () => store.position(),
    startEpoch: (start) => {
      const { restore } = start
      if (restore === null) return store.startEpoch(start)
      return store.startEpoch({ ...start, restore: { ...restore, documents: restore.documents.map(asStored) } })
    },
    close: () => store.close(),
    ...(time === undefined ? {} : { time }),
  }
}

/** The same document where it can be read; else with the mark that says why not. */
export function checked(document: Document, check: CheckDocument): Document {
  const unreadable = document.unreadable ?? whyUnread(document.body) ?? check(document.key, document.body)
  return unreadable === null ? document : { ...document, unreadable }
}

/** The same entry where all its documents can be read. */
function checkedEntry(entry: JournalEntry, check: CheckDocument): JournalEntry {
  const changes = entry.changes.map((change) => checkedChange(change, check))
  return changes.every((change, index) => change === entry.changes[index]) ? entry : { ...entry, changes }
}

function checkedParts(entry: EntryInParts, check: CheckDocument): EntryInParts {
  return {
    head: entry.head,
    async *changes() {
      for await (const part of entry.changes()) yield part.map((change) => checkedChange(change, check))
    },
  }
}

function checkedChange(change: DocumentChange, check: CheckDocument): DocumentChange {
  const before = change.before === null ? null : checked(change.before, check)
  const after = change.after === null ? null : checked(change.after, check)
  return before === change.before && after === change.after ? change : { ...change, before, after }
}
