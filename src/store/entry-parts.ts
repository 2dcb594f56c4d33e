// Large journal entries in parts. An entry can be a megabyte: to parse it, and to write it as JSON again, each in one turn of the event
// loop, would hold up every poll meanwhile. A part is a few changes of the entry, read in a turn that it shares with nothing else.
import { CHANGES_MARK } from './journal-query.ts'
import type { DocumentChange, EntryInParts, JournalEntry } from './port.ts'
import { ENTRY_BYTES_MAX } from './sizes.ts'
import { TURN_BYTES_MAX, type Turns } from './turns.ts'

/** Bytes after which a part ends, with the change that it is in. */
const PART_BYTES = 16 * 1024
/** Bytes in which the ends of parts are looked for in one turn: some 0.5 ms. */
const SCAN_BYTES = 256 * 1024

/** What follows the changes of an entry. */
const END = Buffer.from(']}')

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [BEGIN_LIST, END_LIST, BEGIN_OBJECT, END_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** A journal entry that cannot be read, as is found while its changes are read; the message says why. */
export class UnreadableEntry extends Error {
  override readonly name = 'UnreadableEntry'
}

/** An entry as a store has found it. */
export interface EntrySource {
  readonly text: Buffer
  /** Reads a text as this store reads the whole entry; the answer says where that cannot be read. */
  readonly read: (text: Buffer) => JournalEntry
}

/** A part of an entry: bytes of its text, without the commas around it. */
interface Part {
  readonly from: number
  readonly to: number
}

/**
 * The entry in parts: the same changes in the same order as the whole one. An entry that is small, or that is not as Bellwether writes
 * it, is one part.
 */
export async function entryInParts(source: EntrySource, turns: Turns): Promise<EntryInParts> {
  const { text, read } = source
  const isLarge = text.length > TURN_BYTES_MAX && text.length <= ENTRY_BYTES_MAX
  const mark = isLarge ? text.indexOf(CHANGES_MARK) : -1
  const begin = mark + CHANGES_MARK.length
  const parts = mark === -1 ? null : await findParts(text, begin, turns)
  if (parts === null) {
    const whole = await turns.run(
      'reader',
      () => read(text),
      () => text.length,
    )
    return { head: headOf(whole), changes: () => onePart(whole) }
  }
  const head = await turns.run(
    'reader',
    () => read(Buffer.concat([text.subarray(0, begin), END])),
    () => begin,
  )
  // A head that cannot be read says so, and then the changes are not asked for.
  return { head, changes: () => changesIn(parts, source, head, turns) }
}

function headOf(entry: JournalEntry): JournalEntry {
  return { ...entry, changes: [] }
}

async function* onePart({ changes }: JournalEntry): AsyncGenerator<readonly DocumentChange[]> {
  yield changes
}

async function* changesIn(
  parts: readonly Part[],
  { text, read }: EntrySource,
  entry: JournalEntry,
  turns: Turns,
): AsyncGenerator<readonly DocumentChange[]> {
  // A part is read as an entry that has only these changes, by the same rules.
  const { changes: _, ...rest } = { ...entry, subjects: [] }
  const head = Buffer.from(`${JSON.stringify(rest).slice(0, -1)}${CHANGES_MARK}`)
  for (const { from, to } of parts) {
    const part = await turns.run(
      'reader',
      () => read(Buffer.concat([head, text.subarray(from, to), END])),
      () => head.length + to - from,
    )
    // The reason is that of the whole entry, which may have another fault as well.
    if (part.unreadable !== undefined) throw new UnreadableEntry(read(text).unreadable ?? part.unreadable)
    yield part.changes
  }
}

/** Where the parts of the list of changes are that begins at `begin`; null where the entry does not end with that list. */
async function findParts(text: Buffer, begin: number, turns: Turns): Promise<readonly Part[] | null> {
  const search = partsOf(text, begin)
  for (;;) {
    const step = await turns.run(
      'reader',
      () => search.next(),
      () => TURN_BYTES_MAX,
    )
    if (step.done === true) return step.value
  }
}

/** The same, with a pause after SCAN_BYTES. Brackets that do not match are found when the parts are parsed. */
function* partsOf(text: Buffer, begin: number): Generator<undefined, readonly Part[] | null, undefined> {
  const parts: Part[] = []
  let [from, depth, pauseAt] = [begin, 0, begin + SCAN_BYTES]
  for (let at = begin; at < text.length; at += 1) {
    switch (text[at]) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case BEGIN_LIST:
      case BEGIN_OBJECT:
        depth += 1
        break
      case END_LIST:
      case END_OBJECT:
        depth -= 1
        if (depth >= 0) break
        return isEnd(text, at) ? withLast(parts, { from, to: at }, begin) : null
      case COMMA:
        if (depth > 0 || at - from < PART_BYTES) break
        parts.push({ from, to: at })
        from = at + 1
        break
      default:
    }
    if (at < pauseAt) continue
    pauseAt = at + SCAN_BYTES
    yield
  }
  return null
}

/** Whether the list that ends at `at` is the last member of the entry. */
function isEnd(text: Buffer, at: number): boolean {
  return text[at] === END_LIST && at === text.length - 2 && text[at + 1] === END_OBJECT
}

/** Nothing follows a comma only where the text is no JSON. */
function withLast(parts: readonly Part[], last: Part, begin: number): readonly Part[] | null {
  if (last.from < last.to) return [...parts, last]
  return last.from === begin ? parts : null
}

/** Where the string ends that begins at `start`; the end of the text where it does not end. */
function endOfString(text: Buffer, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const byte = text[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at += 1
  }
  return text.length
}
