// A replica's newest state in one file, which it starts from while the store is down. Written so that a crash at any
// moment leaves the old file or the new one whole, and read so that a file with any doubt is refused, never half used.
import { createHash } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { checked } from './checked-store.ts'
import { readKeptFile, replaceKeptFile } from './kept-file.ts'
import { FORMAT, type CheckDocument, type Document, type StoreState } from './port.ts'
import { asStored, boundedDocument, isCount, isRecord, unreadBody } from './stored-form.ts'

const FILE = 'last-known-good.json'
/** Where a file goes that cannot be used: the last one of them is kept, for whoever wants to know what it was. */
const SET_ASIDE = 'last-known-good.refused.json'

export type LastKnownGood =
  | { readonly outcome: 'read'; readonly state: StoreState; readonly savedAt: string }
  | { readonly outcome: 'absent' }
  /** There is a file, and `why` is the sentence that says what is wrong with it; a newer build may read it. */
  | { readonly outcome: 'refused'; readonly why: string; readonly isNewer?: true }

interface Content {
  readonly format: number
  readonly epoch: string
  readonly seq: number
  readonly mark: string
  readonly savedAt: string
  readonly documents: readonly Document[]
}

/**
 * The file is read as one text when a process starts, which can have some 536 million characters; a larger file was written and could
 * not be read. There are never more characters than bytes.
 */
const FILE_BYTES_MAX = 512_000_000

/**
 * Replaces the file in `folder` by `state`; `at` is the time now in milliseconds. Resolves when it is on the disk, with the keys of
 * documents that could only be written without their bodies, and rejects with StoreUnavailable where the file could not be written,
 * the file before being left as it was.
 */
export async function writeLastKnownGood(
  folder: string,
  state: StoreState,
  at: number,
  bytesMax = FILE_BYTES_MAX,
): Promise<readonly string[]> {
  const emptied: string[] = []
  await replaceKeptFile(join(folder, FILE), bounded(textOfFile(state, at, emptied), bytesMax))
  return emptied
}

/** Moves the file in `folder` out of the way and answers where to; null where that cannot be done, and the file stays. */
export async function setAsideLastKnownGood(folder: string): Promise<string | null> {
  const path = join(folder, SET_ASIDE)
  try {
    await rename(join(folder, FILE), path)
    return path
  } catch {
    return null
  }
}

/** The state in `folder`, its documents looked at by `check`; any doubt is an outcome, so this never throws. */
export async function readLastKnownGood(folder: string, check: CheckDocument = () => null): Promise<LastKnownGood> {
  const path = join(folder, FILE)
  // A state is as large as it is.
  const read = await readKeptFile(path, { name: 'last-known-good', format: FORMAT, bytesMax: null })
  if (read.outcome !== 'read') return read
  try {
    const kept = stateOf(read.content, path)
    if (kept.outcome !== 'read') return kept
    const documents = kept.state.documents.map((document) => checked(boundedDocument(document), check))
    return { ...kept, state: { ...kept.state, documents } }
  } catch (error) {
    // Such as JSON that is nested deeper than this process can follow.
    return { outcome: 'refused', why: `${path} cannot be used: ${error instanceof Error ? error.message : 'unknown'}` }
  }
}

function stateOf(file: Readonly<Record<string, unknown>>, path: string): LastKnownGood {
  const refuse = (why: string) => ({ outcome: 'refused', why: `${path} ${why}` }) as const
  if (!isContent(file)) return refuse('is not a last-known-good file')
  const { format, epoch, seq, mark, savedAt, documents } = file
  if (file['checksum'] !== checksumOf({ format, epoch, seq, mark, savedAt, documents })) {
    return refuse('is not what was written: its checksum does not match')
  }
  const newer = documents.find((document) => document.format > FORMAT)
  if (newer !== undefined) {
    return { ...refuse(`holds ${newer.key}, which was written by a newer Bellwether`), isNewer: true }
  }
  return { outcome: 'read', state: { documents, seq, mark, epoch }, savedAt }
}

/** Over the content in one fixed order of its fields; JSON text read and written again is the same text. */
function checksumOf({ format, epoch, seq, mark, savedAt, documents }: Content): string {
  return createHash('sha256').update(JSON.stringify({ format, epoch, seq, mark, savedAt, documents })).digest('hex')
}

/**
 * A piece ends with the document that reaches so many characters: polls wait for one piece at most, some milliseconds, and no string
 * has all documents in it.
 */
const PIECE_LENGTH = 256 * 1024

/** The same pieces; throws before the one that makes the text larger than can be read again. */
function* bounded(pieces: Iterable<string>, bytesMax: number): Generator<string> {
  let bytes = 0
  for (const piece of pieces) {
    bytes += Buffer.byteLength(piece)
    if (bytes > bytesMax) throw new RangeError(`it would have more than ${bytesMax} bytes, which no start could read`)
    yield piece
  }
}

/** The file's text in pieces: `content` with the checksum over it as its last member. Adds the keys of emptied documents to `emptied`. */
function* textOfFile({ seq, mark, epoch, documents }: StoreState, at: number, emptied: string[]): Generator<string> {
  const content: Content = { format: FORMAT, epoch, seq, mark, savedAt: new Date(at).toISOString(), documents: [] }
  const hash = createHash('sha256')
  const hashed = (piece: string): string => {
    hash.update(piece)
    return piece
  }
  let texts = [JSON.stringify(content).slice(0, -']}'.length)]
  let length = 0
  for (const [index, document] of documents.entries()) {
    const text = textOfDocument(document, emptied)
    texts.push(index === 0 ? text : `,${text}`)
    length += text.length
    if (length < PIECE_LENGTH) continue
    yield hashed(texts.join(''))
    texts = []
    length = 0
  }
  yield hashed(texts.join(''))
  hash.update(']}')
  yield `],"checksum":"${hash.digest('hex')}"}`
}

/**
 * One document must never keep the others out of the file, nor have it refused at the next start: what cannot be written, or is of a
 * newer form, is written with a body that says so, and cannot be read at the next start.
 */
function textOfDocument(document: Document, emptied: string[]): string {
  const { key, revision, format } = document
  if (format <= FORMAT) {
    try {
      return JSON.stringify(asStored(document))
    } catch {
      // Such as a text that is too long, or values that are nested too deep.
    }
  }
  emptied.push(key)
  const body = unreadBody('it could not be written to the last-known-good file')
  return JSON.stringify({ key, revision, format: FORMAT, body })
}

function isContent(file: Readonly<Record<string, unknown>>): file is Readonly<Record<string, unknown>> & Content {
  const { format, epoch, seq, mark, savedAt, documents } = file
  return (
    isCount(format) &&
    typeof epoch === 'string' &&
    isCount(seq) &&
    typeof mark === 'string' &&
    typeof savedAt === 'string' &&
    !Number.isNaN(Date.parse(savedAt)) &&
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
