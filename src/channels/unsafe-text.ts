// Characters that no person writes and that a terminal, a log or a reviewer can be deceived by: control characters, separators of
// lines and paragraphs, marks that turn the direction of writing, halves of surrogate pairs.

const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** What texts of several lines have between and within them. */
const LAYOUT: ReadonlySet<string> = new Set(['\t', '\n'])

export interface UnsafeCharacter {
  /** `U+202E` */
  readonly codePoint: string
  readonly meaning: string
  /** Counted from 1, in characters as people see them in most alphabets (code points). */
  readonly position: number
}

/** The first character that may not be in a text that somebody writes here; null for none. */
export function findUnsafe(text: string, hasLayout: boolean): UnsafeCharacter | null {
  for (const { 0: character, index } of text.matchAll(UNSAFE)) {
    if (hasLayout && LAYOUT.has(character)) continue
    const code = character.charCodeAt(0)
    return {
      codePoint: `U+${code.toString(16).toUpperCase().padStart(4, '0')}`,
      meaning: meaningOf(character, code),
      position: Array.from(text.slice(0, index)).length + 1,
    }
  }
  return null
}

/** A text of the other side with each of them as JSON writes it, so that it can be kept, shown and logged. */
export function escapeUnsafe(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    const inJson = JSON.stringify(character).slice(1, -1)
    return inJson === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : inJson
  })
}

function meaningOf(character: string, code: number): string {
  if (/\p{Cc}/u.test(character)) return 'control character'
  if (/[\p{Zl}\p{Zp}]/u.test(character)) return 'separator'
  return code >= 0xd8_00 && code <= 0xdf_ff ? 'half of a surrogate pair' : 'mark of the direction of writing'
}
