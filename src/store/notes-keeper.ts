// Keeps what is noted in its file: behind, so that nobody who notes something waits for the disk, and one write at a time.
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

export interface NotesClock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls `run` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, run: () => void): () => void
}

export interface NotesLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface NotesKeeperOptions {
  readonly folder: string
  readonly clock: NotesClock
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
  #cancel: (() => void) | null = null
  #writing: Promise<void> | null = null
  #changes = 0
  /** How many of the changes are in the file. */
  #written = 0
  #writtenAt = Number.NEGATIVE_INFINITY
  #isFailing = false
  #isCrowded = false
  #closed: Promise<void> | null = null

  /** `known` is what the file has. */
  constructor(options: NotesKeeperOptions, known: ReadonlyMap<string, Topic>) {
    this.#options = options
    this.notes = new Notes(
      () => options.clock.now(),
      known,
      () => {
        this.#changes += 1
        this.#plan()
      },
    )
  }

  /** Writes the file once more, where it is not up to date; never rejects, and gives up on a disk that stands still. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    this.#cancel?.()
    this.#cancel = null
    const { clock, log } = this.#options
    let giveUp = (): void => {}
    const isOver = new Promise<'late'>((resolve) => {
      giveUp = clock.after(CLOSE_MS_MAX, () => resolve('late'))
    })
    if ((await Promise.race([this.#writeLast(), isOver])) === 'late') {
      log.warn({ limitMs: CLOSE_MS_MAX }, 'the notes are not written yet; ending without them')
    }
    giveUp()
  }

  async #writeLast(): Promise<void> {
    await this.#writing
    if (this.#written < this.#changes) await this.#write()
  }

  #plan(): void {
    if (this.#cancel !== null || this.#writing !== null || this.#closed !== null) return
    const { clock } = this.#options
    const restMs = this.#writtenAt + WRITE_INTERVAL_MS - clock.now()
    // A clock that was set back must not put it off.
    const delayMs = Math.min(Math.max(restMs, WRITE_SOON_MS), WRITE_INTERVAL_MS)
    this.#cancel = clock.after(delayMs, () => {
      this.#cancel = null
      this.#writing = this.#writeBehind()
    })
  }

  async #writeBehind(): Promise<void> {
    const changes = this.#changes
    await this.#write()
    this.#writing = null
    // What could not be written is tried again with the next change, not before: the disk may be full for long.
    if (this.#changes > changes) this.#plan()
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { folder, clock, log, write = writeNotes } = this.#options
    const changes = this.#changes
    this.#writtenAt = clock.now()
    try {
      const leftOut = await write(folder, this.notes.all(), clock.now())
      this.#written = changes
      if (this.#isFailing) log.info({}, 'the notes are written again')
      this.#isFailing = false
      this.#tellOfRoom(leftOut)
    } catch (error) {
      if (!this.#isFailing) log.warn({ err: error }, 'the notes could not be written; the older ones stay')
      this.#isFailing = true
    }
  }

  #tellOfRoom(leftOut: readonly string[]): void {
    if (leftOut.length > 0 && !this.#isCrowded) {
      const fields = { topics: leftOut.length, first: leftOut[0] }
      this.#options.log.warn(fields, 'the notes have no room for everything; what is left out is lost with the process')
    }
    this.#isCrowded = leftOut.length > 0
  }
}
