// What every store refuses before it looks at its documents: changes that can only be a mistake of the caller.
// Thrown as plain RangeError, because no retry and no operator can mend them.
import { isDeeper, NESTING_MAX } from './nesting.ts'
import { COMMIT_WRITES_MAX, type Change, type Expectation } from './port.ts'
import { COMMIT_BYTES_MAX, DOCUMENT_BYTES_MAX } from './sizes.ts'

/** Bytes of one key in UTF-8: an index key with length and seq must stay below the 1,978 bytes lmdb takes. */
export const KEY_BYTES_MAX = 512

/** Bytes of one body as JSON: with key, revision and format it is a document that is read again. */
export const BODY_BYTES_MAX = DOCUMENT_BYTES_MAX - 4 * 1024

/** Characters of a change's id: the name of who asks, and a UUID or whatever a client calls its request. */
export const REQUEST_ID_LENGTH_MAX = 384

/** At most this many documents are expected to be as they were read: twice what a stage of the most channels reads. */
const COMMIT_READS_MAX = 10_000

/** Throws a RangeError where `change` could never be committed by any store, whatever it holds. */
export function checkChange(change: Change): void {
  const { writes, reads } = change
  if (writes.length === 0) throw new RangeError('A change must write at least one document')
  if (writes.length > COMMIT_WRITES_MAX) {
    throw new RangeError(`A change writes at most ${COMMIT_WRITES_MAX} documents, this one ${writes.length}`)
  }
  if (Number.isNaN(Date.parse(change.at))) throw new RangeError(`A change must say when: ${JSON.stringify(change.at)}`)
  const { requestId } = change
  if (requestId !== null && (requestId === '' || requestId.length > REQUEST_ID_LENGTH_MAX)) {
    throw new RangeError(`A request id has 1 to ${REQUEST_ID_LENGTH_MAX} characters, not ${requestId.length}`)
  }
  if (reads.length > COMMIT_READS_MAX) {
    throw new RangeError(`A change expects at most ${COMMIT_READS_MAX} documents, this one ${reads.length}`)
  }
  const written = new Set<string>()
  for (const write of writes) {
    checkExpectation(write)
    if (written.has(write.key)) throw new RangeError(`A change writes ${JSON.stringify(write.key)} twice`)
    written.add(write.key)
    if (isDeeper(write.body, NESTING_MAX - 1)) {
      throw new RangeError(`A body has fewer than ${NESTING_MAX} levels, that of ${JSON.stringify(write.key)} has more`)
    }
    const bytes = write.body === null ? 0 : Buffer.byteLength(JSON.stringify(write.body))
    if (bytes > BODY_BYTES_MAX) {
      throw new RangeError(`A body has at most ${BODY_BYTES_MAX} bytes, that of ${JSON.stringify(write.key)} ${bytes}`)
    }
  }
  for (const read of reads) checkExpectation(read)
}

/** Bytes that the entry of a change may have. */
export function entryBytesMax({ isUrgent = false }: Change): number {
  return isUrgent ? Number.POSITIVE_INFINITY : COMMIT_BYTES_MAX
}

/** What a store throws for a deletion that expects revision 0, which only a document that cannot be read has. */
export function nothingToDelete(key: string): RangeError {
  return new RangeError(`A change deletes ${JSON.stringify(key)} and expects that it does not exist`)
}

function checkExpectation({ key, expected }: Expectation): void {
  const bytes = Buffer.from(key, 'utf8')
  // A lone surrogate has no UTF-8, so two different keys would become one.
  if (key === '' || bytes.length > KEY_BYTES_MAX || bytes.toString('utf8') !== key) {
    throw new RangeError(`A key is 1 to ${KEY_BYTES_MAX} bytes of well-formed text, not ${JSON.stringify(key)}`)
  }
  if (!Number.isSafeInteger(expected) || expected < 0) {
    throw new RangeError(`An expected revision is 0, 1, 2 …, not ${expected} (${JSON.stringify(key)})`)
  }
}
