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
 * The document `key`, whose text has so many bytes and is not there where they are too many. One that is not what commit.lua writes is unreadable, at revision 0: a commit may write over it, and it
 * holds nothing else up. Throws NewerFormat where a newer build has written it.
 */
export function readDocument(key: string, text: string, bytes: number): Document {
  const large = sizeFault(bytes, DOCUMENT_BYTES_MAX)
  if (large !== null) return unreadableDocument(key, large)
  const value = parseBounded(text)
  const fault = documentFault(value, key)
  if (fault !== null) return unreadableDocument(key, fault)
  checkFormat(value, `a document of the kind ${key.slice(0, key.indexOf('/'))}`)
  return boundedDocument(value as Document) // It was just looked at.
}

/** Where an entry is, as the stream says beside its text. */
export interface EntryPlace {
  readonly seq: number
  readonly mark: string
  /** The size of the text, which is not there where that is too large. */
  readonly bytes: number
}

/** The entry at a place; one that is not what commit.lua writes is unreadable. Throws NewerFormat where a newer build has written it. */
export function readEntry(text: string, { seq, mark, bytes }: EntryPlace): JournalEntry {
  const large = sizeFault(bytes, ENTRY_BYTES_MAX)
  if (large !== null) return unreadableEntry(seq, mark, large)
  const value = parseBounded(text)
  checkFormat(value, `journal entry ${seq}`)
  const fault = value === undefined ? 'it is no JSON' : entryFault(value, seq, mark)
  return fault === null ? entryOf(value as JournalEntry) : unreadableEntry(seq, mark, fault)
}

function checkFormat(value: unknown, what: string): void {
  const format = formatOf(value)
  if (format !== null && format > FORMAT) throw newerFormat(what, format)
}

export function newerFormat(what: string, format: number): NewerFormat {
  return new NewerFormat(
    `${what} was written by a newer Bellwether (format ${format}, this one reads up to ${FORMAT}): update this replica`,
  )
}
