// One JSON file in the data folder: replaced so that a crash at any moment leaves the old one or the new one whole, and
// read so that what is not JSON, is of another kind, or of a newer form is said in a sentence. What is in it is the caller's.
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { StoreUnavailable } from './port.ts'
import { isRecord } from './stored-form.ts'

/** Documents include the hashes of tokens. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600

export type KeptFile =
  | { readonly outcome: 'read'; readonly content: Readonly<Record<string, unknown>> }
  | { readonly outcome: 'absent' }
  /** There is a file, and `why` is the sentence that says what is wrong with it; a newer build may read it. */
  | { readonly outcome: 'refused'; readonly why: string; readonly isNewer?: true }

/** What is asked of a file that is read. */
export interface KeptForm {
  /** What the file is to be, for the sentence that says that it is not: `last-known-good`. */
  readonly name: string
  /** The highest number of its form that this Bellwether reads. */
  readonly format: number
  /** A file of more bytes was not written by us, and is not read at all; null for a file that may be of any size. */
  readonly bytesMax: number | null
}

/** The write under way of each file; two at once would write into one temporary file. */
const underWay = new Map<string, Promise<void>>()

/**
 * Replaces the file by these pieces of text, one written after the other. Resolves when it is on the disk, and rejects
 * with StoreUnavailable where it could not be written, the file before being left as it was.
 */
export async function replaceKeptFile(path: string, pieces: Iterable<string>): Promise<void> {
  const place = resolve(path)
  const before = underWay.get(place) ?? Promise.resolve()
  const writing = before.catch(() => {}).then(() => replace(place, pieces))
  underWay.set(place, writing)
  try {
    await writing
  } finally {
    if (underWay.get(place) === writing) underWay.delete(place)
  }
}

/** What is in the file; any doubt is an outcome, so this never throws. */
export async function readKeptFile(path: string, { name, format, bytesMax }: KeptForm): Promise<KeptFile> {
  const refuse = (why: string): KeptFile => ({ outcome: 'refused', why: `${path} ${why}` })
  let file: unknown
  try {
    if (bytesMax !== null && (await stat(path)).size > bytesMax) return refuse(`has more than ${bytesMax} bytes`)
    file = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return refuse('is not whole: it is not JSON')
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { outcome: 'absent' }
    return refuse(`cannot be read: ${textOf(error)}`)
  }
  if (!isRecord(file) || typeof file['format'] !== 'number') return refuse(`is not a ${name} file`)
  // Before anything else of it is looked at, which a newer Bellwether may write in another way.
  if (file['format'] > format) {
    const why = `${path} was written by a newer Bellwether (format ${file['format']}, this one reads up to ${format})`
    return { outcome: 'refused', why, isNewer: true }
  }
  return { outcome: 'read', content: file }
}

async function replace(path: string, pieces: Iterable<string>): Promise<void> {
  const folder = dirname(path)
  // One name and not a random one, so that what a crash has left is replaced by the next write.
  const temporary = `${path}.tmp`
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    await rm(temporary, { force: true })
    await writeSynced(temporary, pieces)
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (error) {
    // The disk may be full; half a file must not keep it so. The first error is the one to tell.
    await rm(temporary, { force: true }).catch(() => {})
    throw new StoreUnavailable(`${path} cannot be written: ${textOf(error)}`, { cause: error })
  }
}

async function writeSynced(path: string, pieces: Iterable<string>): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    // One write after the other, and polls are answered between them.
    for (const piece of pieces) await file.writeFile(piece, 'utf8')
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The new name is durable only when the folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
