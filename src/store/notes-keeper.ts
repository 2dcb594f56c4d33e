// Keeps what is noted in its file: behind, so that nobody who notes something waits for the disk, and one write at a time.
import type { Clock } from '../lib/clock.ts'
import { WriteBehind } from '../lib/write-behind.ts'
import { readNotes, writeNotes } from './notes-file.ts'
import { Notes, type Topic } from './notes.ts'

/** A change is in the file this much later: what is noted together is written together. */
const WRITE_SOON_MS = 1_000
/**
 * While changes come in, so much lies between two writes. Upstreams that answer all the time must not flush the disk all
 * the time; and a gate may miss 30 s beside two of its intervals (rollouts/gate-standing.ts) before a crash makes its soaking
 * begin anew, so no more than a third of that is lost.
 */
const WRITE_INTERVAL_MS = 10_000
/** A disk that stands still holds up the end of the process for no longer: notes are not worth more. */
const CLOSE_MS_MAX = 2_000

export interface NotesLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface NotesKeeperOptions {
  readonly folder: string
  readonly clock: Clock
  readonly log: NotesLog
  /** Tests watch the writing, and hold it up. */
  readonly write?: typeof writeNotes
}

/** Opens the notes in a folder that belongs to this process. A file that cannot be used is told to the log, and replaced. */
export async function openNotes(options: NotesKeeperOptions): Promise<NotesKeeper> {
  const read = await readNotes(options.folder, options.clock.now())
  if (read.outcome === 'refused') {
    options.log.warn({ why: read.why }, 'the notes of before cannot be used; soakings under gates begin anew')
  }
  return new NotesKeeper(options, read.outcome === 'read' ? read.topics : new Map())
}

export class NotesKeeper {
  readonly notes: Notes
  readonly #options: NotesKeeperOptions
  readonly #file: WriteBehind
  #isFailing = false
  #isCrowded = false

  /** `known` is what the file has. */
  constructor(options: NotesKeeperOptions, known: ReadonlyMap<string, Topic>) {
    this.#options = options
    const { clock, log } = options
    this.#file = new WriteBehind({
      clock,
      soonMs: WRITE_SOON_MS,
      intervalMs: WRITE_INTERVAL_MS,
      write: () => this.#write(),
      failed: (error) => this.#failed(error),
      // What could not be written is tried again with the next change, not before: the disk may be full for long.
      retries: false,
      closeMsMax: CLOSE_MS_MAX,
      late: () => log.warn({ limitMs: CLOSE_MS_MAX }, 'the notes are not written yet; ending without them'),
    })
    this.notes = new Notes(
      () => clock.now(),
      known,
      () => this.#file.changed(),
    )
  }

  /** Writes the file once more, where it is not up to date; never rejects, and gives up on a disk that stands still. */
  close(): Promise<void> {
    return this.#file.close()
  }

  async #write(): Promise<void> {
    const { folder, clock, log, write = writeNotes } = this.#options
    const leftOut = await write(folder, this.notes.all(), clock.now())
    if (this.#isFailing) log.info({}, 'the notes are written again')
    this.#isFailing = false
    this.#tellOfRoom(leftOut)
  }

  #failed(error: unknown): void {
    if (!this.#isFailing) this.#options.log.warn({ err: error }, 'the notes could not be written; the older ones stay')
    this.#isFailing = true
  }

  #tellOfRoom(leftOut: readonly string[]): void {
    if (leftOut.length > 0 && !this.#isCrowded) {
      const fields = { topics: leftOut.length, first: leftOut[0] }
      this.#options.log.warn(fields, 'the notes have no room for everything; what is left out is lost with the process')
    }
    this.#isCrowded = leftOut.length > 0
  }
}
