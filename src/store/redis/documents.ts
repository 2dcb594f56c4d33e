// Documents and entries as the text that Redis keeps. commit.lua reads revision and format by the fixed head of a document.
import { FORMAT, NewerFormat, StoreDamaged, type Document, type JournalEntry } from '../port.ts'

/** A document as commit.lua writes it. */
export function documentText({ revision, format, key, body }: Document): string {
  return JSON.stringify({ revision, format, key, body })
}

/** Throws StoreDamaged where `text` is not the document `key`, and NewerFormat where this build cannot read it. */
export function readDocument(key: string, text: string): Document {
  const document = parse(text, `the document ${key}`) as Document // Written by commit.lua; what it must have is looked at next.
  if (document.key !== key || !Number.isSafeInteger(document.revision)) throw notWritten(`the document ${key}`)
  return readable(document, `document ${key}`)
}

export function readEntry(text: string): JournalEntry {
  const entry = parse(text, 'a journal entry') as JournalEntry // The same.
  if (!Number.isSafeInteger(entry.seq) || !Array.isArray(entry.changes)) throw notWritten('a journal entry')
  return readable(entry, `journal entry ${entry.seq}`)
}

function parse(text: string, what: string): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Said below, and without the text: it may hold what must not be logged.
  }
  throw notWritten(what)
}

function notWritten(what: string): StoreDamaged {
  return new StoreDamaged(`The store is damaged: ${what} in Redis is not what was written`)
}

function readable<T extends { readonly format: number }>(record: T, what: string): T {
  if (!Number.isSafeInteger(record.format)) throw notWritten(what)
  if (record.format > FORMAT) throw newerFormat(what, record.format)
  return record
}

export function newerFormat(what: string, format: number): NewerFormat {
  return new NewerFormat(
    `${what} was written by a newer Bellwether (format ${format}, this one reads up to ${FORMAT}): update this replica`,
  )
}
