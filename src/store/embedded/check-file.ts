// Walks a data file's trees before lmdb maps it into memory. lmdb trusts its file: a wrong page number, length or
// offset makes it read outside the file (SIGBUS, SIGSEGV) or overwrite pages in use. What this passes it can be trusted
// with; the values' own checksums are checked where they are read (records.ts).
//
// Not protected: a file that is cut or written by somebody else while the store has it open, as lmdb reads it as memory.
import { endianness } from 'node:os'
import {
  BRANCH,
  LEAF,
  OVERFLOW,
  damaged,
  openPageFile,
  overflowLength,
  pageKind,
  readCount,
  readNodes,
  readTree,
  type Node,
  type PageFile,
  type Tree,
} from './page-file.ts'

/** Keys from `low` (inclusive) to `high` (exclusive), null being no bound. */
interface KeyRange {
  readonly low: Buffer | null
  readonly high: Buffer | null
}

const PAGE_HEADER_BYTES = 24
/** Node flags: the value lies on overflow pages; the value is the record of a named tree. */
const BIG_VALUE = 0x01
const NAMED_TREE = 0x02
/** Tree flags: keys are integers; and what the environment itself was opened with, "no folder of its own". */
const INTEGER_KEYS = 0x08
const NO_SUBFOLDER = 0x4000
/** lmdb's own limit of a tree's depth (CURSOR_STACK); a deeper one has a loop. */
const DEPTH_MAX = 32
/** lmdb writes pages in the machine's own form; this file knows the form of every 64-bit machine Node.js is built for. */
const KNOWN_MACHINES: ReadonlySet<string> = new Set(['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'])

/** Throws StoreDamaged where the file is not sound, or its named trees are not exactly `names`; changes nothing. */
export function checkFile(path: string, names: readonly string[]): void {
  if (endianness() !== 'LE' || !KNOWN_MACHINES.has(process.arch)) return
  const file = openPageFile(path)
  try {
    new Walk(file).everything(names)
  } finally {
    file.close()
  }
}

/** What is done with one tree. */
interface Visit {
  readonly compare: (a: Buffer, b: Buffer) => number
  readonly counts: { branchPages: number; leafPages: number; overflowPages: number; entries: number }
  readonly onLeaf: (node: Node) => number
}

class Walk {
  readonly #file: PageFile
  /** Which pages have been met: each belongs to one tree, at one place, or is free. */
  readonly #met = new Set<number>()

  constructor(file: PageFile) {
    this.#file = file
  }

  everything(names: readonly string[]): void {
    const { free, main } = this.#file.root
    const found: string[] = []
    if ((free.flags & ~NO_SUBFOLDER) !== INTEGER_KEYS) throw damaged('the record of the free pages')
    this.#tree(main, (node) => {
      if (node.flags !== NAMED_TREE || node.size !== 48) throw damaged('the list of trees')
      // lmdb-js ends the names of trees with a NUL.
      found.push(node.key.toString('latin1').replace(/\0$/, ''))
      this.#tree(readTree(node.rest, 0), (leaf) => this.#meetValue(leaf))
      return 0
    })
    // A tree whose name has changed would be missing, and lmdb would put an empty one in its place.
    if (found.join() !== names.toSorted().join()) throw damaged('the list of trees')
    this.#tree(free, (node) => this.#meetFreePages(node))
    // Behind the file's end lie only pages that were freed before they were written. Others mean that the last page is
    // not what was written, and lmdb would go on writing there, however far away that is.
    for (let number = this.#file.pages; number <= this.#file.root.lastPage; number += 1) {
      if (!this.#met.has(number)) throw damaged('the number of pages')
    }
  }

  /** Walks one tree in the order of its keys; `onLeaf` meets what a leaf's node holds and answers its overflow pages. */
  #tree(tree: Tree, onLeaf: (node: Node) => number): void {
    const isFree = tree === this.#file.root.free
    if (!isFree && (tree.flags !== 0 || tree.pad !== 0)) throw damaged('the flags of a tree')
    const counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
    if (tree.root === null) {
      if (tree.depth !== 0) throw damaged('the depth of a tree')
    } else {
      if (tree.depth < 1 || tree.depth > DEPTH_MAX) throw damaged('the depth of a tree')
      const visit: Visit = { compare: isFree ? compareIntegers : compareBytes, counts, onLeaf }
      this.#page(tree.root, tree.depth, { low: null, high: null }, visit)
    }
    for (const name of ['branchPages', 'leafPages', 'overflowPages', 'entries'] as const) {
      if (counts[name] !== tree[name]) throw damaged(`a tree's number of ${name}`)
    }
  }

  /** One page and all below it; every key lies in the range. */
  #page(number: number, depth: number, { low, high }: KeyRange, visit: Visit): void {
    const { compare, counts, onLeaf } = visit
    const isLeaf = depth === 1
    const page = this.#file.page(number)
    this.#meet(number, 1)
    if (pageKind(page) !== (isLeaf ? LEAF : BRANCH)) throw damaged(`the kind of page ${number}`)
    const nodes = readNodes(page)
    if (nodes.length < (isLeaf ? 1 : 2)) throw damaged(`the nodes of page ${number}`)
    counts[isLeaf ? 'leafPages' : 'branchPages'] += 1
    for (const [index, node] of nodes.entries()) {
      // The first key of a branch page is not used; it stands for all that is lower.
      const from = !isLeaf && index === 0 ? low : node.key
      const next = nodes[index + 1]?.key ?? high
      const isInOrder =
        from === null || ((low === null || compare(low, from) <= 0) && (next === null || compare(from, next) < 0))
      if (!isInOrder) throw damaged(`the keys of page ${number}`)
      if (isLeaf) {
        counts.entries += 1
        counts.overflowPages += onLeaf(node)
      } else this.#page(node.child, depth - 1, { low: from, high: next }, visit)
    }
  }

  /** A value in a named tree; answers how many overflow pages it takes. */
  #meetValue(node: Node): number {
    if (node.flags === 0) return 0
    if (node.flags !== BIG_VALUE) throw damaged('the flags of a value')
    return this.#meetOverflow(node)
  }

  #meetOverflow(node: Node): number {
    const first = readCount(node.rest, 0)
    const pages = readCount(node.rest, 16)
    const needed = Math.floor((PAGE_HEADER_BYTES - 1 + node.size) / this.#file.pageBytes) + 1
    const page = this.#file.page(first)
    if (pages < needed || pageKind(page) !== OVERFLOW || overflowLength(page) !== pages) {
      throw damaged('the place of a value')
    }
    this.#meet(first, pages)
    // The last one is read too, so that a file cut within the value is found here and not by a crash.
    if (pages > 1) this.#file.bytesOf(first + pages - 1)
    return pages
  }

  /** A list of pages that a transaction has freed; they are not read, and may lie behind the file's end. */
  #meetFreePages(node: Node): number {
    let overflow = 0
    let list = node.rest
    if (node.flags === BIG_VALUE) {
      overflow = this.#meetOverflow(node)
      const first = readCount(node.rest, 0)
      list = Buffer.concat(Array.from({ length: overflow }, (_, index) => this.#file.bytesOf(first + index)))
      list = list.subarray(PAGE_HEADER_BYTES)
    } else if (node.flags !== 0) throw damaged('the flags of a free list')
    if (node.key.length !== 8 || node.size < 8) throw damaged('a free list')
    this.#meetRuns(list.subarray(0, node.size))
    return overflow
  }

  /** lmdb-js' form of the list: its length, then page numbers, zeros between, -n before the first page of n. */
  #meetRuns(list: Buffer): void {
    const end = (readCount(list, 0) + 1) * 8
    if (end > list.length) throw damaged('a free list')
    for (let at = 8; at < end; at += 8) {
      const entry = list.readBigInt64LE(at)
      if (entry === 0n) continue
      const pages = entry < 0n ? Number(-entry) : 1
      if (entry < 0n) at += 8
      this.#meet(at < end ? readCount(list, at) : 0, pages)
    }
  }

  /** A page met twice would be written by one owner and read by another. */
  #meet(first: number, pages: number): void {
    for (let number = first; number < first + pages; number += 1) {
      if (number < 2 || number > this.#file.root.lastPage || this.#met.has(number)) throw damaged(`page ${number}`)
      this.#met.add(number)
    }
  }
}

function compareIntegers(a: Buffer, b: Buffer): number {
  return readCount(a, 0) - readCount(b, 0)
}

function compareBytes(a: Buffer, b: Buffer): number {
  return a.compare(b)
}
