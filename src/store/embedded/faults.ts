// What an error of the file system or of lmdb means to the layers above: one of the port's three faults, with one
// clear sentence.
import {
  CommitTooLarge,
  JournalTrimmed,
  StoreDamaged,
  StoreNotOpened,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
} from '../port.ts'

/** What lmdb answers where the file's content, and not the moment, is the trouble (lmdb.h, "Return Codes"). */
const DAMAGE_CODES: ReadonlySet<unknown> = new Set([
  -30797, // MDB_PAGE_NOTFOUND: a page that is named does not exist
  -30796, // MDB_CORRUPTED: a page is of the wrong type
  -30793, // MDB_INVALID: not an lmdb file
  -30784, // MDB_INCOMPATIBLE: the flags of a sub-database are not those it was made with
])

/** What an operator needs to know beside lmdb's own words. */
const ADVICE: ReadonlyMap<unknown, string> = new Map([
  [5, '; the disk is full or failing'], // EIO: lmdb's answer to a write that was cut short, too
  [-30795, '; the disk failed in the middle of a write, restart Bellwether'], // MDB_PANIC: lmdb refuses all from here on
])

const PLAIN_WORDS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it is not a folder',
  EISDIR: 'a folder is where a file should be',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  ENOLCK: 'the file system gives no locks',
}

/** The fault that `error` is for a caller of an open store; `doing` says what was being done. */
export function faultOf(error: unknown, doing: string): Error {
  if (isOfPort(error)) return error
  const code = codeOf(error)
  if (DAMAGE_CODES.has(code))
    return new StoreDamaged(`${doing}: the store is damaged: ${textOf(error)}`, { cause: error })
  return new StoreUnavailable(`${doing}: ${textOf(error)}${ADVICE.get(code) ?? ''}`, { cause: error })
}

/** The fault that `error` is while the store is being opened at `path`. */
export function openingFaultOf(error: unknown, path: string): Error {
  if (error instanceof StoreDamaged || error instanceof StoreNotOpened) return error
  const code = codeOf(error)
  if (DAMAGE_CODES.has(code)) {
    return new StoreDamaged(`${path} is damaged and was left as it is: ${textOf(error)}`, { cause: error })
  }
  const plain = typeof code === 'string' ? PLAIN_WORDS[code] : undefined
  const why = plain === undefined ? textOf(error) : `${plain} (${String(code)})`
  return new StoreNotOpened(`The store cannot be opened at ${path}: ${why}`, { cause: error })
}

function isOfPort(error: unknown): error is Error {
  const kinds = [CommitTooLarge, StoreDamaged, StoreOutcomeUnknown, StoreUnavailable, StoreRegressed, JournalTrimmed]
  return kinds.some((kind) => error instanceof kind)
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
