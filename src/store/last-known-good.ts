// A replica's newest state in one file, which it starts from while the store is down. Written so that a crash at any
// moment leaves the old file or the new one whole, and read so that a file with any doubt is refused, never half used.
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { FORMAT, StoreUnavailable, type Document, type StoreState } from './port.ts'

const FILE = 'last-known-good.json'
/** One name and not a random one, so that what a crash has left is replaced by the next write. */
const TEMPORARY_FILE = `${FILE}.tmp`
/** Documents include the hashes of tokens. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600

export type LastKnownGood =
  | { readonly outcome: 'read'; readonly state: StoreState; readonly savedAt: string }
  | { readonly outcome: 'absent' }
  /** There is a file, and `why` is the sentence that says what is wrong with it. */
  | { readonly outcome: 'refused'; readonly why: string }

interface Content {
  readonly format: number
  readonly epoch: string
  readonly seq: number
  readonly mark: string
  readonly savedAt: string
  readonly documents: readonly Document[]
}

/** The write under way in each folder; two at once would write into one temporary file. */
const underWay = new Map<string, Promise<void>>()

/**
 * Replaces the file in `folder` by `state`; `at` is the time now in milliseconds. Resolves when it is on the disk, and
 * rejects with StoreUnavailable where it could not be written, the file before being left as it was.
 */
export async function writeLastKnownGood(folder: string, state: StoreState, at: number): Promise<void> {
  const place = resolve(folder)
  const before = underWay.get(place) ?? Promise.resolve()
  const writing = before.catch(() => {}).then(() => replaceFile(place, state, at))
  underWay.set(place, writing)
  try {
    await writing
  } finally {
    if (underWay.get(place) === writing) underWay.delete(place)
  }
}

/** The state in `folder`; any doubt is an outcome, so this never throws. */
export async function readLastKnownGood(folder: string): Promise<LastKnownGood> {
  const path = join(folder, FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { outcome: 'absent' }
    return { outcome: 'refused', why: `${path} cannot be read: ${textOf(error)}` }
  }
  return readText(text, path)
}

function readText(text: string, path: string): LastKnownGood {
  const refuse = (why: string): LastKnownGood => ({ outcome: 'refused', why: `${path} ${why}` })
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch {
    return refuse('is not whole: it is not JSON')
  }
  if (!isRecord(file) || typeof file['format'] !== 'number') return refuse('is not a last-known-good file')
  // Before the checksum, which a newer Bellwether may compute in another way.
  if (file['format'] > FORMAT) {
    return refuse(`was written by a newer Bellwether (format ${file['format']}, this one reads up to ${FORMAT})`)
  }
  if (!isContent(file)) return refuse('is not a last-known-good file')
  const { format, epoch, seq, mark, savedAt, documents } = file
  if (file.checksum !== checksumOf({ format, epoch, seq, mark, savedAt, documents })) {
    return refuse('is not what was written: its checksum does not match')
  }
  const newer = documents.find((document) => document.format > FORMAT)
  if (newer !== undefined) return refuse(`holds ${newer.key}, which was written by a newer Bellwether`)
  return { outcome: 'read', state: { documents, seq, mark, epoch }, savedAt }
}

/** Over the content in one fixed order of its fields; JSON text read and written again is the same text. */
function checksumOf({ format, epoch, seq, mark, savedAt, documents }: Content): string {
  return createHash('sha256').update(JSON.stringify({ format, epoch, seq, mark, savedAt, documents })).digest('hex')
}

async function replaceFile(folder: string, state: StoreState, at: number): Promise<void> {
  const path = join(folder, FILE)
  const temporary = join(folder, TEMPORARY_FILE)
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    await rm(temporary, { force: true })
    await writeSynced(temporary, textOfFile(state, at))
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

/** So many documents are a millisecond's work. */
const PIECE_DOCUMENTS = 500

/** The file's text in pieces: `content` with the checksum over it as its last member. */
function* textOfFile({ seq, mark, epoch, documents }: StoreState, at: number): Generator<string> {
  const content: Content = { format: FORMAT, epoch, seq, mark, savedAt: new Date(at).toISOString(), documents: [] }
  const hash = createHash('sha256')
  const hashed = (piece: string): string => {
    hash.update(piece)
    return piece
  }
  yield hashed(JSON.stringify(content).slice(0, -']}'.length))
  for (let from = 0; from < documents.length; from += PIECE_DOCUMENTS) {
    const piece = JSON.stringify(documents.slice(from, from + PIECE_DOCUMENTS)).slice(1, -1)
    yield hashed(from === 0 ? piece : `,${piece}`)
  }
  hash.update(']}')
  yield `],"checksum":"${hash.digest('hex')}"}`
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

function isContent(file: Record<string, unknown>): file is Record<string, unknown> & Content {
  const { format, epoch, seq, mark, savedAt, documents } = file
  return (
    isCount(format) &&
    typeof epoch === 'string' &&
    isCount(seq) &&
    typeof mark === 'string' &&
    typeof savedAt === 'string' &&
    Array.isArray(documents) &&
    documents.every(isDocument)
  )
}

function isDocument(value: unknown): value is Document {
  return (
    isRecord(value) &&
    typeof value['key'] === 'string' &&
    isCount(value['revision']) &&
    isCount(value['format']) &&
    isRecord(value['body'])
  )
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
