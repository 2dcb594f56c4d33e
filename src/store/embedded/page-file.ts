// The pages of an lmdb data file (data version 2, 64-bit, little-endian), read without lmdb: its root records, its
// trees' nodes. Only reads; what is not as lmdb writes it throws StoreDamaged. Layout: lmdb's mdb.c, "MDB_page".
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { StoreDamaged } from '../port.ts'

const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const META_FLAG = 0x08
const PAGE_HEADER_BYTES = 24
const META_BYTES = PAGE_HEADER_BYTES + 144
const NODE_HEADER_BYTES = 8
const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536
/** lmdb's root of a tree without pages. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn

/** Kinds of pages, as they stand in a page's flags. */
export const BRANCH = 0x01
export const LEAF = 0x02
export const OVERFLOW = 0x04

/** What lmdb records of one tree. */
export interface Tree {
  /** The page size in the tree of free pages, 0 elsewhere. */
  readonly pad: number
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** Null where the tree is empty. */
  readonly root: number | null
}

/** One of the two root records; lmdb uses the one with the higher transaction. */
export interface Root {
  readonly free: Tree
  readonly main: Tree
  readonly lastPage: number
  readonly transaction: number
}

/** One node of a branch or leaf page; `child` is meant on branches, `flags` and `size` on leaves. */
export interface Node {
  readonly key: Buffer
  readonly flags: number
  readonly size: number
  readonly child: number
  /** From the first byte of the value on to the end of the page. */
  readonly rest: Buffer
}

/** An open data file. `page` answers a page's bytes, checked to carry that number and to belong to `root` or before. */
export interface PageFile {
  readonly pageBytes: number
  /** How many whole pages the file has; the trees may count more. */
  readonly pages: number
  readonly root: Root
  page(number: number): Buffer
  /** A page inside an overflow value: nothing but the value, so only its place is checked. */
  bytesOf(number: number): Buffer
  close(): void
}

/** Opens a data file for reading; throws StoreDamaged where its root records are not sound. */
export function openPageFile(path: string): PageFile {
  const fd = openSync(path, 'r')
  try {
    const stats = fstatSync(fd)
    // Reading says the same where a folder has a size of whole pages; in tmpfs it has some 40 bytes.
    if (stats.isDirectory()) throw Object.assign(new Error(`${path} is a folder`), { code: 'EISDIR' })
    const fileBytes = stats.size
    const read = (at: number, bytes: number): Buffer => readExactly(fd, at, bytes, fileBytes)
    const pageBytes = readRoot(read(0, META_BYTES)).free.pad
    const isPowerOfTwo = pageBytes > 0 && (pageBytes & (pageBytes - 1)) === 0
    if (!isPowerOfTwo || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) throw damaged('its page size')
    const root = newest(readRoot(read(0, META_BYTES)), readRoot(read(pageBytes, META_BYTES)))
    return {
      pageBytes,
      pages: Math.floor(fileBytes / pageBytes),
      root,
      page(number) {
        if (number < 2 || number > root.lastPage) throw damaged(`a reference to page ${number}`)
        const bytes = read(number * pageBytes, pageBytes)
        if (readCount(bytes, 0) !== number || readCount(bytes, 8) > root.transaction) throw damaged(`page ${number}`)
        return bytes
      },
      bytesOf(number) {
        if (number < 2 || number > root.lastPage) throw damaged(`a reference to page ${number}`)
        return read(number * pageBytes, pageBytes)
      },
      close: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

export function damaged(what: string): StoreDamaged {
  return new StoreDamaged(`The store is damaged: ${what} is not what was written`)
}

/** A tree's record, 48 bytes from `at` on. */
export function readTree(bytes: Buffer, at: number): Tree {
  if (bytes.length < at + 48) throw damaged('the record of a tree')
  return {
    pad: bytes.readUInt32LE(at),
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: readCount(bytes, at + 8),
    leafPages: readCount(bytes, at + 16),
    overflowPages: readCount(bytes, at + 24),
    entries: readCount(bytes, at + 32),
    root: bytes.readBigUInt64LE(at + 40) === NO_PAGE ? null : readCount(bytes, at + 40),
  }
}

/** An eight-byte count; one that no file can reach is damage. */
export function readCount(bytes: Buffer, at: number): number {
  const count = at + 8 > bytes.length ? NaN : Number(bytes.readBigUInt64LE(at))
  if (!Number.isSafeInteger(count)) throw damaged('a count')
  return count
}

export function pageKind(page: Buffer): number {
  return page.readUInt16LE(18)
}

/** How many pages an overflow page begins. */
export function overflowLength(page: Buffer): number {
  return page.readUInt32LE(20)
}

/** The nodes of a branch or leaf page, each checked to lie within it and to touch no other. */
export function readNodes(page: Buffer): Node[] {
  const lower = page.readUInt16LE(20)
  const upper = page.readUInt16LE(22)
  const room = page.length - PAGE_HEADER_BYTES
  if (lower % 2 !== 0 || lower > upper || upper > room) throw damaged('the head of a page')
  const body = page.subarray(PAGE_HEADER_BYTES)
  const isBranch = pageKind(page) === BRANCH
  let used = 0
  const nodes: Node[] = []
  for (let at = 0; at < lower; at += 2) {
    const offset = body.readUInt16LE(at)
    if (offset % 2 !== 0 || offset < upper || offset + NODE_HEADER_BYTES > room) throw damaged('a node')
    const node = readNode(body, offset)
    const bytes = NODE_HEADER_BYTES + node.key.length + (isBranch ? 0 : bytesInPage(node))
    if (offset + bytes > room) throw damaged('a node')
    used += bytes + (bytes % 2)
    nodes.push(node)
  }
  // lmdb keeps a page's nodes without room between them; with the bounds above, equality means that none overlap.
  if (used !== room - upper) throw damaged('the nodes of a page')
  return nodes
}

/** A large value lies elsewhere; its node holds only the 24 bytes that say where. */
function bytesInPage(node: Node): number {
  return (node.flags & 0x01) !== 0 ? 24 : node.size
}

function readNode(body: Buffer, offset: number): Node {
  const low = body.readUInt16LE(offset) + body.readUInt16LE(offset + 2) * 0x1_0000
  const flags = body.readUInt16LE(offset + 4)
  const keyEnd = offset + NODE_HEADER_BYTES + body.readUInt16LE(offset + 6)
  if (keyEnd > body.length) throw damaged('a node')
  const key = body.subarray(offset + NODE_HEADER_BYTES, keyEnd)
  return { key, flags, size: low, child: low + flags * 0x1_0000_0000, rest: body.subarray(keyEnd) }
}

function readRoot(bytes: Buffer): Root {
  const at = PAGE_HEADER_BYTES
  if ((pageKind(bytes) & META_FLAG) === 0 || bytes.readUInt32LE(at) !== MAGIC) throw damaged('its root record')
  // The low half is lmdb's data version.
  if (bytes.readUInt16LE(at + 4) !== DATA_VERSION) throw damaged('its data version')
  return {
    free: readTree(bytes, at + 24),
    main: readTree(bytes, at + 72),
    lastPage: readCount(bytes, at + 120),
    transaction: readCount(bytes, at + 128),
  }
}

/**
 * The root record in force: transactions write the two in turn, the even ones the first. Anything but neighbours means
 * that one of them is not what was written, and that lmdb could silently go back to an older state. A newer record
 * that has become exactly two lower is not seen here: lmdb leaves the same behind where writing a root has failed.
 */
function newest(even: Root, odd: Root): Root {
  const areNeighbours = even.transaction % 2 === 0 && Math.abs(even.transaction - odd.transaction) === 1
  if (!areNeighbours) throw damaged('its root record')
  if (even.free.pad !== odd.free.pad) throw damaged('its page size')
  return even.transaction > odd.transaction ? even : odd
}

function readExactly(fd: number, at: number, bytes: number, fileBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  if (at + bytes > fileBytes || readSync(fd, buffer, 0, bytes, at) !== bytes) {
    throw new StoreDamaged(`The store is damaged: the file ends after ${fileBytes} bytes, before its data does`)
  }
  return buffer
}
