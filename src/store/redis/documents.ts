// Documents and entries as the text that Redis keeps. commit.lua reads revision and format by the fixed head of a document.
import { FORMAT, NewerFormat, StoreDamaged, type Document, type JournalEntry } from '../port.ts'

/** A document as commit.lua writes it. */
export function documentText({ revision, format, key, body }: Document): string {
  return JSON.stringify({ revision, format, key, body })
}

/**
 * The document `key`. One that is not what commit.lua writes is unreadable, at revision 0: a commit may write over it, and it
 * holds nothing else up. Throws NewerFormat where a newer build has written it.
 */
export function readDocument(key: string, text: string): Document {
  const document = parsedOf(text)
  if (!isDocument(document, key)) {
    return { key, revision: 0, format: FORMAT, body: {}, unreadable: 'it is not what Bellwether writes' }
  }
  return readable(document, `document ${key}`)
}

function isDocument(value: unknown, key: string): value is Document {
  if (typeof value !== 'object' || value === null) return false
  const { key: name, revision, format, body } = value as Partial<Document> // Each is looked at here.
  const isWhole = Number.isSafeInteger(revision) && Number(revision) > 0 && Number.isSafeInteger(format)
  return name === key && isWhole && typeof body === 'object' && body !== null && !Array.isArray(body)
}

export function readEntry(text: string): JournalEntry {
  const entry = parse(text, 'a journal entry') as JournalEntry // The same.
  if (!Number.isSafeInteger(entry.seq) || !Array.isArray(entry.changes)) throw notWritten('a journal entry')
  return readable(entry, `journal entry ${entry.seq}`)
}

function parse(text: string, what: string): object {
  const value = parsedOf(text)
  if (typeof value === 'object' && value !== null) return value
  throw notWritten(what)
}

/** undefined for what is no JSON; what it is is not said: it may hold what must not be logged. */
function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
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
