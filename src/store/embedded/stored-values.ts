// What the records of an embedded store hold, looked at before it is used: a checksum proves that a Bellwether wrote a record, and
// not that it was one of this form.
import { FORMAT, StoreNotOpened, type Document, type JournalEntry } from '../port.ts'
import { DOCUMENT_BYTES_MAX, ENTRY_BYTES_MAX } from '../sizes.ts'
import {
  boundedDocument,
  documentFault,
  entryFault,
  entryOf as boundedEntry,
  formatOf,
  isCount,
  isRecord,
  sizeFault,
  unreadableDocument,
  unreadableEntry,
} from '../stored-form.ts'
import * as records from './records.ts'

/** What the store knows of itself. `format` is the highest that anything in it was written in. */
export interface StoreMeta {
  readonly format: number
  readonly epoch: string
  /** The last journal entry, 0 before the first. */
  readonly seq: number
  /** That entry's mark. */
  readonly mark: string
  /** Epochs whose replicas go on with this one, because an operator has decided so. */
  readonly supersedes: readonly string[]
  /** Seqs that have no entry, first and last of each stretch: what a store that had gone back did not have any more. */
  readonly holes: readonly (readonly [first: number, last: number])[]
}

/** The entry `seq`. One that cannot be read has the mark '' where that is not known. */
export function entryOf(text: Buffer, seq: number): JournalEntry {
  const large = sizeFault(text.length, ENTRY_BYTES_MAX)
  if (large !== null) return unreadableEntry(seq, '', large)
  const value = checkFormat(records.parsedOf(text))
  const fault = value === undefined ? 'it is no JSON' : entryFault(value, seq, null)
  if (fault === null) return boundedEntry(value as JournalEntry) // It was just looked at.
  const mark = isRecord(value) && typeof value['mark'] === 'string' ? value['mark'] : ''
  return unreadableEntry(seq, mark, fault)
}

/** A document as it is stored in a store at `seq`; the checksum proves that a Bellwether wrote it, and not that it is one of this form. */
export function documentOf(name: Uint8Array, bytes: Uint8Array, seq: number): Document {
  const key = Buffer.from(name).toString('utf8')
  const large = sizeFault(bytes.length, DOCUMENT_BYTES_MAX)
  if (large !== null) return unreadableDocument(key, large)
  const value = checkFormat(records.parsedOf(records.textOf(name, bytes)))
  const fault = documentFault(value, key, seq)
  return fault === null ? boundedDocument(value as Document) : unreadableDocument(key, fault) // It was just looked at.
}

export function isMeta(value: unknown): value is StoreMeta {
  if (!isRecord(value)) return false
  const { epoch, seq, mark = '', supersedes = [], holes = [] } = value
  const areTexts = [epoch, mark].every((text) => typeof text === 'string')
  return areTexts && isCount(seq) && isCount(value['format']) && Array.isArray(supersedes) && Array.isArray(holes)
}

export function checkFormat<T>(record: T): T {
  const format = formatOf(record)
  if (format === null || format <= FORMAT) return record
  throw new StoreNotOpened(
    `The store was written by a newer Bellwether (format ${format}, this one reads up to ${FORMAT}): ` +
      `start that version, or restore a backup of this one`,
  )
}
