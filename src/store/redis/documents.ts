// Documents and entries as the text that Redis keeps. commit.lua reads revision and format by the fixed head of a document.
import { parseBounded } from '../nesting.ts'
import { FORMAT, NewerFormat, type Document, type JournalEntry } from '../port.ts'
import { DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX } from '../sizes.ts'
import {
  boundedDocument,
  documentFault,
  entryFault,
  entryOf,
  formatOf,
  sizeFault,
  unreadableDocument,
  unreadableEntry,
} from '../stored-form.ts'

/** A document as commit.lua writes it. */
export function documentText({ revision, format, key, body }: Document): string {
  return JSON.stringify({ revision, format, key, body })
}

/**
 * The document `key`, whose text has so many bytes and is not there where they are too many. One that is not what commit.lua writes
 * is unreadable, at revision 0: a commit may write over it, and it holds nothing else up. `seq` is that of the store, or more where
 * it is not known yet (see readState).
 */
export function readDocument(key: string, text: string, bytes: number, seq: number): Document {
  const large = sizeFault(bytes, DOCUMENT_BYTES_MAX)
  if (large !== null) return unreadableDocument(key, large)
  const value = parseBounded(text)
  const fault = documentFault(value, key, seq)
  if (fault !== null) return unreadableDocument(key, fault)
  const document = value as Document // It was just looked at.
  // A build that writes a format raises that of the store first, which is looked at beside the documents.
  if (document.format > FORMAT) return unreadableDocument(key, HIGHER_FORMAT)
  if (!text.startsWith(headOf(document))) return unreadableDocument(key, 'its head is not that of its value')
  return boundedDocument(document)
}

const HIGHER_FORMAT = 'its format is higher than that of its store'

/** What commit.lua reads of a document: it must be what JSON.parse gives, which takes the last of a member that is there twice. */
function headOf({ revision, format, key }: Document): string {
  return `${JSON.stringify({ revision, format, key }).slice(0, -1)},"body":{`
}

/** Where an entry is, as the stream says beside its text. */
export interface EntryPlace {
  readonly seq: number
  readonly mark: string
  /** The size of the text, which is not there where that is too large. */
  readonly bytes: number
  /** The format of the store, read with the entry or after it. */
  readonly storeFormat: number
}

/**
 * The entry at a place; one that is not what commit.lua writes is unreadable. Throws NewerFormat where a newer build has written it,
 * which the format of the store says, too.
 */
export function readEntry(text: string, { seq, mark, bytes, storeFormat }: EntryPlace): JournalEntry {
  const large = sizeFault(bytes, ENTRY_BYTES_MAX)
  if (large !== null) return unreadableEntry(seq, mark, large)
  const value = parseBounded(text)
  const format = formatOf(value)
  if (format !== null && format > FORMAT) {
    if (storeFormat > FORMAT) throw newerFormat(`journal entry ${seq}`, format)
    return unreadableEntry(seq, mark, HIGHER_FORMAT)
  }
  const fault = value === undefined ? 'it is no JSON' : entryFault(value, seq, mark)
  return fault === null ? entryOf(value as JournalEntry) : unreadableEntry(seq, mark, fault)
}

export function newerFormat(what: string, format: number): NewerFormat {
  return new NewerFormat(
    `${what} was written by a newer Bellwether (format ${format}, this one reads up to ${FORMAT}): update this replica`,
  )
}
