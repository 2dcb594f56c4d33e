// What a replica that is alone has noted, in one file beside its store, so that it outlives the process. Notes are hints:
// a file with any doubt is refused as a whole, and what is too old or finds no room is left out.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readKeptFile, replaceKeptFile } from './kept-file.ts'
import { isRecord } from './stored-form.ts'
import type { Topic } from './notes.ts'

const FILE = 'notes.json'

/** The number of the file's form; a reader refuses a higher one. */
const NOTES_FORMAT = 1

/**
 * The file is never larger: it is written whole and read at the start. A gate's sixty samples are some 6 KB, so this is
 * room for some 600 gates at once.
 */
const NOTES_BYTES_MAX = 4 * 1024 * 1024

/**
 * A topic in which nobody has noted anything for so long is left out. Whoever uses a topic notes far more often (a gate
 * every hour at the least), so this is what a process has left that died before it could take its notes back.
 */
const TOPIC_AGE_MS_MAX = 7 * 86_400_000

/** So many characters are made in less than a millisecond; polls are answered between two pieces. */
const PIECE_LENGTH = 65_536

const HEAD = `{"format":${NOTES_FORMAT},"topics":[`

export type ReadNotes =
  | { readonly outcome: 'read'; readonly topics: ReadonlyMap<string, Topic> }
  | { readonly outcome: 'absent' }
  /** There is a file, and `why` is the sentence that says what is wrong with it. */
  | { readonly outcome: 'refused'; readonly why: string }

/** How a topic stands in the file. */
interface KeptTopic {
  readonly topic: string
  readonly notedAt: number
  readonly facts: readonly (readonly [name: string, fact: string])[]
}

/** What is noted in `folder`; `now` is the time in milliseconds. Any doubt is an outcome, so this never throws. */
export async function readNotes(folder: string, now: number): Promise<ReadNotes> {
  const path = join(folder, FILE)
  const read = await readKeptFile(path, { name: 'notes', format: NOTES_FORMAT, bytesMax: NOTES_BYTES_MAX })
  if (read.outcome !== 'read') return read
  const { topics, checksum } = read.content
  if (!Array.isArray(topics) || !topics.every(isKeptTopic)) {
    return { outcome: 'refused', why: `${path} is not a notes file` }
  }
  // A gate that has passed is believed: no damage may come to say so.
  if (checksum !== checksumOf(topics.map(digestOf))) {
    return { outcome: 'refused', why: `${path} is not what was written: its checksum does not match` }
  }
  const recent = topics.filter(({ notedAt }) => isRecent(notedAt, now))
  return {
    outcome: 'read',
    topics: new Map(recent.map(({ topic, notedAt, facts }) => [topic, { notedAt, facts: new Map(facts) }])),
  }
}

/**
 * Replaces the file in `folder`; `now` is the time in milliseconds. Resolves when it is on the disk, with the topics for
 * which there was no room (those in which nobody has noted anything for the longest), and rejects with StoreUnavailable
 * where it could not be written, the file before being left as it was.
 */
export async function writeNotes(
  folder: string,
  topics: ReadonlyMap<string, Topic>,
  now: number,
): Promise<readonly string[]> {
  const { pieces, leftOut } = await render(topics, now)
  await replaceKeptFile(join(folder, FILE), pieces)
  return leftOut
}

interface Rendered {
  readonly pieces: readonly string[]
  readonly leftOut: readonly string[]
}

async function render(topics: ReadonlyMap<string, Topic>, now: number): Promise<Rendered> {
  const recent = [...topics].filter(([, { notedAt }]) => isRecent(notedAt, now))
  const pieces: string[] = []
  const digests: string[] = []
  const leftOut: string[] = []
  let bytes = Buffer.byteLength(HEAD + tailOf([]))
  for (const [name, topic] of recent.toSorted(([, a], [, b]) => b.notedAt - a.notedAt)) {
    const rendered = await renderTopic(name, topic)
    const comma = digests.length === 0 ? '' : ','
    if (bytes + comma.length + rendered.bytes > NOTES_BYTES_MAX) {
      leftOut.push(name)
      continue
    }
    bytes += comma.length + rendered.bytes
    pieces.push(comma, ...rendered.pieces)
    digests.push(rendered.digest)
  }
  return { pieces: [HEAD, ...pieces, tailOf(digests)], leftOut }
}

interface RenderedTopic {
  readonly pieces: readonly string[]
  readonly bytes: number
  readonly digest: string
}

/** The same text as that of JSON.stringify, made a piece at a time. */
async function renderTopic(topic: string, { notedAt, facts }: Topic): Promise<RenderedTopic> {
  const pieces: string[] = []
  const hash = createHash('sha256')
  let bytes = 0
  let piece = JSON.stringify({ topic, notedAt, facts: [] }).slice(0, -']}'.length)
  const endPiece = (): void => {
    bytes += Buffer.byteLength(piece)
    hash.update(piece)
    pieces.push(piece)
    piece = ''
  }
  let comma = ''
  for (const fact of facts) {
    piece += comma + JSON.stringify(fact)
    comma = ','
    if (piece.length < PIECE_LENGTH) continue
    endPiece()
    await nextTurn()
  }
  piece += ']}'
  endPiece()
  return { pieces, bytes, digest: hash.digest('hex') }
}

/** The checksum is over the digests of the topics, each over the topic's text. */
function tailOf(digests: readonly string[]): string {
  return `],"checksum":"${checksumOf(digests)}"}`
}

function checksumOf(digests: readonly string[]): string {
  const content = [NOTES_FORMAT, ...digests].join()
  return createHash('sha256').update(content).digest('hex')
}

/** JSON text read and written again, its fields in one fixed order, is the same text. */
function digestOf({ topic, notedAt, facts }: KeptTopic): string {
  return createHash('sha256').update(JSON.stringify({ topic, notedAt, facts })).digest('hex')
}

/** Also one of which a clock that was wrong says that it is to come. */
function isRecent(notedAt: number, now: number): boolean {
  return Math.abs(now - notedAt) <= TOPIC_AGE_MS_MAX
}

function isKeptTopic(value: unknown): value is KeptTopic {
  return (
    isRecord(value) &&
    typeof value['topic'] === 'string' &&
    Number.isSafeInteger(value['notedAt']) &&
    Array.isArray(value['facts']) &&
    value['facts'].every(isFact)
  )
}

function isFact(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')
}
