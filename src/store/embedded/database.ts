// The lmdb file of an embedded store: made once under another name, checked before lmdb may touch it, opened, and its
// five trees read and written as records. What the records mean together is embedded-store.ts.
import { randomUUID } from 'node:crypto'
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Database as Tree, type RootDatabase } from 'lmdb'
import { CommitTooLarge, FORMAT, StoreDamaged, type Document, type JournalEntry } from '../port.ts'
import { checkFile } from './check-file.ts'
import { isCount } from '../stored-form.ts'
import * as records from './records.ts'
import { checkFormat, documentOf, entryOf, isMeta, type StoreMeta } from './stored-values.ts'

const DATA_FILE = 'store.mdb'
/** A store is made under this name and renamed when it is whole, so that an empty or half file is always damage. */
const NEW_FILE = 'store.mdb.new'
const LOCK_SUFFIX = '-lock'
/** Documents include the hashes of tokens. */
const FILE_MODE = 0o600
/** The lock file's header and table of 126 readers, whole pages of any common size. */
const LOCK_FILE_BYTES = 16_384

const TREES = ['documents', 'journal', 'meta', 'revisions', 'subjects'] as const
type TreeName = (typeof TREES)[number]
type Trees = Readonly<Record<TreeName, Tree<Buffer, Uint8Array>>>

const META_KEY = Buffer.from('store')
const REQUEST_PREFIX = 'request/'

/** What a store that was made before these were kept does not say. */
const BLANK_META = { mark: '', supersedes: [], holes: [] } as const

/** An open data file. Reads inside `write` see what it has written so far. */
export class Database {
  readonly #root: RootDatabase<Buffer, Uint8Array>
  readonly #trees: Trees

  constructor(path: string) {
    // overlappingSync off: a commit then returns after its data has been flushed, and throws where that failed.
    this.#root = open<Buffer, Uint8Array>({
      path,
      noSubdir: true,
      overlappingSync: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      maxDbs: TREES.length,
    })
    const tree = (name: TreeName) =>
      this.#root.openDB<Buffer, Uint8Array>({ name, encoding: 'binary', keyEncoding: 'binary' })
    this.#trees = {
      documents: tree('documents'),
      journal: tree('journal'),
      meta: tree('meta'),
      revisions: tree('revisions'),
      subjects: tree('subjects'),
    }
  }

  /** Runs `action` as one transaction: when this returns it is on the disk, and when it throws nothing has changed. */
  write<T>(action: () => T): T {
    return this.#root.transactionSync(action)
  }

  meta(): StoreMeta {
    const bytes = this.#trees.meta.getBinary(META_KEY)
    if (bytes === undefined) throw new StoreDamaged('The store is damaged: it does not know its epoch')
    const meta = checkFormat(records.decodeValue(META_KEY, bytes))
    if (isMeta(meta)) return { ...BLANK_META, ...meta }
    throw new StoreDamaged('The store is damaged: its head is not what was written')
  }

  putMeta(meta: StoreMeta): void {
    this.#trees.meta.putSync(META_KEY, records.encodeValue(META_KEY, meta))
  }

  /** `seq` is that of the store. */
  document(key: string, seq: number): Document | null {
    const name = records.documentKey(key)
    const bytes = this.#trees.documents.getBinary(name)
    return bytes === undefined ? null : documentOf(name, bytes, seq)
  }

  *documents(): Generator<Document> {
    const { seq } = this.meta()
    for (const { key, value } of this.#trees.documents.getRange()) {
      yield documentOf(key, value, seq)
    }
  }

  putDocument(document: Document): void {
    const name = records.documentKey(document.key)
    this.#trees.documents.putSync(name, records.encodeValue(name, document))
  }

  removeDocument(key: string): void {
    this.#trees.documents.removeSync(records.documentKey(key))
  }

  /**
   * The revision at which a document was last deleted, 0 where it never was. What is none that a store at `seq` can have had is
   * taken for `seq`, which no revision is above.
   */
  lastRevision(key: string, seq: number): number {
    const name = records.documentKey(key)
    const bytes = this.#trees.revisions.getBinary(name)
    const revision = bytes === undefined ? 0 : records.decodeValue(name, bytes)
    return isCount(revision) && revision <= seq ? revision : seq
  }

  /** Kept for ever, some 100 bytes each: a document made anew must not repeat a revision that somebody still holds. */
  putLastRevision(key: string, revision: number): void {
    const name = records.documentKey(key)
    this.#trees.revisions.putSync(name, records.encodeValue(name, revision))
  }

  /** One entry that must be there: the journal has no gap. One that cannot be read has the mark '' where that is not known. */
  entry(seq: number): JournalEntry {
    return this.parseEntry(this.entryText(seq), seq)
  }

  /** The same, not parsed: its size is known, and so is its head (CHANGES_MARK). */
  entryText(seq: number): Buffer {
    const key = records.journalKey(seq)
    const bytes = this.#trees.journal.getBinary(key)
    if (bytes === undefined) throw new StoreDamaged(`The store is damaged: its journal has no entry ${seq}`)
    return records.textOf(key, bytes)
  }

  parseEntry(text: Buffer, seq: number): JournalEntry {
    return entryOf(text, seq)
  }

  /** The seq of the entry that a request has made, null where none has. */
  seqOfRequest(requestId: string): number | null {
    const key = Buffer.from(REQUEST_PREFIX + requestId)
    const bytes = this.#trees.meta.getBinary(key)
    const seq = bytes === undefined ? null : records.decodeValue(key, bytes)
    if (seq === null || isCount(seq)) return seq
    throw new StoreDamaged(`The store is damaged: the entry of request ${requestId} is not known`)
  }

  /** Appends an entry and indexes it by subject and request; answers it as it will be read. Throws CommitTooLarge above `bytesMax`. */
  appendEntry(entry: JournalEntry, bytesMax = Number.POSITIVE_INFINITY): JournalEntry {
    const key = records.journalKey(entry.seq)
    const bytes = records.encodeValue(key, entry)
    if (bytes.length > bytesMax) throw new CommitTooLarge(bytes.length)
    this.#trees.journal.putSync(key, bytes)
    for (const subject of entry.subjects) {
      const name = records.subjectKey(subject, entry.seq)
      this.#trees.subjects.putSync(name, records.sealKey(name))
    }
    if (entry.requestId !== null) {
      const name = Buffer.from(REQUEST_PREFIX + entry.requestId)
      this.#trees.meta.putSync(name, records.encodeValue(name, entry.seq))
    }
    return records.decodeValue(key, bytes) as JournalEntry
  }

  /** At most `limit` seqs of entries about `subject` below `beforeSeq`, newest first. */
  seqsAbout(subject: string, beforeSeq: number, limit: number): number[] {
    if (beforeSeq <= 1) return []
    const range = { start: records.subjectKey(subject, beforeSeq - 1), end: records.subjectKey(subject, 0) }
    const seqs: number[] = []
    for (const { key, value } of this.#trees.subjects.getRange({ ...range, reverse: true, limit })) {
      records.checkSealedKey(key, value)
      seqs.push(records.seqOfSubjectKey(key))
    }
    return seqs
  }

  /** Throws where a record is not what was written, or was written by a newer Bellwether. The journal's values are
   * left to their readers: it alone grows without end. Its keys are checked: 1, 2, 3 … up to the last, none missing but
   * those that the store knows of. */
  checkRecords(): void {
    const { seq, holes } = this.meta()
    for (const document of this.documents()) void document
    for (const { key, value } of this.#trees.revisions.getRange()) records.textOf(key, value)
    for (const { key, value } of this.#trees.subjects.getRange()) records.checkSealedKey(key, value)
    const { journal } = this.#trees
    const [first] = [...journal.getKeys({ limit: 1 })]
    const [last] = [...journal.getKeys({ limit: 1, reverse: true })]
    const firstSeq = first === undefined ? 0 : records.seqOfJournalKey(first)
    const lastSeq = last === undefined ? 0 : records.seqOfJournalKey(last)
    const missing = holes.reduce((sum, [from, to]) => sum + to - from + 1, 0)
    const begins = holes[0]?.[0] === 1 ? holes[0][1] + 1 : Math.min(seq, 1)
    if (firstSeq !== begins || lastSeq !== seq || journal.getKeysCount() !== seq - missing) {
      throw new StoreDamaged(`The store is damaged: its journal is not 1 to ${seq}`)
    }
    if (seq > 0) this.entry(seq)
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}

/** Opens the data file of a folder that is locked, making it where there is none. */
export async function openDatabase(folder: string): Promise<Database> {
  const path = join(folder, DATA_FILE)
  if (!existsSync(path)) await makeDataFile(folder, path)
  checkFile(path, TREES)
  reserveLockFile(path)
  const database = new Database(path)
  try {
    database.checkRecords()
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

async function makeDataFile(folder: string, path: string): Promise<void> {
  const fresh = join(folder, NEW_FILE)
  for (const left of [fresh, fresh + LOCK_SUFFIX]) rmSync(left, { force: true })
  reserveLockFile(fresh)
  const database = new Database(fresh)
  try {
    database.write(() => database.putMeta({ ...BLANK_META, format: FORMAT, epoch: randomUUID(), seq: 0 }))
  } finally {
    await database.close()
  }
  chmodSync(fresh, FILE_MODE)
  rmSync(fresh + LOCK_SUFFIX, { force: true })
  renameSync(fresh, path)
  const fd = openSync(folder, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

/**
 * Writes lmdb's lock file in full where it is missing. lmdb makes it as a hole and maps it, and the first write into
 * a hole on a full disk kills the process (SIGBUS); this fails with ENOSPC instead.
 */
function reserveLockFile(dataPath: string): void {
  const path = dataPath + LOCK_SUFFIX
  if (existsSync(path) && statSync(path).size >= LOCK_FILE_BYTES) return
  const fd = openSync(path, 'w', FILE_MODE)
  try {
    writeSync(fd, Buffer.alloc(LOCK_FILE_BYTES))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
