// How the embedded store spells its keys and values in bytes. Every value carries a checksum over its key and itself,
// because a disk that flips a bit must end in StoreDamaged and never in another version for a fleet.
import { crc32 } from 'node:zlib'
import { parseBounded } from '../nesting.ts'
import { StoreDamaged } from '../port.ts'

const CHECKSUM_BYTES = 4
/** 2^48 commits; the largest number that Buffer reads and writes exactly. */
const SEQ_BYTES = 6
const KEY_LENGTH_BYTES = 2

/** The bytes of one value: checksum, then the value as JSON in UTF-8. JSON escapes lone surrogates, so UTF-8 loses none. */
export function encodeValue(key: Buffer, value: unknown): Buffer {
  return seal(key, Buffer.from(JSON.stringify(value)))
}

/** The value that `encodeValue` made; throws StoreDamaged where key or value have changed since, or are another build's. */
export function decodeValue(key: Uint8Array, bytes: Uint8Array): unknown {
  const value = parsedOf(textOf(key, bytes))
  if (value !== undefined) return value
  throw new StoreDamaged(`The store is damaged: the record ${printable(key)} is not what was written`)
}

/** The JSON value of a text, undefined where it is none. */
export function parsedOf(text: Buffer): unknown {
  return parseBounded(text.toString('utf8'))
}

/** The text of a value, not parsed; throws StoreDamaged where key or value have changed since. */
export function textOf(key: Uint8Array, bytes: Uint8Array): Buffer {
  const text = unseal(key, bytes)
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength)
}

/** The value of a key that says everything itself: only a checksum. */
export function sealKey(key: Buffer): Buffer {
  return seal(key, Buffer.alloc(0))
}

/** Throws StoreDamaged where the key is not the one that `sealKey` was given. */
export function checkSealedKey(key: Uint8Array, bytes: Uint8Array): void {
  unseal(key, bytes)
}

export function documentKey(key: string): Buffer {
  return Buffer.from(key, 'utf8')
}

/** Big-endian, so that the order of the bytes is the order of the journal. */
export function journalKey(seq: number): Buffer {
  const bytes = Buffer.alloc(SEQ_BYTES)
  bytes.writeUIntBE(seq, 0, SEQ_BYTES)
  return bytes
}

export function seqOfJournalKey(key: Uint8Array): number {
  return Buffer.from(key).readUIntBE(0, SEQ_BYTES)
}

/** The length first: `channel/a` must not find the entries of `channel/ab`, whatever characters a key holds. */
export function subjectKey(subject: string, seq: number): Buffer {
  const name = Buffer.from(subject, 'utf8')
  const length = Buffer.alloc(KEY_LENGTH_BYTES)
  length.writeUInt16BE(name.length)
  return Buffer.concat([length, name, journalKey(seq)])
}

export function seqOfSubjectKey(key: Uint8Array): number {
  return Buffer.from(key).readUIntBE(key.length - SEQ_BYTES, SEQ_BYTES)
}

function seal(key: Buffer, content: Buffer): Buffer {
  const checksum = Buffer.alloc(CHECKSUM_BYTES)
  checksum.writeUInt32BE(crc32(content, crc32(key)))
  return Buffer.concat([checksum, content])
}

function unseal(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const content = bytes.subarray(CHECKSUM_BYTES)
  const written = bytes.length < CHECKSUM_BYTES ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (written === crc32(content, crc32(key))) return content
  throw new StoreDamaged(`The store is damaged: the record ${printable(key)} is not what was written`)
}

function printable(key: Uint8Array): string {
  return JSON.stringify(
    Buffer.from(key)
      .toString('latin1')
      .replace(/[^ -~]/g, '.'),
  )
}
