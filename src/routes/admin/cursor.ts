// Cursors of lists: where the next page starts, in a form that clients do not take apart.

/** What a list's cursor may point at. */
type CursorKind = 'name' | 'seq'

export function writeCursor(kind: CursorKind, value: string | number): string {
  return Buffer.from(`${kind}:${value}`).toString('base64url')
}

/** The value in a cursor of this kind, null where the text is no such cursor. */
export function readCursor(kind: CursorKind, text: string): string | null {
  const plain = Buffer.from(text, 'base64url').toString()
  const value = plain.startsWith(`${kind}:`) ? plain.slice(kind.length + 1) : null
  return value !== null && writeCursor(kind, value) === text ? value : null
}

/** The seq in a cursor, null where the text is no such cursor. */
export function readSeqCursor(text: string): number | null {
  const value = readCursor('seq', text)
  return value !== null && /^[1-9]\d{0,14}$/.test(value) ? Number(value) : null
}
