// The form of documents and journal entries, as far as every store must know it: what another program, a newer build or a fault
// has written is found here, before anything of it is used. What a document's body means is checked above the store.
import { ENTRY_LEVELS, isDeeper, NESTING_FAULT, NESTING_MAX } from './nesting.ts'
import { FORMAT, type Document, type DocumentChange, type JournalEntry, type JsonObject } from './port.ts'

/** RFC 3339; what is no day, such as the 40th, is found by parsing. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

/** A record's format number, null where it has none; a higher one than FORMAT is a newer build's, whatever else it holds. */
export function formatOf(value: unknown): number | null {
  const format = isRecord(value) ? value['format'] : null
  return typeof format === 'number' && Number.isSafeInteger(format) ? format : null
}

/** Why a text of so many bytes is not read, null where it is. */
export function sizeFault(bytes: number, bytesMax: number): string | null {
  return bytes <= bytesMax ? null : `it has ${bytes} bytes, and at most ${bytesMax} are read`
}

/** Why a stored value is not the document `key` of a store that is at `seq`, null where it is. */
export function documentFault(value: unknown, key: string, seq: number): string | null {
  if (!isRecord(value)) return 'it is not what Bellwether writes'
  const { revision, body } = value
  if (value['key'] !== key || !isCount(revision) || revision === 0 || formatOf(value) === null || !isRecord(body)) {
    return 'it is not what Bellwether writes'
  }
  return revisionFault(revision, seq)
}

/** Why a store that is at `seq` cannot have a document of this revision, null where it can: each revision takes an entry. */
function revisionFault(revision: number, seq: number): string | null {
  return revision <= seq ? null : 'its revision is higher than any of its store'
}

/** The same document where a store that is at `seq` can have its revision, for where that is not known as it is read. */
export function documentAt(document: Document, seq: number): Document {
  const fault = revisionFault(document.revision, seq)
  return fault === null ? document : unreadableDocument(document.key, fault)
}

/** A document of which only the key is known. Its revision is 0, so that a commit that expects 0 writes over it. */
export function unreadableDocument(key: string, why: string, revision = 0): Document {
  return { key, revision, format: FORMAT, body: unreadBody(why), unreadable: why }
}

/**
 * The body of a document whose own was not read. Where such a document is written (the last-known-good file, a restored store), it says
 * so to every later reader: an empty body would be that of a document of a kind that no check knows.
 */
export function unreadBody(why: string): JsonObject {
  return { unread: why }
}

/** Why a body is not the document's own; null where it is. */
export function whyUnread(body: JsonObject): string | null {
  const { unread } = body
  return typeof unread === 'string' && Object.keys(body).length === 1 ? unread : null
}

/** A document that is right but for its nesting. One that is too deep is unreadable at its revision, which a commit expects. */
export function boundedDocument(document: Document): Document {
  return isDeeper(document, NESTING_MAX) ? unreadableDocument(document.key, NESTING_FAULT, document.revision) : document
}

/**
 * Why a stored value is not the journal entry `seq`, null where it is. `mark` is what the store says of the entry's mark beside
 * the entry itself; null where the entry alone says it. Members are named and their values are not: they may be secrets.
 */
export function entryFault(value: unknown, seq: number, mark: string | null): string | null {
  if (!isRecord(value)) return 'it is no JSON object'
  if (value['seq'] !== seq) return 'its seq is not that of its place'
  if (mark !== null && value['mark'] !== mark) return 'its mark is not that of its place'
  const fault = Object.entries(MEMBERS).find(([name, isRight]) => !isRight(value[name], seq))
  return fault === undefined ? null : `its ${fault[0]} is not what Bellwether writes`
}

/** Why what stands before the changes of an entry cannot be used by filters, null where it can. */
export function headFault(value: unknown): string | null {
  if (!isRecord(value)) return 'it is no JSON object'
  const fault = (['at', 'actor', 'kind'] as const).find((name) => !MEMBERS[name](value[name]))
  return fault === undefined ? null : `its ${fault} is not what Bellwether writes`
}

/** An entry that cannot be read: its place in the journal is known, and nothing else. */
export function unreadableEntry(seq: number, mark: string, why: string): JournalEntry {
  const head = { seq, mark, format: FORMAT, at: '', actor: '', kind: '', subjects: [], reason: null, requestId: null }
  return { ...head, changes: [], unreadable: why }
}

/**
 * An entry that is right but for its nesting, without the marks that only its reader sets. Each document that is nested too deep is
 * unreadable alone; an entry that is so outside its documents is unreadable as a whole.
 */
export function entryOf(value: JournalEntry): JournalEntry {
  const entry = unmarked(value)
  if (!isDeeper(entry, NESTING_MAX + ENTRY_LEVELS)) return entry
  const bounded = (document: Document | null) => (document === null ? null : boundedDocument(document))
  const changes = entry.changes.map(({ key, before, after }) => ({
    key,
    before: bounded(before),
    after: bounded(after),
  }))
  const head = { ...entry, changes: [] }
  return isDeeper(head, NESTING_MAX) ? unreadableEntry(entry.seq, entry.mark, NESTING_FAULT) : { ...entry, changes }
}

function unmarked(value: JournalEntry): JournalEntry {
  const { unreadable, ...entry } = value
  const isMarked = ({ before, after }: DocumentChange): boolean => hasMark(before) || hasMark(after)
  if (!entry.changes.some(isMarked)) return unreadable === undefined ? value : entry
  const changes = entry.changes.map(({ key, before, after }) => ({
    key,
    before: asStored(before),
    after: asStored(after),
  }))
  return { ...entry, changes }
}

/** A document without the mark, as it is stored. */
export function asStored<T extends Document | null>(document: T): T {
  if (document === null) return document
  const { key, revision, format, body } = document
  return { key, revision, format, body } as T // A document, and T is no narrower type of one.
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

const MEMBERS = {
  mark: isText,
  format: isCount,
  at: (value: unknown) => isText(value) && MOMENT.test(value) && !Number.isNaN(Date.parse(value)),
  actor: isText,
  kind: isText,
  subjects: (value: unknown) => Array.isArray(value) && value.every(isText),
  reason: (value: unknown) => value === null || isText(value),
  requestId: (value: unknown) => value === null || isText(value),
  changes: (value: unknown, seq: number) => Array.isArray(value) && value.every((change) => isChange(change, seq)),
} as const satisfies Readonly<Record<string, (value: unknown, seq: number) => boolean>>

function isChange(value: unknown, seq: number): boolean {
  if (!isRecord(value) || !isText(value['key'])) return false
  const { key } = value
  return [value['before'], value['after']].every((part) => part === null || isDocumentOf(part, key, seq))
}

/**
 * What an operator has restored may have the revision 0 of a document that could not be read. A document of a newer form stands in
 * entries of that form only.
 */
function isDocumentOf(value: unknown, key: unknown, seq: number): boolean {
  const format = formatOf(value)
  if (!isRecord(value) || format === null || format > FORMAT) return false
  const { revision, body } = value
  return value['key'] === key && isCount(revision) && revision <= seq && isRecord(body)
}

function hasMark(document: Document | null): boolean {
  return document !== null && 'unreadable' in document
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
